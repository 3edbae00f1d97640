"""What has changed between two evaluations of a profile, and why, as rows of `segment_changes`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.segments.compile.rules import segment_column
from jobs.segments.language.model import Catalogue
from jobs.segments.live.state import Cause

# A change names at most so many of the events behind it, the latest first.
MOST_EVENTS = 20
COLUMNS = {
    "segment": "varchar",
    "profile_id": "varchar",
    "is_entry": "boolean",
    "valid_at": "timestamp",
    "known_at": "timestamp",
    "evaluated_at": "timestamp",
    "cause": "varchar",
    "event_keys": "varchar[]",
}
FOUND = f"""
insert into changed
with switched as (
    select result.profile_id, result.as_of, unnest([{{pairs}}]) as pair
    from result left join now_held as held on held.profile_id = result.profile_id
    where {{differs}}
),
turned as (
    select profile_id, as_of, pair.segment as segment, pair.is_in as is_in from switched where pair.is_in <> pair.was_in
),
behind as (
    select turned.profile_id, turned.segment, max(arrived.effective_at) as happened_at,
        list(arrived.event_key order by arrived.effective_at desc, arrived.receive_position desc, arrived.event_key)
            [:{MOST_EVENTS}] as event_keys
    from turned
    inner join arrived on arrived.profile_id = turned.profile_id and arrived.received_at <= turned.as_of
    inner join names_read on names_read.segment = turned.segment and names_read.name = arrived.name
    group by turned.profile_id, turned.segment
),
stopped as (
    select turned.profile_id, turned.segment, arg_max(stops.cause, stops.moment) as cause,
        max(stops.valid_at) as valid_at
    from turned inner join stops on stops.profile_id = turned.profile_id and stops.moment <= turned.as_of
    where stops.cause <> $event
    group by turned.profile_id, turned.segment
)
select turned.segment, turned.profile_id, turned.is_in, coalesce(behind.happened_at, stopped.valid_at, turned.as_of),
    $now, turned.as_of,
    case when behind.segment is not null then $event when stopped.segment is not null then stopped.cause else $time end,
    coalesce(behind.event_keys, [])
from turned
left join behind on behind.profile_id = turned.profile_id and behind.segment = turned.segment
left join stopped on stopped.profile_id = turned.profile_id and stopped.segment = turned.segment
"""


def create(connection: Any, versions: Mapping[str, str], names_read: Mapping[str, Sequence[str]]) -> None:
    """What does not change while a catalogue is at work: versions of its definitions, and which events each reads."""
    connection.execute("create or replace table versions (segment varchar, definition_version varchar)")
    connection.execute("create or replace table names_read (segment varchar, name varchar)")
    _fill(connection, "versions", list(versions.items()))
    _fill(connection, "names_read", [(segment, name) for segment, names in names_read.items() for name in names])


def begin(connection: Any) -> None:
    """Nothing has changed yet."""
    listed = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    connection.execute(f"create or replace temp table changed ({listed})")
    connection.execute("create or replace temp table left_profiles (profile_id varchar, is_simulated boolean)")


def find(connection: Any, catalogue: Catalogue, now: datetime) -> None:
    """Compares `result` with `held`."""
    columns = {name: segment_column(name) for name in catalogue.segments}
    if not columns:
        return
    pairs = ", ".join(
        f"{{'segment': '{name}', 'is_in': result.{c}, 'was_in': coalesce(held.{c}, false)}}"
        for name, c in columns.items()
    )
    differs = " or ".join(f"result.{c} <> coalesce(held.{c}, false)" for c in columns.values())
    values = {"now": now, "event": Cause.EVENT, "time": Cause.TIME}
    connection.execute(FOUND.format(pairs=pairs, differs=differs), values)


def leave(connection: Any, catalogue: Catalogue, gone: Sequence[str], now: datetime) -> None:
    """Profiles that exist no longer leave all their segments, and are forgotten."""
    if not gone:
        return
    theirs = "select profile_id, is_simulated from held where profile_id in (select unnest($1))"
    connection.execute(f"insert into left_profiles {theirs}", [list(gone)])
    for name in catalogue.segments:
        connection.execute(
            "insert into changed select $segment, profile_id, false, $now, $now, $now, $cause, []"
            f" from held semi join left_profiles using (profile_id) where {segment_column(name)}",
            {"segment": name, "now": now, "cause": Cause.PROFILE},
        )
    connection.execute("delete from held where profile_id in (select profile_id from left_profiles)")


def collected(connection: Any) -> pa.Table:
    """The changes in the order in which they happened to each profile, with version and mark of simulated profiles."""
    return connection.execute(
        "select changed.*, versions.definition_version, coalesce(people.is_simulated, left_profiles.is_simulated, false)"
        " as is_simulated from changed left join versions using (segment) left join people using (profile_id)"
        " left join left_profiles on left_profiles.profile_id = changed.profile_id"
        " order by evaluated_at, profile_id, segment"
    ).to_arrow_table()


def restore(connection: Any, catalogue: Catalogue, members: pa.Table, moment: datetime) -> list[str]:
    """Fills `held` with the members as they were (segment, profile_id, is_simulated); gives those who exist no longer."""
    connection.register("member_rows", members)
    connection.execute(
        "create or replace temp table restored as select segment, profile_id, is_simulated from member_rows"
    )
    connection.unregister("member_rows")
    is_in = {segment_column(name): f"bool_or(segment = '{name}')" for name in catalogue.segments}
    found = {"profile_id": "profile_id", "is_simulated": "bool_and(is_simulated)", "moment": "$moment"} | is_in
    connection.execute(
        f"insert into held ({', '.join(found)}) select {', '.join(found.values())} from restored"
        " where segment in (select segment from versions) group by profile_id",
        {"moment": moment},
    )
    missing = "select distinct profile_id from restored anti join attributes using (profile_id)"
    return [row[0] for row in connection.execute(missing).fetchall()]


def explained(connection: Any, versions_then: Mapping[str, str], now: datetime) -> pa.Table:
    """The changes of a recovery. Those of a definition that has changed meanwhile are its doing; who was in a segment that is
    no more has left."""
    run = connection.execute
    run("create or replace temp table versions_then (segment varchar, definition_version varchar)")
    _fill(connection, "versions_then", list(versions_then.items()))
    run(
        "update changed set cause = $definition where cause = $profile and segment not in"
        " (select segment from versions_then semi join versions using (segment, definition_version))",
        {"definition": Cause.DEFINITION, "profile": Cause.PROFILE},
    )
    run(
        "insert into changed select segment, profile_id, false, $now, $now, $now, $definition, []"
        " from restored anti join versions using (segment)",
        {"definition": Cause.DEFINITION, "now": now},
    )
    run("create or replace temp table versions_now as from versions")
    run("insert into versions from versions_then anti join versions using (segment)")
    found = collected(connection)
    run("create or replace table versions as from versions_now")
    return found


def _fill(connection: Any, table: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        connection.executemany(f"insert into {table} values (?, ?)", rows)
