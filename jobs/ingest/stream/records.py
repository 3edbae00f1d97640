"""Turns record messages (rows of CSV files) into versions of records. Frame in, frame out; the runner writes.

In: bronze rows of record sources, payload a JSON object of strings. Nothing is filtered: `errors` says what is wrong.
Every expression is a CASE over the source, so that one pass serves all record sources.
"""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contracts import FieldContract, PiiClass, SourceContract
from jobs.ingest.reasons import Reason
from jobs.ingest.stream import consents, dedupe, tokenize, vaulted
from jobs.ingest.stream.strict import text_error
from jobs.ingest.stream.validate import ISO_DATE, as_array, error, field_errors, joined, leaks_address
from jobs.privacy.keys import TokenKey

TOKENISED = ("email", "phone")
SEPARATOR = "\x1f"
# What a spreadsheet makes of a long number; the digits it dropped cannot be brought back.
EXCEL_NUMBER = r"^[+-]?\d([.,]\d+)?E\+\d{1,3}$"
CONTROL = r"[\x00-\x1f\x7f]"
_PAIRS = "array<struct<identifier_type:string,identifier_value:string>>"
_STATED = "array<struct<purpose:string,status:string>>"


def _by_source(sources: list[SourceContract], build: Callable[[SourceContract], Column], kind: str) -> Column:
    """CASE source WHEN … : the column that `build` makes for each source; NULL of type `kind` for none."""
    chosen = F.lit(None).cast(kind)
    for source in sources:
        chosen = F.when(F.col("source") == source.name, build(source).cast(kind)).otherwise(chosen)
    return chosen


def _cell(name: str) -> Column:
    return F.col("cells")[name]


def _raw(kind: str) -> Callable[[SourceContract], Column]:
    return lambda source: _cell(source.identifiers[kind])


def _time(source: SourceContract) -> Column:
    return F.try_to_timestamp(_cell(source.valid_from)) if source.valid_from else F.col("received_at")


def judge_records(bronze: DataFrame, sources: list[SourceContract], key: TokenKey) -> DataFrame:
    """Bronze rows of record sources → the same rows with key, version id, tokens, properties text and `errors`."""
    checked = bronze.withColumn("text_error", text_error(F.col("payload"), F.col("payload_error"), F.col("is_checked")))
    parsed = checked.withColumn("cells", F.from_json("payload", "map<string,string>"))
    raw = {kind: _by_source([s for s in sources if kind in s.identifiers], _raw(kind), "string") for kind in TOKENISED}
    keyed = parsed.withColumns(
        {
            "record_key": _by_source(sources, lambda s: _record_key(s, key), "string"),
            "valid_from": _by_source(sources, _time, "timestamp"),
            "object": _by_source(sources, lambda s: F.lit(s.object), "string"),
            "contract_version": _by_source(sources, lambda s: F.lit(s.version), "long"),
            "properties": _by_source(sources, lambda s: _silver_text(s, key), "string"),
            "errors": as_array(F.coalesce(_by_source(sources, _errors, "string"), F.lit(""))),
            "is_simulated": F.col("source").startswith("sim_"),
        }
        | raw
    )
    return _identified(keyed, sources, key)


def _identified(keyed: DataFrame, sources: list[SourceContract], key: TokenKey) -> DataFrame:
    """Adds who and what the row is, in the columns that events have too."""
    # A version is its content at its time: the same row again in the same delivery is a repeat, tomorrow's is news.
    version = F.sha2(F.concat_ws(SEPARATOR, "source", "record_key", F.col("valid_from").cast("string"), "payload"), 256)
    named = keyed.withColumns(
        {
            "record_id": version,
            "event_id": version,
            "effective_at": F.col("valid_from"),
            "event_date": F.to_date("valid_from"),
            "type": F.lit(None).cast("string"),
            "name": F.col("object"),
            "email_token": tokenize.token("email", F.col("email"), key),
            "phone_token": tokenize.token("phone", F.col("phone"), key),
            "identifiers": _by_source(sources, lambda s: _identifiers(s, key), _PAIRS),
            "stated": _by_source(sources, _stated_consents, _STATED),
        }
    )
    return named.withColumns(
        {
            "key_hash": dedupe.key_hash(),
            "body_hash": F.lit(""),
            "is_suppressed": F.lit(False),
            "vaulted": _by_source(sources, lambda s: vaulted.of_records(s, _cell, key), vaulted.PAIRS),
            "statements": _statements(),
        }
    )


