-- A till may send an order again under a new message id: the first one received counts, a real one before a simulated one.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('order_id', ref('int_changes__orders')) }}"
) }}
select
    event_key,
    order_id
from (
    select
        event_key,
        order_id,
        row_number() over (
            partition by order_id
            order by is_simulated, receive_position, event_key
        ) as receive_rank
    from {{ ref('stg_pos__orders') }}
    {{ where_changed('order_id', ref('int_changes__orders')) }}
) as ranked
where receive_rank = 1
