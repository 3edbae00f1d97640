{#-
    Whether a text holds what a regular expression (an SQL literal) describes. Dots are written [.]: the engines differ in
    backslashes.
-#}
{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch('matches')(text, pattern)) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    regexp_matches({{ text }}, {{ pattern }})
{%- endmacro %}

{% macro spark__matches(text, pattern) -%}
    ({{ text }} rlike {{ pattern }})
{%- endmacro %}

{#- Host of a URL in lower case, without a leading www.; NULL when it has none. -#}
{% macro url_host(url) -%}
    nullif(regexp_extract(lower({{ url }}), '^[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?:www[.])?([^/?#:]+)', 1), '')
{%- endmacro %}

{#- A path without query and fragment, which may hold anything. -#}
{% macro bare_path(path) -%}
    nullif(regexp_extract({{ path }}, '^([^?#]*)', 1), '')
{%- endmacro %}
