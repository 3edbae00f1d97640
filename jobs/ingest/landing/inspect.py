"""A look into a delivered file before a row of it is loaded: what should stop for a person rather than flow on.

Columns whose values have changed places, and personal or secret values where no contract declares them, are not errors
of a row: loading the good rows would spread the damage.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from expectations import contracts
from expectations.contracts import PiiClass, SourceContract
from jobs.ingest.landing.preflight import RefusedFileError
from jobs.ingest.landing.readers import read_messages
from jobs.ingest.reasons import Reason
from jobs.privacy.detect import undeclared_pii

SAMPLE_ROWS = 1_000
MIN_VALUES = 20  # fewer values say nothing of a column; an address in one row is judged with its row
BODIES = ("properties", "traits")
SWAP_SHARE = 0.8  # a column declared as e-mail or phone holds at least this share of them
SHAPES = {
    PiiClass.EMAIL: re.compile(r"[^@\s]+@[^@\s]+"),
    PiiClass.PHONE: re.compile(r"[+(]?[\d][\d ()./-]{5,}"),
}


def inspect_file(path: Path, contract: SourceContract, *, is_first_load: bool) -> None:
    """Raises RefusedFileError with status `held` when the first rows speak against loading the file unseen.

    Payment cards and secrets hold any file; other personal values in columns whose class no contract states hold the
    first file of a source, for after it a person has seen what the source sends.
    """
    columns = _sample(path, contract)
    declared = _declared(contract)
    findings = undeclared_pii(columns, declared)
    for finding in findings:
        if finding.is_sensitive:
            raise _held(Reason.SENSITIVE_DATA, f"{finding}; they must not be sent at all")
        if is_first_load and finding.of >= MIN_VALUES:
            raise _held(Reason.UNDECLARED_PII, f"{finding}; declare `pii: {finding.pii.value}` or `pii: none`")
    if contract.kind == "records":
        _check_places(columns, contract)


def _held(reason: Reason, details: str) -> RefusedFileError:
    return RefusedFileError(reason, f"{details}; or look at it, then: c360 ingest release", status="held")


def _declared(contract: SourceContract) -> set[str]:
    """Columns and properties whose class somebody has stated, `pii: none` included."""
    if contract.kind == "records":
        return {name for name, field in contract.columns.items() if field.is_classed}
    known = contracts.events()
    return {
        f"{part}.{name}"
        for event in contract.events
        if event in known
        for name, field in known[event].properties.items()
        for part in BODIES
        if field.is_classed
    }


def _check_places(columns: dict[str, list[str]], contract: SourceContract) -> None:
    for name, field in contract.columns.items():
        values = columns.get(name, [])
        shape = SHAPES.get(field.pii)
        if shape is None or len(values) < MIN_VALUES:
            continue
        fitting = sum(bool(shape.fullmatch(value.strip())) for value in values)
        if fitting < SWAP_SHARE * len(values):
            raise _held(
                Reason.PATTERN_MISMATCH,
                f"column {name} is declared {field.pii.value}, and {fitting} of {len(values)} values look like one: "
                "have columns changed places?",
            )


def _sample(path: Path, contract: SourceContract) -> dict[str, list[str]]:
    """Values that are not empty, by column, of the first rows; of events the plain values of their body."""
    columns: dict[str, list[str]] = {}
    for message in islice(read_messages(path, contract), SAMPLE_ROWS):
        if message.error is not None:
            continue
        for name, value in _named_values(_fields(message.payload), contract):
            if isinstance(value, str | int | float) and value != "":
                columns.setdefault(name, []).append(str(value))
    return columns


def _named_values(fields: dict[str, object], contract: SourceContract) -> Iterator[tuple[str, object]]:
    if contract.kind == "records":
        yield from fields.items()
        return
    for part in BODIES:
        body = fields.get(part)
        if isinstance(body, dict):
            yield from ((f"{part}.{name}", value) for name, value in body.items())


def _fields(payload: str) -> dict[str, object]:
    try:
        found = json.loads(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
