"""Turns record messages (rows of CSV files) into versions of records. Frame in, frame out; the runner writes.

In: bronze rows of record sources, payload a JSON object of strings. Nothing is filtered: `errors` says what is wrong.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contracts import PiiClass, SourceContract
from jobs.ingest import tokenize
from jobs.ingest.reasons import Reason
from jobs.ingest.validate import field_errors

TOKENISED = ("email", "phone")
SEPARATOR = "\x1f"


def judge_records(bronze: DataFrame, source: SourceContract, key: bytes) -> DataFrame:
    """Bronze rows of one record source → the same rows with key, version id, tokens, properties text and `errors`."""
    parsed = bronze.withColumn("cells", F.from_json("payload", "map<string,string>"))
    cell = {name: F.col("cells")[name] for name in source.columns}
    valid_from = F.try_to_timestamp(cell[source.valid_from]) if source.valid_from else F.col("received_at")
    record_key = F.concat_ws("|", *[cell[name] for name in source.key])
    properties = F.to_json(F.struct(*_kept(source, cell, key)), {"ignoreNullFields": "false"})
    version = F.sha2(
        F.concat_ws(SEPARATOR, F.col("source"), record_key, valid_from.cast("string"), F.col("payload")), 256
    )
    return parsed.withColumns(
        {
            "record_key": record_key,
            "valid_from": valid_from,
            "effective_at": valid_from,
            "properties": properties,
            "record_id": version,
            "event_id": version,
            "object": F.lit(source.object),
            "contract_version": F.lit(source.version).cast("long"),
            "event_date": F.to_date(valid_from),
            "is_simulated": F.lit(source.is_simulated),
            "errors": _errors(source, cell),
        }
        | {kind: cell.get(source.identifiers.get(kind, ""), F.lit(None).cast("string")) for kind in TOKENISED}
    ).withColumns({f"{kind}_token": tokenize.token(kind, F.col(kind), key) for kind in TOKENISED})


def _kept(source: SourceContract, cell: dict[str, Column], key: bytes) -> list[Column]:
    """Columns as they are, e-mail and phone as tokens, other PII left out (bronze keeps it for `retention_days`)."""
    plain = [cell[name].alias(name) for name, field in source.columns.items() if field.pii is PiiClass.NONE]
    tokens = [
        tokenize.token(field.pii.value, cell[name], key).alias(f"{name}_token")
        for name, field in source.columns.items()
        if field.pii.value in TOKENISED
    ]
    return plain + tokens


def _errors(source: SourceContract, cell: dict[str, Column]) -> Column:
    rules = [rule for name, field in source.columns.items() for rule in field_errors(cell[name], field, name)]
    missing_key = [
        F.when(cell[name].isNull(), F.lit(f"{Reason.MISSING_RECORD_KEY.value}:{name}")) for name in source.key
    ]
    broken = F.concat(F.col("payload_error"), F.lit(":payload"))
    return F.when(F.col("payload_error").isNotNull(), F.array(broken)).otherwise(
        F.array_compact(F.array(*missing_key, *rules))
    )


def record_identifiers(frame: DataFrame, source: SourceContract) -> DataFrame:
    """Accepted records → one row per record and identifier it carries."""
    pairs = []
    for kind, column in source.identifiers.items():
        value = F.col(f"{kind}_token") if kind in TOKENISED else F.col("cells")[column]
        named = F.struct(F.lit(kind).alias("identifier_type"), value.alias("identifier_value"))
        pairs.append(F.when(F.length(F.trim(value)) > 0, named))
    return frame.select("*", F.inline(F.array_compact(F.array(*pairs))))


def record_consents(identified: DataFrame, source: SourceContract) -> DataFrame:
    """Rows of `record_identifiers` → one row per identifier and purpose; only `granted` and `denied` say anything."""
    stated = F.array(
        *[
            F.struct(F.lit(purpose).alias("purpose"), F.lower(F.trim(F.col("cells")[column])).alias("status"))
            for purpose, column in source.consents.items()
        ]
    )
    return identified.select("*", F.inline(stated)).where(F.col("status").isin("granted", "denied"))
