-- A third of the households has answered the survey; the others get the usual answer, and a flag that says so. Profiles
-- without a card are no households that could have been asked: they have no row.
with answers as (
    select
        profiles.profile_id,
        -- "5+" counts as 5
        try_cast(replace(households.household_size, '+', '') as double) as household_persons,
        -- the middle of the band; the last is open, and the youngest begins with the age of majority
        cast(case households.age_band
            when '19-24' then 21.5
            when '25-34' then 29.5
            when '35-44' then 39.5
            when '45-54' then 49.5
            when '55-64' then 59.5
            when '65+' then 70.0
        end as double) as age_years
    from {{ ref('int_identity__profiles') }} as profiles
    left join {{ ref('stg_crm__households') }} as households on profiles.loyalty_id = households.household_id
    where profiles.loyalty_id is not null
)

select
    profile_id,
    {{ imputed('household_persons', 'median') }} as household_persons,
    {{ is_imputed('household_persons') }} as is_household_persons_imputed,
    {{ imputed('age_years', 'mean') }} as age_years,
    {{ is_imputed('age_years') }} as is_age_years_imputed
from answers
