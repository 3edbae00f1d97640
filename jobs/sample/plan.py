"""The plan of a sample: what was written and what of it is meant to go wrong, so that a pipeline's results can be compared."""

from jobs.sample import shares
from jobs.sample.database import Database
from jobs.sample.writer import Written


def build_plan(database: Database, seed: int, households: int | None, written: list[Written]) -> dict[str, object]:
    """Seed, stated shares, files, and the exact counts planted per source; all JSON values."""
    return {
        "generator_version": shares.GENERATOR_VERSION,
        "seed": seed,
        "households_asked_for": households,
        "sample_clock": shares.SAMPLE_NOW.isoformat(),
        "stated": shares.stated(),
        "real": _real(database),
        "planted": {"sim_web": _web(database), "sim_email": _email(database), "sim_crm_people": _people(database)},
        "repeated_records": {"crm_coupons": _repeated_coupons(database)},
        "files": [item.as_dict() for item in written],
    }


def _named(database: Database, sql: str) -> dict[str, object]:
    names = [str(name) for name, *_ in database.rows(f"describe {sql}")]
    return dict(zip(names, database.row(sql), strict=True))


def _real(database: Database) -> dict[str, object]:
    """What the package itself holds for the chosen households."""
    return _named(
        database,
        """
        select (select count(*) from households) as households, count(distinct basket_id) as orders, count(*) as order_lines,
            sum(sales_value)::varchar as sales_value, count(*) filter (where sales_value <= 0) as lines_without_sales,
            count(*) filter (where quantity = 0) as lines_without_quantity,
            count(*) filter (where product_id not in (select product_id from catalog)) as lines_absent_from_catalog,
            (select count(*) from sends) as campaign_sends, (select count(*) from redemptions) as coupon_redemptions
        from lines
        """,
    )


def _web(database: Database) -> dict[str, object]:
    """`messages` = accepted + duplicates + suppressed + broken; `late` are those accepted that came over an hour late."""
    counts = _named(
        database,
        """
        select count(*) + count(*) filter (where is_doubled) as messages, count(*) filter (where is_doubled) as duplicates,
            count(*) filter (where is_suppressed) as suppressed, count(*) filter (where broken_kind is not null) as broken,
            count(*) filter (where broken_kind is null and not is_suppressed) as accepted,
            count(*) filter (where is_late and broken_kind is null and not is_suppressed) as late,
            count(distinct anonymous_id) as browsers, count(distinct session) as sessions
        from web
        """,
    )
    found = database.rows(
        "select broken_kind, count(*) from web where broken_kind is not null group by all order by all"
    )
    kinds = {str(kind): {"messages": count, "reason": shares.BROKEN_KINDS[str(kind)]} for kind, count in found}
    names = database.rows(
        "select name, count(*) from web where broken_kind is null and not is_suppressed group by all order by all"
    )
    return counts | {"broken_by_kind": kinds, "accepted_by_name": {str(name): count for name, count in names}}


def _email(database: Database) -> dict[str, object]:
    found = database.rows("select name, count(*) from engagement group by name order by name")
    return {
        "messages": sum(int(str(count)) for _, count in found),
        "by_name": {str(name): count for name, count in found},
    }


def _people(database: Database) -> dict[str, object]:
    counts = _named(
        database,
        "select count(*) filter (where is_in_crm) as messages, count(*) filter (where not is_in_crm) as missing from people",
    )
    consents: dict[str, object] = {}
    for purpose in ("marketing", "profiling", "sharing"):
        found = database.rows(
            f"select coalesce({purpose}_consent, 'silent') as said, count(*) from people"
            " where is_in_crm group by said order by said"
        )
        consents[purpose] = {str(said): count for said, count in found}
    return counts | {"consents": consents}


def _repeated_coupons(database: Database) -> object:
    return database.row("select count(*) - count(distinct (coupon_upc, product_id, campaign_id)) from coupons")[0]
