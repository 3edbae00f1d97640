"""Which values the vault gets: everything that silver will know by a token only. What is not in the vault cannot be taken
along when the key is rotated.

Of a row with `email`, `phone` and their tokens: an array of (token, value), NULL for nearly all rows.
"""

from collections.abc import Callable, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.contracts import EventContract, SourceContract
from jobs.ingest.stream import tokenize
from jobs.privacy.keys import TokenKey

COLUMNS = ("email", "phone")
PAIRS = "array<struct<token:string,value:string>>"  # the type of both


def of_events(events: dict[str, EventContract], accounts: Sequence[Column], key: TokenKey) -> Column:
    """The columns `email` and `phone`, account ids that are e-mail addresses, and the other declared properties."""
    named = [F.when(account.contains("@"), _pair("user_id", F.lower(account), key)) for account in accounts]
    declared = [
        F.when(F.col("name") == contract.name, _pair(field.pii.value, F.col("p")[name], key))
        for contract in events.values()
        for name, field in contract.properties.items()
        if field.pii.value in COLUMNS and not (contract.type == "identify" and name == field.pii.value)
    ]
    return _array([*_contacts(), *named, *declared])


def of_records(source: SourceContract, cell: Callable[[str], Column], key: TokenKey) -> Column:
    """The columns `email` and `phone`, and the declared ones besides those that identify the row's person."""
    pairs = [
        _pair(field.pii.value, cell(name), key)
        for name, field in source.columns.items()
        if field.pii.value in COLUMNS and source.identifiers.get(field.pii.value) != name
    ]
    return _array([*_contacts(), *pairs])


def _contacts() -> list[Column]:
    return [_pair_of(F.col(f"{kind}_token"), kind, F.col(kind)) for kind in COLUMNS]


def _pair(kind: str, value: Column, key: TokenKey) -> Column:
    return _pair_of(tokenize.token(kind, value, key), kind, value)


def _pair_of(token: Column, kind: str, value: Column) -> Column:
    """Token and normalised value; NULL where there is no value."""
    return F.when(token.isNotNull(), F.struct(token.alias("token"), tokenize.normalised(kind, value).alias("value")))


def _array(pairs: list[Column]) -> Column:
    """The pairs that are there, NULL when none is: no row pays for an array that it does not need."""
    return F.when(F.coalesce(*pairs).isNotNull(), F.array_compact(F.array(*pairs)))
