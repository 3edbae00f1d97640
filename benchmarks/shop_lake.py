"""A SIMULATED silver lake for benchmarks, made by DuckDB: web events, orders, identifiers and whose they are.

Of the events 45 % are product views, 40 % pages, 12 % carts and 3 % orders of two lines. They come in visits of six, which
lie evenly on the year before `END`; a visitor is one of `people` browsers, two of three of them logged in. The same
arguments give the same lake.
"""

from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta, duck
from jobs.lake.schema import arrow_schema

END = datetime(2018, 1, 1, tzinfo=UTC)
DAYS = 365
CHUNK = 1_000_000
DRAWN = """
    select
        i as number,
        (hash(i // 6) % {people})::bigint as person,
        hash(i + 7) % 100 as kind,
        timestamptz '{start}' + to_microseconds((i // 6 * 6 * {step} + i % 6 * 40000000)::bigint) as happened
    from range({first}, {last}) as t (i)
"""
EVENTS = """
    select
        'bench-' || lpad(number::varchar, 12, '0') as event_id,
        'web' as source,
        false as is_simulated,
        case when kind < 40 then 'page' else 'track' end as type,
        case when kind < 40 then 'page' when kind < 85 then 'Product Viewed' when kind < 97 then 'Product Added'
            else 'Order Completed' end as name,
        happened as occurred_at,
        {received} as received_at,
        happened as effective_at,
        false as is_time_suspect,
        1000000000 + number as receive_position,
        case when person % 3 > 0 then 'U' || person end as user_id,
        'b' || person as anonymous_id,
        null as loyalty_id, null as email_token, null as phone_token, null as consent,
        '{{"page":{{"path":"/grocery","url":"https://shop.test/grocery","referrer":"https://www.google.com/"}}}}' as context,
        case when kind < 40 then '{{"path":"/grocery/cheese","url":"https://shop.test/grocery/cheese"}}'
            when kind < 97 then '{{"product_id":"' || hash(number) % 20000 || '","quantity":1}}'
            else '{{"order_id":"o' || number || '","currency":"USD","products":[{{"product_id":"' || hash(number) % 20000
                || '","quantity":1,"sales_value":2.50}},{{"product_id":"7","quantity":2,"sales_value":1.25}}]}}'
        end as properties,
        []::varchar[] as flags,
        '' as body_hash,
        1 as contract_version,
        'm' || number as message_id,
        happened::date as event_date,
        'bench:0' as ingest_batch
    from drawn
"""
IDENTIFIERS = """
    select
        e.source, e.event_id, pair.kind as identifier_type, pair.value as identifier_value, e.effective_at, e.received_at,
        e.receive_position, e.is_simulated, e.event_date, e.ingest_batch
    from events as e,
        unnest([{{'kind': 'anonymous_id', 'value': e.anonymous_id}}, {{'kind': 'user_id', 'value': e.user_id}}]) as t (pair)
    where pair.value is not null
"""
PEOPLE = """
    select
        'p_' || lpad(person::varchar, 24, '0') as profile_id, kind as identifier_type,
        case kind when 'user_id' then 'U' else 'b' end || person as identifier_value,
        timestamptz '{start}' as valid_from, timestamptz '{start}' as last_seen_at, 1 as event_count, false as is_simulated
    from range({people}) as p (person), unnest(['anonymous_id', 'user_id']) as k (kind)
    where kind = 'anonymous_id' or person % 3 > 0
"""


def make_lake(settings: Settings, *, size: int, people: int) -> None:
    """`size` events of `people` browsers over the year before END."""
    delta.ensure_all(settings)
    with duck.connect(settings) as connection:
        start = END - timedelta(days=DAYS)
        _append(connection, settings, "profile_identifiers", PEOPLE.format(start=start, people=people))
        for first in range(0, size, CHUNK):
            add_events(connection, settings, first, min(first + CHUNK, size), people=people, step=_step(size))


def add_day(settings: Settings, *, size: int, people: int) -> int:
    """The day after END, at the same pace, a tenth of it late by up to a month, and one person of 2,000 found to be another.

    All of it was received by the end of that day. Returns how many events came.
    """
    count = size // DAYS
    late = count // 10
    with duck.connect(settings) as connection:
        add_events(connection, settings, size, size + count - late, people=people, step=_step(size))
        start = END - timedelta(days=30)
        step = 30 * 86_400_000_000 // max(late, 1)
        numbers = size + count - late, size + count
        _insert(connection, settings, numbers, people=people, start=start - timedelta(microseconds=numbers[0] * step),
                step=step, received=f"timestamptz '{END + timedelta(hours=12)}'")  # fmt: skip
        merges = (
            f"select 'p_' || lpad(i::varchar, 24, '0') as from_profile_id, 'p_' || lpad((i + 1)::varchar, 24, '0') as "
            f"to_profile_id, timestamptz '{END}' as merged_at, false as is_simulated from range(0, {people}, 2000) as t (i)"
        )
        _append(connection, settings, "profile_redirects", merges)
    return count


def add_events(
    connection: duckdb.DuckDBPyConnection, settings: Settings, first: int, last: int, *, people: int, step: int
) -> None:
    """Events number `first` to `last`, one each `step` microseconds from the beginning of the year."""
    _insert(connection, settings, (first, last), people=people, start=END - timedelta(days=DAYS), step=step)


def _insert(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    numbers: tuple[int, int],
    *,
    people: int,
    start: datetime,
    step: int,
    received: str = "happened + to_seconds(60)",
) -> None:
    first, last = numbers
    drawn = DRAWN.format(people=people, start=start, step=step, first=first, last=last)
    connection.execute(f"create or replace temp table drawn as {drawn}")
    connection.execute(f"create or replace temp table events as {EVENTS.format(received=received)}")
    _append(connection, settings, "silver_events", "select * from events")
    _append(connection, settings, "silver_identifiers", IDENTIFIERS.format())


def _append(connection: duckdb.DuckDBPyConnection, settings: Settings, name: str, query: str) -> None:
    columns = ", ".join(f'"{column}"' for column in lake_table(name).contract.column_names)
    rows: pa.Table = connection.execute(f"select {columns} from ({query})").to_arrow_table()
    delta.append(settings, name, rows.cast(arrow_schema(lake_table(name).contract)))


def _step(size: int) -> int:
    return DAYS * 86_400_000_000 // size
