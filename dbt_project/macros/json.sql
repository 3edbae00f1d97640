{#-
    Parses JSON text once into a struct. `fields` maps names to types: {'order_id': 'string', 'products': [{…}]}.
    Numbers that must stay exact are taken as 'string' and cast to decimal by the caller. What is missing becomes NULL.
-#}
{% macro parse_json(column, fields) -%}
    {{ return(adapter.dispatch('parse_json')(column, fields)) }}
{%- endmacro %}

{% macro default__parse_json(column, fields) -%}
    from_json({{ column }}, '{{ tojson(fields) }}')
{%- endmacro %}

{% macro spark__parse_json(column, fields) -%}
    from_json({{ column }}, '{{ spark_type(fields) }}')
{%- endmacro %}

{% macro spark_type(shape) -%}
    {%- if shape is string -%}
        {{ shape }}
    {%- elif shape is mapping -%}
        struct<{% for name, inner in shape.items() %}{{ name }}: {{ spark_type(inner) }}{{ ', ' if not loop.last }}{% endfor %}>
    {%- else -%}
        array<{{ spark_type(shape[0]) }}>
    {%- endif -%}
{%- endmacro %}

{#- All columns of `relation` once per element of its array column, plus `element` and `position` (from 1). -#}
{% macro explode(relation, array_column) -%}
    {{ return(adapter.dispatch('explode')(relation, array_column)) }}
{%- endmacro %}

{% macro default__explode(relation, array_column) -%}
    select
        *,
        unnest({{ array_column }}) as element,
        generate_subscripts({{ array_column }}, 1) as position
    from {{ relation }}
{%- endmacro %}

{% macro spark__explode(relation, array_column) -%}
    select
        *,
        position_from_zero + 1 as position
    from (select *, posexplode({{ array_column }}) as (position_from_zero, element) from {{ relation }})
{%- endmacro %}

{#-
    All columns of `relation` once per member of the JSON object in its text column, plus `member_name` and `member_json`, the
    member's value as JSON text. Text, whole numbers and booleans are spelled alike by both engines.
-#}
{% macro json_members(relation, column) -%}
    {{ return(adapter.dispatch('json_members')(relation, column)) }}
{%- endmacro %}

{% macro default__json_members(relation, column) -%}
    select
        * exclude (member),
        member.key as member_name,
        cast(member.value as varchar) as member_json
    from (select *, unnest(map_entries(from_json({{ column }}, '"MAP(VARCHAR, JSON)"'))) as member from {{ relation }}) as opened
{%- endmacro %}

{% macro spark__json_members(relation, column) -%}
    select
        opened.*,
        members.key as member_name,
        to_json(members.value) as member_json
    from {{ relation }} as opened, lateral variant_explode(try_parse_json(opened.{{ column }})) as members
{%- endmacro %}
