"""The options of a pull, typed: what its YAML may say, and whether it fits the contract of its source."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from expectations import contracts
from expectations.contracts import SourceContract
from jobs.core.definitions import DefinitionError, Name, PullHeader, load_pulls, validation_message
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.ingest.pulls.cursor import Format, Position, read_position

CURSOR, KEY = "{cursor}", "{key}"
Path = Annotated[str, Field(pattern=r"^[^\s.]+(\.[^\s.]+)*$")]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,60}$")]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class S3Options(_Options):
    """A prefix of a bucket. `all_versions` also fetches what was overwritten since, where the bucket keeps versions."""

    bucket: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:/_-]{1,254}$")
    prefix: str = ""
    all_versions: bool = False


class AuthOptions(_Options):
    """How to say who we are; `secret` names a file in C360_HOME/secrets."""

    kind: Literal["bearer", "header", "basic", "oauth2"]
    secret: Name
    header: Header | None = None
    username: str | None = None
    token_url: str | None = None
    client_id: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "AuthOptions":
        needed = {"bearer": (), "header": ("header",), "basic": ("username",), "oauth2": ("token_url", "client_id")}
        given = {name for name in ("header", "username", "token_url", "client_id") if getattr(self, name) is not None}
        if given != set(needed[self.kind]):
            raise ValueError(f"auth {self.kind} needs {', '.join(needed[self.kind]) or 'nothing'} beside its secret")
        return self


class ColumnOptions(_Options):
    """Where a column's value stands in a row. With `values` only these are taken, translated; others say nothing."""

    path: Path
    values: dict[str, str] = Field(default_factory=dict)


class TieOptions(_Options):
    """How to go through rows that share one cursor value, by their key: `params` and `body` in place of the pull's own,
    with {cursor} and {key}, sorted by the key. `start` comes before every key."""

    column: Name
    start: str = "0"
    params: dict[str, Any] = Field(default_factory=dict)
    body: dict[str, Any] | None = None


class CursorOptions(_Options):
    """What has changed since: `column` grows with each change of a row.

    `format` is how it stands in a row, `sent_as` how it is asked for. `ascending` promises rows sorted by it; then each
    page is asked for from where the last one ended, and nothing is skipped when rows move while we read.
    `overlap_seconds` (of an integer: units) are read again by each run, for sources that show changes late.
    """

    column: Name
    format: Format = "iso8601"
    sent_as: Format | None = None
    start: str
    ascending: bool = False
    overlap_seconds: int = Field(default=0, ge=0)
    ties: TieOptions | None = None

    @property
    def asked_as(self) -> Format:
        """The format of {cursor}."""
        return self.sent_as or self.format

    @property
    def first(self) -> Position:
        """Where the very first run begins."""
        found = read_position(self.start, self.format, self.asked_as)
        assert found is not None  # checked below
        return found

    @model_validator(mode="after")
    def _fits(self) -> "CursorOptions":
        if (self.format == "integer") != (self.asked_as == "integer"):
            raise ValueError("an integer cursor is sent as an integer, a time as a time")
        if read_position(self.start, self.format, self.asked_as) is None:
            raise ValueError(f"start {self.start!r} is no {self.format}")
        if self.ties and not self.ascending:
            raise ValueError("ties need `ascending: true`")
        if self.format == "integer" and not self.ascending:
            # Of times it is known which of them are not over when a run begins; of integers it is not.
            raise ValueError("an integer cursor needs `ascending: true`, or changes made during a run would be lost")
        return self


def _absolute(url: str) -> str:
    if not url.startswith(("https://", "http://")) or "@" in url or "?" in url or "#" in url:
        raise ValueError("expected https://host[:port][/path], without user name and parameters")
    return url.rstrip("/")


