"""What definitions say, held against traits, segments, events and their properties; what is told of what does not fit."""

from dataclasses import replace
from typing import Any

import pytest
from languagekit import catalogue, segment, trait, wrong

from jobs.segments.language.catalogue import resolve
from jobs.segments.language.checks import DEEPEST_RULE, MOST_PARTS
from jobs.segments.language.judge import judge
from jobs.segments.language.rules import TraitRule
from jobs.segments.language.traits import Kind
from jobs.segments.language.vocabulary import attributes, of_contracts

COUNT = trait("orders_30d", "{event: Order Completed, last: 30 days}")
SPENT = trait("spent", "{event: Order Completed, sum: total}")
LAST = trait("last_seen_item", "{event: Product Viewed, last_value: product_id}")
WHEN = trait("last_order_time", "{event: Order Completed, time: last}")
TIER = trait("tier", "{choose: [{when: {trait: spent, gte: 100}, then: gold}], otherwise: none}")
TRAITS = (COUNT, SPENT, LAST, WHEN, TIER)

RIGHT = [
    "{trait: order_count, gte: 5}",
    "{trait: lifetime_value, lt: 12.5}",
    "{trait: lifetime_value, in: [1, 2.5]}",
    "{trait: email_token, is_null: false}",
    "{trait: user_id, is_null: true}",
    "{trait: is_suppressed, is_true: true}",
    "{trait: first_order_at, gte: 2017-10-01}",
    "{trait: first_order_at, lt: 2017-10-01T02:00:00+02:00}",
    "{trait: last_order_at, older_than: 30 days}",
    "{trait: favourite_department, starts_with: KI}",
    "{trait: lifetime_value, top_percent: 10}",
    "{trait: orders_30d, bottom_percent: 12.5}",
    "{trait: tier, eq: gold}",
    "{trait: tier, ne: none}",
    "{trait: last_order_time, newer_than: 3 days}",
    "{trait: last_seen_item, contains: '12'}",
    "{event: Order Completed}",
    "{event: [Product Viewed, Product Added], last: 7 days, gte: 3}",
    "{event: Order Completed, sum: total, this: month, gt: 100.5}",
    "{event: Order Completed, min: week, lt: 3}",
    "{event: Order Completed, time: first, older_than: 1 week}",
    "{event: Order Completed, first_value: store_id, in: ['1', '2']}",
    "{event: Order Completed, distinct: week, gte: 2}",
    "{event: Order Completed, since: 2017-01-01, until: 2017-02-01}",
    "{event: Product Added, where: [{property: quantity, in: [1, 2]}, {property: product_id, starts_with: '8'}]}",
    "{event: page, where: [{property: title, is_null: true}]}",
    "{sequence: [{event: Product Viewed}, {event: Product Added, within: 1 hour}], within: 1 day, same: product_id}",
    "{event: Product Added, not_followed_by: {event: Order Completed}, within: 1 hour}",
]
TRAIT_RULES = [
    ("{trait: order_cuont, gte: 5}", "trait: unknown trait 'order_cuont'. Did you mean 'order_count'?"),
    ("{trait: profile_id, eq: p1}", "trait: unknown trait 'profile_id'."),
    (
        "{trait: email_token, eq: email_v1_ab}",
        "eq: email_token identifies a person, and a rule is about many: ask only",
    ),
    ("{trait: phone_token, in: [phone_v1_ab]}", "in: phone_token identifies a person"),
    ("{trait: user_id, ne: '7'}", "ne: user_id identifies a person"),
    ("{trait: loyalty_id, starts_with: '10'}", "starts_with: loyalty_id identifies a person"),
    ("{segment: nobody_here}", "segment: unknown segment 'nobody_here'."),
    ("{trait: order_count, gte: '5'}", "gte: trait order_count is a whole number; found '5'"),
    ("{trait: order_count, gte: 5.5}", "gte: trait order_count is a whole number; found 5.5"),
    ("{trait: order_count, eq: true}", "eq: trait order_count is a whole number; found True"),
    ("{trait: lifetime_value, in: [1, x]}", "in.1: trait lifetime_value is a number; found 'x'"),
    ("{trait: kids_count, in: ['1', 2]}", "in.1: trait kids_count is text; found 2; quote it, if text is meant"),
    ("{trait: kids_count, eq: 2024-01-01}", "eq: trait kids_count is text; found 2024-01-01; quote it"),
    (
        "{trait: favourite_department, gt: A}",
        "gt: trait favourite_department is text: gt has no meaning for it, use eq, ne, in",
    ),
    (
        "{trait: is_suppressed, eq: true}",
        "eq: trait is_suppressed is true or false: eq has no meaning for it, use is_true or is_null",
    ),
    (
        "{trait: order_count, is_true: true}",
        "is_true: trait order_count is a whole number: is_true has no meaning for it",
    ),
    (
        "{trait: order_count, older_than: 3 days}",
        "older_than: trait order_count is a whole number: older_than has no meaning",
    ),
    ("{trait: order_count, contains: '1'}", "contains: trait order_count is a whole number: contains has no meaning"),
    ("{trait: last_order_at, eq: '2017-01-01'}", "eq: trait last_order_at is a time; found '2017-01-01'"),
    (
        "{trait: last_order_at, top_percent: 5}",
        "top_percent: trait last_order_at is a time: top_percent has no meaning",
    ),
    (
        "{trait: rfm_segment, bottom_percent: 5}",
        "bottom_percent: trait rfm_segment is text: bottom_percent has no meaning",
    ),
    ("{trait: lifecycle_stage, eq: lapsng}", "eq: trait lifecycle_stage is never 'lapsng'. Did you mean 'lapsing'?"),
    (
        "{trait: lifecycle_stage, in: [new, actve]}",
        "in.1: trait lifecycle_stage is never 'actve'. Did you mean 'active'?",
    ),
    ("{trait: tier, eq: silver}", "eq: trait tier is never 'silver'. Known: gold, none."),
    ("{trait: last_order_time, gt: 5}", "gt: trait last_order_time is a time; found 5"),
]
EVENT_RULES = [
    ("{event: Order Complted}", "event: no contract has an event 'Order Complted'. Did you mean 'Order Completed'?"),
    ("{event: [page, order_completed]}", "event.1: no contract has an event 'order_completed'."),
    (
        "{event: Order Completed, sum: totl, gte: 1}",
        "sum: Order Completed has no property 'totl'. Did you mean 'total'?",
    ),
    ("{event: Order Completed, sum: currency, gte: 1}", "sum: currency is no number"),
    (
        "{event: Order Completed, distinct: total, gte: 1}",
        "distinct: total is a number with decimals, which has no text",
    ),
    ("{event: Order Completed, distinct: products, gte: 1}", "distinct: products is a list or an object"),
    (
        "{event: Order Completed, sum: products.quantity, gte: 1}",
        "sum: products.quantity: products holds no properties",
    ),
    ("{event: Order Completed, sum: total, gte: '1'}", "gte: the sum of these events is a number; found '1'"),
    ("{event: Order Completed, gte: 1.5}", "gte: the count of these events is a whole number; found 1.5"),
    (
        "{event: Order Completed, older_than: 1 day}",
        "older_than: the count of these events is a whole number: older_than has no",
    ),
    ("{event: Order Completed, time: last, gt: 5}", "gt: the time of these events is a time; found 5"),
    (
        "{event: Order Completed, last_value: store_id, gt: a}",
        "gt: the last_value of these events is text: gt has no meaning",
    ),
    ("{event: identify, where: [{property: email, eq: a}]}", "where.0.property: email is personal"),
    ("{event: identify, last_value: first_name, eq: a}", "last_value: first_name is personal"),
    (
        "{event: page, where: [{property: path, gt: a}]}",
        "where.0.gt: gt compares numbers; found text: use eq, ne or in",
    ),
    ("{event: page, where: [{property: path, eq: 5}]}", "where.0.eq: path is text; found a number: write it in quotes"),
    ("{event: page, where: [{property: path, eq: true}]}", "where.0.eq: path is text; found true or false"),
    (
        "{event: page, where: [{property: path, eq: 2017-01-01}]}",
        "where.0.eq: a property states times as text: quote the date",
    ),
    (
        "{event: page, where: [{property: path, in: [a, 1]}]}",
        "where.0.in: values of one type are wanted; found a number and text",
    ),
    ("{event: page, where: [{property: path, in: [true, 1]}]}", "where.0.in: values of one type are wanted"),
    (
        "{event: Product Added, where: [{property: quantity, eq: '5'}]}",
        "where.0.eq: quantity is a number; found text: write it without",
    ),
    (
        "{event: Product Added, where: [{property: quantity, contains: '5'}]}",
        "where.0.contains: quantity is a number; found text",
    ),
    (
        "{event: Product Added, where: [{property: quantty, eq: 5}]}",
        "where.0.property: Product Added has no property 'quantty'.",
    ),
    (
        "{sequence: [{event: Product Viewed}, {event: Product Added}], same: prodct_id}",
        "same: Product Added, Product Viewed have no property 'prodct_id'. Did you mean 'product_id'?",
    ),
    (
        "{sequence: [{event: Product Viewed}, {event: Product Aded}]}",
        "sequence.1.event: no contract has an event 'Product Aded'. Did you mean 'Product Added'?",
    ),
    (
        "{event: Product Added, not_followed_by: {event: Order Completd}, within: 1 hour}",
        "not_followed_by.event: no contract has an event 'Order Completd'.",
    ),
    ("{event: page, since: 2017-02-01, until: 2017-02-01}", "until: until is not after since"),
    ("{event: page, since: 2017-02-01T00:00:00+02:00, until: 2017-01-31}", "until: until is not after since"),
]


