-- Empty in a full build: the identifiers of what came into the lake and of what went from it since the published build.
{{ config(materialized='ephemeral') }}
{% set lake = source('lake', 'silver_identifiers') %}

{% if var('increment') %}
select
    identifier_type,
    identifier_value
from previous.silver_identifiers_came
union
select
    identifier_type,
    identifier_value
from previous.silver_identifiers_gone
{% else %}
select
    identifier_type,
    identifier_value
from {{ lake }}
where false
{% endif %}
