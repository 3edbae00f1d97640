"""A first contract from a sample: types, required columns, a key, PII classes. Pure; says what it is unsure of.

A type is stated only when every value of the sample fits it: what does not fit would be quarantined tomorrow.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Any

from expectations.contracts import PiiClass
from expectations.contracts.json_schema import TIMESTAMP
from jobs.privacy.detect import look_at

# Last words of columns whose digits name something rather than count it, and of those that name the row.
NAMING = {
    "code",
    "ean",
    "gtin",
    "id",
    "isbn",
    "key",
    "no",
    "nr",
    "number",
    "phone",
    "postcode",
    "sku",
    "upc",
    "uuid",
    "zip",
}
KEY_NAMES = NAMING - {"phone", "postcode", "zip"}
DATE_FORMATS = {
    "yyyy-MM-dd": "%Y-%m-%d", "dd.MM.yyyy": "%d.%m.%Y", "dd/MM/yyyy": "%d/%m/%Y", "MM/dd/yyyy": "%m/%d/%Y",
    "dd-MM-yyyy": "%d-%m-%Y", "yyyy/MM/dd": "%Y/%m/%d",
}  # fmt: skip
AMBIGUOUS = {"dd/MM/yyyy", "MM/dd/yyyy"}
INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,14})")
NUMBER = {".": re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?"), ",": re.compile(r"[+-]?\d+(,\d+)?")}
DAMAGED = re.compile(r"\d(?:[.,]\d+)?E\+\d{2}|#{3,}")
NEARLY = 0.9
CLASS_SHARE = 0.5  # of the values, from which on a column is classed; below, it is said
Columns = Mapping[str, list[str | None]]
MAX_KEY_COLUMNS = 3
FEW_ROWS = 100


@dataclass
class Inferred:
    """Rules per column, as they will stand in the YAML, and what a person should look at."""

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    dialect: dict[str, str] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)


def infer_columns(columns: Columns, native: Mapping[str, str], rows: int) -> Inferred:
    """Rules for every column. `native` types, where a file states them, are taken as they are."""
    inferred = Inferred()
    decimal = _decimal(columns) if not native else "."
    date_format = _date_format(columns, inferred.unsure) if not native else "yyyy-MM-dd"
    for name, cells in columns.items():
        filled = [cell for cell in cells if cell is not None]
        rules: dict[str, Any] = {}
        kind = _type(name, filled, native.get(name), _checks(decimal, date_format), inferred.unsure)
        pii = _pii(name, filled, inferred.unsure)
        if kind != "string" and pii is PiiClass.NONE:
            rules["type"] = kind
        if len(filled) == rows and rows:
            rules["required"] = True
        if pii is not PiiClass.NONE:
            rules["pii"] = pii.value
        inferred.columns[name] = rules
    if decimal != "." and any(rules.get("type") == "number" for rules in inferred.columns.values()):
        inferred.dialect["decimal"] = decimal
    if date_format != "yyyy-MM-dd" and any(rules.get("type") == "date" for rules in inferred.columns.values()):
        inferred.dialect["date_format"] = date_format
    if rows < FEW_ROWS and any("required" in rules for rules in inferred.columns.values()):
        inferred.unsure.append(f"`required` was inferred from {rows} rows; is every such column really always filled?")
    return inferred


Check = Callable[[str], bool]


def _checks(decimal: str, date_format: str) -> dict[str, Check]:
    return {
        "boolean": lambda cell: cell in ("true", "false"),
        "integer": lambda cell: bool(INTEGER.fullmatch(cell)),
        "number": lambda cell: bool(NUMBER[decimal].fullmatch(cell)) and not _loses_digits(cell),
        "timestamp": _is_timestamp,
        "date": lambda cell: _is_date(cell, date_format),
    }


def _loses_digits(cell: str) -> bool:
    """A code with leading zeros, or more digits than a double holds, is not what it was once it is a number."""
    return bool(re.match(r"[+-]?0\d", cell)) or sum(letter.isdigit() for letter in cell) > 15


def _is_timestamp(cell: str) -> bool:
    if not re.match(TIMESTAMP, cell):
        return False
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True


def _is_date(cell: str, date_format: str) -> bool:
    try:
        datetime.strptime(cell, DATE_FORMATS[date_format])
    except ValueError:
        return False
    return len(cell) == len(date_format)


def _type(name: str, filled: list[str], native: str | None, checks: dict[str, Check], unsure: list[str]) -> str:
    if native == "integer" and not all(INTEGER.fullmatch(cell) for cell in filled):
        unsure.append(
            f"column {name}: whole numbers of more than 15 digits lose digits on the way; have them sent as text"
        )
        return "string"
    if native is not None and native != "text":
        return native
    # Text that a JSON or Parquet file states as text is no number, whatever it looks like; times have no type in JSON.
    judged = checks if native is None else {kind: checks[kind] for kind in ("timestamp", "date")}
    problem = _problem(filled)
    if problem:
        unsure.append(f"column {name}: {problem}")
    return "string" if problem or last_word(name) in NAMING else _fitting_type(name, filled, judged, unsure)


def _problem(filled: list[str]) -> str | None:
    if not filled:
        return "empty in the sample; its type is unknown"
    damaged = sum(bool(DAMAGED.search(cell)) for cell in filled)
    return f"{damaged} values look damaged by a spreadsheet (1.23E+11, ####); kept as text" if damaged else None


def _fitting_type(name: str, filled: list[str], checks: dict[str, Check], unsure: list[str]) -> str:
    fitting = {kind: sum(check(cell) for cell in filled) for kind, check in checks.items()}
    whole = [kind for kind, count in fitting.items() if count == len(filled)]
    for kind, count in fitting.items():
        if not whole and count >= NEARLY * len(filled):
            unsure.append(f"column {name}: {count} of {len(filled)} values are of type {kind}; left as string")
    return whole[0] if whole else "string"


def last_word(column: str) -> str:
    """The last word of a column's name, camel case and separators aside."""
    found = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower())
    return found[-1] if found else ""


