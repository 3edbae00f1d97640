{#-
    How models become tables on DuckDB. The adapter's own way builds each beside the old one, renames both and drops one, so that
    readers are never without; nobody reads the private file of a build, and its five statements cost dbt more than most of
    our queries cost DuckDB. Here a table is made in its place, in one transaction.
-#}
{% materialization table, adapter='duckdb' -%}
    {%- set target = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
        {{ made_in_place(target, compiled_code) }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{#-
    In an increment the hooks forget rows, and those of the query are appended (`append`), or take the place of those with the
    same key (`delete+insert`). Every column must be there, and none beyond.
-#}
{% materialization incremental, adapter='duckdb' -%}
    {%- set target = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- if not is_incremental() -%}
        {%- call statement('main') -%}
            {{ made_in_place(target, compiled_code) }}
        {%- endcall -%}
    {%- else -%}
        {%- if config.get('contract').enforced -%}
            {%- do get_assert_columns_equivalent(compiled_code) -%}
        {%- endif -%}
        {%- set names = adapter.get_columns_in_relation(target) | map(attribute='quoted') | join(', ') -%}
        {%- set key = config.get('unique_key') -%}
        {%- call statement('main') -%}
            {%- if key -%}
                create or replace temp table appended_{{ this.identifier }} as ({{ compiled_code }});
                delete from {{ target }}
                where ({{ key | join(', ') }}) in (select ({{ key | join(', ') }}) from appended_{{ this.identifier }});
                insert into {{ target }} ({{ names }}) select {{ names }} from appended_{{ this.identifier }};
                drop table appended_{{ this.identifier }};
            {%- else -%}
                insert into {{ target }} ({{ names }}) select {{ names }} from ({{ compiled_code }}) as appended
            {%- endif -%}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{% macro made_in_place(target, query) -%}
    drop table if exists {{ target }};
    {{ create_table_as(False, target, query) }}
{%- endmacro %}
