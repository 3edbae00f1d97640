"""The main job without its processes: what it decides, what it shows, what it remembers."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from jobs.core.errors import ExitCode, PermanentError
from jobs.core.exits import ENDED, TaskExit, record_exit, recorded_exits
from jobs.core.settings import Settings
from jobs.pipeline import run as run_module
from jobs.pipeline import watch as watch_module
from jobs.pipeline.airflow_env import airflow_environment, password_file
from jobs.pipeline.output import is_progress, task_started, task_text
from jobs.pipeline.render import render, render_balance, verdict
from jobs.pipeline.run import Pipeline, StageFailedError, dag_order, java_major
from jobs.pipeline.summary import Summary, dag_of, last_of, stage_key
from jobs.pipeline.watch import Airflow, Watch
from jobs.sample.files import marker_file

HOOK = "[airflow.task.hooks.airflow.providers.standard.hooks.subprocess.SubprocessHook] loc=subprocess.py:106"
LINE = f"2026-01-01T00:00:00.000000Z [info     ] 12:00:01 INFO    jobs.lake.runs  ingest.run: ok {HOOK}"


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_401"', 8),
        ("command not found", None),
    ],
)
def test_java_versions(text: str, major: int | None) -> None:
    assert java_major(text) == major


def test_missing_java_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "find_java", lambda: None)
    with pytest.raises(PermanentError, match="apt-get install -y openjdk-17-jre-headless") as raised:
        run_module.require_supported_java()
    assert "\n" not in str(raised.value)


def test_unsupported_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setattr(run_module, "find_java", lambda: str(java))
    with pytest.raises(PermanentError, match="found 11"):
        run_module.require_supported_java()


def test_lines_of_airflow_are_unwrapped() -> None:
    assert task_text(LINE) == "12:00:01 INFO    jobs.lake.runs  ingest.run: ok"
    assert is_progress(task_text(LINE) or "")
    assert task_text(f"2026-01-01T00:00:00Z [info     ] Output:      {HOOK}") is None
    assert (
        task_text("2026-01-01T00:00:00Z [info     ] Created dag run. [airflow.models.dagrun] loc=dagrun.py:1") is None
    )
    assert (
        task_started("… [info     ] [DAG TEST] starting task_id=gate_marts map_index=-1 [airflow.sdk]") == "gate_marts"
    )
    assert not is_progress("Setting default log level to WARN")
    assert is_progress("c360: gate silver blocked: 0 rows")


def test_exits_are_kept_in_order(settings: Settings) -> None:
    assert recorded_exits(settings) == []
    for code in (0, 4, 3):
        record_exit(settings, TaskExit("d", "t", "r", 1, code))
    assert [e.exit_code for e in recorded_exits(settings)] == [0, 4, 3]


class FakeWatch(Watch):
    """Ends each DAG as told by `script`: its tasks' exit codes, and that of Airflow."""

    script: ClassVar[dict[str, tuple[list[int], int]]] = {}
    started: ClassVar[list[str]] = []
    settings: ClassVar[Settings]

    def run(self, command: list[str], environment: dict[str, str]) -> int:
        return self.end(" ".join(command[1:3]))

    def end(self, name: str) -> int:
        self.started.append(name)
        codes, code = self.script.get(name, ([0], 0))
        for number, task_code in enumerate(codes):
            record_exit(self.settings, TaskExit(name, f"task_{number}", "r", 1, task_code))
        return code


class FakeAirflow(Airflow):
    """Starts no process."""

    def __enter__(self) -> Airflow:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def test(self, dag_id: str, watch: Watch) -> int:
        assert isinstance(watch, FakeWatch)
        return watch.end(dag_id)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> type[FakeWatch]:
    monkeypatch.setattr(FakeWatch, "settings", settings, raising=False)
    monkeypatch.setattr(FakeWatch, "script", {})
    monkeypatch.setattr(FakeWatch, "started", [])
    monkeypatch.setattr(run_module, "Watch", FakeWatch)
    monkeypatch.setattr(run_module, "Airflow", FakeAirflow)
    monkeypatch.setattr(run_module, "require_supported_java", lambda: 17)
    monkeypatch.setattr(run_module, "migrate_once", lambda settings, environment: False)
    monkeypatch.setattr(run_module, "forget_queued_events", lambda settings: None)
    return FakeWatch


