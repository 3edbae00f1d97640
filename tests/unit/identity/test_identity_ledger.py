"""Which entries of a run are written: a run that was killed finds its own, a merge that was undone can be made again."""

import json
from datetime import UTC, datetime
from typing import Any

from jobs.core.hashing import hash_parts
from jobs.identity.ledger import CONTENT, merges_in_force, unwritten


def entry(action: str, evidence: dict[str, Any], version: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "action": action, "profile_id": "p1", "other_profile_id": "p2", "identifier_type": "user_id",
        "identifier_value": "u", "evidence": json.dumps(evidence),
    }  # fmt: skip
    when = {"ledger_version": version, "occurred_at": datetime(2018, 1, 1, tzinfo=UTC), "is_simulated": True}
    return row | when | {"entry_id": hash_parts(row[name] for name in CONTENT)}


def test_a_merge_is_written_once_and_after_its_undoing_once_more() -> None:
    merge = entry("merge", {"links": 1}, 1)
    assert unwritten([merge], []) == [merge]
    assert unwritten([merge | {"ledger_version": 2}], [merge]) == []
    undo = entry("undo", {"merge": merge["entry_id"]}, 2)
    ledger = [merge, undo]
    assert merges_in_force(ledger) == {}
    (again,) = unwritten([merge | {"ledger_version": 3}], ledger)
    assert again["entry_id"] != merge["entry_id"]
    assert merges_in_force([*ledger, again]) == {"p2": again}
    assert unwritten([merge | {"ledger_version": 4}], [*ledger, again]) == [], (
        "a run that was killed after it had written"
    )
