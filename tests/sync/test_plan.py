"""The laws of a plan and of the row hash."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.sync.outcomes import Operation
from jobs.sync.plan import Change, apply, idempotency_key, make_plan, row_hash

STATES = st.dictionaries(st.text(max_size=3), st.sampled_from(["h1", "h2", "h3"]), max_size=8)
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(allow_nan=False)
SECRET = b"k" * 32


@given(STATES, STATES)
def test_applying_the_plan_gives_what_was_desired(desired: dict[str, str], acknowledged: dict[str, str]) -> None:
    plan = make_plan(desired, acknowledged)
    assert apply(plan, acknowledged) == desired
    assert make_plan(desired, apply(plan, acknowledged)).changes == ()
    assert plan.unchanged == sum(acknowledged.get(key) == value for key, value in desired.items())


@given(STATES, STATES)
def test_a_plan_does_not_depend_on_order_and_names_each_key_once(a: dict[str, str], b: dict[str, str]) -> None:
    shuffled = make_plan(dict(reversed(a.items())), dict(reversed(b.items())))
    assert make_plan(a, b) == shuffled
    keys = [change.key for change in shuffled.changes]
    assert len(set(keys)) == len(keys)


def test_add_update_remove() -> None:
    plan = make_plan({"new": "1", "same": "1", "changed": "2"}, {"same": "1", "changed": "1", "gone": "1"})
    assert plan.changes == (
        Change("changed", Operation.UPDATE, "2"),
        Change("gone", Operation.REMOVE, None),
        Change("new", Operation.ADD, "1"),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.dictionaries(st.sampled_from("abc"), VALUES))
def test_equal_hashes_mean_equal_rows(one: dict[str, object], other: dict[str, object]) -> None:
    as_text = [{name: _text(value) for name, value in row.items()} for row in (one, other)]
    assert (row_hash(one, SECRET) == row_hash(other, SECRET)) == (as_text[0] == as_text[1])


@pytest.mark.parametrize(("one", "other"), [(None, ""), (None, "None"), ("", " "), (Decimal("1.0"), Decimal("1.00"))])
def test_a_change_to_or_from_null_is_a_change(one: object, other: object) -> None:
    assert row_hash({"a": one}, SECRET) != row_hash({"a": other}, SECRET)


def test_the_hash_is_keyed_and_knows_its_fields() -> None:
    at = datetime(2018, 1, 1, tzinfo=UTC)
    assert row_hash({"a": at}, SECRET) != row_hash({"a": at}, b"other")
    assert row_hash({"a": "x", "b": "y"}, SECRET) != row_hash({"a": "y", "b": "x"}, SECRET)
    assert row_hash({"a": "x", "b": "y"}, SECRET) == row_hash({"b": "y", "a": "x"}, SECRET)


def test_a_row_that_goes_back_is_a_new_change_and_a_repeat_is_the_same() -> None:
    change = Change("p", Operation.UPDATE, "h1")
    assert idempotency_key("s", "d", change, 1) == idempotency_key("s", "d", change, 1)
    assert idempotency_key("s", "d", change, 1) != idempotency_key("s", "d", change, 3)
    assert idempotency_key("s", "d", change, 1) != idempotency_key("s", "e", change, 1)