def test_a_run_goes_through_every_dag(watch: type[FakeWatch], settings: Settings) -> None:
    assert Pipeline(settings, "r1", 60).execute() == ExitCode.OK
    assert watch.started == ["lake fetch-jars", "sample generate", "lake init", *dag_order(settings)]
    assert watch.started[-1].startswith("sync_")


def put(settings: Settings, *files: str) -> None:
    for file in files:
        path = settings.landing / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


@pytest.mark.parametrize("file", ["pos/mine.ndjson", "loyalty_app/orders_2017_01.ndjson.gz"])
def test_the_sample_is_not_added_to_files_of_ones_own(
    watch: type[FakeWatch], settings: Settings, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, "pos/orders_2017_01.ndjson.gz", file)
    Pipeline(settings, "r1").execute()
    assert "sample generate" not in watch.started
    assert "files of your own" in capsys.readouterr().out


def test_an_interrupted_sample_is_completed(watch: type[FakeWatch], settings: Settings) -> None:
    """Whole files of the sample, and what was half written or is being delivered: none of it is input of one's own."""
    put(settings, "pos/orders_2017_01.ndjson.gz", "pos/.orders_2017_02.ndjson.gz.partial", "shop/.new.ndjson.partial")
    (settings.landing / "empty").mkdir()
    Pipeline(settings, "r1").execute()
    assert "sample generate" in watch.started


