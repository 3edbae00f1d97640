"""Makes the sample: real files, simulated files, the plan, and a marker that spares an equal second run the work."""

import json
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.sample import shares
from jobs.sample.database import PACKAGE, Database
from jobs.sample.engagement import create_engagement, write_engagement
from jobs.sample.files import marker_file
from jobs.sample.people import create_people, write_people
from jobs.sample.plan import build_plan
from jobs.sample.real import write_real
from jobs.sample.web import create_web, write_web
from jobs.sample.writer import Landing, Written

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """What `generate` leaves behind; `is_new` is false when everything was there already."""

    written: tuple[Written, ...]
    is_new: bool

    @property
    def messages(self) -> int:
        """Lines of all files."""
        return sum(item.messages for item in self.written)


def plan_file(settings: Settings) -> Path:
    """The plan of the sample."""
    return settings.home / "reports" / "sample_plan.json"


def generate(settings: Settings, households: int | None, *, force: bool = False) -> Sample:
    """Writes the sample into `settings.landing`, or does nothing when the same one is there.

    Raises UsageError when the home holds another sample and `force` is not given.
    """
    recipe: dict[str, object] = {
        "generator_version": shares.GENERATOR_VERSION,
        "package": f"{PACKAGE} {version(PACKAGE)}",
        "seed": settings.seed,
        "households": households,
    }
    held = _read_marker(settings)
    if held is not None and not force:
        if held["recipe"] != recipe:
            raise UsageError(
                f"{settings.home} holds another sample ({_words(held['recipe'])}) than the one asked for ({_words(recipe)}); "
                "use another --home, or --force to replace its landing files"
            )
        if plan_file(settings).exists() and all(_is_there(settings, item) for item in held["files"]):
            return Sample(tuple(Written(**item) for item in held["files"]), is_new=False)
    written = _write_all(settings, households)
    _remove_stale(settings, [] if held is None else held["files"], written)
    _write_json(marker_file(settings), {"recipe": recipe, "files": [_as_marker(item) for item in written]})
    return Sample(tuple(written), is_new=True)


def set_clock(settings: Settings) -> bool:
    """Fixes the clock of this home to the sample's, unless it has settings of its own; says whether it wrote them."""
    file = settings.home / "settings.yml"
    if file.exists():
        return False
    reason = "# The sample is looked at from this instant; remove the line to use the real time."
    kept = "# The sample is a year of messages as if just imported; without the line payloads are kept 30 days."
    text = f"{reason}\nnow: {shares.SAMPLE_NOW.isoformat()}\n{kept}\nretention_days: 365\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return True


def read_plan(settings: Settings) -> str:
    """The plan as JSON text; raises UsageError when there is none."""
    if not plan_file(settings).exists():
        raise UsageError(f"no sample in {settings.home}; run: c360 sample generate")
    return plan_file(settings).read_text(encoding="utf-8")


def _write_all(settings: Settings, households: int | None) -> list[Written]:
    landing = Landing(settings.landing)
    settings.landing.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Database(settings, households) as database:
        log.info("sample: seed %d, %s households", settings.seed, database.row("select count(*) from households")[0])
        write_real(database, landing)
        create_people(database)
        write_people(database, landing)
        create_engagement(database)
        write_engagement(database, landing)
        create_web(database, settings.seed)
        write_web(database, landing)
        _write_json(plan_file(settings), build_plan(database, settings.seed, households, landing.written))
    return landing.written


def _read_marker(settings: Settings) -> dict[str, Any] | None:
    if not marker_file(settings).exists():
        return None
    try:
        found: dict[str, Any] = json.loads(marker_file(settings).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{marker_file(settings)} is damaged; delete it and run again") from error
    return found


def _words(recipe: dict[str, object]) -> str:
    return f"seed {recipe['seed']}, {recipe['households'] or 'all'} households, version {recipe['generator_version']}"


def _as_marker(item: Written) -> dict[str, object]:
    return {key: value for key, value in item.as_dict().items() if key != "is_simulated"}


def _is_there(settings: Settings, item: dict[str, Any]) -> bool:
    path: Path = settings.landing / str(item["source"]) / str(item["file"])
    size: int = item["size_bytes"]
    return path.is_file() and path.stat().st_size == size


def _remove_stale(settings: Settings, held: list[dict[str, Any]], written: list[Written]) -> None:
    """Removes files of the sample before this one that this one does not have; nobody else's files are touched."""
    kept = {(item.source, item.file) for item in written}
    for item in held:
        if (item["source"], item["file"]) not in kept:
            (settings.landing / item["source"] / item["file"]).unlink(missing_ok=True)


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)
