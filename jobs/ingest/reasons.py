"""The closed list of reasons for which a message or a whole file is set aside: thirty, snake_case, stating the condition.

One list for every door (HTTP, file, Kafka, webhook), so that a person who knows the codes of one knows them all.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a message is in quarantine or a file is refused. Details name fields and expectations, never values."""

    # the bytes and the text
    EMPTY = "empty"
    INVALID_ENCODING = "invalid_encoding"
    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    WRONG_FORMAT = "wrong_format"
    # the JSON
    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    DUPLICATE_KEY = "duplicate_key"
    BAD_NUMBER = "bad_number"
    TOO_DEEP = "too_deep"
    TOO_MANY_KEYS = "too_many_keys"
    # the envelope
    MISSING_EVENT_ID = "missing_event_id"
    MISSING_IDENTIFIER = "missing_identifier"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_EVENT = "unknown_event"
    BAD_TIMESTAMP = "bad_timestamp"
    ID_CONFLICT = "id_conflict"
    # the fields
    MISSING_PROPERTY = "missing_property"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED_VALUE = "not_allowed_value"
    PATTERN_MISMATCH = "pattern_mismatch"
    UNDECLARED_PII = "undeclared_pii"
    SENSITIVE_DATA = "sensitive_data"
    # the row or the file
    WRONG_WIDTH = "wrong_width"
    WRONG_HEADER = "wrong_header"
    EXCEL_DAMAGE = "excel_damage"
    UNKNOWN_SOURCE = "unknown_source"
    NOT_REGULAR = "not_regular"
    NAME_REUSED = "name_reused"


class DropReason(StrEnum):
    """Why a valid message is counted but not kept."""

    REPEATED_EVENT_ID = "repeated_event_id"
    REPEATED_RECORD = "repeated_record"
    NO_ANALYTICS_CONSENT = "no_analytics_consent"
