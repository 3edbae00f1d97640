"""The one configuration of record linkage, read from `linkage.yml` beside this file."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from expectations.contracts import PERSON_COLUMNS
from jobs.core.definitions import DefinitionError, validation_message

LINKAGE_FILE = Path(__file__).with_name("linkage.yml")
Rule = tuple[str, ...]
COLUMNS = tuple(PERSON_COLUMNS)  # of a person's record; files are mapped to them


class LinkageConfig(BaseModel):
    """Thresholds are probabilities; a rule is a set of columns that must all agree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accept: float = Field(gt=0, lt=1)
    link: float = Field(gt=0, lt=1)
    review: float = Field(gt=0, lt=1)
    floor: float = Field(gt=0, lt=1)
    support: float = Field(ge=0, lt=1)
    largest: int = Field(ge=2)
    least_records: int = Field(ge=2)
    most_pairs: int = Field(ge=1)
    random_pairs: int = Field(ge=1000)
    recall: float = Field(gt=0, le=1)
    seed: int
    deterministic: tuple[Rule, ...]
    blocking: tuple[Rule, ...]
    training: tuple[Rule, ...]


def load_linkage(path: Path = LINKAGE_FILE) -> LinkageConfig:
    """Reads and checks the configuration; raises DefinitionError naming the field or the column."""
    try:
        config = LinkageConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DefinitionError(f"identity/linkage/{path.name}: {validation_message(error)}") from error
    for rule in (*config.deterministic, *config.blocking, *config.training):
        if unknown := set(rule) - set(COLUMNS):
            raise DefinitionError(f"identity/linkage/{path.name}: no column {sorted(unknown)[0]!r} in a record")
    return config


def usable(rules: tuple[Rule, ...], columns: list[str]) -> list[Rule]:
    """The rules all of whose columns are there."""
    return [rule for rule in rules if set(rule) <= set(columns)]
