"""Turns bronze rows of event sources into judged rows with the columns of silver. Frame in, frame out; the runner writes."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contracts import EventContract, PiiClass, SourceContract
from jobs.ingest.outliers import Bound
from jobs.ingest.stream import consents, envelope, tokenize, validate, vaulted
from jobs.ingest.stream.bots import is_known_bot
from jobs.ingest.stream.mapping import with_message
from jobs.ingest.stream.oddities import outlier_marks
from jobs.ingest.stream.strict import text_error
from jobs.privacy.keys import TokenKey

TOKENISED = ("email", "phone")


def judge_events(
    bronze: DataFrame,
    sources: dict[str, SourceContract],
    events: dict[str, EventContract],
    key: TokenKey,
    *,
    bounds: Sequence[Bound] = (),
    rules: validate.Rules | None = None,
) -> DataFrame:
    """Bronze rows of event sources → the same rows, parsed, judged, with tokens and the silver `properties` text.

    `sources` are those that the rows may come from, at least: fewer contracts make a shorter judgement.
    `rules`: those of these sources, where the caller has kept them.
    """
    trusted = tuple(s.name for s in sources.values() if s.trust_received_at) or ("",)
    matter = validate.that_matter(sources, events)
    checked = bronze.withColumn("text_error", text_error(F.col("payload"), F.col("payload_error"), F.col("is_checked")))
    messages = with_message(checked, sources, key)
    parsed = envelope.with_envelope(messages, trusted, validate.property_names(matter))
    judged = validate.with_errors(validate.with_contacts(parsed), rules or validate.rules_of(sources, events))
    user = F.col("m.userId")
    looks_like_email = user.contains("@")  # an e-mail used as account id is PII all the same
    named = judged.withColumns(
        {
            "user_id": F.when(looks_like_email, tokenize.token("user_id", F.lower(user), key)).otherwise(user),
            "anonymous_id": F.coalesce("m.anonymousId", F.when(F.col("type") == "alias", F.col("m.previousId"))),
            "loyalty_id": F.coalesce("m.loyaltyId", F.when(F.col("type") == "identify", F.col("p.loyalty_id"))),
            "email_token": tokenize.token("email", F.col("email"), key),
            "phone_token": tokenize.token("phone", F.col("phone"), key),
            "also_vaulted": vaulted.of_events(matter, user, key),
            "consent": F.col("c.consent"),
            "properties": _silver_properties(matter, key),
            "event_date": F.to_date("effective_at"),
            "is_simulated": F.col("source").startswith("sim_"),
            "gpc": F.coalesce("r.gpc", F.lit(False)),
            "key_kind": F.col("r.key_kind"),
            "body_hash": tokenize.fingerprint(
                ["type", "m.event", "m.userId", "m.anonymousId", "m.loyaltyId", "m.timestamp", "body"], key
            ),
        }
    )
    return named.withColumn("flags", _flags([bound for bound in bounds if bound.event in matter]))


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
