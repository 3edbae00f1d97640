-- As for events, the strongest identifier that is known decides: account, card, e-mail, phone, browser.
with owners as (
    select
        records.source,
        records.record_id,
        known.profile_id,
        row_number() over (
            partition by records.source, records.record_id
            order by
                case known.identifier_type
                    when 'user_id' then 1
                    when 'loyalty_id' then 2
                    when 'email' then 3
                    when 'phone' then 4
                    else 5
                end,
                known.profile_id
        ) as strength_rank
    from {{ ref('stg_crm__person_records') }} as records
    inner join {{ ref('stg_lake__identifiers') }} as named
        on records.source = named.source and records.record_id = named.event_id
    inner join {{ ref('int_identity__identifiers') }} as known
        on
            named.identifier_type = known.identifier_type
            and named.identifier_value = known.identifier_value
)

select
    source,
    record_id,
    profile_id
from owners
where strength_rank = 1
