"""Who sends webhooks. One file per vendor, found by its name: `vendors/<name>.py` defines `VENDOR`."""

import importlib
from functools import cache
from pathlib import Path

from jobs.core.errors import UsageError


@cache
def names() -> tuple[str, ...]:
    """Names of all vendors."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__"))


@cache
def load(name: str) -> object:
    """What the vendor's file calls VENDOR; raises UsageError with the known names."""
    if name not in names():
        raise UsageError(f"unknown vendor {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}").VENDOR
