"""`c360 airflow`: API server, scheduler and dag-processor on loopback, stopped together and in order."""

import http.client
import json
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import click

from jobs.core.errors import PermanentError, RetryableError, UsageError
from jobs.core.settings import Settings, bin_path
from jobs.pipeline.airflow_env import HOST, USER, airflow_environment, migrate_once, password_file
from jobs.pipeline.processes import interruptible, terminate

START_SECONDS = 120
POLL_SECONDS = 0.5
STOP_ORDER = ("scheduler", "dag-processor", "api-server")
# The log server of the scheduler would listen on every interface; on one machine the API reads the files by itself.
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}


@dataclass
class Server:
    """The three processes of one Airflow on one port."""

    settings: Settings
    port: int
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def run(self) -> None:
        """Starts all, says where to log in, and waits; returns after Ctrl-C or SIGTERM, raises when a component dies."""
        require_free_port(self.port)
        environment = airflow_environment(self.settings, self.port)
        with interruptible():
            try:
                self._start_all(environment)
                self._greet()
                self._watch()
            except KeyboardInterrupt:
                click.echo("stopping …")
            finally:
                self.stop()
        click.echo("stopped")

    def _start_all(self, environment: dict[str, str]) -> None:
        if migrate_once(self.settings, environment):
            click.echo("airflow: database ready")
        click.echo("starting Airflow …")
        self._start("api-server", environment)
        # A task's first request must find the API up, so the scheduler waits for it.
        self._await("/execution/health", ("status",))
        self._start("scheduler", environment)
        self._start("dag-processor", environment)
        self._await("/api/v2/monitor/health", ("scheduler", "dag_processor"))

    def _start(self, name: str, environment: dict[str, str]) -> None:
        self.log_of(name).parent.mkdir(parents=True, exist_ok=True)
        with self.log_of(name).open("w", encoding="utf-8") as log:
            self.processes[name] = subprocess.Popen(
                [bin_path("airflow"), *COMPONENTS[name]],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def log_of(self, name: str) -> Path:
        """Where a component's output goes."""
        return self.settings.home / "logs" / "airflow" / f"{name}.log"

    def _await(self, path: str, parts: tuple[str, ...]) -> None:
        deadline = time.perf_counter() + START_SECONDS
        while time.perf_counter() < deadline:
            self._raise_if_dead()
            found = health(self.port, path)
            if all(_is_healthy(found.get(part)) for part in parts):
                return
            time.sleep(POLL_SECONDS)
        raise RetryableError(f"Airflow was not up after {START_SECONDS} s; see {self.log_of('api-server').parent}")

    def _raise_if_dead(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise PermanentError(f"Airflow's {name} ended with {process.returncode}; see {self.log_of(name)}")

    def _greet(self) -> None:
        click.echo(f"Airflow is up:   http://{HOST}:{self.port}")
        click.echo(f"log in as:       {USER}, password in {password_file(self.settings)}")
        click.echo(f"task logs:       {self.log_of('api-server').parent}")
        click.echo(
            "to start:        ingest_events runs hourly or when triggered; its assets set off the others. Ctrl-C stops all."
        )

    def _watch(self) -> None:
        while True:
            self._raise_if_dead()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Ends the components in the order that lets each say goodbye to the next; safe to call twice."""
        for name in STOP_ORDER:
            if name in self.processes:
                terminate(self.processes.pop(name))


def health(port: int, path: str) -> dict[str, object]:
    """The health report of the API on loopback, empty while it does not answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return content if answer.status == http.HTTPStatus.OK and isinstance(content, dict) else {}


def _is_healthy(part: object) -> bool:
    status = part.get("status") if isinstance(part, dict) else part
    return status == "healthy"


def require_free_port(port: int) -> None:
    """Raises UsageError when something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(f"port {port} on {HOST} is taken; choose another: c360 airflow --port 8081") from error
