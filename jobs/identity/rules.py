"""The rules of identity resolution, read from `rules.yml` beside this file."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jobs.core.definitions import DefinitionError, validation_message

TOKENISED = ("email", "phone")
RULES_FILE = Path(__file__).with_name("rules.yml")


class TypeRule(BaseModel):
    """How one identifier type may link."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=1, ge=1, description="Most identifiers of this type in one profile")
    unique: bool = Field(default=False, description="Two of them are never one person: a limit of 1 by name")
    blocked: tuple[str, ...] = Field(
        default=(), description="Values of this type that point at nobody, as people write them"
    )

    @model_validator(mode="after")
    def _limited(self) -> "TypeRule":
        if self.unique and self.limit != 1:
            raise ValueError("a unique type has no other limit than 1")
        if not self.unique and "limit" not in self.model_fields_set:
            raise ValueError("say a limit, or unique: true")
        return self


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

    def blocked_of_type(self, tokens: Callable[[str, str], str]) -> list[str]:
        """`type|value` of what single types block, as silver has it: `tokens` makes a token of (type, raw value)."""
        raw = [(kind, value) for kind, rule in self.types.items() for value in rule.blocked]
        plain = [f"{kind}|{value.strip().lower()}" for kind, value in raw if kind not in TOKENISED]
        return plain + [f"{kind}|{tokens(kind, value)}" for kind, value in raw if kind in TOKENISED]

    @property
    def blocks_tokens(self) -> bool:
        """Whether a token key is needed to know what is blocked."""
        return any(self.types[kind].blocked for kind in TOKENISED if kind in self.types)


def load_rules(path: Path = RULES_FILE) -> Rules:
    """Reads and checks the rules; raises DefinitionError naming the field."""
    try:
        return Rules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DefinitionError(f"identity/{path.name}: {validation_message(error)}") from error
