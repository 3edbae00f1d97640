"""The closed list of reasons for which a message or a file is set aside. At most 30; snake_case, stating the condition."""

from enum import StrEnum


class Reason(StrEnum):
    """Why one message is in quarantine."""

    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    INVALID_ENCODING = "invalid_encoding"
    LINE_TOO_LONG = "line_too_long"
    CSV_FIELD_COUNT = "csv_field_count"
    MISSING_EVENT_ID = "missing_event_id"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_EVENT = "unknown_event"
    BAD_TIMESTAMP = "bad_timestamp"
    MISSING_IDENTIFIER = "missing_identifier"
    MISSING_PROPERTY = "missing_property"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED_VALUE = "not_allowed_value"
    PATTERN_MISMATCH = "pattern_mismatch"
    UNDECLARED_PII = "undeclared_pii"
    MISSING_RECORD_KEY = "missing_record_key"


class FileReason(StrEnum):
    """Why a whole landing file is refused; the other files load."""

    UNKNOWN_SOURCE = "unknown_source"
    NOT_REGULAR = "not_regular"
    EMPTY_FILE = "empty_file"
    TRUNCATED_GZIP = "truncated_gzip"
    NOT_TEXT = "not_text"
    NOT_NDJSON = "not_ndjson"
    HEADER_MISMATCH = "header_mismatch"
    COLUMNS_REORDERED = "columns_reordered"
    NAME_REUSED = "name_reused"
    REPEATED_FILE = "repeated_file"
    UNREADABLE = "unreadable"


class DropReason(StrEnum):
    """Why a valid message is counted but not kept."""

    REPEATED_EVENT_ID = "repeated_event_id"
    REPEATED_RECORD = "repeated_record"
    NO_ANALYTICS_CONSENT = "no_analytics_consent"
