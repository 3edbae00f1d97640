"""Where profiles go. One file per destination, found by its name: `destinations/<name>.py` defines `DESTINATION`."""

import importlib
from pathlib import Path

from jobs.core.definitions import SyncHeader
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.sync.destinations.base import Destination


def names() -> list[str]:
    """Names of all destinations."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in ("__init__", "base"))


def destination_class(name: str) -> type[Destination]:
    """The class of the named destination; raises UsageError with the known names."""
    if name not in names():
        raise UsageError(f"unknown destination {name!r}; known: {', '.join(names())}")
    found = importlib.import_module(f"{__name__}.{name}").DESTINATION
    if not (isinstance(found, type) and issubclass(found, Destination)):
        raise UsageError(f"destinations/{name}.py: DESTINATION must be a class made from base.Destination")
    return found


def open_destination(settings: Settings, header: SyncHeader) -> Destination:
    """The destination of a sync, its options checked."""
    return destination_class(header.destination)(settings, header)