def test_a_small_sample_stays_small(
    watch: type[FakeWatch], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another `c360 run` without a size keeps the one there is; the sample is never exchanged by the way."""
    settings.home.mkdir(exist_ok=True)
    marker_file(settings).write_text('{"recipe": {"households": 60}, "files": []}')
    Pipeline(settings, "r1").execute()
    assert "▶ c360 sample generate --households 60" in capsys.readouterr().out.splitlines()


def test_refused_input_is_remembered_to_the_end(watch: type[FakeWatch], settings: Settings) -> None:
    watch.script["ingest_events"] = ([4, 0], 0)
    assert Pipeline(settings, "r1").execute() == ExitCode.REFUSED_INPUT
    assert watch.started[-1].startswith("sync_")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 3], ExitCode.GATED), ([0, 1, 1], ExitCode.FAILED), ([2], ExitCode.FAILED), ([], ExitCode.FAILED)],
)
def test_the_first_failure_ends_the_run(
    watch: type[FakeWatch], settings: Settings, codes: list[int], expected: ExitCode
) -> None:
    watch.script["build_profiles"] = (codes, 1)
    with pytest.raises(StageFailedError, match="build_profiles stopped") as raised:
        Pipeline(settings, "r1").execute()
    assert raised.value.exit_code == expected
    assert watch.started[-1] == "build_profiles"


def test_an_old_exit_code_is_not_taken_for_a_new_one(watch: type[FakeWatch], settings: Settings) -> None:
    record_exit(settings, TaskExit("build_profiles", "gate_marts", "old", 1, 3))
    watch.script["build_profiles"] = ([], 1)
    with pytest.raises(StageFailedError) as raised:
        Pipeline(settings, "r1").execute()
    assert raised.value.exit_code == ExitCode.FAILED


def test_watch_shows_progress_and_keeps_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(tmp_path / "all.log", unwrap=True)
    noise = "2026-01-01T00:00:00Z [info     ] Created dag run. [airflow.models.dagrun] loc=dagrun.py:1"
    script = f"printf '%s\\n' '{noise}' '{LINE}'; exit 5"
    assert watch.run(["/bin/sh", "-c", script], {"PATH": "/bin:/usr/bin"}) == 5
    assert capsys.readouterr().out == "    12:00:01 INFO    jobs.lake.runs  ingest.run: ok\n"
    assert (tmp_path / "all.log").read_text() == f"{noise}\n{LINE}\n"


def test_one_airflow_tests_dags_in_turn_and_its_death_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        f"#!/bin/sh\nwhile read name; do [ $name = dies ] && exit 7; printf \"said $name\"; echo '{ENDED} 3'; done\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(watch_module, "bin_path", lambda _: str(fake))
    with Airflow({"PATH": "/bin:/usr/bin"}) as airflow:
        names = ("a", "b", "dies", "late")
        codes = [airflow.test(name, Watch(tmp_path / f"{name}.log", unwrap=True)) for name in names]
    assert codes == [3, 3, 7, 7]
    assert [(tmp_path / f"{name}.log").read_text() for name in ("a", "b", "dies")] == ["said a\n", "said b\n", ""]


@pytest.mark.parametrize(("losses", "expected"), [(1, 0), (2, -9)])
def test_a_dag_that_airflow_loses_is_begun_again_once(
    losses: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake, waits = tmp_path / "python", "… No tasks to run. unrunnable tasks: {<TaskInstance: a.b>} …"
    lose = f"[ $(wc -c < {tmp_path}/starts) -le {losses} ] && yes '{waits}' 2>/dev/null"
    fake.write_text(f"#!/bin/sh\nprintf . >> {tmp_path}/starts\nread name; {lose}\necho '{ENDED} 0'; read end\n")
    fake.chmod(0o755)
    monkeypatch.setattr(watch_module, "bin_path", lambda _: str(fake))
    with Airflow({"PATH": "/bin:/usr/bin"}) as airflow:
        assert airflow.test("a", Watch(tmp_path / "a.log", unwrap=True)) == expected
    told = [line for line in (tmp_path / "a.log").read_text().splitlines() if line != waits]
    assert len(told) == losses
    assert "it is begun again" in told[0]
    assert ("given up" in capsys.readouterr().err) == (losses == 2)


def test_airflow_lives_in_the_home_on_loopback(settings: Settings) -> None:
    environment = airflow_environment(settings, 8123)
    assert environment["AIRFLOW_HOME"].startswith(str(settings.home))
    assert str(settings.home) in environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8123"
    assert len(environment["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64
    assert airflow_environment(settings, 8123) == environment
    secrets = [password_file(settings), *(settings.home / "keys").iterdir()]
    assert len(secrets) == 4
    assert [file.stat().st_mode & 0o777 for file in secrets] == [0o600] * 4


def row(run_id: str, stage: str, value: int) -> dict[str, Any]:
    return {"run_id": run_id, "stage": stage, "value": value}


def test_the_last_record_of_each_stage_of_each_dag() -> None:
    rows = [
        row("build_profiles.manual__1", "warehouse.build", 1),
        row("score_profiles.manual__1", "warehouse.build", 2),
        row("build_profiles.manual__2", "warehouse.build", 3),
        row("manual-abc", "warehouse.build", 4),
    ]
    assert [r["value"] for r in last_of(rows, stage_key)] == [2, 3, 4]
    assert dag_of("manual-abc") == "by hand"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"model": 0.12, "popularity": 0.1},
            "ALS beats popularity on recall_at_10_new_only: 0.1200 against 0.1000 (+20.0%)",
        ),
        ({"model": 0.1, "popularity": 0.1}, "ALS does NOT beat popularity"),
        ({"model": 0.1, "popularity": 0.0}, "ALS beats popularity on recall_at_10_new_only: 0.1000 against 0.0000"),
        ({"model": 0.1}, "recall_at_10_new_only was not measured beside popularity"),
    ],
)
def test_the_verdict_is_plain(values: dict[str, float], expected: str) -> None:
    assert verdict(values).startswith(expected)


def test_a_balance_that_is_off_is_named() -> None:
    counts = {"received": 3, "accepted": 1, "duplicate": 0, "quarantined": 1, "suppressed": 0, "in_flight": 0}
    good = {"source": "pos", **counts, "received": 2, "is_balanced": True}
    bad = {"source": "sim_web", **counts, "is_balanced": False}
    assert render_balance([good])[-1] == "every message is accounted for"
    assert render_balance([good, bad])[-1] == "the balance is OFF for sim_web"


def test_own_data_is_sent_to_a_home_without_the_sample() -> None:
    beside_sample = render(Summary("/data/one", "/data/one/warehouse/c360.duckdb", has_sample=True))
    assert "your data   put files into landing/<source>/ of a fresh C360_HOME" in beside_sample
    assert "/data/one holds the sample and runs on the sample's clock" in beside_sample
    alone = render(Summary("/data/two", "/data/two/warehouse/c360.duckdb"))
    assert "your data   put files into /data/two/landing/<source>/ and run again" in alone
    assert "sample" not in alone
