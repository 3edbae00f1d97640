"""The events of a few profiles out of many, at a cost that does not grow with those of the others.

DuckDB reads a column from end to end to find some profiles. So the events are also kept sorted by profile, in memory, with the
place where each profile's begin; what has come since lies beside, and is put on the shelf when it is much.
"""

from typing import Any

import numpy as np
import pyarrow as pa

# With fewer events the table alone is as quick.
WORTH = 200_000


class Shelf:
    """Fills `eval_events` from `known_events` for the profiles of a relation."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.rows: pa.Table | None = None

    def forget(self) -> None:
        """Events have changed hands or were removed: all is read from the table, until it is shelved anew."""
        self.rows = None

    def put_beside(self, events: str) -> None:
        """Events of a relation that have been added to `known_events`."""
        if self.rows is not None:
            self.connection.execute(f"insert into beside_shelf by name from {events}")

    def gather(self, whose: str) -> None:
        """Their events and no others."""
        self._fill("create or replace temp table eval_events as", whose)

    def add(self, whose: str) -> None:
        """Their events too; none of them may be there yet."""
        self._fill("insert into eval_events by name", whose)

    def _fill(self, into: str, whose: str) -> None:
        """From the shelf and what lies beside; from the table alone when most are concerned."""
        if self._are_few(whose):
            self._shelve_when_worth()
            if self.rows is not None:
                self._pick(self.rows, into, whose)
                return
        self.connection.execute(f"{into} from known_events semi join {whose} using (profile_id)")

    def _are_few(self, whose: str) -> bool:
        asked, everybody = self._one(f"select count(*) from {whose}"), self._one("select count(*) from attributes")
        return asked * 5 < everybody

    def _shelve_when_worth(self) -> None:
        known = self._one("select count(*) from known_events")
        shelved = self.rows.num_rows if self.rows is not None else 0
        if known - shelved <= WORTH or (known - shelved) * 4 <= shelved:
            return
        self.rows = self.connection.execute("from known_events order by profile_id").to_arrow_table().combine_chunks()
        self.connection.register("shelf_rows", self.rows.select(["profile_id"]))
        self.connection.execute(
            "create or replace temp table shelf_places as select profile_id, min(place) as first, count(*) as many"
            " from (select profile_id, row_number() over () - 1 as place from shelf_rows) group by profile_id"
        )
        self.connection.unregister("shelf_rows")
        self.connection.execute("create or replace temp table beside_shelf as from known_events limit 0")

    def _pick(self, rows: pa.Table, into: str, whose: str) -> None:
        run = self.connection.execute
        places = run(f"select first, many from shelf_places semi join {whose} using (profile_id)").fetchnumpy()
        first, many = places["first"].astype(np.int64), places["many"].astype(np.int64)
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        self.connection.register("shelf_rows", rows.take(pa.array(np.repeat(first, many) + within)))
        run(
            f"{into} from shelf_rows union all select beside_shelf.* from beside_shelf semi join {whose} using (profile_id)"
        )
        self.connection.unregister("shelf_rows")

    def _one(self, query: str) -> int:
        return int(self.connection.execute(query).fetchone()[0] or 0)
