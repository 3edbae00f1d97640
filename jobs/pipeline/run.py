"""`c360 run`: sample, lake, then the DAGs one after the other as `airflow dags test` runs them, one process at a time."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import click

from jobs.core.definitions import load_pulls, load_syncs
from jobs.core.errors import ExitCode, PermanentError
from jobs.core.exits import TaskExit, record_exit, recorded_exits
from jobs.core.settings import Settings, find_java
from jobs.pipeline.airflow_env import airflow_environment, forget_queued_events, migrate_once
from jobs.pipeline.processes import interruptible
from jobs.pipeline.watch import Airflow, Watch
from jobs.sample.files import held_households, own_files

JAVA_VERSIONS = (17, 21)
JAVA_REMEDY = (
    "Java 17 or 21 is needed, found {found}; "
    "Debian or Ubuntu: apt-get install -y openjdk-17-jre-headless · macOS: brew install openjdk@17"
)


class StageFailedError(PermanentError):
    """A step of the run failed; carries the exit code that the run ends with."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class Pipeline:
    """One `c360 run`: where it runs, and what it has to remember until its end."""

    settings: Settings
    run_id: str
    households: int | None = None
    refused_input: list[str] = field(default_factory=list)

    @property
    def logs(self) -> Path:
        """Full output of each step, of the last run."""
        return self.settings.home / "logs" / "run"

    def execute(self) -> ExitCode:
        """Runs every step; raises StageFailedError at the first that fails. 4 when some input was refused."""
        self.logs.mkdir(parents=True, exist_ok=True)
        require_supported_java()
        with interruptible():
            self._prepare()
            environment = airflow_environment(self.settings)
            if migrate_once(self.settings, environment):
                click.echo("airflow: database ready")
            with Airflow(environment) as airflow:
                for dag_id in dag_order(self.settings):
                    self._run_dag(dag_id, airflow)
            forget_queued_events(self.settings)
        return ExitCode.REFUSED_INPUT if self.refused_input else ExitCode.OK

    def _prepare(self) -> None:
        self._command("lake", "fetch-jars")
        if own_files(self.settings):
            click.echo("sample: landing/ holds files of your own, nothing is added")
        else:
            # Also over a sample that is there: one that was interrupted is completed, a whole one is left alone.
            households = self.households or held_households(self.settings)
            size = ["--households", str(households)] if households else []
            self._command("sample", "generate", *size)
        self._command("lake", "init")

    def _command(self, *arguments: str) -> None:
        name = "_".join(arguments[:2]).replace("-", "_")
        environment = self.settings.child_environment | {"C360_RUN_ID": f"prepare.{self.run_id}"}
        click.echo(f"▶ c360 {' '.join(arguments)}")
        watch = Watch(self.logs / f"{name}.log", unwrap=False)
        code = watch.run([self.settings.executable, *arguments], environment)
        record_exit(self.settings, TaskExit("prepare", name, self.run_id, 1, code))
        if code != ExitCode.OK:
            watch.show_tail()
            raise StageFailedError(f"`c360 {' '.join(arguments)}` failed; all of it: {watch.log}", _exit_of([code]))

    def _run_dag(self, dag_id: str, airflow: Airflow) -> None:
        before = len(recorded_exits(self.settings))
        click.echo(f"▶ {dag_id}")
        watch = Watch(self.logs / f"{dag_id}.log", unwrap=True)
        code = airflow.test(dag_id, watch)
        exits = recorded_exits(self.settings)[before:]
        self.refused_input += [e.task_id for e in exits if e.exit_code == ExitCode.REFUSED_INPUT]
        if code != ExitCode.OK:
            watch.show_tail()
            last = f" at {exits[-1].task_id}" if exits else ""
            raise StageFailedError(
                f"{dag_id} stopped{last}; all of it: {watch.log}", _exit_of([e.exit_code for e in exits[-1:]])
            )


def _exit_of(codes: list[int]) -> ExitCode:
    return ExitCode.GATED if ExitCode.GATED in codes else ExitCode.FAILED


def dag_order(settings: Settings) -> list[str]:
    """The DAGs in the order of their assets: scheduled pulls first, syncs last."""
    pulls = [f"pull_{pull.name}" for pull in load_pulls(settings.project_root).values() if pull.schedule]
    syncs = load_syncs(settings.project_root)
    return [*pulls, "ingest_events", "build_profiles", "train_models", "score_profiles", *syncs]


def require_supported_java() -> int:
    """Major version of java; raises PermanentError with the remedy in one line."""
    java = find_java()
    if java is None:
        raise PermanentError(JAVA_REMEDY.format(found="none"))
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    major = java_major(done.stderr + done.stdout)
    if major not in JAVA_VERSIONS:
        raise PermanentError(JAVA_REMEDY.format(found=major or "no working one"))
    return major


def java_major(text: str) -> int | None:
    """17 of `openjdk version "17.0.15"`, 8 of `java version "1.8.0_401"`; None when it names no version."""
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found[1]) if found else None
