"""Translates a contract's columns to Arrow, and reports every difference between a frame and its contract at once."""

import pyarrow as pa

from expectations.contracts import TableContract
from jobs.core.errors import PermanentError

_SIMPLE: dict[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "array<string>": pa.list_(pa.field("element", pa.string())),
}


class SchemaMismatchError(PermanentError):
    """A frame does not have the shape its table promises; the message lists every difference."""


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a contract type such as `long` or `decimal(18,2)`."""
    if name.startswith("decimal"):
        precision, scale = name.removeprefix("decimal(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    return _SIMPLE[name]


def arrow_schema(contract: TableContract) -> pa.Schema:
    """The Arrow schema of a table, in contract order; NULLs are judged by the gate, not by the file format."""
    return pa.schema([pa.field(c.name, arrow_type(c.type)) for c in contract.columns])


def differences(contract: TableContract, actual: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Every difference between two name → type maps, in the words of the reader."""
    found = [f"missing column {name} ({kind})" for name, kind in expected.items() if name not in actual]
    found += [f"unexpected column {name} ({kind})" for name, kind in actual.items() if name not in expected]
    both = [name for name in expected if name in actual and expected[name] != actual[name]]
    return found + [f"column {name} is {actual[name]}, expected {expected[name]}" for name in both]


def conform(table: pa.Table, contract: TableContract) -> pa.Table:
    """The table in contract order and types; raises SchemaMismatchError listing all differences."""
    schema = arrow_schema(contract)
    actual = {f.name: str(f.type) for f in table.schema}
    names = [f"missing column {n}" for n in schema.names if n not in actual]
    names += [f"unexpected column {n}" for n in actual if n not in schema.names]
    if names:
        raise SchemaMismatchError(f"{contract.name}: {'; '.join(names)}; see expectations/contracts/tables")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        wanted = {f.name: str(f.type) for f in schema}
        raise SchemaMismatchError(f"{contract.name}: {'; '.join(differences(contract, actual, wanted))}") from error
