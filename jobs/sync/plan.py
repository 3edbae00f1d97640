"""The plan of a sync: what a destination should hold against what it has acknowledged. Pure."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from jobs.core.hashing import hash_parts
from jobs.sync.outcomes import Operation


@dataclass(frozen=True)
class Change:
    """One row to be sent. `row_hash` is None for a removal."""

    key: str
    operation: Operation
    row_hash: str | None


@dataclass(frozen=True)
class Plan:
    """The changes by key, in key order, and how many rows the destination holds already as they should be."""

    changes: tuple[Change, ...]
    unchanged: int

    def count(self, operation: Operation) -> int:
        """Changes of one kind."""
        return sum(change.operation is operation for change in self.changes)


def make_plan(desired: Mapping[str, str], acknowledged: Mapping[str, str]) -> Plan:
    """The changes that turn `acknowledged` into `desired`; both map key → row hash. `apply(plan(a, b), b) == a`."""
    changes = tuple(_changes(desired, acknowledged))
    return Plan(changes, unchanged=len(desired) - sum(c.operation is not Operation.REMOVE for c in changes))


def _changes(desired: Mapping[str, str], acknowledged: Mapping[str, str]) -> Iterator[Change]:
    for key in sorted(desired.keys() | acknowledged.keys()):
        if key not in desired:
            yield Change(key, Operation.REMOVE, None)
        elif key not in acknowledged:
            yield Change(key, Operation.ADD, desired[key])
        elif desired[key] != acknowledged[key]:
            yield Change(key, Operation.UPDATE, desired[key])


def apply(plan: Plan, acknowledged: Mapping[str, str]) -> dict[str, str]:
    """What a destination holds once it has acknowledged every change of the plan."""
    state = dict(acknowledged)
    for change in plan.changes:
        if change.row_hash is None:
            state.pop(change.key, None)
        else:
            state[change.key] = change.row_hash
    return state


def row_hash(row: Mapping[str, object], secret: bytes) -> str:
    """HMAC-SHA-256 over the field names and values, in field order; NULL, "" and "NULL" all differ.

    Keyed, because the hash is stored: whoever reads the outbox cannot test a guess about a person against it.
    """
    parts = [part for name in sorted(row) for part in (name, canonical(row[name]))]
    return hmac.new(secret, hash_parts(parts).encode(), hashlib.sha256).hexdigest()


def canonical(value: object) -> str | None:
    """One text per value, the same on every machine; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def idempotency_key(sync: str, destination: str, change: Change, sequence: int) -> str:
    """Identity of one change. `sequence` counts the changes acknowledged before for that key, so that a row which goes
    back to an earlier state is a new change, while a repeat after a crash is the same one."""
    return hash_parts([sync, destination, change.key, change.operation, change.row_hash, sequence])
