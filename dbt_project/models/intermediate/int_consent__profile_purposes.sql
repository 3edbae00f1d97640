-- Per identifier and purpose the latest statement holds; over the identifiers of a profile one denial is enough.
-- Who never said anything is not in here, and that means no.
-- A provisional profile grants nothing: somebody whom its identifier came with may have denied, and whose it is the next
-- identity run says.
-- While the window of a rotated key is open, the old and the new token of a value are one identifier.
with spoken as (
    select
        consents.consent_id,
        consents.identifier_type,
        coalesce(aliases.new_token, consents.identifier_value) as identifier_value,
        consents.purpose,
        consents.status,
        consents.effective_at,
        consents.receive_position
    from {{ ref('stg_lake__consents') }} as consents
    left join {{ ref('stg_lake__token_aliases') }} as aliases on consents.identifier_value = aliases.old_token
),

statements as (
    select
        *,
        row_number() over (
            partition by identifier_type, identifier_value, purpose
            order by effective_at desc, receive_position desc, consent_id
        ) as recency_rank
    from spoken
),

identifiers as (
    select
        known.profile_id,
        known.identifier_type,
        coalesce(aliases.new_token, known.identifier_value) as identifier_value,
        known.is_provisional
    from {{ ref('int_identity__identifiers') }} as known
    left join {{ ref('stg_lake__token_aliases') }} as aliases on known.identifier_value = aliases.old_token
)

select
    identifiers.profile_id,
    statements.purpose,
    bool_and(statements.status = 'granted' and not identifiers.is_provisional) as is_granted
from statements
inner join identifiers
    on
        statements.identifier_type = identifiers.identifier_type
        and statements.identifier_value = identifiers.identifier_value
where statements.recency_rank = 1
group by identifiers.profile_id, statements.purpose
