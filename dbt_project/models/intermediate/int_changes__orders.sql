-- Empty in a full build: orders of which a message or a refund came or went, or is another's now.
{% if in_part() %}
select order_id
from {{ ref('stg_pos__orders') }}
where event_key in (select changes.event_key from {{ ref('int_changes__events') }} as changes where changes.change != 'gone')
union
select order_id
from {{ ref('stg_pos__refunds') }}
where event_key in (select changes.event_key from {{ ref('int_changes__events') }} as changes where changes.change = 'new')
union
-- A message that did not count changes nothing when it goes.
select order_id
from intermediate.int_orders__accepted
where event_key in (select changes.event_key from {{ ref('int_changes__events') }} as changes where changes.change = 'gone')
union
select order_id
from intermediate.int_orders__refunds
where event_key in (select changes.event_key from {{ ref('int_changes__events') }} as changes where changes.change = 'gone')
{% endif %}
{% if in_whole() %}
select event_key as order_id
from {{ ref('int_changes__events') }}
where false
{% endif %}
