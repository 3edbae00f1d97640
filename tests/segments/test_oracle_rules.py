"""The oracle, continued: measures, sequences, absence, percentiles, traits and membership; answers found by hand."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from jobs.core.assignment import SEPARATOR, in_share, number
from jobs.segments.language.model import Segment, Trait
from segments.goldkit import at, event, holds, segment, trait, value, world
from segments.oracle import Oracle

VIEW = {"event": "view"}
ORDER = {"event": "order"}
THREE = (event("order", "10:00", p="0.1"), event("order", "11:00", p=0.2), event("order", "12:00", p="none"))
PLACES = {name: {"x": Decimal(x)} for name, x in {"a": 10, "b": 20, "c": 20, "d": 0, "e": 5}.items()} | {"f": {}}


def answers(*definitions: Trait | Segment, now: str = "12:00", who: str = "a", **given: Any) -> dict[str, Any]:
    return Oracle(world(*definitions, **given)).answers(who, at(now))


@pytest.mark.parametrize(
    ("measure", "nothing", "of_three"),
    [
        ({}, 0, 3),
        ({"sum": "p"}, Decimal(0), Decimal("0.3")),
        ({"min": "p"}, None, Decimal("0.1")),
        ({"max": "p"}, None, Decimal("0.2")),
        ({"distinct": "p"}, 0, 2),
        ({"first_value": "p"}, None, "0.1"),
        ({"last_value": "p"}, None, "none"),
        ({"time": "first"}, None, datetime(2018, 3, 1, 10)),
        ({"time": "last"}, None, datetime(2018, 3, 1, 12)),
    ],
)
def test_measures(measure: dict[str, Any], nothing: Any, of_three: Any) -> None:
    assert value(ORDER | measure, "12:00") == nothing
    assert value(ORDER | measure, "12:00", *THREE) == of_three


def test_sums_are_exact() -> None:
    """One tenth ten times is one, and what is smaller than a millionth is rounded before it is added."""
    assert holds(
        ORDER | {"sum": "p", "eq": 1}, "12:00", *[event("order", "10:00", position=i, p=0.1) for i in range(10)]
    )
    assert value(ORDER | {"sum": "p"}, "12:00", *[event("order", f"10:0{i}", p=4e-7) for i in range(9)]) == 0


def test_first_and_last_are_of_events_that_state_it() -> None:
    stated = event("view", "11:00", p="x")
    events = (event("view", "10:00"), stated, event("view", "12:00", p=None), event("view", "12:30", p=1.5))
    assert value(VIEW | {"first_value": "p"}, "13:00", *events) == "x"
    assert value(VIEW | {"last_value": "p"}, "13:00", *events) == "x"


@pytest.mark.parametrize(
    ("compared", "unknown", "known"),
    [
        ({"trait": "x", "eq": 5}, False, True),
        ({"trait": "x", "ne": 5}, True, False),
        ({"trait": "x", "ne": 6}, True, True),
        ({"trait": "x", "lt": 6}, False, True),
        ({"trait": "x", "in": [4, 5]}, False, True),
        ({"trait": "x", "in": [4]}, False, False),
        ({"trait": "x", "is_null": True}, True, False),
        ({"trait": "x", "is_null": False}, False, True),
        ({"not": {"trait": "x", "eq": 5}}, True, False),
        ({"none": [{"trait": "x", "eq": 5}]}, True, False),
        ({"not": {"trait": "x", "ne": 5}}, False, True),
        ({"trait": "flag", "is_true": True}, False, True),
        ({"trait": "flag", "is_true": False}, True, False),
        ({"trait": "city", "starts_with": "Ber"}, False, True),
        ({"trait": "city", "contains": "LIN"}, False, False),
        ({"trait": "born", "older_than": "1 day"}, False, True),
        ({"trait": "born", "older_than": "25 hours"}, False, False),
        ({"trait": "born", "newer_than": "1 day"}, False, False),
        ({"trait": "born", "newer_than": "25 hours"}, False, True),
        ({"trait": "born", "gte": date(2018, 2, 28)}, False, True),
        ({"trait": "born", "lt": datetime(2018, 2, 28, 12)}, False, False),
        ({"trait": "born", "eq": datetime(2018, 2, 28, 12)}, False, True),
    ],
)
def test_what_is_unknown_is_no(compared: dict[str, Any], unknown: bool, known: bool) -> None:
    row = {"x": Decimal(5), "flag": True, "city": "Berlin", "born": datetime(2018, 2, 28, 12)}
    assert holds(compared, "12:00", people={"a": {}}) is unknown
    assert holds(compared, "12:00", people={"a": row}) is known


def test_joined_rules() -> None:
    yes, no = {"everyone": True}, {"not": {"everyone": True}}
    assert holds({"all": [yes, yes]}, "12:00")
    assert not holds({"all": [yes, no]}, "12:00")
    assert holds({"any": [no, yes]}, "12:00")
    assert not holds({"any": [no, no]}, "12:00")
    assert holds({"none": [no, no]}, "12:00")
    assert not holds({"none": [no, yes]}, "12:00")


STEPS = {"sequence": [VIEW, {"event": "add"}, ORDER]}
CHAIN = (event("view", "10:00", p="x"), event("add", "10:30", p="x"), event("order", "11:00", p="x"))
CANCEL = {"without": {"event": "cancel"}}


@pytest.mark.parametrize(
    ("more", "others", "now", "found"),
    [
        ({}, (), "11:00", True),
        ({}, (), "10:59", False),
        ({"within": "1 hour"}, (), "11:00", True),
        ({"within": "59 minutes"}, (), "11:00", False),
        ({"within": "30 minutes"}, (event("view", "10:40"), event("add", "10:50")), "11:00", True),
        ({"last": "1 hour"}, (), "11:59", True),
        ({"last": "1 hour"}, (), "12:00", False),
        ({"last": "1 hour"}, (event("order", "11:30"),), "12:00", True),
        (CANCEL, (event("cancel", "10:00"), event("cancel", "11:01")), "12:00", True),
        (CANCEL, (event("cancel", "10:15"),), "12:00", False),
        (CANCEL, (event("cancel", "11:00"),), "12:00", False),
        (CANCEL, (event("cancel", "10:15"), event("view", "10:20")), "12:00", True),
        (CANCEL, (event("cancel", "10:15", received="13:00"),), "12:00", True),
        (CANCEL, (event("cancel", "10:15", received="13:00"),), "13:00", False),
        ({"without": ORDER}, (), "12:00", False),
        ({"same": "p"}, (), "12:00", True),
        ({"same": "q"}, (), "12:00", False),
        ({"same": "p", **CANCEL}, (event("cancel", "10:15", p="y"), event("cancel", "10:16")), "12:00", True),
        ({"same": "p", **CANCEL}, (event("cancel", "10:15", p="x"),), "12:00", False),
    ],
)
def test_sequences(more: dict[str, Any], others: tuple[Any, ...], now: str, found: bool) -> None:
    assert holds(STEPS | more, now, *CHAIN, *others) is found


def test_steps_are_strictly_one_after_the_other_and_each_may_have_its_time() -> None:
    steps = [VIEW, VIEW | {"within": "30 minutes"}]
    assert not holds({"sequence": steps}, "12:00", event("view", "10:00"), event("view", "10:00", position=1))
    assert holds({"sequence": steps}, "12:00", event("view", "10:00"), event("view", "10:30"))
    assert not holds({"sequence": steps}, "12:00", event("view", "10:00"), event("view", "10:31"))
    mixed = (event("view", "10:00", p="x"), event("view", "10:01", p="y"))
    assert not holds({"sequence": steps, "same": "p"}, "12:00", *mixed)


LEFT = {"event": "add", "not_followed_by": ORDER, "within": "1 hour"}
ADDED = event("add", "10:00", p="x")


@pytest.mark.parametrize(
    ("more", "others", "now", "found"),
    [
        ({}, (), "10:59", False),
        ({}, (), "2018-03-01T10:59:59.999999", False),
        ({}, (), "11:00", True),
        ({}, (event("order", "10:00"),), "11:00", True),
        ({}, (event("order", "2018-03-01T10:00:00.000001"),), "11:00", False),
        ({}, (event("order", "11:00"),), "11:00", False),
        ({}, (event("order", "2018-03-01T11:00:00.000001"),), "12:00", True),
        ({}, (event("order", "10:30", received="13:00"),), "12:59", True),
        ({}, (event("order", "10:30", received="13:00"),), "13:00", False),
        ({}, (event("order", "10:30"), event("add", "10:45")), "11:45", True),
        ({"last": "2 hours"}, (), "11:59", True),
        ({"last": "2 hours"}, (), "12:00", False),
        ({"same": "p"}, (event("order", "10:30", p="y"), event("order", "10:30")), "11:00", True),
        ({"same": "p"}, (event("order", "10:30", p="x"),), "11:00", False),
        ({"same": "q"}, (), "11:00", False),
    ],
)
def test_what_was_not_followed(more: dict[str, Any], others: tuple[Any, ...], now: str, found: bool) -> None:
    assert holds(LEFT | more, now, ADDED, *others) is found


@pytest.mark.parametrize(
    ("percent", "inside"),
    [
        # Known and not 0: 20, 20, 10, 5. A quarter is one place, which two share.
        ({"top_percent": 25}, "bc"),
        ({"top_percent": 50}, "bc"),
        ({"top_percent": 50.1}, "abc"),
        ({"top_percent": 99}, "abce"),
        ({"bottom_percent": 25}, "e"),
        ({"bottom_percent": 25.5}, "ae"),
        ({"bottom_percent": 51}, "abce"),
    ],
)
def test_percentiles(percent: dict[str, Any], inside: str) -> None:
    one = segment({"trait": "x", **percent})
    found = [who for who in PLACES if answers(one, who=who, people=PLACES)["s"]]
    assert "".join(found) == inside


def test_a_percentile_is_taken_at_the_start_of_the_day() -> None:
    """Of what had been received by then, in the time zone of the segment; nothing of the day itself counts."""
    rule = {"trait": "t", "top_percent": 50}
    events = (
        event("order", "09:00"),
        event("order", "10:00"),
        event("order", "11:00", who="b", received="03-02 01:00"),
    )
    given: dict[str, Any] = {"people": {"a": {}, "b": {}}, "events": events}
    utc = (trait(ORDER), segment(rule))
    assert not answers(*utc, now="23:59", **given)["s"]
    assert answers(*utc, now="03-02 00:00", **given) == {"t": 2, "s": True}
    assert not answers(*utc, now="03-02 23:59", who="b", **given)["s"]
    late = (*events, *(event("order", f"12:0{i}", who="b", received="03-02 01:00") for i in range(5)))
    assert answers(*utc, now="03-02 23:59", people=given["people"], events=late)["s"]
    assert answers(*utc, now="03-03 00:00", who="b", people=given["people"], events=late)["s"]
    berlin = (trait(ORDER), segment(rule, zone="Europe/Berlin"))
    assert answers(*berlin, now="23:00", **given)["s"]


def test_scores() -> None:
    each = {"each": VIEW, "points": 3, "at_most": 7}
    when = {"when": ORDER, "points": -2}
    views = tuple(event("view", f"10:0{i}") for i in range(5))
    assert value({"score": [each, when]}, "12:00") == 0
    assert value({"score": [each, when]}, "12:00", *views[:2]) == 6
    assert value({"score": [each, when]}, "12:00", *views, event("order", "11:00")) == 5


def test_choices() -> None:
    choose = [{"when": ORDER, "then": "buyer"}, {"when": VIEW, "then": "viewer"}]
    both = (event("view", "10:00"), event("order", "11:00"))
    assert value({"choose": choose}, "12:00") is None
    assert value({"choose": choose, "otherwise": "new"}, "12:00") == "new"
    assert value({"choose": choose}, "12:00", *both) == "buyer"
    assert value({"choose": choose}, "12:00", *both[:1]) == "viewer"


@pytest.mark.parametrize(
    ("of", "to", "ratio"),
    [
        (2, 3, "0.666666"),
        (-2, 3, "-0.666666"),
        (1, 0, None),
        (None, 1, None),
        (1, None, None),
        (0, 5, "0"),
        (7, 2, "3.5"),
    ],
)
def test_ratios_are_cut_off(of: int | None, to: int | None, ratio: str | None) -> None:
    people = {"a": {"x": None if of is None else Decimal(of), "y": None if to is None else Decimal(to)}}
    found = value({"ratio": {"of": "x", "to": "y"}}, "12:00", people=people)
    assert found == (None if ratio is None else Decimal(ratio))


def test_priorities() -> None:
    segments = [segment({"event": name}, name=name) for name in ("view", "add", "order")]
    events = tuple(event(name, "10:00", who=who) for who in ("a", "b") for name in ("view", "add"))

    def winner(ranks: tuple[int, int, int], ties: str, who: str = "a", **more: Any) -> Any:
        listed = [{"segment": name, "rank": rank} for name, rank in zip(("order", "add", "view"), ranks, strict=True)]
        made = trait({"priority": listed, "ties": ties, **more}, name="best")
        return answers(*segments, made, who=who, events=events, people={"a": {}, "b": {}, "c": {}})["best"]

    assert winner((1, 2, 3), "listed") == "add"
    assert winner((1, 3, 2), "listed") == "view"
    assert winner((1, 1, 1), "listed") == "add"
    assert winner((1, 2, 3), "listed", who="c") is None
    assert winner((1, 2, 3), "listed", who="c", otherwise="nobody") == "nobody"
    for who in ("a", "b"):
        first = min(("add", "view"), key=lambda name: number(f"best{SEPARATOR}{name}", who))
        assert winner((1, 1, 1), "even", who=who) == first


def test_members_fulfil_the_rule_are_in_the_parent_and_are_not_held_out() -> None:
    people: dict[str, dict[str, Any]] = {f"p{i}": {} for i in range(20)}
    parent = segment({"event": "view"}, name="viewers")
    child = segment({"everyone": True}, name="half", parent="viewers", holdout=0.5)
    reader = segment({"segment": "half"}, name="reader")
    outside = segment({"not": {"segment": "half"}}, name="outside")
    events = tuple(event("view", "10:00", who=f"p{i}") for i in range(10))
    inside = set()
    for who in people:
        found = answers(parent, child, reader, outside, who=who, people=people, events=events)
        assert found["reader"] is found["half"] is not found["outside"]
        inside |= {who} if found["half"] else set()
    assert inside == {f"p{i}" for i in range(10) if not in_share(f"holdout{SEPARATOR}half", f"p{i}", 0.5)}
    assert 0 < len(inside) < 10
