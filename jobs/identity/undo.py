"""`c360 identity undo`: two profiles that were merged are two again, and stay two."""

from dataclasses import dataclass

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.identity import assignments
from jobs.identity.ledger import Row
from jobs.identity.runner import run
from jobs.identity.separations import KEPT, PARTED
from jobs.lake import delta
from jobs.lake.runs import Stage
from jobs.lake.schema import arrow_schema

TABLE = "identity_separations"
SHORTEST = 6  # of an entry id, in hex digits


@dataclass(frozen=True)
class Undone:
    """The two profiles that are apart again, and how many identifiers each had before the merge."""

    kept_id: str
    parted_id: str
    kept: int
    parted: int


def undo(context: Context, stage: Stage, merge_id: str) -> Undone:
    """Writes down that the two sides of the merge stay apart, then resolves anew. Safe to repeat, and to kill: the next
    `c360 identity run` carries out what is written down.

    `merge_id` is the entry's id or its beginning. Raises UsageError when it names no merge or several, PermanentError when what
    was before the merge is not known.
    """
    settings = context.settings
    entry = find_merge(delta.read(settings, "identity_ledger").to_pylist(), merge_id)
    sides = sides_of(settings, entry)
    written = delta.read(settings, TABLE, ["merge_entry_id"])["merge_entry_id"].to_pylist()
    if entry["entry_id"] not in written:
        _write(context, entry, sides)
    run(context, stage, approved=1)
    kept, parted = sides[KEPT], sides[PARTED]
    return Undone(str(entry["profile_id"]), str(entry["other_profile_id"]), len(kept), len(parted))


def find_merge(ledger: list[Row], merge_id: str) -> Row:
    """The one merge whose entry id begins so."""
    merges = [row for row in ledger if row["action"] == "merge"]
    found = [row for row in merges if len(merge_id) >= SHORTEST and str(row["entry_id"]).startswith(merge_id)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} merges begin with {merge_id!r}; give more of the id")
    other = next((row for row in ledger if str(row["entry_id"]).startswith(merge_id)), None)
    was = f": it is a {other['action']}" if other and len(merge_id) >= SHORTEST else ""
    raise UsageError(
        f"no merge {merge_id!r}{was}; c360 identity explain PROFILE shows the merges of a profile with their ids"
    )


def sides_of(settings: Settings, entry: Row) -> dict[str, list[Row]]:
    """The identifiers of both profiles as they were before the merge."""
    before = assignments.read(settings, int(entry["ledger_version"]))
    of_side = {KEPT: entry["profile_id"], PARTED: entry["other_profile_id"]}
    sides = {side: [row for row in before if row["profile_id"] == owner] for side, owner in of_side.items()}
    if not sides[KEPT] or not sides[PARTED]:
        raise PermanentError(
            f"which identifiers {entry['profile_id']} and {entry['other_profile_id']} had before they were merged is not "
            "known: they were merged before c360 kept account of it"
        )
    return sides


def _write(context: Context, entry: Row, sides: dict[str, list[Row]]) -> None:
    newest = max(delta.read(context.settings, "identity_ledger", ["ledger_version"])["ledger_version"].to_pylist())
    same = {"merge_entry_id": entry["entry_id"], "ledger_version": newest, "decided_at": context.clock.now()}
    rows = [
        same | {"side": side} | {name: value for name, value in row.items() if name != "since"}
        for side, found in sides.items()
        for row in found
    ]
    delta.append(context.settings, TABLE, pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(TABLE).contract)))
