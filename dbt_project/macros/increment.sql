{#-
    A build from a copy of the published file (`c360 warehouse build --incremental`) works out only what has changed. What has
    come into the lake and gone from it stands in the schema `previous`, as jobs/warehouse/arrivals.py has found it. Which events
    have changed is said once, in int_changes__events; which orders, visitors and days that concerns, in its neighbours. A model
    of that kind deletes the rows of what has changed and appends them anew, so that it equals a full build. Everything else is
    built whole.
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

{#- Deletes, before the model runs, the rows whose `key` (a column, or columns in brackets; here `own`) has changed. -#}
{% macro forget(key, changes, which='true', own=none) -%}
    {%- if var('increment') and is_incremental() -%}
        delete from {{ this }}
        where {{ own or key }} in (select {{ key.strip('()') }} from {{ changes }} where {{ which }})
    {%- endif -%}
{%- endmacro %}

{#- Deletes, before a model of staging runs, the events that are no longer in the lake. -#}
{% macro forget_gone() -%}
    {%- if var('increment') and is_incremental() -%}
        delete from {{ this }} where event_key in (select source || '|' || event_id from previous.silver_events_gone)
    {%- endif -%}
{%- endmacro %}

{#- The same of the sightings of identifiers: those of which a message has gone, which are read again. -#}
{% macro forget_gone_sightings() -%}
    {%- if var('increment') and is_incremental() -%}
        {%- set key = 'identifier_type, identifier_value, source, is_simulated' -%}
        delete from {{ this }} where ({{ key }}) in (select {{ key }} from previous.silver_identifiers_gone)
    {%- endif -%}
{%- endmacro %}

{#- Of a lake table that grows by each event: the rows to append, those that have come, or all. -#}
{% macro arriving(table) -%}
    {%- set everything = source('lake', table) -%}
    {{ 'previous.' ~ table ~ '_came' if var('increment') else everything }}
{%- endmacro %}

{#- The rows to append: those whose `key` has changed, or all. -#}
{% macro where_changed(key, changes) -%}
    {%- if var('increment') -%}
        where {{ key }} in (select changed.{{ key.split('.') | last }} from {{ changes }} as changed)
    {%- endif -%}
{%- endmacro %}

{#-
    What a data test looks at (dbt's own macro, called when a test has a `where`). `changed(key, changes)` there means: in an
    increment the rows whose key is in that model, whole otherwise. What is not in there was tested by the build before.
-#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where') or '' -%}
    {%- set changed = modules.re.match('changed[(](.+), ([a-z_]+)[)]$', where) -%}
    {%- if not where or (changed and not var('increment')) -%}
        {{ return(relation) }}
    {%- elif changed -%}
        {%- set changes = relation.incorporate(path={'schema': 'intermediate', 'identifier': changed.group(2)}) -%}
        {%- set key = changed.group(1) -%}
        {%- set where = key ~ ' in (select ' ~ key.strip('()') ~ ' from ' ~ changes ~ ')' -%}
    {%- endif -%}
    {{ return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') as dbt_subquery') }}
{%- endmacro %}
