"""Random catalogues for Hypothesis: each definition reads only those before it, and its rules fit the types."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeVar

from hypothesis import strategies as st

from jobs.core.definitions import SegmentHeader, TraitHeader
from jobs.segments.language.compared import SPELLED
from jobs.segments.language.events import AGED, Aggregate, Operator
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.rules import RULE
from jobs.segments.language.traits import MADE, VALUE, Kind, kind_of_value
from segments import coverage, pools
from segments.coverage import Wish
from segments.palettes import Palette

Written = dict[str, Any]
Item = TypeVar("Item")
ATTRIBUTES = {
    "is_member": Kind.FLAG,
    "orders": Kind.WHOLE,
    "spent": Kind.NUMBER,
    "city": Kind.TEXT,
    "first_order_at": Kind.TIME,
}
NUMERIC = (Kind.WHOLE, Kind.NUMBER)
# Whose value is the first is seen only where several state one, so that these are drawn more often.
AGGREGATES = (Aggregate.COUNT, *Aggregate, Aggregate.FIRST_VALUE, Aggregate.LAST_VALUE)
DESCRIPTION = "Drawn by a test, for nobody"


class Maker:
    """Draws one catalogue. What is drawn is written as in a file, and typed by the language itself."""

    def __init__(
        self,
        draw: Callable[[st.SearchStrategy[Any]], Any],
        zone: str,
        day: date,
        palette: Palette,
        wishes: tuple[Wish, ...] = (),
    ) -> None:
        self.draw, self.zone, self.day, self.palette, self.wishes = draw, zone, day, palette, wishes
        self.traits: dict[str, Trait] = {}
        self.segments: dict[str, Segment] = {}
        self.with_percent: set[str] = set()
        self.reads: set[str] = set()
        self.percent = False

    def pick(self, options: tuple[Item, ...]) -> Item:
        """One of several; the first when shrunk."""
        return options[self.draw(st.integers(0, len(options) - 1))] if len(options) > 1 else options[0]

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred; False when shrunk."""
        return bool(self.draw(st.integers(0, 99)) >= 100 - percent)

    def wish(self, about: str) -> Wish:
        """What is wanted of the next rule, mostly: one of the wishes, when there are any."""
        wishes = tuple(wish for wish in self.wishes if wish.about == about)
        return self.pick(wishes) if wishes and self.chance(80) else Wish(about)

    def few(self, make: Callable[[], Item], least: int, most: int) -> list[Item]:
        """So many of something, seldom the most."""
        return [make() for _ in range(self.draw(st.integers(least, most)))]

    def catalogue(self) -> Catalogue:
        """One to six segments and up to four traits, in an order in which each may read those before it."""
        for _ in range(self.draw(st.integers(1, 6))):
            if len(self.traits) < 4 and self.chance(60):
                self._trait(f"t{len(self.traits)}")
            self._segment(f"s{len(self.segments)}")
        return Catalogue(self.traits, self.segments, ATTRIBUTES)

    def _zone(self) -> str:
        return self.pick((self.zone, self.zone, self.zone, "UTC", "Asia/Kathmandu"))

    def _begin(self) -> None:
        self.reads, self.percent = set(), False

    def _end(self, name: str) -> None:
        if self.percent or self.reads & self.with_percent:
            self.with_percent.add(name)

    def _segment(self, name: str) -> None:
        self._begin()
        rule = self._event() if self.wishes and self.chance(50) else self.rule(2)
        parent = self._read(tuple(self.segments)) if self.segments and self.chance(20) else None
        header = SegmentHeader.model_construct(
            name=name,
            description=DESCRIPTION,
            rule=rule,
            time_zone=self._zone(),
            parent=parent,
            holdout=self.pick((0.5, 0.1)) if self.chance(15) else None,
        )
        self.segments[name] = Segment(header, RULE.validate_python(rule))
        self._end(name)

    def _trait(self, name: str) -> None:
        self._begin()
        kinds = (self.measure, self.measure, self._score, self._choose, self._ratio)
        written = self.pick((*kinds, self._priority, self._priority) if len(self.segments) > 1 else kinds)()
        header = TraitHeader.model_construct(name=name, description=DESCRIPTION, value=written, time_zone=self._zone())
        value = VALUE.validate_python(written)
        self.traits[name] = Trait(header, value, kind_of_value(value))
        self._end(name)

    def _read(self, names: tuple[str, ...]) -> str:
        name = self.pick(names)
        self.reads.add(name)
        return name

    def kinds(self) -> dict[str, Kind]:
        """The traits and attributes that there are."""
        return {name: trait.kind for name, trait in self.traits.items()} | ATTRIBUTES

    # ---- rules

    def rule(self, depth: int) -> Written:
        """A rule; `depth` more of all, any, none and not may stand around others."""
        leaves = (self._event, self._trait_rule, self._event, self._sequence, self._follow, self._trait_rule)
        leaves = (*leaves, self._segment_rule, self._segment_rule) if self.segments else leaves
        if depth and self.chance(40):
            kind = self.pick(("all", "any", "none", "not"))
            inner = partial(self.rule, depth - 1)
            return {kind: inner() if kind == "not" else self.few(inner, 1, 3)}
        return {"everyone": True} if self.chance(2) else self.pick(leaves)()

    def _segment_rule(self) -> Written:
        return {"segment": self._read(tuple(self.segments))}

    def matched(self) -> Written:
        """Events by name and properties."""
        names = self.pick((*pools.NAMES, list(pools.NAMES[:2])))
        where = self.few(self._property_test, 1, 2) if self.chance(35) else []
        return {"event": names} | ({"where": where} if where else {})

    def _property_test(self) -> Written:
        test: Written = {"property": self.pick(pools.PATHS)}
        wish = self.wish("property")
        kind = wish.kind or self.pick((*coverage.PROPERTY, "null"))
        if kind == "null":
            return test | {"is_null": self.pick((True, False))}
        operator = Operator(wish.operator or self.pick(coverage.PROPERTY[kind]))
        texts = self.palette.pieces if operator in SPELLED else self.palette.texts
        values = {"number": self.palette.numbers, "bool": (True, False), "text": texts}
        return test | self._compared(operator, values[kind])

    def _compared(self, operator: Operator, values: tuple[Any, ...]) -> Written:
        several = operator is Operator.IN
        return {operator.value: self.few(lambda: self.pick(values), 1, 3) if several else self.pick(values)}

    def _duration(self, longer_than: str | None = None) -> str:
        lengths = tuple(pools.DURATIONS)
        return self.pick(lengths[lengths.index(longer_than) + 1 :] if longer_than else lengths)

    def moment(self, *days: int) -> datetime | date:
        """A time as one writes it: a day, a time on the wall, or one with its offset; so many days after the middle."""
        day = self.day + timedelta(days=self.pick(days or (0, -1, 1, -7)))
        kind = self.pick(("day", "wall", "offset"))
        if kind == "day":
            return day
        wall = datetime.combine(day, self.pick(pools.WALL))
        return wall if kind == "wall" else wall.replace(tzinfo=self.pick((UTC, timezone(timedelta(hours=-3)))))

    def window(self, wanted: str | None = None) -> Written:
        """None, or one of last, this, previous, since and until."""
        kind = wanted or self.pick(("none", "last", "last", *coverage.WINDOWS[2:]))
        if kind == "last":
            return {"last": self._duration()}
        unit = self.pick(("day", "week", "month", "quarter", "year")) if kind in ("this", "previous") else ""
        if kind == "this":
            return {"this": unit}
        if kind == "previous":
            return {"previous": f"{self.pick((1, 2, 3))} {unit}s"}
        since = {"since": self.moment(0, -7, -1)} if kind.startswith("since") else {}
        return since | ({"until": self.moment(1, 0, -1)} if kind.endswith("until") else {})

    def measure(self, *aggregates: Aggregate, window: str | None = None) -> Written:
        """A measure, of any aggregate unless some are named."""
        aggregate = self.pick(aggregates or AGGREGATES)
        of: Written = {aggregate.value: self.pick(pools.PATHS)}
        if aggregate is Aggregate.COUNT:
            of = {}
        elif aggregate is Aggregate.TIME:
            of = {"time": self.pick(("last", "first"))}
        return self.matched() | self.window(window) | of

    def _event(self) -> Written:
        wish = self.wish("event")
        if wish.operator == "any" or (wish == Wish("event") and self.chance(15)):
            return self.measure(Aggregate.COUNT, window=wish.window)
        fitting = [one for one in AGGREGATES if wish.aggregate in (None, one) and wish.kind in (None, MADE[one])]
        operators = tuple(one for one in coverage.EVENT if wish.operator in (None, one))
        operator = self.pick(tuple(o for o in operators if any(o in coverage.FITTING[MADE[one]] for one in fitting)))
        aggregate = self.pick(tuple(one for one in fitting if operator in coverage.FITTING[MADE[one]]))
        return self.measure(aggregate, window=wish.window) | self._operated(MADE[aggregate], operator)

    def _operated(self, kind: Kind, operator: Operator) -> Written:
        """The operator with a value for what is of the kind."""
        if operator in (Operator.IS_NULL, Operator.IS_TRUE):
            return {operator.value: self.pick((True, False))}
        if operator in AGED:
            return {operator.value: self._duration()}
        if operator in SPELLED:
            return self._compared(operator, self.palette.pieces)
        values: dict[Kind, Callable[[], tuple[Any, ...]]] = {
            Kind.WHOLE: lambda: pools.COUNTS,
            Kind.NUMBER: lambda: self.palette.numbers,
            Kind.TEXT: lambda: (*self.palette.texts, "s0", "b"),
            Kind.TIME: lambda: (self.moment(), *pools.MOMENTS, self.moment()),
        }
        return self._compared(operator, values[kind]())

    def _trait_rule(self) -> Written:
        kinds = self.kinds()
        wish = self.wish("trait")
        names = (*self.traits, *self.traits, *ATTRIBUTES, "first_order_at")
        name = self._read(tuple(name for name in names if wish.kind in (None, kinds[name])))
        if wish.operator:
            return {"trait": name} | self._operated(kinds[name], Operator(wish.operator))
        if kinds[name] in NUMERIC and name not in self.with_percent and self.chance(25):
            self.percent = True
            return {"trait": name, self.pick(("top_percent", "bottom_percent")): self.pick(pools.PERCENTS)}
        return {"trait": name} | self._operated(kinds[name], self.pick(coverage.FITTING[kinds[name]]))

    def _sequence(self) -> Written:
        steps = self.few(self.matched, 2, 4 if self.chance(30) else 2)
        for step in steps[1:]:
            step.update({"within": self._duration()} if self.chance(30) else {})
        rule: Written = {"sequence": steps}
        rule |= {"within": self._duration()} if self.chance(35) else {}
        rule |= {"last": self._duration()} if self.chance(35) else {}
        rule |= {"without": self.matched()} if self.chance(35) else {}
        return rule | ({"same": self.pick(pools.PATHS)} if self.chance(30) else {})

    def _follow(self) -> Written:
        within = self._duration() if self.chance(30) else "1 hour"
        rule = self.matched() | {"not_followed_by": self.matched(), "within": within}
        rule |= {"last": self._duration(within)} if within != "30 days" and self.chance(50) else {}
        return rule | ({"same": self.pick(pools.PATHS)} if self.chance(30) else {})

    # ---- values of traits

    def _score(self) -> Written:
        return {"score": self.few(self._points, 1, 3)}

    def _points(self) -> Written:
        if self.chance(50):
            each = self.measure(Aggregate.COUNT, Aggregate.DISTINCT)
            return {"each": each, "points": self.pick((1, 3)), "at_most": self.pick((2, 3, 100))}
        return {"when": self.rule(1), "points": self.pick((1, 2, -1, 5))}

    def _choose(self) -> Written:
        choices = [{"when": self.rule(1), "then": self.pick(("a", "b", "c"))} for _ in range(self.pick((1, 2, 3)))]
        return {"choose": choices} | ({"otherwise": "b"} if self.chance(50) else {})

    def _ratio(self) -> Written:
        numeric = tuple(name for name, kind in self.kinds().items() if kind in NUMERIC)
        return {"ratio": {"of": self._read(numeric), "to": self._read(numeric)}}

    def _priority(self) -> Written:
        self.reads |= set(self.segments)
        listed = self.draw(st.permutations(list(self.segments)))
        ranked = [{"segment": name, "rank": self.pick((1, 1, 2))} for name in listed]
        return {"priority": ranked, "ties": self.pick(("listed", "even"))} | (
            {"otherwise": "a"} if self.chance(50) else {}
        )
