-- Where a session began, and what it said there of where it came from: the first event that says either. Who comes back from
-- a payment page in the middle of a visit did not come by it.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('visitor', ref('int_changes__visitors')) }}"
) }}
with saying as (
    select
        *,
        row_number() over (partition by session_id order by place) as saying_rank
    from {{ of_either(ref('int_changes__visits'), ref('int_sessions__events')) }}
    where
        page_path is not null
        or referrer_host is not null
        or utm_source is not null
        or utm_medium is not null
        or utm_campaign is not null
)

select
    session_id,
    visitor,
    page_path as landing_path,
    referrer_host,
    utm_source,
    utm_medium,
    utm_campaign
from saying
where saying_rank = 1
