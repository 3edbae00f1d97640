"""SIMULATED web messages: the sessions as Segment-shaped JSON lines, with the stated share of things that go wrong."""

import logging

from jobs.sample import shares
from jobs.sample.database import Database
from jobs.sample.sessions import create_sessions
from jobs.sample.writer import Landing

log = logging.getLogger(__name__)

# One row per message. `gap` is the time since the message before it in the session, `place` its order there.
STEPS = """
create table steps as
    with looked as (
        select session, number, product_id, is_added, is_removed, '/products/' || product_id as path, 100 + 10 * number as place,
            least(3 - {dwell} * ln(1 - u('dwell:' || session || ':' || number)), 1800) as dwell
        from views
    ), visits as (
        select *, u('searches:' || session) < {searches} as is_searching,
            is_logged_in and u('prefers:' || session) < {prefers} as is_preferring,
            least(2 - {dwell} * ln(1 - u('dwell:' || session)), 1800) / 3 as dwell
        from sessions
    ), unplaced as (
        select session, 10 as place, 'page' as name, '/' as path, null::bigint as product_id, 0.0 as gap from visits
        union all select session, 11, 'identify', '/login', null, 4.2 from visits where is_logged_in
        union all select session, 12, 'Consent Preference Updated', '/account/privacy', null, 6.1 from visits where is_preferring
        union all select session, 13, 'Page Left', '/', null, dwell from visits
        union all select session, 20, 'page', '/search', null, 0.2 from visits where is_searching
        union all select session, 21, 'Products Searched', '/search', null, 0.3 from visits where is_searching
        union all select session, 22, 'Page Left', '/search', null, dwell from visits where is_searching
        union all select session, place, 'page', path, product_id, 0.3 from looked
        union all select session, place + 1, 'Product Viewed', path, product_id, 0.4 from looked
        union all select session, place + 2, 'Product Added', path, product_id, dwell * 0.4 from looked where is_added
        union all
        select session, place + 3, 'Product Removed', path, product_id, dwell * 0.1 from looked where is_added and is_removed
        union all select session, place + 4, 'Page Left', path, product_id, dwell from looked
        union all
        select session, 900, 'Cart Abandoned', '/cart', null, 1800.0 from looked
        where u('abandons:' || session) < {abandons} group by session having bool_or(is_added and not is_removed)
    )
    select *, 'web-' || session || '-' || place as message_id,
        sum((gap * 1000)::bigint) over (partition by session order by place) as elapsed
    from unplaced;
"""

# What goes wrong. Broken: as many of each kind, drawn among the messages that the kind can befall. A suppressed message
# is not also delivered twice, so that each message has one fate whatever the order in which batches are read.
FATES = """
create table web as
    with timed as (
        select
            steps.* exclude (gap, elapsed), visitor, household_id, anonymous_id, denies_analytics, is_without_consent,
            is_logged_in and place > 10 as is_known, started_at + to_milliseconds(elapsed) as happened_at,
            elapsed - max(elapsed) filter (where name = 'page') over (partition by session order by place) as dwell_ms
        from steps join sessions using (session)
    ), broken as (
        select message_id, kind
        from (
            select message_id, kind,
                row_number() over (partition by kind order by u('broken:' || message_id), message_id) as place_in_kind
            from (select *, [{kinds}][between_u('kind:' || message_id, 1, {kind_count})] as kind from timed)
            where name not in ('identify', 'Consent Preference Updated') and case
                when kind = 'no_product_id' then name = 'Product Viewed'
                when kind in ('quantity_is_text', 'quantity_is_huge') then name = 'Product Added'
                when kind = 'unknown_event_name' then name not in ('page', 'identify')
                when kind = 'no_identifier' then name = 'page'
                else true
            end
        )
        where place_in_kind <= greatest({at_least}, (select round(count(*) * {broken} / {kind_count}) from timed))
    ), received as (
        select timed.*, kind as broken_kind,
            least(
                happened_at + case
                    when u('late:' || message_id) < {late}
                    then hours({late_lag[0]} + ({late_lag[1]} - {late_lag[0]}) * u('late_by:' || message_id))
                    else seconds({lag[0]} + ({lag[1]} - {lag[0]}) * u('lag:' || message_id))
                end,
                timestamp '{now}'
            ) as received_at
        from timed left join broken using (message_id)
    )
    select *, received_at > happened_at + interval 1 hour as is_late, broken_kind is null and denies_analytics as is_suppressed,
        broken_kind is null and not denies_analytics and u('twice:' || message_id) < {duplicates} as is_doubled
    from received;
"""

