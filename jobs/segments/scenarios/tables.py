"""People and events of a scenario as Arrow tables, typed as the evaluator wants them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from jobs.segments.language.model import Catalogue
from jobs.segments.language.traits import Kind
from jobs.segments.language.units import instant

ARROW = {
    Kind.WHOLE: pa.int64(),
    Kind.NUMBER: pa.decimal128(18, 6),
    Kind.TEXT: pa.string(),
    Kind.TIME: pa.timestamp("us"),
    Kind.FLAG: pa.bool_(),
}
SIMULATED = "is_simulated"


@dataclass(frozen=True)
class Seen:
    """An event of a story; times are UTC without zone."""

    key: str
    who: str
    name: str
    effective_at: datetime
    received_at: datetime
    position: int
    properties: Mapping[str, Any]


def people_table(people: Mapping[str, Mapping[str, Any]], catalogue: Catalogue, zone: str) -> pa.Table:
    """One row per person with all attributes, NULL where none is given. Raises ValueError for a value of another type."""
    columns: dict[str, pa.Array] = {
        "profile_id": pa.array(list(people), pa.string()),
        SIMULATED: pa.array([bool(given.get(SIMULATED, False)) for given in people.values()]),
    }
    for name, kind in catalogue.attributes.items():
        if name != SIMULATED:
            values = [_value(given.get(name), kind, zone) for given in people.values()]
            try:
                columns[name] = pa.array(values, ARROW[kind])
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise ValueError(f"attribute {name} is {kind.value}: {error}") from error
    return pa.table(columns)


def events_table(events: Sequence[Seen]) -> pa.Table:
    """One row per event."""
    return pa.table(
        {
            "profile_id": pa.array([one.who for one in events], pa.string()),
            "event_key": pa.array([one.key for one in events], pa.string()),
            "name": pa.array([one.name for one in events], pa.string()),
            "effective_at": pa.array([one.effective_at for one in events], pa.timestamp("us")),
            "received_at": pa.array([one.received_at for one in events], pa.timestamp("us")),
            "receive_position": pa.array([one.position for one in events], pa.int64()),
            "properties": pa.array([json.dumps(one.properties, default=str) for one in events], pa.string()),
            "is_simulated": pa.array([False] * len(events), pa.bool_()),
        }
    )


def _value(value: Any, kind: Kind, zone: str) -> Any:
    if isinstance(value, float | int) and not isinstance(value, bool) and kind is Kind.NUMBER:
        return Decimal(str(value))
    return instant(value, zone) if isinstance(value, date) and kind is Kind.TIME else value
