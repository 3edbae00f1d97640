"""`c360 run` over a real Airflow, with a stand-in for the c360 command."""

import subprocess
import time
from pathlib import Path

import psutil
from dags_kit import Stub

from jobs.core.settings import Settings, bin_path
from jobs.pipeline.airflow_env import migrate_once

GATE = "quality gate marts"


def start_run(settings: Settings, stub: Stub, log: Path) -> subprocess.Popen[bytes]:
    environment = settings.child_environment | {"C360_TASK_COMMAND": str(stub.executable)}
    with log.open("wb") as out:
        return subprocess.Popen([bin_path("c360"), "run"], env=environment, stdout=out, stderr=out)


def test_a_blocked_gate_stops_the_run_with_its_code(airflow_stub: tuple[Settings, Stub], tmp_path: Path) -> None:
    """The gate's 3 comes through Airflow, which only knows success and failure; refused input did not stop it before."""
    settings, stub = airflow_stub
    stub.set_exit_codes({"ingest run": 4, GATE: 3})
    log = tmp_path / "run.log"
    assert start_run(settings, stub, log).wait(240) == 3
    assert stub.commands == [
        "lake fetch-jars",
        "sample generate",
        "lake init",
        "ingest run",
        "quality gate silver",
        "identity run",
        "warehouse build --incremental",
        GATE,
    ]
    shown = log.read_text()
    assert "build_profiles stopped at gate_marts" in shown.splitlines()[-1]
    assert "INFO    jobs.stub  identity run" in shown
    assert "SubprocessHook" not in shown
    assert "SubprocessHook" in (settings.home / "logs" / "run" / "build_profiles.log").read_text()


def test_an_interrupted_run_leaves_no_process(airflow_stub: tuple[Settings, Stub], tmp_path: Path) -> None:
    settings, stub = airflow_stub
    sleeper = f'#!/bin/bash\n[ "$1" != ingest ] && exit 0\necho $$ > {tmp_path}/pid\nsleep 300\n'
    stub.executable.write_text(sleeper)
    process = start_run(settings, stub, tmp_path / "run.log")
    deadline = time.perf_counter() + 120
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.perf_counter() < deadline, (tmp_path / "run.log").read_text()
        time.sleep(0.2)
    below = psutil.Process(process.pid).children(recursive=True)
    assert int((tmp_path / "pid").read_text()) in {child.pid for child in below}
    process.terminate()
    assert process.wait(60) == 1
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []
    assert (tmp_path / "run.log").read_text().rstrip().endswith("c360: stopped")


def test_the_database_is_migrated_once(airflow_stub: tuple[Settings, Stub]) -> None:
    """An empty environment would make any Airflow process fail: none may be started."""
    settings, _ = airflow_stub
    assert migrate_once(settings, {}) is False