def _pii(name: str, filled: Sequence[str], unsure: list[str]) -> PiiClass:
    chosen = PiiClass.NONE
    for finding in look_at(name, filled):
        if finding.is_sensitive:
            unsure.append(f"{finding}: have it removed at the sender; a file that holds it is held, nothing is loaded")
        elif finding.share < CLASS_SHARE:
            unsure.append(f"{finding}: left unclassed, so the first load is held; leave the column out or class it")
        elif chosen is PiiClass.NONE:
            chosen = finding.pii
            unsure.append(f"{finding}: classed {chosen.value}, so {_fate(chosen)}")
    return chosen


def _fate(pii: PiiClass) -> str:
    return "silver holds a token" if pii in (PiiClass.EMAIL, PiiClass.PHONE) else "silver does not hold it"


def _decimal(columns: Columns) -> str:
    """A comma when some column is numbers with one and no column is numbers with a point."""
    found = {"," if "," in text else "." for cells in columns.values() for text in _fractions(cells)}
    return "," if found == {","} else "."


def _fractions(cells: Sequence[str | None]) -> Iterator[str]:
    filled = [cell for cell in cells if cell is not None]
    if filled and all(re.fullmatch(r"[+-]?\d+([.,]\d+)?", cell) for cell in filled):
        yield from (cell for cell in filled if not cell.lstrip("+-").isdigit())


def _date_format(columns: Columns, unsure: list[str]) -> str:
    """The format that every cell of most columns fits; the default when none does, or when two cannot be told apart."""
    fitting: dict[str, list[str]] = {}
    for name, cells in columns.items():
        filled = [cell for cell in cells if cell is not None]
        formats = {text for text in DATE_FORMATS if filled and all(_is_date(cell, text) for cell in filled)}
        if formats >= AMBIGUOUS:
            unsure.append(
                f"column {name}: day and month cannot be told apart; state `date_format` and `type: date` yourself"
            )
            continue
        for text in formats:
            fitting.setdefault(text, []).append(name)
    if len(fitting) > 1:
        unsure.append(
            f"dates in more than one format ({', '.join(sorted(fitting))}); a source has one, others stay string"
        )
    return max(fitting, key=lambda text: len(fitting[text]), default="yyyy-MM-dd")


def candidate_key(columns: Columns, inferred: Inferred) -> tuple[str, ...]:
    """The fewest columns that are never empty and together unique, those named like a key first; () when none are."""
    usable = [
        name for name, rules in inferred.columns.items()
        if rules.get("required") and rules.get("type", "string") in ("string", "integer")
    ]  # fmt: skip
    named = [name for name in usable if last_word(name) in KEY_NAMES]
    for name in [*named, *[other for other in usable if other not in named and "pii" not in inferred.columns[other]]]:
        if is_unique(columns, (name,)):
            return (name,)
    for size in range(2, MAX_KEY_COLUMNS + 1):
        for names in combinations(named[:8], size):
            if is_unique(columns, names):
                return names
    return ()


def is_unique(columns: Columns, key: Sequence[str]) -> bool:
    """Whether no two different rows of the sample share the key, and none lacks a part of it; equal rows are repeats."""
    rows = set(zip(*columns.values(), strict=True))
    places = [list(columns).index(name) for name in key]
    keys = {tuple(row[place] for place in places) for row in rows}
    return bool(rows) and len(keys) == len(rows) and not any(None in key for key in keys)