@pytest.mark.parametrize("rule", RIGHT)
def test_what_fits(rule: str) -> None:
    assert list(catalogue(*TRAITS, segment("tested", rule)).segments) == ["tested"]


@pytest.mark.parametrize(("rule", "message"), [*TRAIT_RULES, *EVENT_RULES])
def test_what_does_not_fit_is_told_at_its_place(rule: str, message: str) -> None:
    [line] = wrong(*TRAITS, segment("tested", f"{{all: [{rule}]}}"))
    assert line.startswith(f"segments/tested.yml: rule.all.0.{message}")


@pytest.mark.parametrize(
    "text", ["{{ env_var('HOME') }}", "{% set x = 1 %}", "{# x #}", "\\' or 1=1 --", "a\nb", "a\x00b", "a\u202eb"]
)
def test_text_that_is_not_read_alike_is_refused_wherever_it_stands(text: str) -> None:
    event = {"event": "page", "where": [{"property": "path", "eq": text}]}
    rules: dict[str, Any] = {
        "eq": {"trait": "favourite_department", "eq": text},
        "in.1": {"trait": "favourite_department", "in": ["x", text]},
        "contains": {"trait": "favourite_department", "contains": text},
        "where.0.eq": event,
        "event": {"event": text},
    }
    for place, rule in rules.items():
        lines = wrong(segment("tested", "{everyone: true}").model_copy(update={"rule": rule}))
        assert lines == [f"rule.{place}: {lines[0].partition(': ')[2]}"]
        assert "which dbt, DuckDB and Spark read differently" in lines[0]
    lines = wrong(
        trait("tested", "{event: page}").model_copy(update={"value": {"choose": [{"when": event, "then": text}]}})
    )
    assert [line.partition(": ")[0] for line in lines] == ["value.choose.0.then", "value.choose.0.when.where.0.eq"]
    assert "owner" in wrong(segment("tested", "{trait: order_count, eq: 1}", owner=text))[0]


