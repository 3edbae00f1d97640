"""Settings, read once: defaults, then `C360_HOME/settings.yml`, then `C360_*` environment variables (the last one wins).

This is the only module that touches the process environment.
"""

import os
import shutil
import sys
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from jobs.core.errors import UsageError
from jobs.core.settings_collector import CollectorSettings
from jobs.core.settings_kafka import KafkaSettings
from jobs.core.settings_maintenance import MaintenanceSettings
from jobs.core.settings_segments import SegmentSettings
from jobs.core.settings_transport import TransportSettings
from jobs.core.settings_warehouse import WarehouseSettings

PREFIX = "C360_"
PROJECT_ROOT = Path(__file__).resolve().parents[2]
# Telemetry of every library off, before any of them is imported.
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "RUNTIME__DLTHUB_TELEMETRY": "false",  # dlt
    "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",  # dlt would ask Airflow for its secrets
    "DLT_DISABLE_PLUGINS": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "TQDM_DISABLE": "1",
}
# What a child process may inherit besides C360_*: a clean environment keeps Airflow's secrets out of the tasks.
INHERITED = ("PATH", "HOME", "JAVA_HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "TERM")


def _absolute(value: object) -> object:
    """Raises ValueError for a path with a quote: engines are given paths below it within quotes, in statements of many places."""
    path = Path(str(value)).expanduser().resolve()
    if "'" in str(path):
        raise ValueError(f"{path} holds a quote, which no path of a statement may; name a folder without one")
    return path


class Settings(
    CollectorSettings, KafkaSettings, MaintenanceSettings, SegmentSettings, TransportSettings, WarehouseSettings
):
    """All settings of c360. Every field can be set as `C360_<FIELD>`; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Annotated[Path, BeforeValidator(_absolute)] = Field(
        default=Path(".c360"), validate_default=True, description="Folder that holds everything a run makes"
    )
    now: datetime | None = Field(default=None, description="Fixed clock, ISO 8601 with zone; unset means wall clock")
    run_id: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_.:+-]{1,200}$", description="Id of the run, set by the DAGs"
    )
    seed: int = Field(default=20180102, description="Seed of everything random; printed by whoever uses it")
    sample_households: int | None = Field(
        default=None, ge=1, description="Take only this many households of the sample"
    )
    spark_master: str = Field(default="local[2]", description="Spark master URL")
    spark_driver_memory: str = Field(default="3g", pattern=r"^\d+[gm]$", description="Heap of the Spark driver")
    shuffle_partitions: int = Field(default=2, ge=1, description="Spark shuffle partitions; cores on one machine")
    spark_max_file_bytes: str = Field(default="256m", description="Most input bytes of one micro-batch")
    small_batch_rows: int = Field(
        default=50_000,
        ge=0,
        description="Micro-batches of so many rows at most go through memory and are written by delta-rs, not Spark",
    )
    identity_changes_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of the profiles that an identity run may merge and split unasked"
    )
    identity_changes: int = Field(default=10, ge=0, description="So many it may in any case, however few there are")
    identity_spark_edges: int = Field(
        default=20_000_000,
        ge=0,
        description="Links beyond which identity finds connected components on Spark, not in memory",
    )
    dedupe_index_keys: int = Field(
        default=20_000_000,
        ge=0,
        description="Events whose keys are held in memory (12 bytes each) to find repeats; beyond, silver is read",
    )
    duckdb_memory: str = Field(default="3GB", description="Memory limit of one DuckDB connection")
    duckdb_threads: int = Field(default=2, ge=1, description="Threads of one DuckDB connection")
    dbt_target: Literal["duckdb", "spark"] = Field(default="duckdb", description="Engine of the warehouse build")
    currency: str = Field(
        default="USD",
        pattern=r"^[A-Z]{3}$",
        description="ISO 4217 code that sums of amounts are in, and of orders that name none",
    )
    token_window_days: int = Field(
        default=30, ge=0, le=365, description="Days for which tokens of a rotated key are still found"
    )
    retrain_days: int = Field(default=7, ge=1, description="Age of the champion after which it is trained anew")
    airflow_port: int = Field(default=8080, ge=1, le=65535, description="Port of Airflow's API and UI, on loopback")
    task_command: Annotated[Path, BeforeValidator(_absolute)] | None = Field(
        default=None,
        description="The c360 executable that runs and DAG tasks start; unset means the one beside this Python",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe log line of c360 to show"
    )
    testing: bool = Field(default=False, description="Allows fail_at and sabotage; never set it where data matters")
    fail_at: str | None = Field(
        default=None, pattern=r"^[a-z_]+(:[1-9]\d*)?$", description="Tests only: end the process at this failpoint"
    )
    sabotage: str | None = Field(default=None, pattern=r"^[a-z_]+$", description="Tests only: leave a protection out")

    @model_validator(mode="after")
    def _faults_need_testing(self) -> "Settings":
        if (self.fail_at or self.sabotage) and not self.testing:
            raise ValueError("fail_at and sabotage are for tests: they need C360_TESTING=1")
        return self

    @property
    def project_root(self) -> Path:
        """Folder of the checkout: dags/, dbt_project/, infra/."""
        return PROJECT_ROOT

    @property
    def landing(self) -> Path:
        """`<source>/<file>` delivered by producers."""
        return self.home / "landing"

    @property
    def sealed(self) -> Path:
        """Checked, numbered files for the bronze stream."""
        return self.home / "sealed"

    @property
    def lake(self) -> Path:
        """Root of the Delta tables."""
        return self.home / "lake"

    @property
    def checkpoints(self) -> Path:
        """Spark streaming checkpoints."""
        return self.home / "checkpoints"

    @property
    def warehouse_file(self) -> Path:
        """The published DuckDB file; replaced whole, never opened for writing."""
        return self.home / "warehouse" / "c360.duckdb"

    @property
    def executable(self) -> str:
        """The c360 command that child processes are started with."""
        return str(self.task_command or bin_path("c360"))

    @cached_property
    def child_environment(self) -> dict[str, str]:
        """Environment for child processes: a short list of inherited names, telemetry off, our settings."""
        environment = {k: os.environ[k] for k in INHERITED if k in os.environ}
        environment |= {k: v for k, v in os.environ.items() if k.startswith(PREFIX)}
        return environment | TELEMETRY_OFF | {"C360_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}


def _from_environment() -> dict[str, str]:
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    given = {k: v for k, v in os.environ.items() if k.startswith(PREFIX) and v != ""}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"unknown setting {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    return {known[k]: v for k, v in given.items()}


def _from_home(home: Path) -> dict[str, object]:
    file = home / "settings.yml"
    if not file.exists():
        return {}
    found = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    if not isinstance(found, dict) or "home" in found:
        raise UsageError(f"{file}: expected a mapping of settings without `home`; see `c360 config show`")
    return found


def load_settings(**overrides: object) -> Settings:
    """Builds the settings; raises UsageError with the name of the bad setting and what is allowed."""
    given = _from_environment() | {k: v for k, v in overrides.items() if v is not None}
    home = Path(str(given.get("home", ".c360"))).expanduser().resolve()
    try:
        return Settings.model_validate(_from_home(home) | given)
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "settings"
        raise UsageError(f"{name}: {first['msg']} (in the environment or {home / 'settings.yml'})") from error


def setting_origins(settings: Settings) -> dict[str, str]:
    """Where each setting's value comes from: default, settings.yml, environment, or command line (`--home`)."""
    file, environment = _from_home(settings.home), _from_environment()
    origins: dict[str, str] = {}
    for name in Settings.model_fields:
        origins[name] = "environment" if name in environment else "settings.yml" if name in file else "default"
    default_home = Path(str(environment.get("home", ".c360"))).expanduser().resolve()
    if settings.home != default_home:
        origins["home"] = "command line"
    return origins


def prepare_process() -> None:
    """Switches telemetry off for this process and its children; called once by the CLI before heavy imports."""
    os.environ.update(TELEMETRY_OFF)


def set_process_variables(values: dict[str, str]) -> None:
    """For libraries that read their options from the environment only (Airflow, Spark's launcher); the one door."""
    os.environ.update(values)


def find_java() -> str | None:
    """Path of the java command that Spark would start, or None."""
    home = os.environ.get("JAVA_HOME")
    candidate = Path(home) / "bin" / "java" if home else None
    return str(candidate) if candidate and candidate.exists() else shutil.which("java")


def bin_path(command: str) -> str:
    """Path of a console script beside the running Python, so that children use the same environment."""
    return str(Path(sys.executable).parent / command)
