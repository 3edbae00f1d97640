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