def test_sql_in_a_text_is_a_text() -> None:
    texts = ["1=1); DROP TABLE x", "a -- b", "/* a */", "a; b", "O'Brien's", "' or '1'='1"]
    rule = {"trait": "favourite_department", "in": texts}
    found = catalogue(segment("tested", "{everyone: true}").model_copy(update={"rule": rule}))
    written = found.segments["tested"].rule
    assert isinstance(written, TraitRule)
    assert written.values == texts


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{event: Order Completed, sum: currency}", "value.sum: currency is no number"),
        (
            "{ratio: {of: spent, to: order_cuont}}",
            "value.ratio.to: unknown trait 'order_cuont'. Did you mean 'order_count'?",
        ),
        ("{ratio: {of: tier, to: spent}}", "value.ratio.of: trait tier is string, and a ratio is made of numbers"),
        ("{ratio: {of: spent, to: last_order_at}}", "value.ratio.to: trait last_order_at is timestamp"),
        (
            "{priority: [{segment: a, rank: 1}, {segment: b, rank: 2}], ties: listed}",
            "value.priority.0.segment: unknown segment",
        ),
        (
            "{score: [{when: {trait: tier, eq: silver}, points: 3}]}",
            "value.score.0.when.eq: trait tier is never 'silver'.",
        ),
        (
            "{score: [{each: {event: pag}, points: 3, at_most: 9}]}",
            "value.score.0.each.event: no contract has an event 'pag'.",
        ),
    ],
)
def test_traits_are_judged_like_rules(value: str, message: str) -> None:
    assert wrong(*TRAITS, trait("tested", value))[0].startswith(f"traits/tested.yml: {message}")


