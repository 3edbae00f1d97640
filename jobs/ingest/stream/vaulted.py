"""Which values the vault gets: everything that silver will know by a token only, and what a row says of a person. What is not
in the vault cannot be taken along when the key is rotated.

Of a row with `email`, `phone` and their tokens: an array of (token, value), NULL for nearly all rows. What it says of a person is
one entry of it: in the place of a token the name of the record, the value as `jobs.privacy.persons` reads it.
"""

from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.contracts import EventContract, FieldContract, SourceContract
from jobs.ingest.stream import consents, tokenize
from jobs.privacy.keys import TokenKey
from jobs.privacy.persons import RECORD, SEPARATOR

COLUMNS = ("email", "phone")
PAIRS = "array<struct<token:string,value:string>>"  # the type of both


def of_events(
    events: dict[str, EventContract], accounts: Sequence[Column], key: TokenKey, identifiers: Column
) -> Column:
    """The columns `email` and `phone`, account ids that are e-mail addresses, the other declared properties, and what the
    event says of the person with these `identifiers`, if it may be kept. The first of the accounts is the person's own."""
    named = [F.when(account.contains("@"), _pair("user_id", F.lower(account), key)) for account in accounts]
    declared = [
        F.when(F.col("name") == contract.name, _pair(field.pii.value, F.col("p")[name], key))
        for contract in events.values()
        for name, field in contract.properties.items()
        if field.pii.value in COLUMNS and not (contract.type == "identify" and name == field.pii.value)
    ]
    told = [
        F.when(
            (F.col("name") == contract.name) & ~consents.is_suppressed(),
            _person(said, identifiers, _account(accounts[0], key), is_whole=False),
        )
        for contract in events.values()
        if (said := _said(contract.properties, lambda name: F.col("p")[name]))
    ]
    return _array([*_contacts(), *named, *declared, *told])


def of_records(source: SourceContract, cell: Callable[[str], Column], key: TokenKey) -> Column:
    """The columns `email` and `phone`, the declared ones besides those that identify the row's person, and what the row says
    of that person."""
    pairs = [
        _pair(field.pii.value, cell(name), key)
        for name, field in source.columns.items()
        if field.pii.value in COLUMNS and source.identifiers.get(field.pii.value) != name
    ]
    said = _said(source.columns, cell)
    told = [_person(said, F.col("identifiers"), F.col("record_key"), is_whole=True)] if said else []
    return _array([*_contacts(), *pairs, *told])


def _said(fields: Mapping[str, FieldContract], cell: Callable[[str], Column]) -> dict[str, Column]:
    """Column of a person's record → its value; of several fields the first that is not blank."""
    found: dict[str, list[Column]] = {}
    for name, field in fields.items():
        if field.person:
            found.setdefault(field.person, []).append(F.when(F.length(F.trim(cell(name))) > 0, cell(name)))
    return {column: F.coalesce(*values) for column, values in found.items()}


def _account(user: Column, key: TokenKey) -> Column:
    """A name for whom an event tells of, by the strongest identifier; the same under every token key."""
    raw = {
        "user_id": F.when(user.contains("@"), F.lower(user)).otherwise(user),
        "loyalty_id": F.col("loyalty_id"),
        "email": tokenize.normalised("email", F.col("email")),
        "phone": tokenize.normalised("phone", F.col("phone")),
        "anonymous_id": F.col("anonymous_id"),
    }
    named = [
        F.when(F.length(F.trim(value)) > 0, F.concat_ws(SEPARATOR, F.lit(kind), value)) for kind, value in raw.items()
    ]
    return tokenize.fingerprint([F.coalesce(*named)], key)


def _person(said: Mapping[str, Column], identifiers: Column, name: Column, *, is_whole: bool) -> Column:
    """One entry of the array, as `jobs.privacy.persons` keeps it: the record's name, and what the row says."""
    record = F.concat_ws(SEPARATOR, F.lit(RECORD), "source", "name", name)
    statement = F.struct(
        F.unix_micros("effective_at").alias("at"),
        F.col("receive_position").alias("position"),
        F.lit(is_whole).alias("whole"),
        identifiers.alias("identifiers"),
        F.struct(*[value.alias(column) for column, value in said.items()]).alias("columns"),
    )
    pair = F.struct(record.alias("token"), F.to_json(statement).alias("value"))
    says_something = F.lit(True) if is_whole else F.coalesce(*said.values()).isNotNull()
    return F.when((F.size(identifiers) > 0) & says_something, pair)


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
