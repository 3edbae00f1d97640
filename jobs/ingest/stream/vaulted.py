"""Which values the vault gets: everything that silver will know by a token only. What is not in the vault cannot be taken
along when the key is rotated.

The columns `email` and `phone` are kept of every row; what else a row tokenises stands in `also_vaulted`, an array of
(token, value), NULL for nearly all rows.
"""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contracts import EventContract, SourceContract
from jobs.ingest.stream import tokenize
from jobs.privacy.keys import TokenKey

COLUMNS = ("email", "phone")
PAIRS = "array<struct<token:string,value:string>>"


def of_events(events: dict[str, EventContract], user: Column, key: TokenKey) -> Column:
    """An account id that is an e-mail address, and the declared properties besides those that make `email` and `phone`."""
    account = F.when(user.contains("@"), _pair("user_id", F.lower(user), key))
    declared = [
        F.when(F.col("name") == contract.name, _pair(field.pii.value, F.col("p")[name], key))
        for contract in events.values()
        for name, field in contract.properties.items()
        if field.pii.value in COLUMNS and not (contract.type == "identify" and name == field.pii.value)
    ]
    return _array([account, *declared])


def of_records(source: SourceContract, cell: Callable[[str], Column], key: TokenKey) -> Column:
    """The declared columns of a row besides those that identify its person."""
    pairs = [
        _pair(field.pii.value, cell(name), key)
        for name, field in source.columns.items()
        if field.pii.value in COLUMNS and source.identifiers.get(field.pii.value) != name
    ]
    return _array(pairs)


def pairs(accepted: DataFrame) -> DataFrame:
    """(token, value) of all that the rows tokenise; nothing NULL, repeats possible."""
    named = [_pair_of(F.col(f"{kind}_token"), tokenize.normalised(kind, F.col(kind))) for kind in COLUMNS]
    every = F.concat(F.array(*named), F.coalesce(F.col("also_vaulted"), F.array().cast(PAIRS)))
    return accepted.select(F.explode(every).alias("pair")).select("pair.*").where("token is not null")


def _pair(kind: str, value: Column, key: TokenKey) -> Column:
    """Token and normalised value; NULL where there is no value."""
    token = tokenize.token(kind, value, key)
    return F.when(token.isNotNull(), _pair_of(token, tokenize.normalised(kind, value)))


def _pair_of(token: Column, value: Column) -> Column:
    return F.struct(token.alias("token"), value.alias("value"))


def _array(pairs: list[Column]) -> Column:
    """The pairs that are there, NULL when none is: no row pays for an array that it does not need."""
    if not pairs:
        return F.lit(None).cast(PAIRS)
    return F.when(F.coalesce(*pairs).isNotNull(), F.array_compact(F.array(*pairs)))
