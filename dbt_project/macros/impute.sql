{#-
    A trait's value, and where it is missing the median or the mean of all rows that have one; NULL when none has. Beside it
    belongs `is_imputed`. k-NN is a rule of the features in models/imputation.yml, not of SQL.
-#}
{% macro imputed(column, rule) -%}
    {%- if rule not in ('median', 'mean') -%}
        {{ exceptions.raise_compiler_error("imputed(): rule is median or mean, not " ~ rule) }}
    {%- endif -%}
    coalesce(
        cast({{ column }} as double),
        cast({{ 'avg' if rule == 'mean' else 'median' }}({{ column }}) over () as double)
    )
{%- endmacro %}

{#- Whether `imputed` has filled the row: the value is missing, and others have one. -#}
{% macro is_imputed(column) -%}
    ({{ column }} is null and count({{ column }}) over () > 0)
{%- endmacro %}
