"""Random worlds for Hypothesis: a catalogue, a history that keeps hitting the edges of its windows, and instants on them.

`worlds()` draws a `Case`. Its instants are chosen from what the world itself makes interesting: when events happened and were
received, when they leave a window, days that begin, each also a microsecond before and after, and long after the last event.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import yaml
from hypothesis import strategies as st

from jobs.segments.language.model import Catalogue
from segments import pools
from segments.calendars import start_of_day
from segments.catalogues import Maker
from segments.coverage import Wish
from segments.events import Event
from segments.oracle import World
from segments.palettes import Palette, palette

MICROSECOND = timedelta(microseconds=1)
INSTANTS = 20
ROWS = (
    {"is_member": None, "orders": None, "spent": None, "city": None, "first_order_at": None},
    {
        "is_member": True,
        "orders": 1,
        "spent": Decimal("10.500000"),
        "city": "a",
        "first_order_at": datetime(2018, 1, 1),
    },
    {
        "is_member": False,
        "orders": 2,
        "spent": Decimal("-1.000000"),
        "city": "1",
        "first_order_at": datetime(2018, 3, 24, 23),
    },
    {
        "is_member": True,
        "orders": 2,
        "spent": Decimal("0.300000"),
        "city": "",
        "first_order_at": datetime(2018, 11, 4, 4),
    },
    {"is_member": None, "orders": 0, "spent": Decimal("0.000000"), "city": "ä", "first_order_at": datetime(2017, 1, 1)},
    {"is_member": False, "orders": 3, "spent": Decimal("1000.000000"), "city": "ab", "first_order_at": None},
)


@dataclass(frozen=True)
class Group:
    """Some profiles with a history of their own, and the instants at which they are looked at, in order."""

    profiles: tuple[str, ...]
    moments: tuple[datetime, ...]

    @property
    def asked(self) -> list[tuple[str, datetime]]:
        """Everybody at every instant."""
        return [(name, moment) for moment in self.moments for name in self.profiles]


@dataclass(frozen=True)
class Case:
    """A catalogue, and histories that have only the percentiles in common: one query looks at them all."""

    world: World
    groups: tuple[Group, ...]

    def __repr__(self) -> str:
        events = "\n".join(map(repr, self.world.history))
        people = "\n".join(f"{name}: {row}" for name, row in self.world.attributes.items())
        return f"\n{written(self.world.catalogue)}\n{people}\n{events}\n"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


def written(catalogue: Catalogue) -> str:
    """The definitions as one would write them in files."""
    traits = {name: {"zone": trait.header.time_zone, **trait.header.value} for name, trait in catalogue.traits.items()}
    segments = {
        name: {
            "zone": segment.header.time_zone,
            "parent": segment.header.parent,
            "holdout": segment.header.holdout,
            "rule": segment.header.rule,
        }
        for name, segment in catalogue.segments.items()
    }
    return str(yaml.safe_dump({"traits": traits, "segments": segments}, sort_keys=False, width=200))


@st.composite
def worlds(
    draw: Callable[[st.SearchStrategy[Any]], Any], histories: str = "abcde", wishes: tuple[Wish, ...] = ()
) -> Case:
    """A catalogue with a history for each letter, and the instants at which they are looked at; with rules as wished for.

    With percentiles it is one history of more people, as everybody counts for everybody.
    """
    zone, day = pools.PLACES[draw(st.integers(0, len(pools.PLACES) - 1))]
    colours = palette(tuple(pools.VALUES[draw(st.integers(0, len(pools.VALUES) - 1))] for _ in range(4)))
    maker = Maker(draw, zone, day, colours, wishes)
    catalogue, ranks = maker.catalogue(), bool(maker.with_percent)
    base = start_of_day(day, zone)
    attributes: dict[str, Mapping[str, Any]] = {}
    history: list[Event] = []
    groups = []
    for letter in histories if not ranks and draw(st.integers(0, 9)) else histories[:1]:
        profiles = tuple(f"{letter}{number}" for number in range(draw(st.integers(1, 5 if ranks else 3))))
        attributes |= {name: ROWS[draw(st.integers(0, len(ROWS) - 1))] for name in profiles}
        numbers = range(len(history), len(history) + draw(st.integers(0, 8)))
        events = [_event(draw, number, profiles, base, colours) for number in numbers]
        history += events
        edges = interesting(catalogue, events, zone, day)
        groups.append(Group(profiles, _chosen(edges, draw(st.integers(0, 1000)))))
    return Case(World(catalogue, tuple(history), attributes), tuple(groups))


def _event(draw: Callable[..., Any], number: int, profiles: tuple[str, ...], base: datetime, colours: Palette) -> Event:
    def pick(options: tuple[Any, ...]) -> Any:
        return options[draw(st.integers(0, len(options) - 1))]

    effective = base + pick(pools.HALF_HOURS) * timedelta(minutes=30) + pick(pools.TICKS) * MICROSECOND
    return Event(
        profile_id=pick((profiles[0], *profiles)),
        event_key=hashlib.sha256(str(number).encode()).hexdigest()[:8],
        name=pick(pools.NAMES),
        effective_at=effective,
        received_at=effective + pick(pools.LAGS),
        receive_position=pick((0, 1, 2)),
        properties=_properties(pick, colours.properties),
    )


def _properties(pick: Callable[[tuple[Any, ...]], Any], raw: tuple[str, ...]) -> str:
    """JSON text of an event's properties; each may be missing, and the keys may be beside those that are asked for."""
    found = {"p": pick((*raw, *raw, *raw, None)), "q": pick((*raw, None, None))}
    found["o"] = pick((*[None] * 10, *pools.INNER))
    parts = [pick(pools.ODD_KEYS), *(f'"{key}": {text}' for key, text in found.items() if text)]
    return "{" + ", ".join(part for part in parts if part) + "}"


def interesting(catalogue: Catalogue, events: list[Event], zone: str, day: date) -> set[datetime]:
    """The instants at which an answer may change: receipts, ends of windows, days that begin; and a time long after all."""
    text = str([item.header for kind in (catalogue.traits, catalogue.segments) for item in kind.values()])
    lengths = [length for spoken, length in pools.DURATIONS.items() if f"'{spoken}'" in text]
    zones = {item.header.time_zone for kind in (catalogue.traits, catalogue.segments) for item in kind.values()}
    edges = {start_of_day(day + timedelta(days=days), name) for days in (-7, -1, 0, 1, 2, 7) for name in zones}
    # The stretch after a midnight in which a clock may be put back over it.
    edges |= {start_of_day(day, zone) + minutes * timedelta(minutes=1) for minutes in (1, 30, 61)}
    edges |= {start_of_day(date(2019, 1, 1), zone), datetime(2040, 1, 1)}
    for event in events:
        edges |= {event.effective_at, event.received_at, *(event.effective_at + length for length in lengths)}
    return edges


def _chosen(edges: set[datetime], first: int) -> tuple[datetime, ...]:
    """Edges and the microseconds beside them: all of few; of many every so manieth, beginning anywhere."""
    moments = sorted({edge + beside for edge in edges for beside in (-MICROSECOND, timedelta(), MICROSECOND)})
    stride = max(1, len(moments) // INSTANTS)
    return tuple(moments[first % stride :: stride])
