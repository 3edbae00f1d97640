"""`c360 identity undo`: two profiles that were merged are two again, and stay two."""

from dataclasses import dataclass
from typing import Any

from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.identity import assignments
from jobs.identity.ledger import Row
from jobs.identity.runner import run
from jobs.identity.separations import KEPT, PARTED
from jobs.identity.state import State, read_state
from jobs.lake import delta
from jobs.lake.runs import Stage

SHORTEST = 6  # of an entry id, in hex digits


@dataclass(frozen=True)
class Undone:
    """The two ids of the merge, and which profile each stands for now: itself, unless it was merged on other grounds."""

    kept_id: str
    parted_id: str
    kept_now: str
    parted_now: str


def undo(context: Context, stage: Stage, merge_id: str, *, approved: int = 0) -> Undone:
    """Resolves anew with the two sides of the merge apart, and writes down that they stay so. Safe to repeat, and to kill: the
    next `c360 identity run` carries out what is written down.

    `merge_id` is the entry's id or its beginning. Raises UsageError when it names no merge or several, PermanentError when what
    was before the merge is not known, GateError as `run` does.
    """
    settings = context.settings
    state = read_state(settings)
    entry = find_merge(state.ledger, merge_id)
    rows: list[Row] = []
    if entry["entry_id"] not in {s.merge_entry_id for s in state.separations}:
        rows = separation_rows(context, state, entry)
    run(context, stage, approved=approved, undo=rows, command=f"c360 identity undo {merge_id}")
    redirects = dict(
        zip(
            *(delta.read(settings, "profile_redirects")[f"{end}_profile_id"].to_pylist() for end in ("from", "to")),
            strict=True,
        )
    )
    kept, parted = str(entry["profile_id"]), str(entry["other_profile_id"])
    return Undone(kept, parted, redirects.get(kept, kept), redirects.get(parted, parted))


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


def separation_rows(context: Context, state: State, entry: Row) -> list[Row]:
    """Rows of `identity_separations`: the identifiers of both profiles as they were before the merge."""
    before = assignments.last(assignments.read(context.settings, state.renamed), int(entry["ledger_version"]))
    same: dict[str, Any] = {"merge_entry_id": entry["entry_id"], "decided_at": context.clock.now()}
    of_side = {KEPT: entry["profile_id"], PARTED: entry["other_profile_id"]}
    kept = ("identifier_type", "identifier_value", "profile_id", "is_simulated")
    sides: dict[str, list[Row]] = {}
    for side, owner in of_side.items():
        of_owner = [row for row in before.values() if row["profile_id"] == owner]
        sides[side] = [same | {"side": side} | {name: row[name] for name in kept} for row in of_owner]
    if not sides[KEPT] or not sides[PARTED]:
        raise PermanentError(
            f"which identifiers {entry['profile_id']} and {entry['other_profile_id']} had before they were merged is not "
            "known: they were merged before c360 kept account of it. Nothing was changed"
        )
    return sides[KEPT] + sides[PARTED]
