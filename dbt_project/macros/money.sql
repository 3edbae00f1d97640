{#-
    An amount per thing, rounded half away from zero to cents, in whole numbers of cents: DuckDB divides decimals as double,
    and then the two engines would differ by a cent now and then. NULL when either side is NULL.
-#}
{% macro money_per(amount, count) -%}
    {%- set cents = 'cast(abs(' ~ amount ~ ') * 100 as bigint)' -%}
    cast(
        cast({{ whole_division('2 * ' ~ cents ~ ' + ' ~ count, '2 * ' ~ count) }} as decimal(16, 0))
        * cast(0.01 as decimal(3, 2))
        * case when {{ amount }} < 0 then -1 else 1 end
        as decimal(18, 2)
    )
{%- endmacro %}

{#- Division of whole numbers above zero, without the rest. -#}
{% macro whole_division(dividend, divisor) -%}
    {{ return(adapter.dispatch('whole_division')(dividend, divisor)) }}
{%- endmacro %}

{% macro default__whole_division(dividend, divisor) -%}
    (({{ dividend }}) // ({{ divisor }}))
{%- endmacro %}

{% macro spark__whole_division(dividend, divisor) -%}
    (({{ dividend }}) div ({{ divisor }}))
{%- endmacro %}
