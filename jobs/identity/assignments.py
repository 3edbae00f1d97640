"""Table `identity_assignments`: which identifier belonged to which profile after which run. With the ledger it is the whole
history: the map can be made anew from it, and a merge be undone to what was before it."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity.edges import Ints, Nodes
from jobs.identity.ledger import Row
from jobs.identity.profiles import Identifier, Known, Resolution
from jobs.lake import delta
from jobs.lake.schema import arrow_schema

TABLE = "identity_assignments"
NEWEST = 2**62


def rows(
    nodes: Nodes, label: Ints, resolution: Resolution, known: Mapping[Identifier, Known], *, is_first: bool
) -> list[Row]:
    """Identifiers that have another profile than in `known`. `is_first`: of a home from before there was this table, first
    those of `known`, as of version 0; the others carry no version yet."""
    pairs = list(zip(nodes.types, nodes.values, strict=True))
    found: list[Row] = []
    if is_first:
        simulated = dict(zip(pairs, nodes.is_simulated.tolist(), strict=True))
        found = [_row(p, k.profile_id, simulated.get(p, False)) | {"ledger_version": 0} for p, k in known.items()]
    for pair, component, is_simulated in zip(pairs, label.tolist(), nodes.is_simulated.tolist(), strict=True):
        owner = resolution.profile_ids[component]
        if pair not in known or known[pair].profile_id != owner:
            found.append(_row(pair, owner, is_simulated))
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
    told = {name: [row[name] for row in found] for name in found[0] if name != "ledger_version"}
    told["ledger_version"] = [row.get("ledger_version", version) for row in found]
    told["assigned_at"] = [context.clock.now()] * len(found)
    table = pa.Table.from_pydict(told, schema=arrow_schema(lake_table(TABLE).contract))
    delta.append(context.settings, TABLE, table)


def newest_version(settings: Settings) -> int:
    """Of the newest run that assigned anything; -1 before there was any."""
    versions = delta.read(settings, TABLE, ["ledger_version"])["ledger_version"]
    return int(pc.max(versions).as_py()) if len(versions) else -1


def read(settings: Settings, renamed: Mapping[str, str]) -> list[Row]:
    """All rows, oldest first; old tokens of a rotated key under their new name."""
    found = delta.read(settings, TABLE).sort_by("ledger_version").to_pylist()
    return [row | {"identifier_value": renamed.get(row["identifier_value"], row["identifier_value"])} for row in found]


def last(found: list[Row], before: int = NEWEST) -> dict[Identifier, Row]:
    """The last row of each identifier before that ledger version."""
    return {(row["identifier_type"], row["identifier_value"]): row for row in found if row["ledger_version"] < before}
