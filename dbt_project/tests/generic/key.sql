{#- The column identifies a row, and is never NULL: what `unique` and `not_null` say, in one query. -#}
{% test key(model, column_name) %}
select {{ column_name }}
from {{ model }}
group by {{ column_name }}
having count(*) > 1 or {{ column_name }} is null
{% endtest %}
