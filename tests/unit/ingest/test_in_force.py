"""A batch is judged by the contracts that it was begun with; the next one by those of today."""

import json
from dataclasses import replace

import pytest

from expectations import contracts
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.ingest.stream.in_force import KEPT, ContractHistory, InForce, history_file


def changed(history: ContractHistory, version: int) -> None:
    """Another version of one event, as a new release of the contracts would bring it."""
    event = history.today.events["Product Added"].model_copy(update={"version": version})
    history.today = replace(history.today, events=history.today.events | {"Product Added": event})


def version_of(found: InForce) -> int:
    return found.events["Product Added"].version


def test_contracts_survive_being_written_down() -> None:
    today = InForce(7, contracts.sources(), contracts.events())
    assert InForce.from_json(json.loads(json.dumps(today.to_json()))) == today


def test_a_begun_batch_keeps_its_contracts(settings: Settings) -> None:
    first = ContractHistory(settings)
    changed(first, 100)
    assert version_of(first.of_batch("c", 0, is_begun=False)) == 100
    assert version_of(first.of_batch("c", 1, is_begun=False)) == 100
    second = ContractHistory(settings)
    changed(second, 101)
    assert version_of(second.of_batch("c", 1, is_begun=True)) == 100
    assert version_of(second.of_batch("c", 2, is_begun=False)) == 101
    third = ContractHistory(settings)
    assert [version_of(third.of_batch("c", batch, is_begun=True)) for batch in (1, 2, 3)] == [100, 101, 101]


def test_another_checkpoint_begins_with_the_contracts_of_today(settings: Settings) -> None:
    first = ContractHistory(settings)
    changed(first, 100)
    first.of_batch("old", 0, is_begun=False)
    second = ContractHistory(settings)
    assert version_of(second.of_batch("new", 0, is_begun=True)) == version_of(second.today)


def test_contracts_that_this_version_cannot_read_stop_only_a_begun_batch(settings: Settings) -> None:
    ContractHistory(settings).of_batch("c", 0, is_begun=False)
    text = history_file(settings).read_text("utf-8")
    history_file(settings).write_text(text.replace('"kind": "events"', '"kind": "of another version"'))
    with pytest.raises(PermanentError, match=r"batch 0 of silver .* remove .*silver\.contracts\.json"):
        ContractHistory(settings).of_batch("c", 0, is_begun=True)
    later = ContractHistory(settings)
    assert later.of_batch("c", 1, is_begun=False).events == later.today.events


def test_only_the_last_changes_are_kept(settings: Settings) -> None:
    for batch in range(0, 10, 2):  # a start with changed contracts each time
        history = ContractHistory(settings)
        changed(history, 100 + batch)
        history.of_batch("c", batch, is_begun=False)
        history.of_batch("c", batch + 1, is_begun=False)
    kept = json.loads(history_file(settings).read_text("utf-8"))["stretches"]
    assert [stretch["since"] for stretch in kept] == [6, 8]
    assert len(kept) == KEPT
