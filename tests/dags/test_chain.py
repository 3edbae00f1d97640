"""`c360 airflow` with a real scheduler: triggering ingest_events sets off all other DAGs, and nothing stays behind."""

import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from dags_kit import Stub

from jobs.core.settings import Settings, bin_path
from jobs.pipeline.airflow_env import airflow_environment
from jobs.pipeline.run import dag_order

UP = "Airflow is up:"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < deadline, "waited in vain"
        time.sleep(0.5)


def finished_runs(settings: Settings) -> set[tuple[str, str, str]]:
    """(DAG, what set it off, state) of each run in Airflow's database."""
    database = settings.home / "airflow" / "airflow.db"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return set(connection.execute("select dag_id, run_type, state from dag_run").fetchall())


def listeners(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    """Of those that are still there: the children of Airflow come and go while they are asked."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            connections = process.net_connections(kind="inet")
            found |= {(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.timeout(400)
def test_assets_carry_the_chain(airflow_stub: tuple[Settings, Stub], tmp_path: Path) -> None:
    settings, stub = airflow_stub
    port = free_port()
    environment = settings.child_environment | {"C360_TASK_COMMAND": str(stub.executable)}
    log = tmp_path / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [bin_path("c360"), "airflow", "--port", str(port)], env=environment, stdout=out, stderr=out
        )
    try:
        wait_for(lambda: UP in log.read_text() or server.poll() is not None, 180)
        assert UP in log.read_text(), log.read_text()
        assert (settings.home / "airflow" / "passwords.json").stat().st_mode & 0o077 == 0
        subprocess.run(
            [bin_path("airflow"), "dags", "trigger", "ingest_events"],
            env=airflow_environment(settings, port) | {"C360_TASK_COMMAND": str(stub.executable)},
            check=True,
            capture_output=True,
        )
        _, *consumers = dag_order(settings)
        wanted = {("ingest_events", "manual", "success")}
        wanted |= {(dag_id, "asset_triggered", "success") for dag_id in consumers}
        wait_for(lambda: wanted <= finished_runs(settings), 150)
        below = psutil.Process(server.pid).children(recursive=True)
        assert listeners(below) == {("127.0.0.1", port)}
        assert {"failed", "upstream_failed"} & {state for _, _, state in finished_runs(settings)} == set()
    finally:
        below = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
        server.terminate()
        assert server.wait(90) == 0, log.read_text()
    assert not [process for process in below if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert log.read_text().rstrip().endswith("stopped")
    order = list(dict.fromkeys(stub.commands))
    assert order.index("ingest run") < order.index("quality gate silver") < order.index("identity run")
    assert order.index("warehouse publish") < order.index("models train") < order.index("models score")
