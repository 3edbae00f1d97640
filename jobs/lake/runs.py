"""Records each stage of a run in `ops_runs`: rows, seconds, peak memory of its largest process, outcome."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import psutil
import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import C360Error, ExitCode
from jobs.lake.delta import append
from jobs.lake.lineage import StageRun
from jobs.lake.schema import arrow_schema

log = logging.getLogger(__name__)
SAMPLE_SECONDS = 0.5


@dataclass
class Stage:
    """What a stage reports of itself while it runs; written when it ends."""

    name: str
    rows_in: int | None = None
    rows_out: int | None = None
    status: str = "ok"
    details: dict[str, object] = field(default_factory=dict)


class PeakMemory:
    """Samples the resident set of this process and its children (the JVM is one) and keeps the largest single one."""

    def __init__(self) -> None:
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        me = psutil.Process()
        while True:
            for process in [me, *me.children(recursive=True)]:
                try:
                    self.bytes = max(self.bytes, process.memory_info().rss)
                except psutil.Error:
                    continue  # it ended between listing and asking
            if self._stop.wait(SAMPLE_SECONDS):
                return

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the sampling; safe to call twice."""
        self._stop.set()
        self._thread.join()


@contextmanager
def stage(context: Context, name: str) -> Iterator[Stage]:
    """Times and records one stage, `name` being `area.verb`. A failure is recorded with its status, then raised on."""
    current = Stage(name)
    started, begun = time.perf_counter(), context.clock.now()
    lineage = StageRun.of(context, name)
    lineage.emit("START", begun)
    log.info("%s: started", name)
    with PeakMemory() as peak:
        try:
            yield current
        except C360Error as error:
            current.status = "gated" if error.exit_code == ExitCode.GATED else "failed"
            raise
        except BaseException:
            current.status = "failed"
            raise
        finally:
            seconds = time.perf_counter() - started
            peak.stop()
            _record(context, current, seconds, peak.bytes)
            failed = current.status in ("failed", "gated")
            lineage.emit("FAIL" if failed else "COMPLETE", begun + timedelta(seconds=seconds))


def _record(context: Context, current: Stage, seconds: float, peak_bytes: int) -> None:
    row = {
        "run_id": context.run_id,
        "stage": current.name,
        "rows_in": current.rows_in,
        "rows_out": current.rows_out,
        "seconds": seconds,
        "peak_memory_bytes": peak_bytes,
        "status": current.status,
        "details": json.dumps(current.details, default=str, sort_keys=True),
        "recorded_at": context.clock.now(),
    }
    append(
        context.settings, "ops_runs", pa.Table.from_pylist([row], schema=arrow_schema(lake_table("ops_runs").contract))
    )
    counts = " → ".join("-" if n is None else str(n) for n in (current.rows_in, current.rows_out))
    log.info(
        "%s: %s, %s rows, %.1f s, peak %.0f MiB", current.name, current.status, counts, seconds, peak_bytes / 2**20
    )
