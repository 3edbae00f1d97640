"""Pairs of records that a person should look at: what the comparison leaves open, and may still be one person."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.identity.linkage.config import COLUMNS
from jobs.identity.linkage.decisions import read_decisions
from jobs.identity.matches import LINKED, TABLE
from jobs.identity.rules import Rules, load_rules
from jobs.lake import delta
from jobs.privacy import persons

Row = Mapping[str, Any]
SHORTEST = 6  # of a pair's id, in hex digits


@dataclass(frozen=True)
class Open:
    """One pair of the queue, with the profiles that its records belong to now."""

    pair: Row
    profile_a: str
    profile_b: str


def queue(settings: Settings) -> list[Open]:
    """Pairs of two profiles that nobody has decided on, also since the last run, and that the rules would let become one; the
    most probable first."""
    rows = delta.read(settings, "profile_identifiers").to_pylist()
    owner = {(row["identifier_type"], row["identifier_value"]): row["profile_id"] for row in rows}
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row["profile_id"], Counter())[row["identifier_type"]] += 1
    rules, decided = load_rules(), read_decisions(settings)
    found = []
    for pair in delta.read(settings, TABLE).to_pylist():
        a, b = (owner.get((pair[f"identifier_type_{side}"], pair[f"identifier_value_{side}"])) for side in "ab")
        is_open = pair["pair_id"] not in decided and pair["outcome"] != LINKED
        if is_open and a and b and a != b and _may_join(rules, counts[a] + counts[b]):
            found.append(Open(pair, a, b))
    return sorted(found, key=lambda one: (-one.pair["match_probability"], one.pair["pair_id"]))


def _may_join(rules: Rules, total: Counter[str]) -> bool:
    return all(total[kind] <= rule.limit for kind, rule in rules.types.items())


def find_pair(settings: Settings, prefix: str) -> dict[str, Any]:
    """The pair whose id begins so. Raises UsageError when there is none, or more than one."""
    rows: list[dict[str, Any]] = delta.read(settings, TABLE).to_pylist()
    found = [row for row in rows if len(prefix) >= SHORTEST and row["pair_id"].startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} pairs begin with {prefix!r}; give more of the id")
    raise UsageError(f"no pair {prefix!r}; see: c360 identity review list")


def side_by_side(context: Context, pair: Row) -> list[tuple[str, str | None, str | None]]:
    """What the two records say, column by column, of those that one says something in. Audited."""
    names = [_vault_name(pair[f"record_{side}"]) for side in "ab"]
    found = {record.record: record for record in persons.read(context, purpose="identity:review", records=names)}
    told = [found[name].columns if name in found else {} for name in names]
    return [(column, told[0].get(column), told[1].get(column)) for column in COLUMNS if any(column in t for t in told)]


def _vault_name(record: str) -> str:
    return persons.SEPARATOR.join([persons.RECORD, *record.split("/", 2)])
