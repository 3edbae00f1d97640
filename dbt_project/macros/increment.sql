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

{#-
    Whether a build in part, or a whole one, is being made; both while dbt parses, so that it finds the references of both and the
    project is parsed once for either (jobs/warehouse/parsed.py). What is not the same table in both is `of_either`.
-#}
{% macro in_part() -%}
    {{ return(var('increment') or not execute) }}
{%- endmacro %}

{% macro in_whole() -%}
    {{ return(not var('increment') or not execute) }}
{%- endmacro %}

{% macro of_either(part, whole) -%}
    {{ return(part if var('increment') else whole) }}
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

{#- The same, behind a condition. -#}
{% macro and_changed(key, changes) -%}
    {{ where_changed(key, changes) | replace('where ', 'and ', 1) }}
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

{#-
    Events with what rules ask of them: those that are another's go to him as they are, without a look into the lake. Hooks are
    texts that dbt renders when the model runs.
-#}
{% macro kept_events() -%}
    {%- set changes = "ref('int_changes__events')" -%}
    {{ return([
        "{{ forget('event_key', " ~ changes ~ ", \"change != 'moved'\") }}", '{{ hand_over(' ~ changes ~ ') }}'
    ]) }}
{%- endmacro %}

{% macro hand_over(changes) -%}
    {%- if var('increment') and is_incremental() -%}
        update {{ this }} as known
        set profile_id = moved.profile_id
        from {{ changes }} as moved
        where known.event_key = moved.event_key and moved.change = 'moved'
    {%- endif -%}
{%- endmacro %}

{#- Event keys and whose they are: of those that have come, or of all. -#}
{% macro owners_of_arriving() -%}
    {%- set came = ref('int_changes__events') -%}
    {%- set everybody = ref('int_identity__event_profiles') -%}
    {{ of_either('(select * from ' ~ came ~ " where change = 'new')", everybody) }}
{%- endmacro %}

{#-
    What was measured of the events of profiles at a moment (as_of of its rows, the same in all). It is kept for those of whom
    no event came, went, or was received since, and whom time alone has not changed, which may happen first at due_by_events; for
    them it is true at the new moment, and says so. The others are forgotten, and measured anew. `moment` is said of `as_of`.
-#}
{% macro kept_measures(moment) -%}
    {%- set read = "ref('int_changes__events'), ref('int_segments__events'), ref('int_identity__profiles')" -%}
    {{ return(['{{ forget_measures("' ~ moment ~ '", ' ~ read ~ ') }}', '{{ measured_at("' ~ moment ~ '") }}']) }}
{%- endmacro %}

{% macro forget_measures(moment, changes, events, profiles) -%}
    {%- if var('increment') and is_incremental() -%}
        delete from {{ this }}
        where
            due_by_events <= {{ of_as_of(moment) }}
            or profile_id in (select profile_id from {{ changes }} where change != 'gone')
            or profile_id in (select previous_profile_id from {{ changes }} where change != 'new')
            or profile_id in (
                select profile_id from {{ events }}
                where received_at > (select max(as_of) from {{ this }}) and received_at <= {{ of_as_of(moment) }}
            )
            or profile_id not in (select profile_id from {{ profiles }})
    {%- endif -%}
{%- endmacro %}

{% macro measured_at(moment) -%}
    {%- if var('increment') and is_incremental() -%}
        update {{ this }} set as_of = {{ of_as_of(moment) }}
    {%- endif -%}
{%- endmacro %}

{% macro of_as_of(moment) -%}
    (select {{ moment }} from (select {{ as_of() }} as as_of) as asked)
{%- endmacro %}

{#- Profiles that stand not in the model itself, once it has forgotten; or all. -#}
{% macro where_not_known() -%}
    {%- if var('increment') -%}
        where profile_id not in (select known.profile_id from {{ this }} as known)
    {%- endif -%}
{%- endmacro %}
