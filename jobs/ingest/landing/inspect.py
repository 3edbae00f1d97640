"""A look into a delivered file before a row of it is loaded: what should stop for a person rather than flow on.

Columns whose values have changed places, and personal or secret values where no contract declares them, are not errors
of a row: loading the good rows would spread the damage.
"""

import json
import re
from itertools import islice
from pathlib import Path

from expectations.contracts import PiiClass, SourceContract
from jobs.ingest.landing.preflight import RefusedFileError
from jobs.ingest.landing.readers import read_messages
from jobs.ingest.reasons import Reason

SAMPLE_ROWS = 1_000
MIN_VALUES = 20
SWAP_SHARE = 0.8  # a column declared as e-mail or phone holds at least this share of them
SHAPES = {
    PiiClass.EMAIL: re.compile(r"[^@\s]+@[^@\s]+"),
    PiiClass.PHONE: re.compile(r"[+(]?[\d][\d ()./-]{5,}"),
}


def inspect_file(path: Path, contract: SourceContract, *, is_first_load: bool) -> None:
    """Raises RefusedFileError with status `held` when the first rows speak against loading the file unseen."""
    if contract.kind != "records":
        return
    columns = _sample(path, contract)
    for name, field in contract.columns.items():
        values = columns.get(name, [])
        shape = SHAPES.get(field.pii)
        if shape is None or len(values) < MIN_VALUES:
            continue
        fitting = sum(bool(shape.fullmatch(value.strip())) for value in values)
        if fitting < SWAP_SHARE * len(values):
            raise RefusedFileError(
                Reason.PATTERN_MISMATCH,
                f"column {name} is declared {field.pii.value}, and {fitting} of {len(values)} values look like one; "
                "have columns changed places? Look at it, then: c360 ingest release",
                status="held",
            )


def _sample(path: Path, contract: SourceContract) -> dict[str, list[str]]:
    """Values that are not empty, by column, of the first rows."""
    columns: dict[str, list[str]] = {}
    for message in islice(read_messages(path, contract), SAMPLE_ROWS):
        if message.error is not None:
            continue
        for name, value in _fields(message.payload).items():
            if value not in (None, ""):
                columns.setdefault(name, []).append(str(value))
    return columns


def _fields(payload: str) -> dict[str, object]:
    try:
        found = json.loads(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
