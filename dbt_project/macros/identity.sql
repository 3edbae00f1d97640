{#- Kinds of identifiers from the strongest to the weakest, and the column of an event that holds each. -#}
{% macro identifier_columns() -%}
    {{ return([
        ('user_id', 'user_id'),
        ('loyalty_id', 'loyalty_id'),
        ('email', 'email_token'),
        ('phone', 'phone_token'),
        ('anonymous_id', 'anonymous_id'),
    ]) }}
{%- endmacro %}

{#-
    Whose an event is: the strongest identifier that is known decides; where the last identity run has seen none of them, the
    strongest has a provisional profile. `kinds` are identifier_columns(); `owner_joins` finds the owner of each identifier in `identifiers`, `owner` chooses.
-#}
{% macro owner(kinds) -%}
    coalesce(
        {%- for kind, _ in kinds %}
        case when not by_{{ kind }}.is_provisional then by_{{ kind }}.profile_id end,
        {%- endfor %}
        {%- for kind, _ in kinds %}
        by_{{ kind }}.profile_id{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{% macro owner_joins(kinds, events, identifiers) -%}
    {% for kind, column in kinds %}
    left join {{ identifiers }} as by_{{ kind }}
        on by_{{ kind }}.identifier_type = '{{ kind }}' and {{ events }}.{{ column }} = by_{{ kind }}.identifier_value
    {% endfor %}
{%- endmacro %}

{#-
    Scores were written for the profiles of their time. One that was merged away, or was provisional, leads on to the one that
    lives; when both have scores of an ML model, those of the living one hold (claim_rank 1 of `chosen`). One that was split
    since, or a merge of which was undone, was two people: its scores are nobody's, but for those that `of_nobody` says are
    the same for all. Ledger versions tell what was since, not times: of two things on one clock neither would be the later.
-#}
{% macro scores_of_living_profiles(scores, of_nobody='false') -%}
current_profiles as (
    select
        scores.*,
        coalesce(redirects.to_profile_id, scores.scored_profile_id) as profile_id
    from {{ scores }} as scores
    left join {{ ref('int_identity__redirects') }} as redirects
        on scores.scored_profile_id = redirects.from_profile_id
),

of_one_person as (
    select current_profiles.*
    from current_profiles
    left join {{ ref('int_identity__partings') }} as of_scored
        on current_profiles.scored_profile_id = of_scored.profile_id
    left join {{ ref('int_identity__partings') }} as of_living
        on current_profiles.profile_id = of_living.profile_id
    where
        (
            coalesce(of_scored.ledger_version, 0) <= current_profiles.ledger_version
            and coalesce(of_living.ledger_version, 0) <= current_profiles.ledger_version
        )
        or {{ of_nobody }}
),

chosen as (
    select
        *,
        dense_rank() over (
            partition by model_name, profile_id
            order by case when scored_profile_id = profile_id then 0 else 1 end, scored_profile_id
        ) as claim_rank
    from of_one_person
)
{%- endmacro %}

{#- The profile id that an identifier founds, as jobs.core.profile_ids has it; `attempt` 1 for when the first is taken. -#}
{% macro founded_profile_id(identifier_type, identifier_value, attempt=0) -%}
    {%- set counted = ["chr(31)", "'" ~ attempt ~ "'"] if attempt else [] -%}
    {%- set parts = [identifier_type, "chr(31)", identifier_value] + counted -%}
    concat('p_', substring({{ adapter.dispatch('sha256_hex')('concat(' ~ parts | join(', ') ~ ')') }}, 1, 24))
{%- endmacro %}

{% macro default__sha256_hex(text) -%}
    sha256({{ text }})
{%- endmacro %}

{% macro spark__sha256_hex(text) -%}
    sha2({{ text }}, 256)
{%- endmacro %}

{#- Whether the whole text matches a regular expression that is a column. -#}
{% macro matches_whole(text, pattern) -%}
    {{ return(adapter.dispatch('matches_whole')(text, pattern)) }}
{%- endmacro %}

{% macro default__matches_whole(text, pattern) -%}
    regexp_full_match({{ text }}, {{ pattern }})
{%- endmacro %}

{% macro spark__matches_whole(text, pattern) -%}
    {{ text }} rlike concat('^(', {{ pattern }}, ')$')
{%- endmacro %}
