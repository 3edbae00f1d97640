"""Turns judged event messages into rows of the silver tables. Frame in, frame out; the runner writes.

All functions take a frame of `judge_events`; those for accepted rows expect it filtered to `errors` being empty.
"""

from pathlib import Path

import yaml
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contracts import EventContract, PiiClass, SourceContract
from jobs.ingest.stream import envelope, tokenize, validate

TOKENISED = ("email", "phone")
_CONSENT_CATEGORIES: dict[str, str] = yaml.safe_load((Path(__file__).parent / "consent.yml").read_text("utf-8"))
CONSENT_STATEMENTS = ("identify", "Consent Preference Updated")


def judge_events(
    bronze: DataFrame, sources: dict[str, SourceContract], events: dict[str, EventContract], key: bytes
) -> DataFrame:
    """Bronze rows of event sources → the same rows, parsed, judged, with tokens and the silver `properties` text."""
    trusted = tuple(s.name for s in sources.values() if s.trust_received_at) or ("",)
    parsed = envelope.with_envelope(bronze, trusted)
    judged = validate.with_errors(validate.with_properties(parsed, events), sources, events)
    user = F.col("m_userId")
    looks_like_email = user.contains("@")  # an e-mail used as account id is PII all the same
    return judged.withColumns(
        {
            "event_id": F.col("m_messageId"),
            "type": F.col("m_type"),
            "user_id": F.when(looks_like_email, tokenize.token("user_id", F.lower(user), key)).otherwise(user),
            "anonymous_id": F.col("m_anonymousId"),
            "loyalty_id": F.coalesce("m_loyaltyId", F.when(F.col("m_type") == "identify", F.col("p_loyalty_id"))),
            "email_token": tokenize.token("email", F.col("email"), key),
            "phone_token": tokenize.token("phone", F.col("phone"), key),
            "consent": F.col("c_consent"),
            "properties": _silver_properties(events, key),
            "event_date": F.to_date("effective_at"),
            "is_simulated": F.col("source").startswith("sim_"),
        }
    )


def _silver_properties(events: dict[str, EventContract], key: bytes) -> Column:
    """The body as it came, unless the event declares PII: then only its declared fields, tokens in place of values."""
    text = F.col("body")
    for contract in events.values():
        fields = contract.properties.items()
        if all(field.pii is PiiClass.NONE for _, field in fields):
            continue
        kept = [F.col("p_" + name).alias(name) for name, field in fields if field.pii is PiiClass.NONE]
        tokens = [
            tokenize.token(field.pii.value, F.col("p_" + name), key).alias(f"{name}_token")
            for name, field in fields
            if field.pii.value in TOKENISED
        ]
        text = F.when(F.col("name") == contract.name, F.to_json(F.struct(*kept, *tokens))).otherwise(text)
    return text


def is_suppressed() -> Column:
    """True when the message itself states anything but a grant of analytics: it is counted and not kept."""
    preferences = F.col("consent_categoryPreferences")
    stated = F.coalesce(F.map_contains_key(preferences, "Analytics"), F.lit(False))
    return stated & ~_granted(preferences["Analytics"])


def _granted(value: Column) -> Column:
    """Only a plain true is a grant; any other statement is a denial: consent fails closed."""
    return F.coalesce(F.lower(F.trim(value)) == "true", F.lit(False))


def to_identifiers(frame: DataFrame) -> DataFrame:
    """Accepted rows → one row per event and identifier it carries."""
    kinds = {"user_id": "user_id", "loyalty_id": "loyalty_id", "email_token": "email", "phone_token": "phone",
             "anonymous_id": "anonymous_id"}  # fmt: skip
    pairs = F.array(
        *[
            F.when(
                F.length(F.trim(F.col(column))) > 0,
                F.struct(F.lit(kind).alias("identifier_type"), F.col(column).alias("identifier_value")),
            )
            for column, kind in kinds.items()
        ]
    )
    return frame.select("*", F.inline(F.array_compact(pairs)))


def to_consents(frame: DataFrame) -> DataFrame:
    """Rows of `to_identifiers` (suppressed ones too) → one row per identifier and purpose stated.

    A grant counts only where a person states it (identify, preference centre); a denial counts wherever it is seen:
    consent fails closed.
    """
    preferences = F.col("consent_categoryPreferences")
    denies = F.exists(F.map_values(preferences), lambda value: ~_granted(value))
    speaks = F.col("name").isin(*CONSENT_STATEMENTS) | denies
    rows = (
        frame.where(speaks)
        .select("*", F.explode(F.map_entries(preferences)).alias("entry"))
        .withColumns(
            {
                "purpose": F.create_map(*[F.lit(x) for pair in _CONSENT_CATEGORIES.items() for x in pair])[
                    F.col("entry.key")
                ],
                "status": F.when(_granted(F.col("entry.value")), "granted").otherwise("denied"),
            }
        )
    )
    counts = (F.col("status") == "denied") | F.col("name").isin(*CONSENT_STATEMENTS)
    return rows.where(F.col("purpose").isNotNull() & counts)