def test_a_name_has_one_meaning() -> None:
    rule = "{event: page}"
    assert wrong(trait("order_count", rule)) == [
        "name: order_count is an attribute that every build makes; take another name"
    ]
    assert wrong(trait("as_of", rule)) == ["name: as_of is a column of every answer; take another name"]
    assert wrong(trait("spoken", rule), segment("spoken", rule)) == [
        "segments/spoken.yml: name: a trait is named spoken too; take another name"
    ]


def test_names_that_c360_makes_are_its_own() -> None:
    told = "name: two underscores in a row are for names that c360 makes; take another name"
    assert wrong(segment("trigger__cart__if", "{event: page}")) == [told]
    assert wrong(trait("explain__value_0", "{event: page}")) == [told]


def test_a_percentile_of_a_percentile_is_refused_through_what_lies_between() -> None:
    best = segment("best", "{trait: spent, top_percent: 10}")
    marked = trait("marked", "{score: [{when: {segment: best}, points: 5}, {when: {event: page}, points: 1}]}")
    assert wrong(*TRAITS, best, marked, segment("tested", "{any: [{trait: marked, top_percent: 5}]}")) == [
        "segments/tested.yml: rule.any.0.top_percent: trait marked depends on a percentile itself, and no percentile of that is"
        " taken"
    ]
    assert catalogue(*TRAITS, best, marked, segment("tested", "{trait: marked, gte: 5}"))


def test_rules_have_a_limit_in_depth_and_in_parts() -> None:
    inner = "{trait: order_count, eq: 1}"
    for _ in range(DEEPEST_RULE - 1):
        inner = f"{{not: {inner}}}"
    assert catalogue(segment("tested", inner))
    assert wrong(segment("tested", f"{{not: {inner}}}"))[0].startswith(
        f"rule: rules are nested {DEEPEST_RULE + 1} deep"
    )
    many = f"{{all: [{', '.join(['{any: [' + ', '.join(['{event: page, gte: 3}'] * 48) + ']}'] * 12)}]}}"
    assert wrong(segment("tested", many)) == [f"rule: 589 parts, at most {MOST_PARTS} are taken: make segments of some"]


def test_without_contracts_any_event_may_be_named() -> None:
    rule = "{event: Anything, sum: at_all, where: [{property: a.b, gt: 3}], gte: 1}"
    found = resolve({}, {"tested": segment("tested", rule)}, {"points": Kind.WHOLE})
    assert found.attributes == {"points": Kind.WHOLE}
    assert list(found.segments) == ["tested"]


def test_an_unknown_event_is_only_remarkable_where_a_source_takes_such() -> None:
    rule = "{event: Quiz Ended, sum: points, where: [{property: lvl, gt: 3}], gte: 1}"
    headers = {"tested": segment("tested", rule)}
    judged = judge({}, headers, attributes(), replace(of_contracts(), takes_unknown=True))
    assert judged.wrong == []
    assert [one.found.text.partition(".")[0] for one in judged.remarks] == ["no contract has an event 'Quiz Ended'"]
    assert judge({}, headers, attributes(), of_contracts()).remarks == []


def test_attributes_are_those_of_the_contract() -> None:
    known = attributes()
    assert not {"profile_id", "as_of"} & set(known)
    assert {known[name] for name in ("order_count", "days_since_last_order")} == {Kind.WHOLE}
    assert {known[name] for name in ("lifetime_value", "email_open_rate_90d")} == {Kind.NUMBER}
    assert (known["last_order_at"], known["is_suppressed"], known["rfm_segment"]) == (Kind.TIME, Kind.FLAG, Kind.TEXT)
