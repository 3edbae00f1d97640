"""Typed headers of the YAML definitions that people write (syncs, segments, pulls); light, as DAG files import it."""

import difflib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from jobs.core.definition_files import Problem, read_folder
from jobs.core.errors import PermanentError

SYNC_FOLDER = Path("jobs") / "sync" / "syncs"
SEGMENT_FOLDER = Path("dbt_project") / "definitions" / "segments"
TRAIT_FOLDER = Path("dbt_project") / "definitions" / "traits"
PULL_FOLDER = Path("jobs") / "ingest" / "pulls"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Share = Annotated[float, Field(ge=0, le=1)]


@cache
def _zones() -> frozenset[str]:
    """UTC and the names of places. Abbreviations (EST) and offsets (Etc/GMT+5 is behind) mean what few expect."""
    return frozenset({"UTC"} | {name for name in available_timezones() if "/" in name and not name.startswith("Etc/")})


def _known_zone(value: str) -> str:
    if value not in _zones():
        near = difflib.get_close_matches(value, sorted(_zones()), n=1) or ["Europe/Berlin"]
        raise ValueError(f"unknown time zone {value!r}; expected UTC or a place such as {near[0]}")
    return value


TimeZone = Annotated[str, AfterValidator(_known_zone)]


class DefinitionError(PermanentError):
    """Definitions are malformed: a line for each problem, with file, line, field and what was expected."""

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> "DefinitionError":
        """All problems together, in the order of files and lines."""
        return cls("\n".join(map(str, sorted(set(problems)))))


class Definition(BaseModel):
    """Base of all definitions: immutable, and an unknown key is an error rather than a silent typo."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    free: ClassVar[frozenset[str]] = frozenset()  # keys below which null may stand

    name: Name
    description: str = Field(min_length=20, description="What it is, who uses it and why")
    owner: str = Field(default="c360", description="Who answers for it")


class Guard(BaseModel):
    """When a plan is too strange to be delivered. Shares are of the rows acknowledged before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_rows: int = Field(default=1, ge=0, description="Fewest desired rows")
    max_removal_share: Share = Field(
        default=0.2, description="Largest share of acknowledged rows that one run may remove"
    )
    max_change_share: Share = Field(
        default=1.0, description="Largest share of acknowledged rows that one run may update"
    )


class SyncHeader(Definition):
    """One sync: which relation of the warehouse goes to which destination, on what occasion, under which guard.

    `columns` maps the field name at the destination to the column of `relation`, in the order they are sent.
    `options` belongs to the destination and is judged by it.
    """

    destination: Name
    relation: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", description="schema.table in the warehouse")
    segment: Name | None = Field(
        default=None, description="Segment whose members are sent; None when the relation decides"
    )
    asset: Literal["profiles", "segments", "recommendations"] | None = Field(
        default=None, description="Runs when it is published"
    )
    schedule: str | None = Field(default=None, description="Cron expression (UTC), when no asset sets it off")
    key: Name = Field(description="Column of the relation that identifies a row")
    columns: dict[str, Name] = Field(min_length=1)
    guard: Guard = Guard()
    first_run: Literal["hold", "deliver"] = "hold"
    purpose: Literal["marketing", "profiling", "sharing", "analytics"] = "marketing"
    options: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_an_occasion(self) -> "SyncHeader":
        if (self.asset is None) == (self.schedule is None):
            raise ValueError("exactly one of asset and schedule must be set")
        return self


class SegmentHeader(Definition):
    """One segment. `rule` is kept as written; `jobs.segments.language` gives it its types.

    Members are who fulfils the rule, is a member of `parent`, and is not among the `holdout`: a share of all profiles, the
    same ones at all times, that a hash of the segment's name and the profile picks.
    """

    rule: dict[str, Any] = Field(min_length=1)
    time_zone: TimeZone = "UTC"
    parent: Name | None = None
    holdout: Annotated[float, Field(gt=0, lt=1)] | None = None
    allow_all: bool = Field(default=False, description="True when the segment may hold every profile")


class TraitHeader(Definition):
    """One trait. `value` is kept as written; `jobs.segments.language` gives it its types."""

    value: dict[str, Any] = Field(min_length=1)
    time_zone: TimeZone = "UTC"


class PullHeader(Definition):
    """One pull: from which kind of place messages are fetched into `landing/<source>/`, and when.

    `options` is kept as written; `jobs.ingest.pulls.options` gives it its types. Without a schedule a pull runs by hand.
    """

    free: ClassVar[frozenset[str]] = frozenset({"options"})  # an API may want null in its body

    kind: Literal["s3", "rest"]
    source: Name = Field(description="Source contract that the files are judged by")
    schedule: str | None = Field(
        default=None, pattern=r"^\S+( \S+){4}$", description="Cron expression (UTC) of the DAG pull_<name>"
    )
    options: dict[str, Any] = Field(min_length=1)


Defined = TypeVar("Defined", bound=Definition)


def load_syncs(project_root: Path) -> dict[str, SyncHeader]:
    """All syncs by name, sorted. Raises DefinitionError."""
    return _load_folder(project_root / SYNC_FOLDER, SyncHeader)


def load_segments(project_root: Path) -> dict[str, SegmentHeader]:
    """All segments by name, sorted. Raises DefinitionError."""
    return _load_folder(project_root / SEGMENT_FOLDER, SegmentHeader)


def load_pulls(project_root: Path) -> dict[str, PullHeader]:
    """All pulls by name, sorted. Raises DefinitionError."""
    return _load_folder(project_root / PULL_FOLDER, PullHeader)


def _load_folder(folder: Path, shape: type[Defined]) -> dict[str, Defined]:
    files, problems = read_folder(folder, shape, free=shape.free)
    if problems:
        raise DefinitionError.of(problems)
    return {name: file.item for name, file in files.items()}


def validation_message(error: ValidationError) -> str:
    """Every problem of a pydantic error in one line, each with the place it stands at."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
    )
