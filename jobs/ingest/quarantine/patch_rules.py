"""Patch rules: what to do with which quarantined messages, one YAML file each. No code, no expressions.

Those of the house stand in `rules/` beside this file, a company's own in `C360_HOME/rules/`.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from expectations.contracts import sources
from jobs.core.command import hint
from jobs.core.definitions import Definition, DefinitionError
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.ingest.quarantine import paths, spans
from jobs.ingest.quarantine.operations import OPERATIONS, AnyOperation, Scalar, equals
from jobs.ingest.reasons import Reason

HOUSE = Path(__file__).parent / "rules"
AS_IS = "as_is"


def _listed(value: object) -> object:
    """One value may stand for a list of one."""
    return [value] if isinstance(value, str | int) else value


class Match(BaseModel):
    """Which messages the rule is for: all that is stated must hold, any value of a list will do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(min_length=1)
    reasons: Annotated[tuple[Reason, ...], BeforeValidator(_listed)] = Field(min_length=1)
    event: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(default=(), description="Name as it was sent")
    contract_version: Annotated[tuple[int, ...], BeforeValidator(_listed)] = ()
    fields: dict[paths.Path, Scalar] = Field(default_factory=dict, description="Path → value that one there must have")

    def has_fields(self, text: str) -> bool:
        """Whether the message holds all values of `fields`. Raises NotJsonError when it cannot be read."""
        if not self.fields:
            return True
        root = spans.parse(text)
        return all(
            any(equals(text[value.start : value.end], wanted) for value in paths.values(root, path))
            for path, wanted in self.fields.items()
        )


class PatchRule(Definition):
    """One rule. `version` is raised with every change: what was repaired says by which."""

    version: int = Field(ge=1)
    match: Match
    operations: tuple[AnyOperation, ...] = Field(min_length=1)

    @property
    def label(self) -> str:
        """How the repaired rows name it."""
        return f"{self.name}@{self.version}"


class _ExactLoader(yaml.SafeLoader):
    """YAML whose fractions keep the digits that were written, for they become text of a message again."""


def _exact(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    try:
        return Decimal(loader.construct_scalar(node))
    except InvalidOperation as error:
        raise yaml.constructor.ConstructorError(None, None, f"{node.value!r} is no number", node.start_mark) from error


_ExactLoader.add_constructor("tag:yaml.org,2002:float", _exact)


def own_folder(settings: Settings) -> Path:
    """Where a company keeps its own rules."""
    return settings.home / "rules"


def load_rules(settings: Settings) -> dict[str, PatchRule]:
    """All rules by name. Raises DefinitionError for a malformed file or a name used twice."""
    found: dict[str, PatchRule] = {}
    for path in _files(settings):
        rule = read_rule(path)
        if rule.name in found:
            raise DefinitionError(f"{path}: a rule {rule.name!r} comes with c360 already; give this one another name")
        found[rule.name] = rule
    return found


def _files(settings: Settings) -> Iterator[Path]:
    for folder in (HOUSE, own_folder(settings)):
        yield from sorted(folder.glob("*.yml"))


def find_rule(settings: Settings, name: str) -> PatchRule:
    """The rule of that name; raises UsageError naming the nearest."""
    rules = load_rules(settings)
    if name not in rules:
        raise UsageError(f"no patch rule {name!r}.{hint(name, list(rules))} Own rules go to {own_folder(settings)}")
    return rules[name]


def read_rule(path: Path) -> PatchRule:
    """One rule from its file. Raises DefinitionError naming file, place, and the nearest known key."""
    label = f"{path.parent.name}/{path.name}"
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _ExactLoader)  # noqa: S506 - a SafeLoader
        rule = PatchRule.model_validate(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{label} is not readable YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise DefinitionError(f"{label}: {'; '.join(_explained(found) for found in error.errors())}") from error
    if rule.name != path.stem:
        raise DefinitionError(f"{label}: name is {rule.name!r}, expected the file's name; rename one of them")
    unknown = [name for name in rule.match.source if name not in sources()]
    if unknown:
        raise DefinitionError(f"{label}: match.source: no source {unknown[0]!r}.{hint(unknown[0], list(sources()))}")
    return rule


def _explained(error: ErrorDetails) -> str:
    """One problem: its place, what is wrong, and the nearest thing that would be right."""
    place = ".".join(str(part) for part in error["loc"]) or "file"
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key.{hint(str(error['loc'][-1]), _known_keys(error['loc']))}"
    if error["type"] == "enum":
        return f"{place}: no reason {error['input']!r}.{hint(str(error['input']), list(Reason))}"
    if error["type"] == "union_tag_invalid":
        given = str(_get(error["input"], "do"))
        return f"{place}: no operation {given!r}.{hint(given, list(OPERATIONS))}"
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else value


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    shape: type[BaseModel] = PatchRule
    if place[0] == "match":
        shape = Match
    elif place[0] == "operations" and len(place) > 3:
        shape = OPERATIONS[str(place[2])]
    return list(shape.model_fields)
