"""The peer of the ingest benchmark: DuckDB and delta-rs in a loop, the same checks and tables, one process, no service.

It is what one engineer would write for one machine: read the files, look at each text, judge by SQL, look repeats up in
silver, append to Delta with a transaction id. It has no manifest, no pre-flight, no mapping and no records.

    python benchmarks/peer.py HOME      reads HOME/landing/web/*.ndjson, writes HOME/lake
"""

import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
from peer_rules import TIME, TYPES, error, hmac, leaks, property_errors, quoted, with_personal_fields
from shop_events import NOW, SOURCE

from expectations import contracts
from jobs.core.catalog import lake_table
from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings, load_settings
from jobs.ingest.landing.text_check import text_error
from jobs.ingest.stream.bots import ORDINARY, listed
from jobs.ingest.stream.validate import IDS, LONGEST_ID
from jobs.lake.delta import append, ensure_all
from jobs.lake.duck import connect
from jobs.privacy.keys import TokenKey, load_token_key

ROWS = 250_000
PURPOSES = {"Analytics": "analytics", "Advertising": "marketing", "Personalization": "profiling", "Sharing": "sharing"}


def raw_batches(folder: Path, received: datetime) -> Iterator[pa.Table]:
    """Tables of bronze_messages, `ROWS` lines each; every text is looked at by the strict parser of the door."""
    for number, path in enumerate(sorted(folder.glob("*.ndjson")), start=1):
        with path.open(encoding="utf-8") as file:
            line = 0
            while rows := list(islice(file, ROWS)):
                yield _bronze(number, line, [row.rstrip("\n") for row in rows], received, path.name)
                line += len(rows)


def _bronze(number: int, first: int, texts: list[str], received: datetime, name: str) -> pa.Table:
    count = len(texts)
    places = [f"file:{number}:{first + line + 1}" for line in range(count)]
    faults = [text_error(text) for text in texts]
    return pa.table(
        {
            "message_id": [hash_parts([SOURCE, place]) for place in places],
            "source": [SOURCE] * count,
            "origin": places,
            "receive_position": [number * 1_000_000_000 + first + line + 1 for line in range(count)],
            "received_at": pa.array([received] * count, pa.timestamp("us", tz="UTC")),
            "landed_date": pa.array([received.date()] * count, pa.date32()),
            "payload": texts,
            "endpoint": pa.array([None] * count, pa.string()),
            "receipt": pa.array([None] * count, pa.string()),
            "payload_error": pa.array([fault.value if fault else None for fault in faults], pa.string()),
            "is_checked": [True] * count,
            "file_name": [name] * count,
        }
    )


