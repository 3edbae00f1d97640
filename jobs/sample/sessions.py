"""SIMULATED web sessions: who visits when, with which browser, and what is looked at. `web` turns them into messages.

Sessions gather around the household's real baskets and look mostly at products of that basket or of the same type. A
session knows no basket but its own and, for browsing without a purchase, the one before it: nothing far in the future leaks.
"""

from jobs.sample import shares
from jobs.sample.database import Database

# What people look at in a shop's web site: sold, with a price, and no fuel, coupons or services.
PRODUCTS = """
create table shop as
    with sold as (
        select
            product_id, count(*) as line_count,
            (sum(sales_value) / sum(quantity))::decimal(18, 2) as price
        from lines where quantity > 0 and sales_value > 0 group by product_id
    )
    select
        product_id, product_type, product_category, price,
        row_number() over (partition by product_type order by line_count desc, product_id) as type_rank,
        count(*) over (partition by product_type) as type_count,
        row_number() over (order by line_count desc, product_id) as rank
    from sold join catalog using (product_id)
    where department not in ('FUEL', 'COUPON', 'MISCELLANEOUS', 'CNTRL/STORE SUP', 'POSTAL CENTER') and product_type is not null;
create table baskets as
    select
        basket_id, household_id, any_value(ordered_at) as ordered_at,
        list(product_id order by product_id) filter (where product_id in (select product_id from shop)) as products
    from lines group by basket_id, household_id;
"""

# One row per visitor (household or anonymous-only) and browser.
VISITORS = """
create table visitors as
    select
        'h' || household_id as visitor, household_id,
        {baskets[0]} + ({baskets[1]} - {baskets[0]}) * u('web:' || household_id) as propensity
    from households
    union all
    select 'v' || number, null, 0 from range(1, (select 1 + ceil({visitors} * count(*))::bigint from households)) r(number);
create table browsers as
    with numbered as (
        select *, unnest(range(1, 1 + browser_count)) as number
        from (
            select *, case when household_id is null then 1 else between_u('browsers:' || visitor, 1, {most}) end as browser_count
            from visitors
        )
    )
    select
        visitor, household_id, number, 'anon-' || left(md5('{seed}:browser:' || visitor || ':' || number), 20) as anonymous_id,
        household_id is not null and u('login:' || visitor || ':' || number) < {logins} as has_login,
        u('denies:' || visitor || ':' || number) < {denying} as denies_analytics
    from numbered;
"""

# From a basket, from a whim (with the basket before it), or by a visitor who never says a name.
SESSIONS = """
create table sessions as
    with near_baskets as (
        select 'b' || basket_id as session, 'h' || household_id as visitor, products,
            ordered_at + hours({around[0]} + ({around[1]} - ({around[0]})) * u('start:' || basket_id)) as started_at
        from baskets join visitors using (household_id) where u('session:' || basket_id) < propensity
    ), whims as (
        select 'r' || household_id || '-' || number as session, 'h' || household_id as visitor, household_id,
            timestamp '2017-01-01' + hours(365 * 24 * u('whim:' || household_id || ':' || number)) as started_at
        from (
            select household_id, unnest(range(between_u('whims:' || household_id, {whims[0]}, {whims[1]}))) as number
            from households
        )
    ), first_baskets as (
        -- One basket per household and second, so that the join below has one answer.
        select * from baskets qualify row_number() over (partition by household_id, ordered_at order by basket_id) = 1
    ), browsing as (
        select session, visitor, products, started_at
        from whims asof left join first_baskets on whims.household_id = first_baskets.household_id and started_at >= ordered_at
    ), strangers as (
        select visitor || '-' || number as session, visitor, null::bigint[] as products,
            timestamp '2017-01-01' + hours(365 * 24 * u('stranger:' || visitor || ':' || number)) as started_at
        from (
            select visitor, unnest(range(between_u('strangers:' || visitor, {strangers[0]}, {strangers[1]}))) as number
            from visitors where household_id is null
        )
    ), every_session as (
        select * from near_baskets union all select * from browsing union all select * from strangers
    ), chosen as (
        -- Two draws squared: the first browser is the usual one.
        select *, 1 + floor(pow(u('browser:' || session), 2) * browser_count)::bigint as number
        from every_session join (select visitor, count(*) as browser_count from browsers group by visitor) using (visitor)
    )
    select
        session, visitor, household_id, anonymous_id, denies_analytics, products,
        -- A year of web data, all of it received before the sample's clock.
        case
            when started_at < timestamp '2017-01-01' then started_at + hours(72)
            when started_at > timestamp '{last}' then started_at - hours(72)
            else started_at
        end as started_at,
        has_login and u('logs_in:' || session) < {logs_in} as is_logged_in,
        not denies_analytics and u('no_consent:' || session) < {silent} as is_without_consent,
        between_u('views:' || session, {views[0]}, {views[1]}) as view_count
    from chosen join browsers using (visitor, number);
"""

VIEWS = """
create table views as
    with wanted as (
        select session, household_id, number, u('pick:' || session || ':' || number) as pick,
            products[1 + floor(u('line:' || session || ':' || number) * len(products))::bigint] as own_product,
            u('other:' || session || ':' || number) as other
        from (select *, unnest(range(view_count)) as number from sessions)
    ), ranked as (
        select wanted.*, shop.product_type as own_type, 1 + floor(other * other * type_count)::bigint as type_rank,
            1 + floor(other * other * (select least({best}, count(*)) from shop))::bigint as best_rank
        from wanted left join shop on product_id = own_product
    )
    select session, number,
        case
            when own_product is null or pick >= {own} + {same} then best.product_id
            when pick < {own} then own_product
            else alike.product_id
        end as product_id,
        u('adds:' || session || ':' || number) < {adds} as is_added,
        u('removes:' || session || ':' || number) < {removes} as is_removed
    from ranked
    left join shop alike on alike.product_type = own_type and alike.type_rank = ranked.type_rank
    left join shop best on best.rank = best_rank;
"""


def create_sessions(database: Database, seed: int) -> None:
    """Tables `shop`, `browsers`, `sessions` (one row per session) and `views` (one per session and product looked at)."""
    database.run(PRODUCTS)
    database.run(
        VISITORS.format(
            baskets=shares.BASKETS_WITH_SESSION,
            visitors=shares.VISITORS_SHARE,
            seed=seed,
            most=shares.BROWSERS_AT_MOST,
            logins=shares.BROWSERS_WITH_LOGIN,
            denying=shares.BROWSERS_DENYING_ANALYTICS,
        )
    )
    database.run(
        SESSIONS.format(
            around=shares.SESSION_AROUND_BASKET_HOURS,
            whims=shares.BROWSING_SESSIONS,
            strangers=shares.VISITOR_SESSIONS,
            last="2018-01-01 12:00:00",
            logs_in=shares.SESSIONS_WITH_LOGIN,
            silent=shares.SESSIONS_WITHOUT_CONSENT,
            views=shares.VIEWS_PER_SESSION,
        )
    )
    database.run(
        VIEWS.format(
            best=shares.BEST_SELLERS,
            own=shares.VIEWED_FROM_BASKET,
            same=shares.VIEWED_FROM_SAME_TYPE,
            adds=shares.VIEWS_WITH_ADD,
            removes=shares.ADDS_WITH_REMOVAL,
        )
    )
