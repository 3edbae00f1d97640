"""What the evaluator reads: silver's events, whose they are, and the attributes of the published build, in its connection."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.segments.live import owners
from jobs.segments.live.core import Live
from jobs.segments.live.state import Arrivals
from jobs.segments.live.typed import PLAIN
from jobs.warehouse.reader import open_published
from jobs.warehouse.sidecar import read_sidecar

log = logging.getLogger(__name__)
# Of an event in silver; `properties` only of names that count.
EVENT = ("event_key", "name", "effective_at", "received_at", "receive_position", "is_simulated", *owners.KINDS.values())
SIGHTING = (
    "select profile_id, 'sighted|' || identifier_type || '|' || identifier_value as event_key, '' as name,"
    " effective_at, received_at, 0 as receive_position, cast(null as varchar) as properties, is_simulated"
    " from sighted_owners inner join sighted using (identifier_type, identifier_value) where is_provisional"
)


@dataclass
class Sources:
    """The lake and the published warehouse, as the evaluator's connection sees them."""

    settings: Settings
    live: Live
    identity: tuple[int, ...] = ()
    build: str | None = None
    types: dict[str, str] = field(default_factory=dict)

    @property
    def connection(self) -> Any:
        """That of the evaluator."""
        return self.live.connection

    def load(self, silver_version: int | None = None) -> Arrivals:
        """Everything: events of names that count (of a version of silver), all profiles with their attributes."""
        for name in (*owners.TABLES, "silver_identifiers", "segment_changes"):
            path = lake_table(name).path(self.settings)
            self.connection.execute(f"create or replace view {name} as select * from delta_scan('{path}')")
        self._read_identity()
        self._resolve_silver(silver_version)
        self._profiles()
        attributes = self.connection.execute("from profiles_now").to_arrow_table()
        return Arrivals(events="owned_events", attributes=attributes)

    def has_news(self) -> bool:
        """Whether identity or the published build is another one than it was."""
        return self.identity != owners.identity_versions(self.settings) or self.build != _build(self.settings)

    def news(self) -> Arrivals:
        """What identity and the published build have changed since they were read."""
        before = self.identity
        self._read_identity()
        moved = None
        if before != self.identity:
            self._resolve_silver(None, EVENT)
            moved = self.connection.execute(
                "select event_key, owned_events.profile_id, owned_events.is_simulated from known_events"
                " left join owned_events using (event_key)"
                " where owned_events.profile_id is distinct from known_events.profile_id"
            ).to_arrow_table()
            self.connection.execute("drop table owned_events")
        self._profiles()
        names = ["is_simulated", *self.live.state.attributes]
        differs = " or ".join(f'profiles_now."{n}" is distinct from attributes."{n}"' for n in names)
        changed = f"select profiles_now.* from profiles_now left join attributes using (profile_id) where {differs}"
        gone = (
            "select profile_id from attributes anti join profiles_now using (profile_id)"
            " anti join (select profile_id from known_events) using (profile_id)"
        )
        if moved is not None:
            self.connection.register("moved_now", moved)
            gone = gone.replace(
                "(select profile_id from known_events)",
                "(select profile_id from known_events anti join moved_now using (event_key))",
            )
        left = tuple(row[0] for row in self.connection.execute(gone).fetchall())
        return Arrivals(attributes=self.connection.execute(changed).to_arrow_table(), moved=moved, gone=left)

    def arrived(self, events: str) -> Arrivals:
        """Events of a relation with silver's columns (see EVENT and `properties`), with whose they are.

        An identifier that nobody has seen before is a profile, also when another identifier has the event.
        """
        run = self.connection.execute
        owners.sight(self.connection, events)
        columns = ", ".join(("profile_id", "is_simulated", "properties", *(c for c in PLAIN if c != "profile_id")))
        run(f"create or replace temp table arrived_events as select {columns} from ({owners.owned(events)})")
        run(f"insert into arrived_events by name {SIGHTING}")
        return Arrivals(events="arrived_events")

    def _read_identity(self) -> None:
        self.identity = owners.identity_versions(self.settings)
        owners.read_map(self.connection)

    def _resolve_silver(self, version: int | None, columns: tuple[str, ...] = (*EVENT, "properties")) -> None:
        """`owned_events`: those of names that count, with whose they are."""
        path = lake_table("silver_events").path(self.settings)
        if version is not None and not delta.is_kept(self.settings, "silver_events", version):
            log.warning("version %d of silver_events is not kept any more; going on with the newest", version)
            version = None
        at = f", version => {version}" if version is not None else ""
        silver = f"(select *, source || '|' || event_id as event_key from delta_scan('{path}'{at}))"
        wanted = ", ".join(columns)
        self.connection.execute(
            f"create or replace temp table silver_kept as select {wanted} from {silver} where name in (select unnest($1))",
            [list(self.live.state.kept.names)],
        )
        owners.sight(self.connection, "silver_kept")
        self.connection.execute(
            f"create or replace temp table owned_events as from ({owners.owned('silver_kept')}) where profile_id is not null"
        )
        self.connection.execute("drop table silver_kept")

    def _profiles(self) -> None:
        """`profiles_now`: everybody who was seen, with the attributes that the published build has of them."""
        run = self.connection.execute
        run("create or replace temp table sightings as select identifier_type, identifier_value, bool_and(is_simulated) as"
            " is_simulated from silver_identifiers group by all")  # fmt: skip
        run("create or replace temp table sighted as select identifier_type, identifier_value from sightings")
        run(owners.SIGHTED)
        self.build = _build(self.settings)
        self.connection.register("published", self._published())
        typed = [f'cast("{name}" as {kind}) as "{name}"' for name, kind in self.live.state.attributes.items()]
        listed = ", ".join(["seen.profile_id", "seen.is_simulated", *typed])
        run(
            f"create or replace temp table profiles_now as select {listed} from (select profile_id, bool_and(is_simulated)"
            " as is_simulated from sightings inner join sighted_owners using (identifier_type, identifier_value)"
            " group by profile_id) as seen left join published using (profile_id)"
        )
        self.connection.unregister("published")

    def _published(self) -> pa.Table:
        """The attributes in use, of the published build."""
        names = list(self.live.state.attributes)
        if not names or not self.settings.warehouse_file.exists():
            return pa.table({name: pa.array([], pa.string()) for name in ("profile_id", *names)})
        listed = ", ".join(f'"{name}"' for name in ("profile_id", *names))
        with open_published(self.settings) as published:
            return published.execute(f"select {listed} from marts.dim_profiles").to_arrow_table()


def attribute_types(settings: Settings, names: list[str]) -> dict[str, str]:
    """The types of attribute columns in the published build; empty when none is published."""
    if not settings.warehouse_file.exists():
        return {}
    with open_published(settings) as published:
        found = published.execute("describe marts.dim_profiles").fetchall()
    return {str(row[0]): str(row[1]) for row in found if row[0] in names}


def _build(settings: Settings) -> str | None:
    found = read_sidecar(settings)
    return found.build_id if found and Path(settings.warehouse_file).exists() else None
