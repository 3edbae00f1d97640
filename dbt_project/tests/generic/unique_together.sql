{#- The named columns together identify a row, and none of them is NULL; nor are those in `never_null`. -#}
{% test unique_together(model, columns, never_null=[]) %}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {% for column in columns %}or {{ column }} is null {% endfor %}
    {% for column in never_null %}or bool_or({{ column }} is null) {% endfor %}
{% endtest %}
