"""The rules of identity resolution, read from `rules.yml` beside this file."""

from functools import cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.core.definitions import DefinitionError, validation_message

RULES_FILE = Path(__file__).with_name("rules.yml")


class TypeRule(BaseModel):
    """How one identifier type may link."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(ge=1, description="Most identifiers of this type in one profile")


class Rules(BaseModel):
    """Identifier types from the strongest to the weakest, and the values that point at nobody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    types: dict[str, TypeRule] = Field(min_length=1)
    blocked_values: tuple[str, ...]
    blocked_pattern: str

    @cached_property
    def type_names(self) -> list[str]:
        """Types by priority; the place in this list is the rank used everywhere in this package."""
        return list(self.types)

    @cached_property
    def limits(self) -> list[int]:
        """Limit per rank."""
        return [rule.limit for rule in self.types.values()]


def load_rules(path: Path = RULES_FILE) -> Rules:
    """Reads and checks the rules; raises DefinitionError naming the field."""
    try:
        return Rules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DefinitionError(f"identity/{path.name}: {validation_message(error)}") from error
