{#- The column identifies a row, and is never NULL (`unique` and `not_null` in one query); nor are those in `never_null`. -#}
{% test key(model, column_name, never_null=[]) %}
select {{ column_name }}
from {{ model }}
group by {{ column_name }}
having
    count(*) > 1 or {{ column_name }} is null
    {% for column in never_null %}or bool_or({{ column }} is null) {% endfor %}
{% endtest %}
