"""The environment that Airflow runs in: everything under `C360_HOME/airflow`, loopback only, no example DAGs.

SQLite and the simple auth manager are for one machine. A company points Airflow's own settings at its Postgres and its
identity provider, and needs nothing of this module.
"""

import base64
import json
import os
import secrets
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from jobs.core.errors import PermanentError
from jobs.core.settings import TELEMETRY_OFF, Settings, bin_path

HOST = "127.0.0.1"
USER = "admin"
# The JWT signature is HS512, which wants at least 64 bytes; shorter secrets end in "Invalid auth token".
JWT_BYTES = 96
FERNET_BYTES = 32
# SQLite has one writer. Its default of 5 seconds is shorter than a slow disk may take, and Airflow loses the task then.
LOCK_SECONDS = 120
POOLS = {"warehouse": "DuckDB has one writer: build, gate and publish take turns"}


def airflow_home(settings: Settings) -> Path:
    """Airflow's own state: database, password file."""
    return settings.home / "airflow"


def password_file(settings: Settings) -> Path:
    """JSON, user to password, readable by the owner alone."""
    return airflow_home(settings) / "passwords.json"


def airflow_environment(settings: Settings, port: int | None = None) -> dict[str, str]:
    """Complete environment for an Airflow process; makes the folders, secrets and the password at first use."""
    home = airflow_home(settings)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_password(settings)
    port = port or settings.airflow_port
    fernet = base64.urlsafe_b64encode(_secret(settings, "airflow_fernet", FERNET_BYTES)).decode()
    options = {
        "CORE__DAGS_FOLDER": str(settings.project_root / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__FERNET_KEY": fernet,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(password_file(settings)),
        "CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout={LOCK_SECONDS}",
        "API__HOST": HOST,
        "API__PORT": str(port),
        "API__BASE_URL": f"http://{HOST}:{port}",
        "API__SECRET_KEY": _secret(settings, "airflow_api", FERNET_BYTES).hex(),
        "API_AUTH__JWT_SECRET": _secret(settings, "airflow_jwt", JWT_BYTES).hex(),
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # The first request of a task waits for the API to import its routes; the default of 5 seconds is too short.
        "WORKERS__EXECUTION_API_TIMEOUT": "30",
        "LOGGING__BASE_LOG_FOLDER": str(settings.home / "logs" / "airflow"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(settings.home / "logs" / "airflow" / "dag_processor"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
    }
    named = {f"AIRFLOW__{name}": value for name, value in options.items()}
    return settings.child_environment | TELEMETRY_OFF | named | {"AIRFLOW_HOME": str(home), "NO_COLOR": "1"}


def migrate_once(settings: Settings, environment: dict[str, str]) -> bool:
    """Creates Airflow's database and pools; returns False when this version has done so already (no process is started).

    Raises PermanentError with the last line of Airflow's output.
    """
    from importlib.metadata import version

    stamp = airflow_home(settings) / "migrated"
    done = f"apache-airflow {version('apache-airflow')}, pools {sorted(POOLS)}"
    if (
        stamp.exists()
        and stamp.read_text(encoding="utf-8") == done
        and (airflow_home(settings) / "airflow.db").exists()
    ):
        return False
    _airflow(environment, "db", "migrate")
    for pool, description in POOLS.items():
        _airflow(environment, "pools", "set", pool, "1", description)
    stamp.write_text(done, encoding="utf-8")
    return True


def forget_queued_events(settings: Settings) -> None:
    """Empties Airflow's queue of asset events, after a run that has run every consumer itself.

    `airflow dags test` records events but consumes none, so a scheduler started later would run all DAGs once more, at
    the same time. Airflow offers this by its REST API only, and there is no server here.
    """
    with closing(sqlite3.connect(airflow_home(settings) / "airflow.db", timeout=LOCK_SECONDS)) as database, database:
        database.execute("delete from asset_dag_run_queue")


def _airflow(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [bin_path("airflow"), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        tail = " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])
        raise PermanentError(f"airflow {' '.join(arguments[:2])} failed: {tail}; `make reset` starts from scratch")


def _secret(settings: Settings, name: str, size: int) -> bytes:
    """A random secret of the machine, made at first use. Nothing is lost with it but open Airflow sessions."""
    path = settings.home / "keys" / f"{name}.key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(path, secrets.token_bytes(size))
    return path.read_bytes()


def _write_password(settings: Settings) -> None:
    if not password_file(settings).exists():
        content = json.dumps({USER: secrets.token_urlsafe(18)})
        _write_private(password_file(settings), content.encode())


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
