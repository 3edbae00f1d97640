{#-
    Of each order of the model, the messages under its id could be of one order: they are not when they name two accounts or two
    cards, or are a day apart.
-#}
{% test of_one_order(model, column_name, messages) %}
select {{ column_name }}
from {{ messages }}
where {{ column_name }} in (select {{ column_name }} from {{ model }})
group by {{ column_name }}
having
    min(user_id) != max(user_id)
    or min(loyalty_id) != max(loyalty_id)
    or {{ whole_days('min(ordered_at)', 'max(ordered_at)') }} >= 1
{% endtest %}
