"""The wrapper around Great Expectations fails closed: whatever is not proven good blocks."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from expectations import gate
from expectations.contracts import Column, TableContract
from expectations.extra import QueryCheck
from expectations.gate import judge
from expectations.suites import Frame, Suite, build_suite

CONTRACT = TableContract(
    name="things",
    grain="One row per thing.",
    key=("thing_id",),
    columns=(
        Column(name="thing_id", type="string", description="key", required=True),
        Column(name="colour", type="string", description="colour", allowed=("red", "blue")),
    ),
)
EMAIL = "planted.marker@example.org"


def frames(colours: tuple[str, ...] = ("red",), rows: int = 2) -> dict[str, pd.DataFrame]:
    names = [c.name for c in CONTRACT.columns]
    header = pd.DataFrame({"column_name": names, "declared": [f"{n} string" for n in names]})
    marks = pd.DataFrame({"thing_id": [1.0] * rows, "key_number": range(rows)})
    return {"header": header, "types": header, "rows": marks, "values": pd.DataFrame({"value": list(colours)})}


def fetch_from(data: dict[str, pd.DataFrame]) -> Any:
    def fetch(frame: Frame) -> pd.DataFrame:
        return data[frame.kind]

    return fetch


def failed(verdict: gate.GateVerdict) -> list[str]:
    return [r.name for r in verdict.results if not r.is_success]


def test_a_good_table_passes_with_every_named_result() -> None:
    suite = build_suite(CONTRACT)
    verdict = judge(suite, fetch_from(frames()))
    assert verdict.passed
    assert [r.name for r in verdict.results] == ["suite_complete", *(c.name for c in suite.checks)]


def test_zero_rows_block() -> None:
    verdict = judge(build_suite(CONTRACT), fetch_from(frames(rows=0)))
    assert failed(verdict) == ["row_count"]
    assert verdict.reasons == ("row_count: 0 rows, expected at least 1 rows",)


def test_fewer_rows_than_the_gate_demands_block_even_where_the_contract_is_lax() -> None:
    lax = CONTRACT.model_copy(update={"min_rows": 0})
    assert judge(build_suite(lax), fetch_from(frames(rows=0))).passed
    assert failed(judge(build_suite(lax, min_rows=1), fetch_from(frames(rows=0)))) == ["row_count"]


def test_an_empty_suite_blocks() -> None:
    verdict = judge(Suite("things", ()), fetch_from(frames()))
    assert verdict.reasons == ("suite_complete: empty, expected a complete suite",)


def test_an_emptied_suite_blocks_although_what_is_left_passes() -> None:
    full = build_suite(CONTRACT)
    left = replace(full, checks=tuple(c for c in full.checks if c.name == "allowed(colour)"))
    verdict = judge(left, fetch_from(frames()))
    assert failed(verdict) == ["suite_complete"]
    assert "lacks columns; lacks row_count; lacks key_unique" in verdict.reasons[0]


def test_two_checks_of_one_name_block() -> None:
    full = build_suite(CONTRACT)
    verdict = judge(replace(full, checks=(*full.checks, full.checks[0])), fetch_from(frames()))
    assert "has columns twice" in verdict.reasons[0]


def test_an_exception_of_the_engine_blocks_every_check_of_its_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> Any:
        raise RuntimeError(f"engine broke near {EMAIL}")

    monkeypatch.setattr(gate, "_validate", explode)
    verdict = judge(build_suite(CONTRACT), fetch_from(frames()))
    assert len(failed(verdict)) == len(verdict.results) - 1, "all but the suite's own completeness"
    assert "engine error RuntimeError" in verdict.reasons[0]
    assert EMAIL not in repr(verdict)


def test_an_exception_inside_one_expectation_blocks_and_is_named() -> None:
    data = frames()
    data["values"] = data["values"].rename(columns={"value": "gone"})
    verdict = judge(build_suite(CONTRACT), fetch_from(data))
    assert failed(verdict) == ["allowed(colour)"]
    assert "engine error" in verdict.reasons[0]


def test_a_frame_that_cannot_be_fetched_blocks() -> None:
    data = frames()
    del data["rows"]
    verdict = judge(build_suite(CONTRACT), fetch_from(data))
    assert {"row_count", "key_unique", "not_null(thing_id)"} == set(failed(verdict))


def test_an_expectation_missing_in_the_result_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    real = gate._validate

    def forgetful(*args: Any) -> list[Any]:
        return [a for a in real(*args) if a.expectation_config.meta["check"] != "key_unique"]

    monkeypatch.setattr(gate, "_validate", forgetful)
    verdict = judge(build_suite(CONTRACT), fetch_from(frames()))
    assert failed(verdict) == ["key_unique"]
    assert verdict.reasons == ("key_unique: not evaluated, expected (thing_id) unique",)


def test_failing_values_never_leave_the_gate() -> None:
    verdict = judge(build_suite(CONTRACT), fetch_from(frames(colours=("red", EMAIL))))
    assert verdict.reasons == ("allowed(colour): 1 of 2 distinct values unexpected, expected one of red, blue",)
    assert EMAIL not in repr(verdict)


@pytest.mark.parametrize("answer", [[], [0, 0], [None], [float("nan")]])
def test_a_query_without_one_figure_blocks(answer: list[object]) -> None:
    extra = QueryCheck(kind="query", name="sums", query="…", column="n", max=0, expected="0")
    data = frames() | {"query": pd.DataFrame({"n": answer}, dtype="float64")}
    assert failed(judge(build_suite(CONTRACT, (extra,)), fetch_from(data))) == ["sums"]


def test_a_warning_is_recorded_and_does_not_block() -> None:
    extra = QueryCheck(kind="query", name="drift", query="…", column="n", max=0, expected="0", severity="warning")
    verdict = judge(build_suite(CONTRACT, (extra,)), fetch_from(frames() | {"query": pd.DataFrame({"n": [3]})}))
    assert failed(verdict) == ["drift"]
    assert verdict.passed
    assert verdict.warnings == ("drift: 3, expected 0",)
