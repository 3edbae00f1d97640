"""Consent at the door: what a message states, what it takes back, and whether it may be kept. Fails closed throughout.

Only a plain true is a grant. A grant counts only where a person states it (identify, preference centre); a denial counts
wherever it is seen. A consent object of another shape says nothing. Global Privacy Control (`Sec-GPC`) denies sharing
whatever the message grants; both facts are kept.
"""

from pathlib import Path

import yaml
from pyspark.sql import Column
from pyspark.sql import functions as F

_RULES = yaml.safe_load((Path(__file__).parent / "consent.yml").read_text("utf-8"))
CATEGORIES: dict[str, str] = _RULES["categories"]
GPC_DENIES: tuple[str, ...] = tuple(_RULES["gpc_denies"])
STATEMENTS: tuple[str, ...] = tuple(_RULES["statements"])
DENYING_EVENTS: dict[str, str] = _RULES["denying_events"]
ANALYTICS = tuple(category for category, purpose in CATEGORIES.items() if purpose == "analytics")


def _granted(value: Column) -> Column:
    return F.coalesce(F.lower(F.trim(value)) == "true", F.lit(False))


def is_malformed() -> Column:
    """Whether there is a consent object that is none: kept as it is, and it says nothing."""
    return F.col("c.consent").isNotNull() & F.col("preferences").isNull()


def is_suppressed() -> Column:
    """True when the message itself states anything but a grant of analytics: it is counted and not kept."""
    preferences = F.col("preferences")
    denied = [F.map_contains_key(preferences, name) & ~_granted(preferences[name]) for name in ANALYTICS]
    return F.coalesce(F.exists(F.array(*denied), lambda is_denied: is_denied), F.lit(False))


def _may_state() -> Column:
    """Whether a message can say anything of consent: by an object of categories, by its name alone, or by GPC."""
    by_name = F.coalesce(F.col("name").isin(*DENYING_EVENTS), F.lit(False))
    return F.col("preferences").isNotNull() | by_name | F.col("gpc")


def statements() -> Column:
    """What a message with `identifiers` states or takes back, suppressed or not: one entry per identifier and purpose, NULL
    where it says nothing. Arrays are built for the rows alone that may state something."""
    preferences = F.col("preferences")
    is_statement = F.coalesce(F.col("name").isin(*STATEMENTS), F.lit(False))
    denies = F.coalesce(F.exists(F.map_values(preferences), lambda value: ~_granted(value)), F.lit(False))
    is_denial = F.coalesce(F.col("name").isin(*DENYING_EVENTS), F.lit(False))

    def of_identifier(identifier: Column) -> Column:
        return F.transform(_stated(), lambda stated: statement(identifier, stated))

    def counts(entry: Column) -> Column:
        is_grant = is_statement & ~_is_overruled(entry) & _may_grant(entry)
        return entry["purpose"].isNotNull() & ((entry["status"] == "denied") | is_grant)

    every = F.filter(F.flatten(F.transform("identifiers", of_identifier)), counts)
    return F.when(_may_state() & (is_statement | denies | is_denial | F.col("gpc")), every)


def statement(identifier: Column, stated: Column) -> Column:
    """One entry of `statements`: (identifier_type, identifier_value, purpose, status)."""
    of_whom = [identifier[name].alias(name) for name in ("identifier_type", "identifier_value")]
    return F.struct(*of_whom, *[stated[name].alias(name) for name in ("purpose", "status")])


def _stated() -> Column:
    """All statements of a message: its consent object's, what its name alone says, and the browser's GPC signal."""
    purposes = F.create_map(*[F.lit(text) for pair in CATEGORIES.items() for text in pair])
    by_person = F.transform(
        F.map_entries(F.col("preferences")),
        lambda entry: F.struct(
            purposes[entry["key"]].alias("purpose"),
            F.when(_granted(entry["value"]), "granted").otherwise("denied").alias("status"),
        ),
    )
    denials = [F.struct(F.lit(name).alias("purpose"), F.lit("denied").alias("status")) for name in GPC_DENIES]
    empty = F.array().cast("array<struct<purpose:string,status:string>>")
    by_browser = F.when(F.col("gpc"), F.array(*denials)).otherwise(empty)
    denied = F.create_map(*[F.lit(text) for pair in DENYING_EVENTS.items() for text in pair])[F.col("name")]
    by_name = F.array(F.struct(denied.alias("purpose"), F.lit("denied").alias("status")))
    return F.concat(F.coalesce(by_person, empty), F.when(denied.isNotNull(), by_name).otherwise(empty), by_browser)


def _may_grant(entry: Column) -> Column:
    """A browser's write key is public: with it anybody may speak for a browser, and nobody for an account."""
    is_public = F.coalesce(F.col("key_kind") == "browser", F.lit(False))
    return ~is_public | (entry["identifier_type"] == "anonymous_id")


def _is_overruled(entry: Column) -> Column:
    return F.col("gpc") & entry["purpose"].isin(*GPC_DENIES)
