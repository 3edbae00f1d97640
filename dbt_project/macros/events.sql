{#- The envelope of events as the models have it, from a table with the columns of silver_events; until as_of. -#}
{% macro envelopes(relation) -%}
select
    source || '|' || event_id as event_key,
    source,
    event_id,
    is_simulated,
    type,
    name,
    cast(occurred_at as timestamp) as occurred_at,
    cast(effective_at as timestamp) as effective_at,
    cast(received_at as timestamp) as received_at,
    event_date,
    is_time_suspect,
    receive_position,
    user_id,
    loyalty_id,
    email_token,
    phone_token,
    anonymous_id
from {{ relation }}
where {{ received() }}
{%- endmacro %}
