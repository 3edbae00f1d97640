"""The gate: Great Expectations judges the frames of one table; whatever is not proven good blocks.

Great Expectations itself passes zero rows and empty suites, and keeps failing values in its results. This wrapper
fails closed instead: an empty suite, an expectation without a result, an exception anywhere and a query without an
answer all block, and only counts leave it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.expectations.metadata_types import FailureSeverity

from expectations.suites import MANDATORY, Check, Frame, Severity, Suite

Fetch: TypeAlias = Callable[[Frame], pd.DataFrame]
# Counts only: the default result of a failing run holds the failing values.
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}
# Frames of column names: here the unexpected ones are what the operator needs, and no data is in sight.
NAMES_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 20}
NAME_FRAMES = ("header", "types")
SUITE_COMPLETE = "suite_complete"
_ERROR_NAME = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Warning))\b", re.MULTILINE)


@dataclass(frozen=True)
class CheckResult:
    """What became of one check. `observed` holds counts only."""

    name: str
    severity: Severity
    is_success: bool
    observed: str
    expected: str
    column: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class GateVerdict:
    """The verdict on one table: every result, and one reason in words per critical failure."""

    table: str
    results: tuple[CheckResult, ...]
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True when nothing blocks; warnings do not."""
        return not self.reasons

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line per failed check that does not block."""
        failed = (r for r in self.results if not r.is_success and r.severity == "warning")
        return tuple(f"{r.name}: {r.observed}, expected {r.expected}" for r in failed)


class _Engine:
    """Great Expectations, set up once per table; what it holds on to is let go with the verdict."""

    @cached_property
    def definition(self) -> Any:
        """The batch definition that every frame is judged through, in an ephemeral context."""
        config = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
        )
        context = gx.get_context(mode="ephemeral", project_config=config)
        return (
            context.data_sources.add_pandas("frames")
            .add_dataframe_asset("frame")
            .add_batch_definition_whole_dataframe("whole")
        )


def judge(suite: Suite, fetch: Fetch) -> GateVerdict:
    """Judges every check of the suite on the frames that `fetch` returns. Raises nothing: an error is a reason to block."""
    by_frame: dict[Frame, list[Check]] = {}
    for check in suite.checks:
        by_frame.setdefault(check.frame, []).append(check)
    engine = _Engine()
    results: dict[str, CheckResult] = {}
    for frame, checks in by_frame.items():
        results |= _judge_frame(engine, frame, checks, fetch)
    ordered = (_completeness(suite), *(results[check.name] for check in suite.checks))
    return GateVerdict(suite.table, ordered, tuple(_failures(ordered)))


def _completeness(suite: Suite) -> CheckResult:
    """Judges the suite itself, so that an emptied one is on record as a failure and not as silence."""
    names = [check.name for check in suite.checks]
    missing = [f"lacks {name}" for name in MANDATORY if name not in names]
    twice = [f"has {name} twice" for name in sorted({name for name in names if names.count(name) > 1})]
    observed = "; ".join(missing + twice) if names else "empty"
    return CheckResult(SUITE_COMPLETE, "critical", not observed, observed or f"{len(names)} checks", "a complete suite")


def _failures(results: tuple[CheckResult, ...]) -> list[str]:
    failed = (r for r in results if not r.is_success and r.severity == "critical")
    return [f"{r.name}: {r.observed}, expected {r.expected}" for r in failed]


def _judge_frame(engine: _Engine, frame: Frame, checks: list[Check], fetch: Fetch) -> dict[str, CheckResult]:
    pending = {check.name: _failed(check, "not evaluated") for check in checks}
    try:
        data = fetch(frame)
        if frame.kind == "query" and len(data) != 1:
            return {check.name: _failed(check, f"{len(data)} answers") for check in checks}
        return pending | _read_all(_validate(engine, data, checks), checks)
    except Exception as error:  # fail closed: whatever went wrong, nothing here is proven
        return {check.name: _failed(check, f"engine error {type(error).__name__}") for check in checks}


def _read_all(answers: list[Any], checks: list[Check]) -> dict[str, CheckResult]:
    by_name = {check.name: check for check in checks}
    named = ((str((answer.expectation_config.meta or {}).get("check")), answer) for answer in answers)
    return {name: _read(by_name[name], answer) for name, answer in named if name in by_name}


def _validate(engine: _Engine, data: pd.DataFrame, checks: list[Check]) -> list[Any]:
    """Runs the expectations by Great Expectations; each answer carries the name of its check."""
    batch = engine.definition.get_batch(batch_parameters={"dataframe": data})
    named = []
    for check in checks:
        expectation = check.expectation.copy(deep=True)
        expectation.meta = {"check": check.name}
        expectation.severity = FailureSeverity(check.severity)
        named.append(expectation)
    # Not by `add_expectation`: it drops one of two equal expectations, e.g. the row count and the volume.
    suite = gx.ExpectationSuite(name="suite", expectations=named)
    result_format = NAMES_FORMAT if checks[0].frame.kind in NAME_FRAMES else RESULT_FORMAT
    return list(batch.validate(suite, result_format=result_format).results)


def _failed(check: Check, observed: str) -> CheckResult:
    return CheckResult(check.name, check.severity, False, observed, check.expected, check.column)


def _read(check: Check, answer: Any) -> CheckResult:
    error = _exception(answer.exception_info)
    if error is not None:
        return _failed(check, f"engine error {error}")
    found = dict(answer.result or {})
    result = CheckResult(
        check.name, check.severity, answer.success is True, _counts(check, found), check.expected, check.column
    )
    if check.name in ("row_count", "volume"):
        return replace(result, rows=int(found["observed_value"]))
    return result


def _exception(info: Any) -> str | None:
    """Class name of the exception that an expectation raised; its message may hold values and is not kept."""
    entries = [info] if "raised_exception" in (info or {}) else list((info or {}).values())
    for entry in entries:
        if isinstance(entry, dict) and entry.get("raised_exception"):
            names = _ERROR_NAME.findall(str(entry.get("exception_traceback") or ""))
            return str(names[-1]) if names else "unknown"
    return None


def _counts(check: Check, found: dict[str, Any]) -> str:
    observed = found.get("observed_value")
    if check.frame.kind in NAME_FRAMES:
        return _column_differences(found)
    if check.frame.kind == "query":
        return "no figure" if observed is None else f"{float(observed):g}"
    if "unexpected_count" in found:
        units = "distinct values" if check.frame.kind == "values" else "rows"
        return f"{int(found['unexpected_count'])} of {int(found.get('element_count', 0))} {units} unexpected"
    return f"{int(found['observed_value'])} rows"


def _column_differences(found: dict[str, Any]) -> str:
    lists = {"unexpected": "partial_unexpected_list", "missing": "partial_missing_list"}
    named = {word: sorted(map(str, found.get(key) or ())) for word, key in lists.items()}
    return "; ".join(f"{word} {', '.join(names)}" for word, names in named.items() if names) or "as expected"