def judge_sql(key: TokenKey) -> str:
    """One row per message of `raw`: envelope, errors, tokens, fingerprint."""
    source = contracts.sources()[SOURCE]
    events = {name: event for name, event in contracts.events().items() if name in source.events}
    digits = "regexp_replace(phone, '[^0-9+]', '', 'g')"
    names = sorted({n for e in events.values() for n in e.properties} | {"loyalty_id", "email", "phone"})
    fields = ",".join(f'"{name}":"VARCHAR"' for name in names)
    known = " or ".join(f"(type = {quoted(e.type)} and name = {quoted(e.name)})" for e in events.values())
    versions = " ".join(f"when {quoted(e.name)} then {e.version}" for e in contracts.events().values())
    personal = ",".join(map(quoted, with_personal_fields(events)))
    blank = " and ".join(
        f"coalesce(trim({v}), '') = ''"
        for v in (
            "m.userId",
            "m.anonymousId",
            "m.loyaltyId",
            "p.loyalty_id",
            "email",
            "phone",
            "m.previousId",
            "m.groupId",
        )
    )
    rules = [
        error("coalesce(trim(event_id), '') = ''", "missing_event_id", "messageId"),
        error(f"coalesce(type not in {TYPES}, true)", "unknown_type", "type"),
        error("occurred_at is null", "bad_timestamp", "timestamp"),
        error(blank, "missing_identifier", "userId"),
        *[error(f"length(m.{name}) > {LONGEST_ID}", "too_long", name) for name in IDS],
        error(f"type in {TYPES} and not is_known", "unknown_event", "event"),
        leaks(f"case when not (is_known and name in ({personal})) then body end", "properties"),
        leaks("context", "context"),
        leaks("c.consent", "consent"),
        leaks("m.anonymousId", "anonymousId"),
        leaks("coalesce(m.loyaltyId, p.loyalty_id)", "loyaltyId"),
        f"case when is_known then nullif({property_errors(events)}, '') end",
    ]
    parts = ["type", "m.event", "m.userId", "m.anonymousId", "m.loyaltyId", "m.timestamp", "body"]
    marked = ", ".join(f"coalesce({part}, chr(0))" for part in parts)
    return f"""
with read as (
    select *, json_transform(case when payload_error is null then payload end, '{{"messageId":"VARCHAR",
        "type":"VARCHAR","event":"VARCHAR","userId":"VARCHAR","anonymousId":"VARCHAR","loyaltyId":"VARCHAR",
        "previousId":"VARCHAR","groupId":"VARCHAR","timestamp":"VARCHAR","properties":"JSON","traits":"JSON",
        "context":{{"page":"JSON","campaign":"JSON","locale":"VARCHAR","userAgent":"VARCHAR","consent":"JSON",
        "traits":{{"email":"VARCHAR","phone":"VARCHAR"}}}}}}') as m from raw
),
opened as (
    select *, m.context as c, m.type as type, m.messageId as event_id,
        case when m.type = 'track' then m.event else m.type end as name,
        cast(case when m.type in ('identify', 'group') then m.traits else m.properties end as varchar) as body,
        case when regexp_matches(m.timestamp, {quoted(TIME)}) then try_cast(m.timestamp as timestamptz) end as occurred_at
    from read
),
parsed as (
    select * exclude (c), json_transform(body, '{{{fields}}}') as p,
        {{'consent': cast(c.consent as varchar), 'page': c.page, 'campaign': c.campaign, 'locale': c.locale,
          'traits': c.traits}} as c,
        try_cast(json_extract(c.consent, '$.categoryPreferences') as map(varchar, varchar)) as preferences
    from opened
),
named as (
    select *, least(occurred_at, received_at) as effective_at, ({known}) is true as is_known,
        coalesce(case when type = 'identify' then p.email end, c.traits.email) as email,
        coalesce(case when type = 'identify' then p.phone end, c.traits.phone) as phone,
        cast(to_json({{'page': c.page, 'campaign': c.campaign, 'locale': c.locale}}) as varchar) as context
    from parsed
),
judged as (
    select *, case when payload_error is not null then payload_error || ':payload'
        else concat_ws(chr(30), {", ".join(rules)}) end as errors
    from named
)
select message_id, source, origin, receive_position, received_at, payload, payload_error, endpoint, receipt, event_id,
    type, name, occurred_at, effective_at, cast(effective_at as date) as event_date, errors, preferences,
    coalesce(epoch(received_at) - epoch(occurred_at) not between -300 and 7776000, false) as is_time_suspect,
    m.userId as user_id, m.anonymousId as anonymous_id, coalesce(m.loyaltyId, p.loyalty_id) as loyalty_id,
    case when not regexp_matches(m.context.userAgent, {quoted(ORDINARY)})
        then regexp_matches(m.context.userAgent, {quoted(listed())}) else false end as is_bot,
    case when trim(email) <> '' then 'email_v{key.version}_' || {hmac("lower(trim(email))", key.secret)} end as email_token,
    case when trim(phone) <> '' then 'phone_v{key.version}_' || {hmac(digits, key.secret)} end as phone_token,
    c.consent as consent, context, body as properties, coalesce(case name {versions} end, 0) as contract_version,
    substring({hmac(f"concat_ws(chr(31), {marked})", key.stable)}, 1, 32) as body_hash,
    coalesce(map_contains(preferences, 'Analytics') and lower(trim(preferences['Analytics'])) <> 'true', false)
        as is_suppressed
from judged
"""


VERDICT_SQL = """
with ranked as (select * from judged where errors = ''),
kept as (
    select source, event_id, min(receive_position) as first_position, arg_min(body_hash, receive_position) as first_hash
    from ranked where not is_suppressed group by all
),
held as (
    select source, event_id, min(body_hash) as held_hash from silver
    where event_date between (select min(event_date) - 30 from ranked) and (select max(event_date) + 30 from ranked)
        and (source, event_id) in (select (source, event_id) from ranked) group by all
)
select j.* , case
    when j.errors <> '' or (h.held_hash is null and j.receive_position <= coalesce(k.first_position, 2^62)) then null
    when coalesce(h.held_hash, k.first_hash) = j.body_hash then 'duplicate' else 'conflict' end as verdict
from judged as j left join held as h on h.source = j.source and h.event_id = j.event_id
    left join kept as k on k.source = j.source and k.event_id = j.event_id
"""
FIRST = "errors = '' and verdict is null"
IDENTIFIERS_SQL = f"""
select *, unnest([{{'t': 'user_id', 'v': user_id}}, {{'t': 'loyalty_id', 'v': loyalty_id}}, {{'t': 'email', 'v': email_token}},
    {{'t': 'phone', 'v': phone_token}}, {{'t': 'anonymous_id', 'v': anonymous_id}}]) as pair from placed where {FIRST}
"""


