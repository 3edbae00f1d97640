"""What every destination must do. Inherit, and say how to make one and how to read what it holds."""

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jobs.core.errors import C360Error
from jobs.core.settings import Settings
from jobs.sync.destinations.base import Batch, Delivery, Destination
from jobs.sync.outcomes import Operation, Outcome

NOW = datetime(2018, 1, 2, tzinfo=UTC)


def row(key: str, operation: Operation = Operation.ADD, **fields: object) -> Delivery:
    """One row to send; its idempotency key follows from its content, as the engine's do."""
    is_removal = operation is Operation.REMOVE
    identity = f"{key}-{operation}-{sorted(fields.items())}"
    return Delivery(key, operation, identity, None if is_removal else f"hash-{identity}", {} if is_removal else fields)


def batch(*rows: Delivery, run_id: str = "run-1") -> Batch:
    """A batch whose number names its content."""
    return Batch("batch-" + "|".join(sorted(r.idempotency_key for r in rows)), run_id, NOW, rows)


class DestinationConformance(ABC):
    """The laws. `observed` returns key → fields as the receiving side holds them after taking everything sent so far."""

    @abstractmethod
    def make(self, settings: Settings, **options: str) -> Destination:
        """A destination of a sync named sync_test_profiles."""

    @abstractmethod
    def observed(self, destination: Destination) -> dict[str, dict[str, str]]:
        """What the receiving side holds now."""

    @abstractmethod
    def deliveries(self, destination: Destination) -> int:
        """How many deliveries the receiving side can tell apart."""

    def test_add_update_remove(self, settings: Settings) -> None:
        destination = self.make(settings)
        destination.deliver(batch(row("a", stage="new"), row("b", stage="new")))
        assert self.observed(destination) == {"a": {"stage": "new"}, "b": {"stage": "new"}}
        changes = batch(row("a", Operation.UPDATE, stage="active"), row("b", Operation.REMOVE), run_id="run-2")
        destination.deliver(changes)
        assert self.observed(destination) == {"a": {"stage": "active"}}

    def test_one_outcome_per_row_with_what_the_engine_needs(self, settings: Settings) -> None:
        rows = [row("a", stage="x"), row("b", Operation.UPDATE, stage="y"), row("c", Operation.REMOVE)]
        answers = self.make(settings).deliver(batch(*rows))
        assert {a.idempotency_key for a in answers} == {r.idempotency_key for r in rows}
        by_key = {a.key: a for a in answers}
        for sent in rows:
            answer = by_key[sent.key]
            assert (answer.operation, answer.row_hash) == (sent.operation, sent.row_hash)
            assert answer.outcome is Outcome.DELIVERED
            assert answer.acknowledged_at == NOW

    def test_a_repeated_batch_changes_nothing(self, settings: Settings) -> None:
        destination = self.make(settings)
        first = batch(row("a", stage="new"), row("b", stage="new"))
        before = destination.deliver(first)
        held, count = self.observed(destination), self.deliveries(destination)
        # After a crash the batch comes back in another run and through another process.
        again = self.make(settings).deliver(replace(first, run_id="run-after-crash"))
        assert self.observed(destination) == held
        assert self.deliveries(destination) == count
        assert {a.idempotency_key for a in again} == {a.idempotency_key for a in before}

    def test_two_deliveries_in_one_run_both_arrive(self, settings: Settings) -> None:
        destination = self.make(settings)
        destination.deliver(batch(row("a", stage="new")))
        destination.deliver(batch(row("b", stage="new")))
        assert set(self.observed(destination)) == {"a", "b"}

    def test_an_empty_batch_writes_nothing(self, settings: Settings) -> None:
        destination = self.make(settings)
        assert destination.deliver(batch()) == []
        assert self.deliveries(destination) == 0

    def test_values_survive_the_journey(self, settings: Settings) -> None:
        text = 'Zoë, "the" first\nsecond; 🎉'
        destination = self.make(settings)
        destination.deliver(batch(row("a", stage=text)))
        assert self.observed(destination) == {"a": {"stage": text}}

    def test_unknown_options_are_refused(self, settings: Settings) -> None:
        with pytest.raises(C360Error, match="options"):
            self.make(settings, surprise="1")
