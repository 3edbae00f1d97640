-- A till may send an order again under a new message id: the first one received counts, a real one before a simulated one.
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
) as ranked
where receive_rank = 1
