-- Of statements for the same moment the one received last holds. A value that was so already is no change, and what was
-- never there cannot be taken away.
with spoken as (
    select
        *,
        row_number() over (
            partition by profile_id, trait_name, valid_from
            order by receive_position desc, statement_key desc
        ) as recency_rank
    from {{ ref('int_traits__statements') }}
),

in_order as (
    select
        *,
        lag(trait_value) over (partition by profile_id, trait_name order by valid_from) as previous_value
    from spoken
    where recency_rank = 1
),

changes as (
    select
        *,
        lead(valid_from) over (partition by profile_id, trait_name order by valid_from) as valid_to
    from in_order
    where trait_value is distinct from previous_value
)

select
    profile_id,
    trait_name,
    trait_value,
    previous_value,
    valid_from,
    valid_to,
    known_at,
    source,
    is_simulated
from changes
