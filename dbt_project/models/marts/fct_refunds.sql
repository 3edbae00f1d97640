-- A refund often names nobody: then it is of whoever the order is of.
select
    refunds.event_key as refund_key,
    refunds.refund_id,
    refunds.order_id,
    refunds.source,
    refunds.event_id,
    refunds.is_simulated,
    coalesce(own.profile_id, buyers.profile_id) as profile_id,
    refunds.refunded_at,
    refunds.refund_date,
    refunds.refund_value,
    refunds.currency,
    refunds.is_value_stated,
    refunds.order_event_key is not null as is_order_known,
    refunds.reason
from {{ ref('int_orders__refunds') }} as refunds
inner join {{ ref('int_identity__event_profiles') }} as own on refunds.event_key = own.event_key
left join {{ ref('int_identity__event_profiles') }} as buyers on refunds.order_event_key = buyers.event_key