class RestOptions(_Options):
    """One list of a REST API, answered in pages, as records of one source. `records` is the path to the rows."""

    base_url: Annotated[str, AfterValidator(_absolute)]
    path: str = Field(pattern=r"^/[^?#]*$")
    method: Literal["GET", "POST"] = "GET"
    params: dict[str, Any] = Field(default_factory=dict)
    body: dict[str, Any] | None = None
    headers: dict[Header, str] = Field(default_factory=dict)
    auth: AuthOptions | None = None
    records: str = ""
    paginator: dict[str, Any]
    columns: dict[Name, Path | ColumnOptions] = Field(min_length=1)
    cursor: CursorOptions | None = None
    requests_per_second: float | None = Field(default=None, gt=0)
    hosts: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _cursor_is_asked_for(self) -> "RestOptions":
        text = repr((self.params, self.body))
        if (CURSOR in text) != (self.cursor is not None):
            raise ValueError(f"a cursor is declared and stands as {CURSOR} in params or body, or neither")
        ties = self.cursor.ties if self.cursor else None
        if ties and not all(mark in repr((ties.params, ties.body)) for mark in (CURSOR, KEY)):
            raise ValueError(f"cursor.ties: params or body hold {CURSOR} and {KEY}")
        return self

    @property
    def rules(self) -> dict[str, ColumnOptions]:
        """Every column with its path."""
        return {
            name: rule if isinstance(rule, ColumnOptions) else ColumnOptions(path=rule)
            for name, rule in self.columns.items()
        }


Typed = TypeVar("Typed", S3Options, RestOptions)


def find_pull(settings: Settings, name: str, kind: str) -> PullHeader:
    """The pull of that name and kind; raises UsageError with the known names."""
    known = {header.name: header for header in load_pulls(settings.project_root).values() if header.kind == kind}
    if name not in known:
        raise UsageError(f"no pull of kind {kind} is named {name!r}; known: {', '.join(known) or 'none'}")
    return known[name]


def s3_options(header: PullHeader) -> S3Options:
    """Raises DefinitionError with every problem in one line."""
    _contract(header)
    return typed_options(f"pull {header.name}", header.options, S3Options)


def rest_options(header: PullHeader) -> tuple[RestOptions, SourceContract]:
    """The options, and the contract they were held against. Raises DefinitionError with every problem in one line."""
    contract = _contract(header)
    options = typed_options(f"pull {header.name}", header.options, RestOptions)
    cursor = options.cursor
    problems = {
        f"source {contract.name} must be kind: records, format: ndjson": (contract.kind, contract.format)
        != ("records", "ndjson"),
        f"columns that the contract does not declare: {sorted(set(options.columns) - set(contract.columns))}": bool(
            set(options.columns) - set(contract.columns)
        ),
        "the contract's key is not among the columns": not set(contract.key) <= set(options.columns),
        "cursor.column is not among the columns": cursor is not None and cursor.column not in options.columns,
        "cursor.ties.column is not among the columns": cursor is not None
        and cursor.ties is not None
        and cursor.ties.column not in options.columns,
        # A row that is pulled twice has to be a repeat of the same version, not a new one.
        "with a cursor the contract must name the time of the version (valid_from), from a column of the pull": cursor
        is not None
        and contract.valid_from not in options.columns,
    }
    found = [text for text, is_wrong in problems.items() if is_wrong]
    if found:
        raise DefinitionError(f"pull {header.name}: {'; '.join(found)}")
    return options, contract


def _contract(header: PullHeader) -> SourceContract:
    if header.source not in contracts.sources():
        raise DefinitionError(
            f"pull {header.name}: source {header.source!r} has no contract; c360 sources new writes one"
        )
    return contracts.sources()[header.source]


def typed_options(label: str, given: dict[str, Any], shape: type[Typed]) -> Typed:
    """Raises DefinitionError with every problem in one line; `label` says whose options they are."""
    try:
        return shape.model_validate(given)
    except ValidationError as error:
        raise DefinitionError(f"{label}: {validation_message(error)}") from error
