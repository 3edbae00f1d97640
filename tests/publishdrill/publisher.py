"""The publisher: makes builds and publishes them by the real code, until it is done or kills itself at its failpoint."""

from pathlib import Path

from jobs.core.settings import Settings
from jobs.warehouse.paths import build_file, pending_file
from jobs.warehouse.publish import publish
from jobs.warehouse.sidecar import read_sidecar
from publishdrill.builds import make_build
from publishdrill.readers import build_name


def published_number(settings: Settings) -> int:
    """The number of the published build by its sidecar; 0 when nothing is."""
    known = read_sidecar(settings)
    return int(known.build_id.rpartition("-")[2]) if known else 0


def publish_on(settings: Settings, folder: Path, last: int, rows: int) -> None:
    """Mends what a killed one has left by publishing, then goes on up to build `last`."""
    if build_file(settings).exists() or pending_file(settings).exists():
        publish(settings)
        _tell(folder, published_number(settings))
    while (number := published_number(settings) + 1) <= last:
        make_build(settings, build_name(number), number, rows=rows)
        publish(settings)
        _tell(folder, number)


def _tell(folder: Path, number: int) -> None:
    draft = folder / "newest.draft"
    draft.write_text(str(number))
    draft.replace(folder / "newest")
