"""A catalogue evaluated on a DuckDB connection, in which its relations stand (see `compile/program.py`)."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from jobs.segments.compile import percentiles
from jobs.segments.compile.program import Program, compiled
from jobs.segments.language.model import Catalogue

RANKED = "create or replace temp table ranked (percentile varchar, day timestamp, profile_id varchar)"


@dataclass(frozen=True)
class Evaluator:
    """A catalogue ready for DuckDB; its queries are written once. Grain of a result: one row per profile and moment asked for."""

    catalogue: Catalogue
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "program", compiled(self.catalogue))

    @cached_property
    def query(self) -> str:
        """The query over eval_events, asked, attributes and, when there are percentiles, ranked."""
        return self.program.query()

    def evaluate(self, connection: Any) -> pa.Table:
        """Evaluates what `asked` holds. Percentiles are taken anew, for the days that it needs."""
        self.rank(connection)
        return connection.execute(self.query).to_arrow_table()

    def rank(self, connection: Any) -> None:
        """Puts into the table `ranked` who is in which percentile, on the days of the moments in `asked`."""
        groups = percentiles.zones(self.program)
        if not groups:
            return
        connection.execute(RANKED)
        for zone, found in groups.items():
            connection.execute(f"create or replace temp table days_asked as {percentiles.days_asked(zone)}")
            query = percentiles.program_of(self.catalogue, found).query()
            connection.execute(f"create or replace temp table valued as {query}")
            connection.execute(f"insert into ranked {percentiles.ranked(found, 'valued')}")
