"""Runs a gate: reads the tables, has them judged, writes `ops_quality_results`, stops the flow when something is wrong."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from expectations.contracts import TableContract
from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import GateError
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.schema import arrow_schema
from jobs.quality.frames import fetcher
from jobs.quality.gates import Gate
from jobs.quality.history import PastResult, volume_floor

if TYPE_CHECKING:
    from expectations.gate import GateVerdict

log = logging.getLogger(__name__)
RESULTS = "ops_quality_results"
# What the gate reads: the connection, and the version of each table by name.
Reading: TypeAlias = tuple[Any, dict[str, str]]


def run_gate(context: Context, gate: Gate) -> "list[GateVerdict]":
    """Judges every table of the gate and records all results, then raises GateError if one of them blocks."""
    verdicts = []
    rows: list[dict[str, object]] = []
    with _open(context, gate) as (connection, versions):
        for contract in gate.tables:
            verdict = judge_table(context, gate, contract, connection)
            verdicts.append(verdict)
            rows += _rows(context, gate, verdict, versions[contract.name])
            log.info(
                "%s: %s, %d checks", contract.name, "passed" if verdict.passed else "BLOCKED", len(verdict.results)
            )
            for warning in verdict.warnings:
                log.warning("%s: %s", contract.name, warning)
    _record(context, gate, rows)
    blocked = [verdict for verdict in verdicts if not verdict.passed]
    if blocked or not verdicts:
        raise GateError(_message(context, gate, blocked))
    return verdicts


def judge_table(context: Context, gate: Gate, contract: TableContract, connection: Any) -> "GateVerdict":
    """The verdict on one table of the gate, read through the connection."""
    from expectations.extra import extras
    from expectations.gate import judge
    from expectations.suites import build_suite

    suite = build_suite(
        contract,
        extras().get(contract.name, ()),
        min_rows=0 if gate.may_be_empty else 1,
        volume_floor=volume_floor(_past(context, gate, contract.name), run_id=context.run_id),
    )
    return judge(suite, fetcher(connection, gate.relation(contract.name), contract))


@contextmanager
def _open(context: Context, gate: Gate) -> Iterator[Reading]:
    if gate.place == "build":
        from jobs.warehouse.reader import build_id, open_build

        connection = open_build(context.settings)
        versions = dict.fromkeys((c.name for c in gate.tables), str(build_id(connection)))
    else:
        versions = {c.name: str(delta.version(context.settings, c.name)) for c in gate.tables}
        connection = lake_connection(context.settings)
    try:
        yield connection, versions
    finally:
        connection.close()


def _past(context: Context, gate: Gate, table: str) -> list[PastResult]:
    kept = delta.read(context.settings, RESULTS).to_pylist()
    names = ("run_id", "expectation", "severity", "is_success", "observed", "recorded_at")
    mine = (row for row in kept if row["gate"] == gate.name and row["table_name"] == table)
    return [PastResult(**{name: row[name] for name in names}) for row in mine]


def _rows(context: Context, gate: Gate, verdict: "GateVerdict", version: str) -> list[dict[str, object]]:
    return [
        {
            "run_id": context.run_id,
            "gate": gate.name,
            "table_name": verdict.table,
            "expectation": result.name,
            "column_name": result.column,
            "severity": result.severity,
            "is_success": result.is_success,
            "observed": result.observed,
            "expected": result.expected,
            "table_version": version,
            "recorded_at": context.clock.now(),
        }
        for result in verdict.results
    ]


def _record(context: Context, gate: Gate, rows: list[dict[str, object]]) -> None:
    """Swaps the results of this run and gate: a second attempt of the same run states what it found, not both."""
    table = pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(RESULTS).contract))
    predicate = f"run_id = '{context.run_id}' and gate = '{gate.name}'"
    delta.replace(context.settings, RESULTS, table, predicate=predicate)


def _message(context: Context, gate: Gate, blocked: "list[GateVerdict]") -> str:
    if not blocked:
        return f"gate {gate.name} has no tables to judge and blocks; mark tables as gated in expectations/contracts"
    count = sum(len(verdict.reasons) for verdict in blocked)
    first = [f"{verdict.table} {reason}" for verdict in blocked for reason in verdict.reasons][:3]
    more = f" and {count - len(first)} more" if count > len(first) else ""
    return (
        f"gate {gate.name} blocked, {gate.protects}: {'; '.join(first)}{more}. "
        f"Remedy: {gate.remedy}; all results: c360 quality show --run {context.run_id}"
    )
