"""The door's strict look at a text: every nasty one has its code, and no sound one is refused."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty_texts import NASTY

from jobs.ingest.landing.text_check import text_error
from jobs.ingest.reasons import Reason

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e200, 1e200) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("case", [name for name in NASTY if name != "bytes that are no text"])
def test_a_nasty_text_has_its_code(case: str) -> None:
    text, expected = NASTY[case]
    assert text_error(text) == expected


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_what_json_writes_is_sound_unless_it_holds_a_nul(value: dict[str, object]) -> None:
    text = json.dumps(value)
    assert text_error(text) is (Reason.INVALID_ENCODING if "\\u0000" in text else None) or "\\ud" in text


@given(st.text())
def test_no_text_stops_it(text: str) -> None:
    assert text_error(text) in (None, *Reason)


def test_a_bomb_of_brackets_costs_little() -> None:
    started = time.process_time()
    assert text_error('{"a":' + "[" * 1_000_000) is Reason.TOO_DEEP
    assert time.process_time() - started < 0.5
