"""The order of definitions, circles among them, and rules that hold for everybody or nobody."""

import random

import pytest
from languagekit import catalogue, segment, trait, wrong

from jobs.core.definitions import SegmentHeader
from jobs.segments.language.judge import judge
from jobs.segments.language.order import order
from jobs.segments.language.vocabulary import attributes, of_contracts


def test_each_stands_after_what_it_reads_and_by_name_among_the_free() -> None:
    reads: dict[str, set[str]] = {"a": {"d"}, "b": set(), "c": {"b"}, "d": set(), "e": {"a", "c"}}
    assert order(reads) == (["b", "c", "d", "a", "e"], [])


def test_the_order_does_not_depend_on_the_order_of_writing() -> None:
    reads: dict[str, set[str]] = {f"n{i:02}": {f"n{j:02}" for j in range(i) if (i * j) % 3 == 1} for i in range(30)}
    names = list(reads)
    random.Random(7).shuffle(names)
    assert order({name: reads[name] for name in names}) == order(reads)
    found = order(reads)[0]
    assert sorted(found) == sorted(reads)
    assert all(found.index(read) < found.index(name) for name in reads for read in reads[name])


@pytest.mark.parametrize(
    ("reads", "left", "circles"),
    [
        ({"a": {"a"}}, [], [["a", "a"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}}, [], [["a", "b", "c", "a"]]),
        ({"c": {"b"}, "b": {"c"}, "a": {"b"}, "d": set()}, ["d"], [["b", "c", "b"]]),
        ({"a": {"c"}, "b": {"c"}, "c": {"b"}}, [], [["b", "c", "b"]]),
        ({"a": {"b"}, "b": {"a"}, "x": {"y"}, "y": {"x"}, "z": {"x"}}, [], [["a", "b", "a"], ["x", "y", "x"]]),
    ],
)
def test_circles_are_named_from_their_smallest_name_on(
    reads: dict[str, set[str]], left: list[str], circles: list[list[str]]
) -> None:
    assert order(reads) == (left, circles)


def test_a_segment_of_itself() -> None:
    assert wrong(segment("a", "{any: [{segment: a}, {event: page}]}")) == ["rule.any.0.segment: a circle: a → a"]


def test_a_circle_of_three() -> None:
    assert wrong(segment("a", "{segment: b}"), segment("b", "{segment: c}"), segment("c", "{not: {segment: a}}")) == [
        "segments/a.yml: rule.segment: a circle: a → b → c → a"
    ]


def test_a_circle_through_a_parent_and_through_traits() -> None:
    assert wrong(segment("a", "{event: page}", parent="b"), segment("b", "{segment: a}")) == [
        "segments/a.yml: parent: a circle: a → b → a"
    ]
    tier = trait("tier", "{choose: [{when: {segment: z}, then: x}]}")
    double = trait("double", "{ratio: {of: score, to: order_count}}")
    score = trait("score", "{score: [{when: {trait: tier, eq: x}, points: 3}]}")
    assert wrong(tier, double, score, segment("z", "{trait: double, gt: 3}")) == [
        "traits/double.yml: value.ratio.of: a circle: double → score → tier → z → double"
    ]


def test_a_segment_may_be_named_like_an_attribute_that_it_reads() -> None:
    assert catalogue(segment("order_count", "{trait: order_count, gte: 3}"))


def test_the_catalogue_is_in_order() -> None:
    found = catalogue(
        segment("a", "{segment: c}"),
        segment("b", "{event: page}"),
        segment("c", "{event: page}", parent="d"),
        segment("d", "{trait: z, gte: 1}"),
        trait("v", "{event: page}"),
        trait("z", "{ratio: {of: v, to: order_count}}"),
    )
    assert (list(found.traits), list(found.segments)) == (["v", "z"], ["b", "d", "c", "a"])


EVERYBODY = [
    "{everyone: true}",
    "{all: [{everyone: true}, {everyone: true}]}",
    "{any: [{event: page}, {everyone: true}]}",
    "{none: [{not: {everyone: true}}]}",
    "{not: {not: {everyone: true}}}",
    "{any: [{event: page}, {not: {event: page}}]}",
    "{any: [{none: [{event: page}]}, {event: page}]}",
    "{not: {all: [{event: page}, {not: {event: page}}]}}",
    "{event: page, gte: 0}",
    "{event: page, distinct: path, gt: -1}",
    "{event: page, ne: -1}",
    "{event: page, is_null: false}",
    "{trait: order_count, gte: 0}",
    "{trait: views, gte: 0}",
    "{trait: views, is_null: false}",
    "{not: {event: page, lt: 0}}",
    "{segment: open}",
]
NOBODY = [
    "{not: {everyone: true}}",
    "{none: [{everyone: true}, {event: page}]}",
    "{all: [{event: page}, {not: {everyone: true}}]}",
    "{all: [{event: page, last: 3 days}, {not: {event: page, last: 3 days}}]}",
    "{event: page, lt: 0}",
    "{event: page, in: [-1, -2]}",
    "{trait: order_count, eq: -1}",
    "{not: {segment: open}}",
]
SOMEBODY = [
    "{event: page}",
    "{event: page, gte: 1}",
    "{event: page, lte: 0}",
    "{event: page, gt: 0}",
    "{event: page, in: [-1, 3]}",
    "{event: Order Completed, sum: total, gte: 0}",
    "{any: [{event: page}, {not: {event: page, last: 3 days}}]}",
    "{all: [{everyone: true}, {event: page}]}",
    "{trait: email_token, is_null: false}",
    "{trait: days_since_last_order, gte: 0}",
    "{trait: lifetime_value, gte: 0}",
]
OPEN = segment("open", "{everyone: true}", allow_all=True)
VIEWS = trait("views", "{event: page, last: 3 days}")


def told(*headers: SegmentHeader) -> list[str]:
    return wrong(OPEN, VIEWS, *headers)


@pytest.mark.parametrize("rule", EVERYBODY)
def test_a_rule_for_everybody_says_so(rule: str) -> None:
    assert told(segment("tested", rule)) == [
        "segments/tested.yml: rule: holds for every profile: narrow it, or say allow_all: true"
    ]
    assert catalogue(OPEN, VIEWS, segment("tested", rule, allow_all=True))
    assert catalogue(OPEN, VIEWS, segment("tested", rule, holdout=0.1)), "not everybody"
    assert catalogue(OPEN, VIEWS, segment("some", "{event: page}"), segment("tested", rule, parent="some"))
    assert told(segment("tested", rule, parent="open"))


def remarks(rule: str) -> list[str]:
    headers = [OPEN, segment("tested", rule)]
    judged = judge({"views": VIEWS}, {one.name: one for one in headers}, attributes(), of_contracts())
    assert judged.wrong == []
    return [one.found.text for one in judged.remarks]


@pytest.mark.parametrize("rule", NOBODY)
def test_a_rule_for_nobody_is_remarkable(rule: str) -> None:
    assert remarks(rule) == ["holds for nobody"]


@pytest.mark.parametrize("rule", SOMEBODY)
def test_other_rules_are_not(rule: str) -> None:
    assert remarks(rule) == []
