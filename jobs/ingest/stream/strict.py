"""What is wrong with the text of a message that no door of ours has judged. Column expressions, one strict parse a row.

Says what `jobs.ingest.landing.text_check` says of the same text; a test holds the two together.

`try_parse_json` refuses duplicate keys, NaN, lone surrogates, comments and single quotes, which `from_json` lets through. It
does not refuse text after the first value, 400-digit numbers or NUL: those are found here. Expensive checks run only on
rows that a cheap one suspects.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.ingest.reasons import Reason

MAX_DEPTH = 32
MAX_KEYS = 256
MIN_KEY_LENGTH = 4  # `"":0`: shorter texts than MAX_KEYS of these cannot hold too many keys
_DEEP = rf"(?:[\[{{][^\[\]{{}}]*+){{{MAX_DEPTH + 1}}}"
# Beyond double's range, or more digits than any engine keeps: 39 digits, or an exponent of three.
_HUGE_ANYWHERE = r"\d{39}|\d[eE]\+?\d{3}"
_HUGE = r"[:\[,]\s*-?(?:\d{39}|[\d.]+[eE]\+?(?:[3-9]\d\d|\d{4}))"
_NOT_A_NUMBER = r"[:\[,]\s*[+-]?(?:NaN|Infinity|INF)"
_LONE_SURROGATE = r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
# An id sent as a number above 2^53 has been, or will be, rounded by somebody. Inside a text the quotes would be escaped.
_NUMERIC_ID = r'"(?:messageId|userId|anonymousId|loyaltyId)"\s*:\s*-?\d{16}'
_STRICT_OPTIONS = {"allowNonNumericNumbers": "false", "allowSingleQuotes": "false"}


def _unescaped(text: Column) -> Column:
    """Without written backslashes, so that what is left of a backslash and a letter is an escape."""
    return F.replace(text, F.lit("\\\\"), F.lit(""))


def _bare(text: Column) -> Column:
    """The text with every string emptied, so that what is left is structure and numbers."""
    return F.regexp_replace(F.replace(_unescaped(text), F.lit('\\"'), F.lit("")), '"[^"]*+"', '""')


def _is_one_value(text: Column) -> Column:
    """Whether the text is exactly one JSON value by the strict parser; in brackets, so that trailing text is seen."""
    values = F.try_parse_json(F.concat(F.lit("["), text, F.lit("]"))).try_cast("array<variant>")
    return F.coalesce(F.size(values) == 1, F.lit(False))


def _malformed(text: Column) -> Column:
    """Why the strict parser refuses the text."""
    lenient = F.from_json(F.concat(F.lit("["), text, F.lit("]")), "array<map<string,string>>", _STRICT_OPTIONS)
    return (
        F.when(_unescaped(text).rlike(_LONE_SURROGATE), Reason.INVALID_ENCODING.value)
        .when(_bare(text).rlike(_NOT_A_NUMBER), Reason.BAD_NUMBER.value)
        .when(F.size(lenient) == 1, Reason.DUPLICATE_KEY.value)
        .otherwise(Reason.MALFORMED_JSON.value)
    )


def _too_many_keys(text: Column) -> Column:
    keys = F.array_distinct(F.regexp_extract_all(text, F.lit(r'"([^"\\]*+)"\s*:'), 1))
    return (F.length(text) > MAX_KEYS * MIN_KEY_LENGTH) & (F.size(keys) > MAX_KEYS)


def text_error(payload: Column, found_before: Column, is_checked: Column) -> Column:
    """The reason code of a text that is not one sound JSON object, NULL for a sound one.

    `found_before` is what the door found; where `is_checked` it has looked at all of this, at a tenth of the cost.
    """
    text = F.btrim(payload, F.lit(" \t\r\n"))
    return (
        F.when(found_before.isNotNull() | is_checked, found_before)
        .when(F.coalesce(text, F.lit("")) == "", Reason.EMPTY.value)
        .when(payload.startswith("base64:"), Reason.INVALID_ENCODING.value)
        .when(~text.startswith("{"), Reason.NOT_AN_OBJECT.value)
        .when(payload.rlike(_DEEP) & _bare(payload).rlike(_DEEP), Reason.TOO_DEEP.value)
        .when(~_is_one_value(payload), _malformed(payload))
        .when(payload.rlike(_HUGE_ANYWHERE) & _bare(payload).rlike(_HUGE), Reason.BAD_NUMBER.value)
        .when(payload.rlike(_NUMERIC_ID), Reason.BAD_NUMBER.value)
        .when(payload.contains("\\u0000") & _unescaped(payload).contains("\\u0000"), Reason.INVALID_ENCODING.value)
        .when(_too_many_keys(payload), Reason.TOO_MANY_KEYS.value)
    )
