"""What is so at the moment of a decision: rules of `if` and of journeys, memberships, people's flags and time zones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.segments.compile.collect import Needs
from jobs.segments.compile.program import compiled
from jobs.segments.compile.rules import segment_column, trait_column
from jobs.segments.language.model import Catalogue
from jobs.segments.triggers.book import Book
from jobs.segments.triggers.model import Person
from jobs.segments.triggers.ranking import MOMENTS, Prepare, Ranking

Asked = tuple[str, datetime]


@dataclass(frozen=True)
class Judgement:
    """Of one profile at one moment: who it is to the policy, and which segments (unnamed ones too) it is a member of."""

    person: Person
    holds: Mapping[str, bool] = field(default_factory=dict)


class Judge:
    """Evaluates what a book needs, over `eval_events`, `people` and, if a rule is a percentile, `ranked`."""

    def __init__(self, connection: Any, book: Book, catalogue: Catalogue, prepare: Prepare) -> None:
        self.connection = connection
        self.book = book
        self.catalogue = book.judged(catalogue)
        self.program = compiled(self.catalogue, MOMENTS)
        self.query = prepare(self.program, people="people").query()
        self.ranking = Ranking(connection, self.catalogue, self.program, prepare)
        self.zone = self._zone(catalogue)

    @property
    def needs(self) -> list[Needs]:
        """What it reads of events and attributes."""
        attributes = self.book.flags()
        if self.book.policy.zone_trait and self.book.policy.zone_trait not in self.catalogue.traits:
            attributes.add(self.book.policy.zone_trait)
        return [self.program.needs, *self.ranking.needs, Needs(attributes=attributes)]

    def judge(self, asked: Iterable[Asked]) -> dict[Asked, Judgement]:
        """The judgement of each profile at its moment."""
        pairs = sorted(set(asked))
        if not pairs:
            return {}
        moments = pa.table(
            {
                "profile_id": pa.array([profile for profile, _ in pairs], pa.string()),
                "as_of": pa.array([moment for _, moment in pairs], pa.timestamp("us")),
            }
        )
        self.connection.register("judged_pairs", moments)
        self.connection.execute(f"create or replace temp table {MOMENTS} as from judged_pairs")
        self.connection.unregister("judged_pairs")
        flags = sorted(self.book.flags())
        listed = ", ".join(f'attributes."{name}"' for name in flags)
        chosen = f"{self.zone or 'null'} as stated_zone, {listed}"
        with self.ranking.ranked():
            rows = self.connection.execute(
                f"select result.*, {chosen} from ({self.query}) as result"
                " left join people as attributes using (profile_id)"
            ).to_arrow_table()
        return {(row["profile_id"], row["as_of"]): self._judgement(row, flags) for row in rows.to_pylist()}

    def _judgement(self, row: dict[str, Any], flags: list[str]) -> Judgement:
        holds = {name: bool(row[segment_column(name)]) for name in self.catalogue.segments}
        return Judgement(Person({name: row[name] for name in flags}, row["stated_zone"]), holds)

    def _zone(self, catalogue: Catalogue) -> str | None:
        """The column that holds the person's time zone."""
        name = self.book.policy.zone_trait
        if name is None:
            return None
        return f"result.{trait_column(name)}" if name in catalogue.traits else f'attributes."{name}"'