# Identity, page and consent are as the browser saw them; `properties` is what the event contract asks for.
LINES = """
create table web_lines as
    with told as (
        select
            web.*, shop.price, product_category, marketing_consent, 'u-' || web.household_id as user_id,
            to_json(case when u('shouts:' || session) < {shouted} then upper(email) else email end)::varchar as email,
            phone, first_name, last_name,
            first_value(lower(product_type)) over (partition by session order by (product_type is null), place) as query
        from web left join shop using (product_id) left join people using (household_id)
    ), bodied as (
        select *,
            case name
                when 'identify' then
                    '"traits":{{"email":' || email || text_member('phone', phone) || text_member('first_name', first_name)
                    || text_member('last_name', last_name) || text_member('loyalty_id', household_id::varchar) || '}}'
                when 'page' then
                    '"properties":{{"path":"' || path || '","title":"'
                    || case path when '/' then 'Home' when '/search' then 'Search' else 'Product' end
                    || '","url":"https://shop.example.com' || path || '"}}'
                when 'Page Left' then
                    '"properties":{{"path":"' || path || '","dwell_seconds":' || round(dwell_ms / 1000, 1) || '}}'
                when 'Products Searched' then '"properties":{{"query":' || to_json(coalesce(query, 'offers'))::varchar || '}}'
                when 'Cart Abandoned' then '"properties":{{"cart_id":"cart-' || session || '"}}'
                when 'Consent Preference Updated' then '"properties":{{}}'
                when 'Product Viewed' then
                    '"properties":{{' || substr(
                        case when broken_kind = 'no_product_id' then '' else ',"product_id":"' || product_id || '"' end
                        || member('price', price) || text_member('category', product_category), 2) || '}}'
                when 'Product Removed' then
                    '"properties":{{"product_id":"' || product_id || '","cart_id":"cart-' || session || '"}}'
                else
                    '"properties":{{"product_id":"' || product_id || '","cart_id":"cart-' || session || '","quantity":'
                    || case broken_kind
                        when 'quantity_is_text' then '"many"' when 'quantity_is_huge' then '1000000'
                        else between_u('quantity:' || message_id, 1, 3)::varchar
                    end || member('price', price) || '}}'
            end as body,
            case when is_without_consent then null else
                '{{"categoryPreferences":{{"Analytics":' || (not denies_analytics) || coalesce(',"Advertising":' || case
                    when household_id is null then (u('ads:' || visitor) < {ads})::varchar
                    when marketing_consent = 'granted' then 'true' when marketing_consent = 'denied' then 'false'
                end, '') || '}}}}'
            end as consent
        from told
    ), whole as (
        select *,
            '{{' || substr(
                case when broken_kind = 'no_message_id' then '' else text_member('messageId', message_id) end
                || text_member('type', case when name in ('page', 'identify') then name else 'track' end)
                || text_member('event', case
                    when name in ('page', 'identify') then null
                    when broken_kind = 'unknown_event_name' then lower(replace(name, ' ', '_')) else name end)
                || text_member('timestamp',
                    case when broken_kind = 'timestamp_is_a_word' then 'yesterday' else iso(happened_at) end)
                || text_member('receivedAt', iso(received_at))
                || case when broken_kind = 'no_identifier' then '' else
                    text_member('anonymousId', anonymous_id) || text_member('userId', case when is_known then user_id end) end
                || ',"context":{{"page":{{"path":"' || path || '"}}' || member('consent', consent) || '}},' || body, 2) || '}}'
            as text
        from bodied
    ), once as (
        select received_at as delivered_at, message_id, false as is_repeat,
            case when broken_kind = 'truncated_json' then left(text, 40 + length(text) // 2) else text end as line
        from whole
    )
    select * from once
    union all
    select least(delivered_at + hours({delay} * u('again:' || message_id)), timestamp '{now}'), message_id, true, line
    from once semi join (select message_id from web where is_doubled) using (message_id);
"""


def create_web(database: Database, seed: int) -> None:
    """Tables `web` (one row per message: when, who, what, its planned fate) and `web_lines` (one per delivered line)."""
    create_sessions(database, seed)
    log.info("sample: %s simulated sessions", f"{database.row('select count(*) from sessions')[0]:,}")
    now = f"{shares.SAMPLE_NOW:%Y-%m-%d %H:%M:%S}"
    database.run(
        STEPS.format(
            dwell=shares.MEAN_DWELL_SECONDS,
            searches=shares.SESSIONS_WITH_SEARCH,
            prefers=shares.LOGINS_WITH_PREFERENCES,
            abandons=shares.CARTS_ABANDONED,
        )
    )
    database.run(
        FATES.format(
            kinds=", ".join(f"'{kind}'" for kind in shares.BROKEN_KINDS),
            kind_count=len(shares.BROKEN_KINDS),
            at_least=shares.BROKEN_PER_KIND_AT_LEAST,
            broken=shares.BROKEN,
            late=shares.LATE,
            late_lag=shares.LATE_LAG_HOURS,
            lag=shares.WEB_LAG_SECONDS,
            now=now,
            duplicates=shares.DUPLICATES,
        )
    )
    log.info("sample: %s simulated web messages", f"{database.row('select count(*) from web')[0]:,}")
    database.run(
        LINES.format(
            shouted=shares.LOGINS_WITH_SHOUTED_EMAIL,
            ads=shares.MARKETING_CONSENT[0],
            delay=shares.DUPLICATE_DELAY_HOURS,
            now=now,
        )
    )


def write_web(database: Database, landing: Landing) -> None:
    """A file per month of delivery, in the order of delivery."""
    for (month,) in database.rows(
        "select distinct strftime(delivered_at, '%Y_%m') as month from web_lines order by month"
    ):
        query = f"""
            select line from web_lines where strftime(delivered_at, '%Y_%m') = '{month}'
            order by delivered_at, message_id, is_repeat
        """
        landing.write_lines("sim_web", f"web_{month}.ndjson.gz", database.texts(query))
        log.info("sample: web messages of %s written", month)
