"""The one operator of c360: a task is a `c360` command that a person could type, as a list of arguments."""

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from jobs.core.errors import ExitCode
from jobs.core.exits import TaskExit, record_exit
from jobs.core.settings import Settings, load_settings

GRACE_SECONDS = 10
NOT_IN_RUN_ID = re.compile(r"[^A-Za-z0-9_.:+-]")
LONGEST_RUN_ID = 200
# Trying again cannot help: the data has to change, or the way the command is called.
FINAL = {
    ExitCode.USAGE: "the command was called wrongly (exit code 2)",
    ExitCode.GATED: "stopped by a gate or guard (exit code 3); nothing was published",
}


class C360Command(BaseOperator):
    """Runs `c360 <arguments>` as a child process and maps its exit code: 0 and 4 succeed, 2 and 3 fail, others retry.

    No shell: metacharacters stay literal, arguments are rendered once, and those that render to nothing are left out
    (so that a parameter can switch a flag). The child sees C360_* settings and a short list of inherited variables,
    never Airflow's own, and dies with its process group when the task is killed.
    """

    template_fields: Sequence[str] = ("arguments",)
    ui_color = "#e8f1f8"

    def __init__(self, *, arguments: list[str], **kwargs: Any) -> None:
        super().__init__(do_xcom_push=False, **kwargs)
        self.arguments = arguments

    @cached_property
    def hook(self) -> SubprocessHook:
        """Starts the child in a session of its own and copies its output to the task log."""
        return SubprocessHook()

    def execute(self, context: Context) -> None:
        """Runs the command; raises AirflowFailException when a retry cannot help, AirflowException when it may."""
        settings = load_settings()
        run_id = run_id_of(self.dag_id, str(context["run_id"]))
        command = [settings.executable, *(argument for argument in self.arguments if argument != "")]
        environment = child_environment(settings, run_id)
        try:
            result = self.hook.run_command(command, env=environment, cwd=str(settings.project_root))
        except KeyboardInterrupt as interrupt:
            self.on_kill()
            raise AirflowFailException("interrupted by hand; not tried again") from interrupt
        except BaseException:  # a timeout, for one: it must not leave a writer behind
            self.on_kill()
            raise
        try_number = int(context["ti"].try_number or 1)
        record_exit(settings, TaskExit(self.dag_id, self.task_id, run_id, try_number, result.exit_code))
        self._judge(result.exit_code)

    def _judge(self, exit_code: int) -> None:
        command = " ".join(["c360", *self.arguments]).strip()
        if exit_code in FINAL:
            raise AirflowFailException(f"{command}: {FINAL[ExitCode(exit_code)]}")
        if exit_code == ExitCode.REFUSED_INPUT:
            self.log.warning("%s: done, but some input was refused (exit code 4); see `c360 ops landing`", command)
        elif exit_code != ExitCode.OK:
            raise AirflowException(f"{command}: ended with exit code {exit_code}; see the log above")

    def on_kill(self) -> None:
        """Asks the child's process group to end, and makes it end after a grace period."""
        child = self.hook.sub_process
        if child is None or child.poll() is not None:
            return
        group = child.pid  # the hook starts the child as leader of its own session
        os.killpg(group, signal.SIGTERM)
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(group, signal.SIGKILL)


def run_id_of(dag_id: str, dag_run_id: str) -> str:
    """C360_RUN_ID of a DAG run, e.g. `build_profiles.manual__2018-01-02T00:00:00`; unique over DAGs, safe characters."""
    return NOT_IN_RUN_ID.sub("-", f"{dag_id}.{dag_run_id}")[:LONGEST_RUN_ID]


def child_environment(settings: Settings, run_id: str) -> dict[str, str]:
    """What a task's command sees: our settings and the run's id; no Airflow configuration, no secrets of it."""
    return settings.child_environment | {"C360_RUN_ID": run_id}
