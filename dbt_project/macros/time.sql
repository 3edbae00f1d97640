{#- The moment that the build describes, UTC. Set by `c360 warehouse build` from the run's clock. -#}
{% macro as_of() -%}
    cast('{{ var("as_of") }}' as timestamp)
{%- endmacro %}

{#- The moment `days` days before as_of. -#}
{% macro days_before(days) -%}
    {{ as_of() }} - interval '{{ days }}' day
{%- endmacro %}

{#- Whole days (24 hours) between two timestamps; dbt.datediff counts midnights instead. -#}
{% macro whole_days(earlier, later) -%}
    {{ return(adapter.dispatch('whole_days')(earlier, later)) }}
{%- endmacro %}

{% macro default__whole_days(earlier, later) -%}
    cast(date_sub('day', {{ earlier }}, {{ later }}) as bigint)
{%- endmacro %}

{% macro spark__whole_days(earlier, later) -%}
    cast(timestampdiff(day, {{ earlier }}, {{ later }}) as bigint)
{%- endmacro %}
