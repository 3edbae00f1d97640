"""Where a rule points in a message: `properties.products[].quantity`, `[]` meaning each item of an array."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated

from pydantic import AfterValidator

from jobs.ingest.quarantine.spans import Value

EACH = "[]"
_PATH = re.compile(r"[^.\[\]\"$*]+(?:\[\])?(?:\.[^.\[\]\"$*]+(?:\[\])?)*")


def _known_form(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ValueError(
            f"{path!r} is no path; write keys joined by dots, [] for each item: properties.products[].price"
        )
    return path


def _of_a_key(path: str) -> str:
    if _known_form(path).endswith(EACH):
        raise ValueError(f"{path!r} names items; this operation needs a key at its end")
    return path


def _plain_key(key: str) -> str:
    if not re.fullmatch(r"[^.\[\]\"$*]+", key):
        raise ValueError(f"{key!r} is no key; write the name alone, it stays in the same object")
    return key


Path = Annotated[str, AfterValidator(_known_form)]
KeyPath = Annotated[str, AfterValidator(_of_a_key)]
Key = Annotated[str, AfterValidator(_plain_key)]


@cache
def _steps(path: str) -> tuple[tuple[str, bool], ...]:
    parts = path.split(".")
    return tuple((part.removesuffix(EACH), part.endswith(EACH)) for part in parts)


def values(root: Value, path: str) -> Iterator[Value]:
    """The values at the path. A key named twice is nobody's: which one is meant cannot be known."""
    yield from _walk([root], _steps(path))


def holders(root: Value, path: str) -> Iterator[tuple[Value, str]]:
    """(object, key) for each object that has, or could have, the last key of the path."""
    steps = _steps(path)
    for value in _walk([root], steps[:-1]):
        if value.members is not None:
            yield value, steps[-1][0]


def _walk(found: list[Value], steps: tuple[tuple[str, bool], ...]) -> list[Value]:
    for key, each in steps:
        members = [named[0].value for value in found if len(named := value.named(key)) == 1]
        found = [item for value in members for item in value.items or ()] if each else members
    return found
