"""The operator: what the command gets to see, how its end is judged, and that it ends with its task."""

import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from dags_kit import Stub, make_stub
from settingskit import make_settings

from jobs.core.exits import recorded_exits
from jobs.core.settings import Settings
from jobs.orchestration import operator
from jobs.orchestration.operator import C360Command, run_id_of

RUN_ID = "manual__2018-01-02T00:00:00+00:00 ünsafe/../$(id)"


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """A stub that the operator finds through the settings in the environment."""
    made = make_stub(tmp_path / "home")
    monkeypatch.setenv("C360_HOME", str(made.home))
    monkeypatch.setenv("C360_TASK_COMMAND", str(made.executable))
    return made


def context() -> Any:
    return {"run_id": RUN_ID, "ti": SimpleNamespace(try_number=1)}


def command(*arguments: str) -> C360Command:
    return C360Command(task_id="try_command", arguments=list(arguments))


def run(task: C360Command) -> None:
    task.execute(context())


@pytest.fixture(autouse=True)
def _dag_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator outside a DAG has no dag_id."""
    monkeypatch.setattr(C360Command, "dag_id", "some_dag", raising=False)


def test_success_is_silent_and_noted(stub: Stub) -> None:
    run(command("ingest", "run"))
    assert stub.commands == ["ingest run"]
    assert [(e.dag_id, e.task_id, e.exit_code) for e in recorded_exits(make_settings(stub.home))] == [
        ("some_dag", "try_command", 0)
    ]


@pytest.mark.parametrize("code", [2, 3])
def test_what_a_retry_cannot_help_fails_for_good(stub: Stub, code: int) -> None:
    stub.set_exit_codes({"quality gate silver": code})
    with pytest.raises(AirflowFailException, match=rf"c360 quality gate silver: .*exit code {code}"):
        run(command("quality", "gate", "silver"))


@pytest.mark.parametrize("code", [1, 5, 137])
def test_other_failures_are_tried_again(stub: Stub, code: int) -> None:
    stub.set_exit_codes({"models score": code})
    with pytest.raises(AirflowException, match=f"exit code {code}") as raised:
        run(command("models", "score"))
    assert not isinstance(raised.value, AirflowFailException)


def test_refused_input_succeeds_with_a_warning(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.set_exit_codes({"ingest run": 4})
    run(command("ingest", "run"))
    warnings = [line for line in capsys.readouterr().out.splitlines() if "[warning" in line]
    assert any("c360 ingest run: done, but some input was refused" in line for line in warnings)
    assert recorded_exits(make_settings(stub.home))[-1].exit_code == 4


def test_metacharacters_stay_literal_and_templates_render_once(stub: Stub, tmp_path: Path) -> None:
    evil = f"{{{{ 6*7 }}}}; $(touch {tmp_path}/ran) `id` | > * \\ 'x' \"y\" é\n&"
    task = command("sync", "{{ params.text }}", "{{ '--force' if params.force else '' }}")
    task.render_template_fields({"params": {"text": evil, "force": False}})
    run(task)
    assert stub.calls[0]["arguments"] == ["sync", evil]
    assert not (tmp_path / "ran").exists()


def test_a_flag_can_be_switched_by_a_parameter(stub: Stub) -> None:
    task = command("models", "train", "{{ '--force' if params.force else '' }}")
    task.render_template_fields({"params": {"force": True}})
    run(task)
    assert stub.commands == ["models train --force"]


def test_the_environment_is_clean(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "not-for-tasks"
    for name in ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("C360_SEED", "7")
    run(command("ingest", "run"))
    seen = stub.calls[0]["environment"]
    assert secret not in seen.values()
    assert not [name for name in seen if name.startswith("AIRFLOW__") and "USAGE_DATA" not in name]
    assert seen["C360_SEED"] == "7"
    assert seen["C360_HOME"] == str(stub.home)
    assert seen["DO_NOT_TRACK"] == "1"


def test_the_run_id_is_safe_for_every_command(stub: Stub) -> None:
    run(command("ingest", "run"))
    seen = stub.calls[0]["environment"]["C360_RUN_ID"]
    assert seen.startswith("some_dag.manual__2018-01-02T00:00:00+00:00-")
    assert re.fullmatch(r"[A-Za-z0-9_.:+-]{1,200}", seen)
    assert Settings(home=stub.home, run_id=seen).run_id == seen
    assert len(run_id_of("d", "x" * 500)) == 200


SLEEPER = """#!/bin/bash
{trap}
sleep 300 &
echo "$$ $!" > "$C360_HOME/pids"
wait; sleep 300
"""


@pytest.fixture(params=["", "trap '' TERM"], ids=["polite", "stubborn"])
def sleeper(request: pytest.FixtureRequest, stub: Stub) -> Path:
    stub.executable.write_text(SLEEPER.format(trap=request.param))
    return stub.home / "pids"


def wait_for(condition: Any, seconds: float = 20) -> None:
    deadline = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < deadline, "waited in vain"
        time.sleep(0.05)


def test_killing_the_task_ends_the_command_and_its_children(sleeper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "GRACE_SECONDS", 1)
    task = command("ingest", "run")
    errors: list[BaseException] = []

    def work() -> None:
        try:
            run(task)
        except AirflowException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: sleeper.exists() and len(sleeper.read_text().split()) == 2)
    pids = [int(pid) for pid in sleeper.read_text().split()]
    assert all(psutil.pid_exists(pid) for pid in pids)
    task.on_kill()
    thread.join(20)
    assert not thread.is_alive()
    assert len(errors) == 1
    wait_for(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
