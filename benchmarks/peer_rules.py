"""The contracts' rules as DuckDB SQL, for the peer of the ingest benchmark: the stream's checks by another engine."""

from expectations.contracts import EventContract, FieldContract, PiiClass

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
INTEGER = r"^[+-]?\d{1,15}(\.0+)?$"
ADDRESS = r"[A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9-]+\.[A-Za-z]{2,}"
TIME = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"
TYPES = "('track','identify','page','screen','group','alias')"


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def error(condition: str, code: str, field: str) -> str:
    """`code:field` where the condition holds, NULL elsewhere."""
    return f"case when {condition} then {quoted(f'{code}:{field}')} end"


def padded(key: bytes, pad: int) -> str:
    """A block of the key for HMAC-SHA-256 (RFC 2104), as a blob literal."""
    return f"unhex('{bytes(byte ^ pad for byte in key.ljust(64, bytes(1))).hex()}')"


def hmac(text: str, key: bytes) -> str:
    """The keyed hash of a text, hex."""
    return f"sha256({padded(key, 0x5C)} || unhex(sha256({padded(key, 0x36)} || encode({text}))))"


def _typed(value: str, kind: str) -> str:
    if kind in ("number", "integer"):
        pattern = NUMBER if kind == "number" else INTEGER
        return f"case when regexp_matches({value}, {quoted(pattern)}) then try_cast({value} as double) end"
    if kind == "boolean":
        return f"case when {value} in ('true','false') then {value} end"
    if kind == "object":
        return f"case when starts_with(ltrim({value}), '{{') then {value} end"
    return value


def field_rules(value: str, field: FieldContract, name: str) -> list[str]:
    """The rules of one field, each an error text or NULL."""
    typed = _typed(value, field.type)
    rules = [error(f"{value} is null", "missing_property", name)] if field.required else []
    if field.type not in ("string", "date"):
        rules.append(error(f"{value} is not null and ({typed}) is null", "wrong_type", name))
    if field.min is not None:
        rules.append(error(f"({typed}) < {field.min}", "out_of_range", name))
    if field.max is not None:
        rules.append(error(f"({typed}) > {field.max}", "out_of_range", name))
    if field.max_length is not None:
        rules.append(error(f"length({value}) > {field.max_length}", "too_long", name))
    if field.allowed:
        rules.append(error(f"{value} not in ({','.join(map(quoted, field.allowed))})", "not_allowed_value", name))
    if field.pattern:
        rules.append(error(f"not regexp_matches({value}, {quoted(field.pattern)})", "pattern_mismatch", name))
    return rules


def array_rules(value: str, field: FieldContract, name: str) -> list[str]:
    """The rules of a property that is an array of objects."""
    items = f"try_cast({value} as json[])"
    rules = [error(f"{value} is not null and not starts_with(ltrim({value}), '[')", "wrong_type", name)]
    if field.required:
        rules.append(error(f"{value} is null or len({items}) = 0", "missing_property", name))
    per_item = [
        rule
        for key, inner in field.items.items()
        for rule in field_rules(f"(item ->> {quoted(key)})", inner, f"{name}.{key}")
    ]
    if per_item:
        wrong = f"list_transform({items}, lambda item: list_filter([{','.join(per_item)}], lambda x: x is not null))"
        found = f"list_distinct(flatten({wrong}))"
        rules.append(f"nullif(array_to_string({found}, chr(30)), '')")
    return rules


def event_rules(event: EventContract) -> str:
    """All errors of one event's properties as one text."""
    rules: list[str] = []
    for name, field in event.properties.items():
        value = f'p."{name}"'
        rules += array_rules(value, field, name) if field.type == "array" else field_rules(value, field, name)
    return f"concat_ws(chr(30), {', '.join(rules)})" if rules else "''"


def property_errors(events: dict[str, EventContract]) -> str:
    """CASE over the event's name."""
    arms = " ".join(f"when {quoted(name)} then {event_rules(event)}" for name, event in events.items())
    return f"case name {arms} end"


def leaks(value: str, place: str) -> str:
    """An error for an e-mail address where no contract declares one."""
    suspect = f"(contains({value}, '@') or contains({value}, '%40')) and regexp_matches({value}, {quoted(ADDRESS)})"
    return error(suspect, "undeclared_pii", place)


def with_personal_fields(events: dict[str, EventContract]) -> list[str]:
    """Names of events that declare PII among their properties."""
    return [e.name for e in events.values() if any(f.pii is not PiiClass.NONE for f in e.properties.values())]
