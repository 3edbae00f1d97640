{#-
    A build from a copy of the published file (`c360 warehouse build --incremental`) works out only what has changed. Which
    events have, is found once, in int_changes__events; whose visits, in int_changes__visitors. A model of that kind deletes the
    rows of what has changed and appends them anew, so that it equals a full build. Everything else is built whole.
-#}
{% macro increments() -%}
    {{ return(adapter.dispatch('increments')()) }}
{%- endmacro %}

{% macro default__increments() -%}
    {{ return('incremental') }}
{%- endmacro %}

{% macro spark__increments() -%}
    {{ return('table') }}
{%- endmacro %}

{#- Deletes, before the model runs, the rows whose `key` has changed. -#}
{% macro forget(key, changes) -%}
    {%- if var('increment') and is_incremental() -%}
        delete from {{ this }} where {{ key }} in (select {{ key }} from {{ changes }})
    {%- endif -%}
{%- endmacro %}

{#- Deletes only what is no longer in the lake: of a row that says nothing of whose it is. -#}
{% macro forget_gone(key, changes) -%}
    {%- if var('increment') and is_incremental() -%}
        delete from {{ this }} where {{ key }} in (select {{ key }} from {{ changes }} where change = 'gone')
    {%- endif -%}
{%- endmacro %}

{#- The events to append: those that came or moved, as int_changes__events has found them, or all. -#}
{% macro events_or_changed(events, changes) -%}
    {%- if var('increment') and is_incremental() -%}
        (select * from {{ changes }} where change <> 'gone')
    {%- else -%}
        {{ events }}
    {%- endif -%}
{%- endmacro %}

{#- The rows to append: those whose `key` has changed, or all. -#}
{% macro where_changed(key, changes) -%}
    {%- if var('increment') and is_incremental() -%}
        where {{ key }} in (select changed.{{ key.split('.') | last }} from {{ changes }} as changed)
    {%- endif -%}
{%- endmacro %}
