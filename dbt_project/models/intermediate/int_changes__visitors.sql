-- Empty in a full build: visitors of whom events came or went, or are another's now; whose they were and whose they are. And
-- those of whom an order counts otherwise than before.
{% set kinds = identifier_columns() %}
{% if in_part() %}
with orders as (
    select
        orders.anonymous_id,
        {{ owner(kinds) }} as profile_id
    from {{ ref('stg_pos__orders') }} as orders
    inner join {{ ref('int_changes__orders') }} as changes on orders.order_id = changes.order_id
    {{ owner_joins(kinds, 'orders', ref('int_identity__identifiers')) }}
)

select coalesce(profile_id, 'anonymous:' || anonymous_id) as visitor
from {{ ref('int_changes__events') }}
where anonymous_id is not null and change != 'gone'
union
select coalesce(previous_profile_id, 'anonymous:' || anonymous_id) as visitor
from {{ ref('int_changes__events') }}
where anonymous_id is not null and change != 'new'
union
select coalesce(profile_id, 'anonymous:' || anonymous_id) as visitor
from orders
where anonymous_id is not null
{% endif %}
{% if in_whole() %}
select event_key as visitor
from {{ ref('int_changes__events') }}
where false
{% endif %}
