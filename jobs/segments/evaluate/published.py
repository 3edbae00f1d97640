"""The relations of a program (see `compile/program.py`) over the published warehouse and the lake behind it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobs.core.assignment import DIGITS, SEPARATOR, threshold
from jobs.core.catalog import lake_table
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake.duck import connect
from jobs.warehouse.reader import open_published

SALT = "preview"
CHOSEN = f"substr(md5(concat('{SALT}{SEPARATOR}', profile_id)), 1, {DIGITS}) < ?"
ASKED = "create or replace temp table asked as select profile_id, cast(? as timestamp) as as_of from attributes"
EVENTS = """
create or replace temp table eval_events as
select events.profile_id, events.event_key, events.name, events.effective_at, events.received_at, silver.receive_position,
    silver.properties
from published.marts.fct_events as events
semi join attributes on events.profile_id = attributes.profile_id
inner join delta_scan('{silver}') as silver on events.source = silver.source and events.event_id = silver.event_id
where events.name in (select unnest($1)) and silver.name in (select unnest($1))
"""


def open_evaluated(settings: Settings) -> Any:
    """A connection of its own with the published warehouse attached as `published`; the caller closes it.

    Raises PermanentError when nothing is published.
    """
    open_published(settings).close()  # says what is wrong with the file, if anything is
    connection = connect(settings)
    connection.execute(f"attach '{settings.warehouse_file}' as published (read_only)")
    return connection


def load_profiles(connection: Any, attributes: Iterable[str], share: float | None = None) -> tuple[datetime, int, int]:
    """`attributes` and `asked`: everybody as of the published build, or the profiles in the lowest `share` by their hash.

    Returns the moment (UTC without zone), how many profiles there are, and how many are asked. Raises PermanentError when
    there is none to ask.
    """
    columns = ", ".join(["profile_id", *(f'"{name}"' for name in sorted(set(attributes)))])
    chosen, values = ("true", []) if share is None or share >= 1 else (CHOSEN, [threshold(share)])
    profiles = "published.marts.dim_profiles"
    connection.execute(
        f"create or replace temp table attributes as select {columns} from {profiles} where {chosen}", values
    )
    moment, known = connection.execute(f"select max(as_of), count(*) from {profiles}").fetchall()[0]
    connection.execute(ASKED, [moment])
    asked = connection.execute("select count(*) from asked").fetchall()[0][0]
    if not asked:
        raise PermanentError(f"the sample holds none of {known:,} profiles; take a larger --sample")
    return moment, known, asked


def load_events(settings: Settings, connection: Any, names: list[str]) -> int:
    """`eval_events`: those of the names, of the profiles in `attributes`, that the published build has; how many there are."""
    connection.execute(EVENTS.format(silver=lake_table("silver_events").path(settings)), [names])
    return int(connection.execute("select count(*) from eval_events").fetchall()[0][0])
