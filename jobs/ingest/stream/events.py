"""Turns bronze rows of event sources into judged rows with the columns of silver. Frame in, frame out; the runner writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contracts import EventContract, PiiClass, SourceContract
from jobs.ingest.outliers import Bound
from jobs.ingest.stream import consents, dedupe, envelope, tokenize, validate, vaulted
from jobs.ingest.stream.bots import is_known_bot
from jobs.ingest.stream.mapping import with_message
from jobs.ingest.stream.oddities import outlier_marks
from jobs.ingest.stream.strict import text_error
from jobs.privacy.keys import TokenKey

TOKENISED = ("email", "phone")
IDENTIFIERS = {"user_id": "user_id", "loyalty_id": "loyalty_id", "email_token": "email", "phone_token": "phone",
               "anonymous_id": "anonymous_id", "previous_id": "previous_id"}  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """What sources, events and usual values ask of messages, as columns of the session at hand.

    Making it takes longer than judging a small batch with it: whoever judges many keeps it.
    """

    sources: dict[str, SourceContract]
    property_names: tuple[str, ...]
    rules: validate.Rules
    steps: tuple[dict[str, Column], ...]


def judgement_of(
    sources: dict[str, SourceContract],
    events: dict[str, EventContract],
    key: TokenKey,
    bounds: Sequence[Bound] = (),
) -> Judgement:
    """The judgement of rows from these sources; fewer of them make a shorter one, planned, compiled and run faster."""
    matter = validate.that_matter(sources, events)
    user = F.col("m.userId")
    previous = F.when(F.col("type") == "alias", F.col("m.previousId"))
    named = {
        "user_id": _account(user, key),
        "previous_id": _account(previous, key),
        "anonymous_id": F.col("m.anonymousId"),
        "loyalty_id": F.coalesce("m.loyaltyId", F.when(F.col("type") == "identify", F.col("p.loyalty_id"))),
        "email_token": tokenize.token("email", F.col("email"), key),
        "phone_token": tokenize.token("phone", F.col("phone"), key),
        "consent": F.col("c.consent"),
        "properties": _silver_properties(matter, key),
        "event_date": F.to_date("effective_at"),
        "is_simulated": F.col("source").startswith("sim_"),
        "gpc": F.coalesce("r.gpc", F.lit(False)),
        "key_kind": F.col("r.key_kind"),
        "key_hash": dedupe.key_hash(),
        "body_hash": _body_hash(previous, key),
    }
    of_names = {
        "vaulted": vaulted.of_events(matter, (user, previous), key, _identifiers()),
        "identifiers": _identifiers(),
        "is_suppressed": consents.is_suppressed(),
        "flags": _flags([bound for bound in bounds if bound.event in matter]),
    }
    return Judgement(
        sources=sources,
        property_names=tuple(validate.property_names(matter)),
        rules=validate.rules_of(sources, events),
        steps=(named, of_names, {"statements": consents.statements()}),
    )


def judge_events(bronze: DataFrame, judgement: Judgement, key: TokenKey) -> DataFrame:
    """Bronze rows of event sources → the same rows, parsed, judged, with tokens and the silver `properties` text."""
    trusted = tuple(s.name for s in judgement.sources.values() if s.trust_received_at) or ("",)
    checked = bronze.withColumn("text_error", text_error(F.col("payload"), F.col("payload_error"), F.col("is_checked")))
    messages = with_message(checked, judgement.sources, key)
    parsed = envelope.with_envelope(messages, trusted, judgement.property_names)
    judged = validate.with_errors(validate.with_contacts(parsed), judgement.rules)
    return reduce(DataFrame.withColumns, judgement.steps, judged)


def _account(value: Column, key: TokenKey) -> Column:
    """An account id; a token where it is an e-mail address, which is PII all the same. A former id may be one: the same token."""
    return F.when(value.contains("@"), tokenize.token("user_id", F.lower(value), key)).otherwise(value)


def _body_hash(previous: Column, key: TokenKey) -> Column:
    """What a message says; an alias says its former id."""
    names = ("type", "m.event", "m.userId", "m.anonymousId", "m.loyaltyId", "m.timestamp")
    return tokenize.fingerprint([*map(F.col, names), F.coalesce(previous, "body")], key)


def _flags(bounds: Sequence[Bound]) -> Column:
    """What is odd about a row that is kept all the same."""
    marks = {
        "time_suspect": F.col("is_time_suspect"),
        "consent_malformed": consents.is_malformed(),
        "gpc": F.col("gpc"),
        "known_bot": is_known_bot(F.col("c.userAgent"), F.col("r.user_agent"), F.col("key_kind")),
    }
    named = [F.when(condition, F.lit(name)) for name, condition in marks.items()]
    text = F.concat_ws(validate.NEXT, *named, *outlier_marks(bounds))
    return validate.as_array(text)


def _silver_properties(events: dict[str, EventContract], key: TokenKey) -> Column:
    """The body as it came, unless the event declares PII: then only its declared fields, tokens in place of values."""
    text = F.col("body")
    for contract in events.values():
        fields = contract.properties.items()
        if all(field.pii is PiiClass.NONE for _, field in fields):
            continue
        kept = [validate.prop(name).alias(name) for name, field in fields if field.pii is PiiClass.NONE]
        tokens = [
            tokenize.token(field.pii.value, validate.prop(name), key).alias(f"{name}_token")
            for name, field in fields
            if field.pii.value in TOKENISED
        ]
        text = F.when(F.col("name") == contract.name, F.to_json(F.struct(*kept, *tokens))).otherwise(text)
    return text


def _identifiers() -> Column:
    """Whom the row names: (identifier_type, identifier_value) of each that is not blank."""
    pairs = [
        F.when(
            F.length(F.trim(F.col(column))) > 0,
            F.struct(F.lit(kind).alias("identifier_type"), F.col(column).alias("identifier_value")),
        )
        for column, kind in IDENTIFIERS.items()
    ]
    return F.array_compact(F.array(*pairs))
