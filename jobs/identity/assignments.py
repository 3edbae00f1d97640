"""Table `identity_assignments`: which identifier belonged to which profile after which run. With the ledger it is the whole
history: the map can be made anew from it, and a merge be undone to what was before it."""

from collections.abc import Mapping
from contextlib import closing

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity.edges import Ints, Nodes
from jobs.identity.ledger import Row
from jobs.identity.profiles import Identifier, Known, Resolution
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.schema import arrow_schema

TABLE = "identity_assignments"
NEWEST = 2**62
LAST = f"""
    select
        identifier_type, identifier_value,
        arg_max(profile_id, ledger_version) as profile_id, arg_max(is_simulated, ledger_version) as is_simulated,
        epoch_us(min(assigned_at)) as since
    from {TABLE} where ledger_version < ? group by all order by all
"""


def rows(
    nodes: Nodes, label: Ints, resolution: Resolution, known: Mapping[Identifier, Known], *, is_first: bool
) -> list[Row]:
    """Identifiers that have another profile than in `known`. `is_first`: of a home from before there was this table, first
    those of `known`, as of version 0; the others carry no version yet."""
    simulated = dict(zip(zip(nodes.types, nodes.values, strict=True), nodes.is_simulated.tolist(), strict=True))
    found = [
        _row(pair, entry.profile_id, simulated.get(pair, False)) | {"ledger_version": 0}
        for pair, entry in (known.items() if is_first else ())
    ]
    owners = zip(nodes.types, nodes.values, [resolution.profile_ids[c] for c in label.tolist()], strict=True)
    for kind, value, owner in owners:
        pair = (kind, value)
        if pair not in known or known[pair].profile_id != owner:
            found.append(_row(pair, owner, simulated[pair]))
    return found


def _row(pair: Identifier, profile_id: str, is_simulated: bool) -> Row:
    return {
        "identifier_type": pair[0],
        "identifier_value": pair[1],
        "profile_id": profile_id,
        "is_simulated": is_simulated,
    }


def append(context: Context, found: list[Row], version: int) -> None:
    """Adds the rows, those without a version under this one."""
    if not found:
        return
    when = {"assigned_at": context.clock.now()}
    complete = [{"ledger_version": version} | row | when for row in found]
    table = pa.Table.from_pylist(complete, schema=arrow_schema(lake_table(TABLE).contract))
    delta.append(context.settings, TABLE, table)


def read(settings: Settings, before: int = NEWEST) -> list[Row]:
    """The last profile of each identifier before that ledger version, and since when it is known at all."""
    delta.ensure_table(settings, TABLE)
    with closing(lake_connection(settings, (TABLE,))) as connection:
        found: list[Row] = connection.execute(LAST, [before]).to_arrow_table().to_pylist()
    return found


def read_all(settings: Settings) -> list[Row]:
    """Every row."""
    rows: list[Row] = delta.read(settings, TABLE).to_pylist()
    return rows


def known_of(found: list[Row], renamed: Mapping[str, str]) -> dict[Identifier, Known]:
    """The rows as the runner knows identifiers; old tokens of a rotated key under their new name."""
    return {
        (str(row["identifier_type"]), renamed.get(str(row["identifier_value"]), str(row["identifier_value"]))): Known(
            str(row["profile_id"]), int(row["since"])
        )
        for row in found
    }
