{#- The moment that the build describes, UTC. Set by `c360 warehouse build` from the run's clock. -#}
{% macro as_of() -%}
    cast('{{ var("as_of") }}' as timestamp)
{%- endmacro %}

{#- Whether a row of the lake was received until as_of. Not by a cast of the column: files are skipped by what it holds. -#}
{% macro received() -%}
    {{ return(adapter.dispatch('received')()) }}
{%- endmacro %}

{% macro default__received() -%}
    received_at <= cast('{{ var("as_of") }}+00' as timestamp with time zone)
{%- endmacro %}

{% macro spark__received() -%}
    received_at <= {{ as_of() }}
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
