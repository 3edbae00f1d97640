"""Why somebody is in a segment: every part with its answer, its value and the events that it counts."""

from datetime import datetime

from segmentkit import catalogue, segment, trait, world

from jobs.segments.change.markdown import tree
from jobs.segments.evaluate.explain import explain
from jobs.segments.language.traits import Kind

NOON = datetime(2017, 3, 10, 12)
HISTORY = [
    ("ann", "View", "2017-03-01 10:00", {"cat": "shoes", "price": 40}),
    ("ann", "Order", "2017-03-02 10:00", {"cat": "shoes", "total": 30.5}),
    ("ann", "Order", "2017-03-09 10:00", {"cat": "hats", "total": "12"}),
    ("bob", "Order", "2017-03-09 11:00", {"total": 99}),
]
FOUND = catalogue(
    trait("spent", "{event: Order, sum: total, last: 30 days}"),
    segment("buyers", "{event: Order, last: 5 days}"),
    segment("shoe_lovers", "{any: [{event: View, where: [{property: cat, eq: shoes}]}, {trait: city, eq: Rome}]}"),
    segment(
        "good",
        "{all: [{segment: shoe_lovers}, {trait: spent, gte: 40}, {not: {event: Order, this: day}}]}",
        parent="buyers",
    ),
    city=Kind.TEXT,
)


def test_a_member_is_explained_part_by_part() -> None:
    with world(HISTORY, [("ann", "Oslo"), ("bob", "Rome")]) as connection:
        reason = explain(connection, FOUND, "good", "ann", NOON)
    assert tree(reason) == [
        "- yes: member of good",
        "  - yes: all of",
        "    - yes: member of shoe_lovers",
        "      - yes: any of",
        "        - yes: number of View where cat is shoes at least 1 = 1 (View 2017-03-01 10:00)",
        "        - no: city is Rome",
        "    - yes: spent at least 40 = 42.500000 (Order 2017-03-09 10:00, Order 2017-03-02 10:00)",
        "    - yes: not",
        "      - no: number of Order this day at least 1 = 0",
        "  - yes: member of buyers",
        "    - yes: number of Order in the last 5 days at least 1 = 1 (Order 2017-03-09 10:00)",
    ]


def test_who_is_no_member_is_told_what_is_missing() -> None:
    with world(HISTORY, [("ann", "Oslo"), ("bob", "Rome")]) as connection:
        reason = explain(connection, FOUND, "good", "bob", datetime(2017, 3, 9, 10, 30))
    told = {part.words: part.holds for part in reason.all()}
    assert not reason.holds
    assert told["member of shoe_lovers"]
    assert told["city is Rome"]
    assert not told["spent at least 40"]
    assert not told["member of buyers"]


def test_a_rule_over_several_events_shows_those_that_it_looks_at() -> None:
    made = catalogue(
        segment(
            "came_back",
            "{sequence: [{event: View, where: [{property: cat, eq: shoes}]}, {event: Order}], last: 30 days}",
        ),
        segment("left", "{event: Order, not_followed_by: {event: Return}, within: 1 hour}"),
    )
    with world(HISTORY) as connection:
        reasons = [explain(connection, made, name, "ann", NOON) for name in ("came_back", "left")]
    assert [tree(reason)[1].rpartition(" (")[2] for reason in reasons] == [
        "Order 2017-03-09 10:00, Order 2017-03-02 10:00, View 2017-03-01 10:00)",
        "Order 2017-03-09 10:00, Order 2017-03-02 10:00)",
    ]


def test_the_held_out_are_told_so() -> None:
    held = catalogue(segment("half", "{event: Order}", holdout=0.5))
    with world(HISTORY, [("ann", "Oslo"), ("bob", "Rome")]) as connection:
        reasons = [explain(connection, held, "half", who, NOON) for who in ("ann", "bob")]
    for reason in reasons:
        assert reason.parts[-1].words == "not among the 50% held out"
        assert reason.parts[0].holds
        assert reason.holds == reason.parts[-1].holds


def test_a_holdout_inside_is_told_too_and_a_trait_counts_by_its_own_clock() -> None:
    """Midnight in Tokyo lies between the two orders, which are of one day in UTC."""
    found = catalogue(
        segment("half", "{event: Order}", holdout=0.5),
        trait("today", "{event: Order, this: day}", time_zone="Asia/Tokyo"),
        segment("outer", "{all: [{segment: half}, {trait: today, gte: 1}]}"),
    )
    orders = [("ann", "Order", f"2017-03-10 {hour}", {"total": 1}) for hour in ("10:00", "16:00")]
    with world(orders, [("ann", "Oslo")]) as connection:
        reason = explain(connection, found, "outer", "ann", datetime(2017, 3, 10, 20))
    told = {part.words: part for part in reason.all()}
    assert told["member of half"].parts[-1].words == "not among the 50% held out"
    assert told["member of half"].holds == told["not among the 50% held out"].holds
    [today] = [part for part in reason.all() if part.words.startswith("today")]
    assert (today.value, len(today.events)) == (1, 1)