def _record_key(source: SourceContract, key: TokenKey) -> Column:
    """Parts joined by |, blanks around them aside; one thing under either case where the contract says so. A part that points
    at a person is a keyed hash, the same under every token key."""

    def part(name: str) -> Column:
        pii = source.columns[name].pii
        if pii is PiiClass.NONE:
            return F.trim(_cell(name))
        return F.when(_cell(name).isNotNull(), tokenize.fingerprint([tokenize.normalised(pii.value, _cell(name))], key))

    text = F.concat_ws("|", *[part(name) for name in source.key])
    return F.lower(text) if source.key_case == "insensitive" else text


def _silver_text(source: SourceContract, key: TokenKey) -> Column:
    """Columns as they are, e-mail and phone as tokens, other PII left out (bronze keeps it for `retention_days`)."""
    plain = [
        _canonical(source, name, field).alias(name)
        for name, field in source.columns.items()
        if field.pii is PiiClass.NONE
    ]
    tokens = [
        tokenize.token(field.pii.value, _cell(name), key).alias(f"{name}_token")
        for name, field in source.columns.items()
        if field.pii.value in TOKENISED
    ]
    return F.to_json(F.struct(*plain, *tokens), {"ignoreNullFields": "false"})


def _canonical(source: SourceContract, name: str, field: FieldContract) -> Column:
    """The cell's text, numbers with a decimal point and dates in ISO 8601 whatever the source's dialect."""
    value = _cell(name)
    if field.type in ("number", "integer") and source.decimal == ",":
        return F.replace(value, F.lit(","), F.lit("."))
    if field.type == "date" and source.date_format != ISO_DATE:
        return F.date_format(F.try_to_timestamp(value, F.lit(source.date_format)), ISO_DATE)
    return value


def _errors(source: SourceContract) -> Column:
    """All errors of a row as one text."""
    text = F.col("text_error")
    rules = [rule for name, field in source.columns.items() for rule in _field_rules(source, name, field)]
    missing_key = [
        error(_cell(name).isNull(), Reason.MISSING_PROPERTY, name)
        for name in source.key
        if not source.columns[name].required
    ]
    broken = F.concat(text, F.lit(":payload"))
    return F.when(text.isNotNull(), broken).otherwise(joined([*missing_key, *rules]))


def _field_rules(source: SourceContract, name: str, field: FieldContract) -> list[Column]:
    value = _canonical(source, name, field) if field.type in ("number", "integer") else _cell(name)
    rules = field_errors(value, field, name, source.date_format)
    if field.pii is PiiClass.NONE:
        rules.append(error(leaks_address(value), Reason.UNDECLARED_PII, name))
    if source.format == "csv" and field.type == "string":
        rules.append(error(value.rlike(EXCEL_NUMBER), Reason.EXCEL_DAMAGE, name))
    if name in source.key:
        rules.append(error(value.rlike(CONTROL), Reason.PATTERN_MISMATCH, name))
    return rules


def _identifiers(source: SourceContract, key: TokenKey) -> Column:
    pairs = []
    for kind, column in source.identifiers.items():
        value = tokenize.token(kind, _cell(column), key) if kind in TOKENISED else _cell(column)
        named = F.struct(F.lit(kind).alias("identifier_type"), value.alias("identifier_value"))
        pairs.append(F.when(F.length(F.trim(value)) > 0, named))
    return F.array_compact(F.array(*pairs)) if pairs else F.array().cast(_PAIRS)


def _stated_consents(source: SourceContract) -> Column:
    """An empty cell says nothing; a declared word is a grant; anything else is a denial: consent fails closed."""
    stated = []
    for purpose, column in source.consents.items():
        text = F.lower(F.trim(_cell(column)))
        status = F.when(text.isin(*source.consent_values.granted), "granted").when(F.length(text) > 0, "denied")
        stated.append(F.struct(F.lit(purpose).alias("purpose"), status.alias("status")))
    return F.array(*stated) if stated else F.array().cast(_STATED)


def _statements() -> Column:
    """What the row states, per identifier and purpose."""
    stated = F.filter("stated", lambda entry: entry["status"].isNotNull())

    def of_identifier(identifier: Column) -> Column:
        return F.transform(stated, lambda entry: consents.statement(identifier, entry))

    return F.when(F.size(stated) > 0, F.flatten(F.transform("identifiers", of_identifier)))
