"""Where the warehouse lives below C360_HOME, and which part of it is public."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from expectations import contracts
from jobs.core.settings import Settings

BUILD_FILE = Path("warehouse") / "build" / "c360_build.duckdb"
INTERNAL_SCHEMAS = ("staging", "intermediate")
SCHEMAS = (*INTERNAL_SCHEMAS, "marts", "segments", "activation", "ops")


def build_file(settings: Settings) -> Path:
    """The private file that dbt builds into; nobody reads it but the gate."""
    return settings.home / BUILD_FILE


def as_of_folder(settings: Settings) -> Path:
    """Builds as of a moment, a file each; drafts end in `.tmp`."""
    return settings.home / "warehouse" / "as_of"


def as_of_file(settings: Settings, as_of: datetime, pin: str | None) -> Path:
    """The file of a build as of a moment, and of the run whose Delta versions it has read."""
    moment = as_of.astimezone(UTC)
    stamp = moment.strftime("%Y%m%dT%H%M%S") + (f".{moment:%f}" if moment.microsecond else "") + "Z"
    return as_of_folder(settings) / f"{stamp}{'@' + quote(pin, safe='') if pin else ''}.duckdb"


def sidecar_file(settings: Settings) -> Path:
    """JSON beside the published file: build id, sha256, DuckDB version, storage version."""
    return settings.warehouse_file.with_name(settings.warehouse_file.name + ".json")


def pending_file(settings: Settings) -> Path:
    """The sidecar of the file that is about to be swapped in; there only while that is going on, or was broken off."""
    return settings.warehouse_file.with_name(settings.warehouse_file.name + ".next.json")


def wal_file(file: Path) -> Path:
    """DuckDB's write-ahead log of a file. Beside a published file there must be none: it would belong to another."""
    return file.with_name(file.name + ".wal")


def previous_folder(settings: Settings) -> Path:
    """`<build id>.duckdb` and its sidecar, for a rollback."""
    return settings.home / "warehouse" / "previous"


def epoch_folder(settings: Settings) -> Path:
    """One empty file per writer, named by its epoch."""
    return settings.home / "warehouse" / "epochs"


def dbt_folder(settings: Settings) -> Path:
    """Profile, compiled SQL, artifacts and logs of dbt."""
    return settings.home / "warehouse" / "dbt"


def spark_warehouse(settings: Settings) -> Path:
    """Root of the schemas that the target `spark` builds."""
    return settings.home / "spark" / "warehouse"


def public_marts() -> tuple[str, ...]:
    """Relations that other teams may rely on, `marts.<name>`."""
    return tuple(f"marts.{name}" for name in contracts.marts())
