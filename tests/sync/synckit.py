"""A published warehouse in memory, a sync over it, and profiles whose e-mail addresses are in the vault."""

from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.definitions import SyncHeader
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from jobs.privacy.vault import store

NOW = datetime(2018, 1, 2, tzinfo=UTC)
RELATION = "activation.sync_file_drop_profiles"


def context_of(settings: Settings, run_id: str = "run-1") -> Context:
    """The context of one run, on the sample's clock."""
    return Context(settings=settings, clock=Clock(NOW), run_id=run_id)


def header(**changes: Any) -> SyncHeader:
    """A sync of three fields; `changes` replace what a test is about."""
    values: dict[str, Any] = {
        "name": "sync_test_profiles",
        "description": "Profiles for a test of the sync engine.",
        "destination": "file_drop",
        "relation": RELATION,
        "segment": "high_value_loyal",
        "asset": "segments",
        "key": "profile_id",
        "columns": {"email": "email_token", "stage": "lifecycle_stage", "value": "lifetime_value"},
        "first_run": "deliver",
    }
    return SyncHeader.model_validate(values | changes)


def address(number: int) -> str:
    """The raw e-mail of profile `number`."""
    return f"planted.{number}@example.org"


def token(number: int) -> str:
    """Its token."""
    return f"email_v1_{number:064x}"


class Warehouse:
    """A fake of the published file. Tests change profiles and hand `connection` to the sync."""

    def __init__(self, settings: Settings, profiles: int = 3) -> None:
        self.settings = settings
        self.connection = duckdb.connect()
        self.connection.execute("create schema activation")
        self.connection.execute("create schema marts")
        self.connection.execute(
            f"create table {RELATION} (profile_id varchar, segment_name varchar, email_token varchar, "
            "lifecycle_stage varchar, lifetime_value decimal(18,2))"
        )
        self.connection.execute(
            "create table marts.dim_profiles (profile_id varchar, has_marketing_consent boolean, "
            "has_profiling_consent boolean, has_sharing_consent boolean, is_suppressed boolean)"
        )
        for number in range(profiles):
            self.add(number)

    def add(self, number: int, *, segment: str = "high_value_loyal", in_vault: bool = True) -> str:
        """A profile with consent, in the relation; its e-mail goes to the vault."""
        key = f"p_{number:03d}"
        row = [key, segment, token(number), "active", "10.50"]
        self.connection.execute(f"insert into {RELATION} values (?, ?, ?, ?, ?)", row)
        self.connection.execute("insert into marts.dim_profiles values (?, true, true, true, false)", [key])
        if in_vault:
            store(self.settings, [(token(number), address(number))])
        return key

    def remove(self, key: str) -> None:
        """The profile leaves the segment."""
        self.connection.execute(f"delete from {RELATION} where profile_id = ?", [key])

    def set(self, key: str, **values: object) -> None:
        """Changes columns of the profile, in the relation or, for has_* and is_*, in dim_profiles."""
        for name, value in values.items():
            table = "marts.dim_profiles" if name.startswith(("has_", "is_")) else RELATION
            self.connection.execute(f"update {table} set {name} = ? where profile_id = ?", [value, key])


def lake_rows(settings: Settings, table: str, *rows: dict[str, object]) -> None:
    """Appends rows to a table of the lake; what a row leaves out has a value that no test minds."""
    defaults: dict[str, object] = {
        "valid_from": NOW, "last_seen_at": NOW, "event_count": 1, "consent_id": "c", "source": "pos", "is_simulated": False,
        "event_id": "e", "purpose": "marketing", "effective_at": NOW, "received_at": NOW, "receive_position": 1,
        "ingest_batch": "b", "reason": "unsubscribed", "identifier_type": "email", "merged_at": NOW,
    }  # fmt: skip
    schema = arrow_schema(lake_table(table).contract)
    filled = [{name: (defaults | row).get(name) for name in schema.names} for row in rows]
    delta.append(settings, table, pa.Table.from_pylist(filled, schema=schema))