def table_sql() -> dict[str, str]:
    """What each table gets of `placed`, in the columns of its contract."""
    purposes = " ".join(f"when {quoted(k)} then {quoted(v)}" for k, v in PURPOSES.items())
    marks = "[case when is_time_suspect then 'time_suspect' end, case when is_bot then 'known_bot' end]"
    flags = f"list_filter({marks}, lambda mark: mark is not null) as flags"
    why = "case when verdict = 'conflict' then 'id_conflict:messageId' else errors end"
    return {
        "silver_events": f"select *, {flags}, false as is_simulated from placed where {FIRST} and not is_suppressed",
        "silver_identifiers": f"""select *, pair.t as identifier_type, pair.v as identifier_value, false as is_simulated
            from ({IDENTIFIERS_SQL}) where trim(pair.v) <> '' and not is_suppressed""",
        "consents": f"""
            with said as (select *, unnest(map_entries(preferences)) as entry from ({IDENTIFIERS_SQL})
                where trim(pair.v) <> '' and preferences is not null),
            told as (select *, pair.t as identifier_type, pair.v as identifier_value, case entry.key {purposes} end as purpose,
                case when lower(trim(entry.value)) = 'true' then 'granted' else 'denied' end as status from said),
            last as (select source, identifier_type, identifier_value, purpose, status, event_date,
                arg_max({{'e': event_id, 'at': effective_at, 'r': received_at, 'p': receive_position}}, receive_position) as l
                from told where purpose is not null and (status = 'denied' or name in ('identify', 'Consent Preference Updated'))
                group by all)
            select *, l.e as event_id, l.at as effective_at, l.r as received_at, l.p as receive_position, false as is_simulated,
                sha256(concat_ws(chr(31), source, l.e, identifier_type, identifier_value, purpose)) as consent_id from last""",
        "quarantine_messages": f"""select *, string_split({why}, chr(30)) as reason_details, false as is_simulated,
            list_distinct(list_transform(string_split({why}, chr(30)), lambda x: split_part(x, ':', 1))) as reason_codes,
            'pending' as replay_state, cast(received_at as date) as quarantined_date, null::varchar as replay_rule,
            null::timestamptz as replayed_at, null::varchar as discard_why, null::timestamptz as discarded_at
            from placed where errors <> '' or verdict = 'conflict'""",
        "ops_dropped_messages": """select *, cast(received_at as date) as received_date,
            case when verdict = 'duplicate' then 'duplicate' else 'suppressed' end as outcome,
            case when verdict = 'duplicate' then 'repeated_event_id' else 'no_analytics_consent' end as reason
            from placed where errors = '' and (verdict = 'duplicate' or (verdict is null and is_suppressed))""",
    }


def write(settings: Settings, connection: duckdb.DuckDBPyConnection, version: int) -> None:
    """Appends the batch to the five tables, each guarded by its transaction id."""
    for name, query in table_sql().items():
        columns = ", ".join(lake_table(name).contract.column_names)
        sql = f"select {columns} from (select *, 'peer:{version}' as ingest_batch from ({query}))"
        append(settings, name, connection.execute(sql).to_arrow_table(), app_id=f"peer:{name}", app_version=version)


def run(settings: Settings) -> None:
    """All files of the landing folder, a batch at a time."""
    ensure_all(settings)
    key = load_token_key(settings)
    connection = connect(settings)
    silver = str(lake_table("silver_events").path(settings))
    for version, raw in enumerate(raw_batches(settings.landing / SOURCE, NOW), start=1):
        append(settings, "bronze_messages", raw, app_id="peer:bronze", app_version=version)
        connection.register("raw", raw)
        connection.execute(f"create or replace temp table judged as {judge_sql(key)}")
        connection.execute(f"create or replace temp view silver as select * from delta_scan('{silver}')")
        connection.execute(f"create or replace temp table placed as {VERDICT_SQL}")
        write(settings, connection, version)


if __name__ == "__main__":
    run(load_settings(home=sys.argv[1], now=NOW))
