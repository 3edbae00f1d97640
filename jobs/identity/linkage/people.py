"""Records of people as the vault keeps them, in the shape that is compared. What is personal stays in the memory of the run,
or in the closed folder of the vault when it is more than that holds."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from jobs.core.settings import Settings
from jobs.identity.edges import Connection
from jobs.identity.linkage.config import COLUMNS
from jobs.identity.linkage.records import make_records
from jobs.lake import duck
from jobs.privacy.audit import closed_folder
from jobs.privacy.persons import SEPARATOR, PersonRecord

RELATION = "person_records"
Identifier = tuple[str, str]


@dataclass(frozen=True)
class People:
    """`anchors[record]`: the strongest identifier of each record; a record number is the place in `records`."""

    records: Sequence[PersonRecord]
    anchors: Sequence[Identifier]

    def name(self, record: int) -> str:
        """How a record is called where people read it: source/object/key."""
        return "/".join(self.records[record].record.split(SEPARATOR)[1:])


def people_of(
    records: Sequence[PersonRecord], types: Sequence[str], renamed: Mapping[str, str], known: set[Identifier]
) -> People:
    """Those records that say something and point at a `known` identifier. `types` from the strongest; `renamed`: old token →
    new one, of a rotated key. What events said under an identifier that is not known (`null`, a guest) was said by many."""
    kept, anchors = [], []
    for record in records:
        pairs = [(kind, renamed.get(value, value)) for kind, value in record.identifiers if kind in types]
        ranked = sorted((types.index(pair[0]), pair) for pair in pairs)
        there = [pair for _, pair in ranked if pair in known]
        is_of_many = record.is_account and ranked[:1] != [] and ranked[0][1] not in known
        if there and record.columns and not is_of_many:
            kept.append(record)
            anchors.append(there[0])
    return People(kept, anchors)


@contextmanager
def open_people(settings: Settings, people: People) -> Iterator[tuple[Connection, list[str]]]:
    """A connection with the table `linkage_records`, and its columns: those that two records at least say something in."""
    connection = duck.connect(settings)
    try:
        connection.execute(f"set temp_directory = '{closed_folder(settings) / 'spill'}'")
        rows = [dict(record.columns) for record in people.records]
        used = [column for column in COLUMNS if sum(column in row for row in rows) >= 2]
        table = pa.Table.from_pylist(rows, schema=pa.schema([(column, pa.string()) for column in used]))
        connection.register(RELATION, table)
        make_records(connection, RELATION, {column: column for column in used})
        yield connection, used
    finally:
        connection.close()
