"""What a column contract cannot say about a table: reconciliation, shares of NULL, texts that must not appear.

One YAML per table beside this file, `table` naming it and `checks` listing the items; every item has a `kind`.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from expectations.contracts.fields import Frozen
from expectations.contracts.loader import ContractError

ROOT = Path(__file__).parent


class NullShare(Frozen):
    """At most this share of a column is NULL; drift, so a warning unless said otherwise."""

    kind: Literal["null_share"]
    column: str
    max_share: float = Field(ge=0, le=1)
    severity: Literal["critical", "warning"] = "warning"


class PatternAbsent(Frozen):
    """No value of the text columns contains the pattern, e.g. an e-mail address."""

    kind: Literal["pattern_absent"]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    columns: tuple[str, ...] = Field(min_length=1)
    pattern: str
    expected: str
    severity: Literal["critical", "warning"] = "critical"


class QueryCheck(Frozen):
    """A query whose one figure must stay within bounds. It returns figures only, never values of the table.

    The answer is one row; none, several and NULL fail.
    """

    kind: Literal["query"]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    query: str
    column: str
    min: float | None = None
    max: float | None = None
    expected: str
    severity: Literal["critical", "warning"] = "critical"

    @model_validator(mode="after")
    def _is_bounded(self) -> "QueryCheck":
        if self.min is None and self.max is None:
            raise ValueError(f"query check {self.name}: needs min, max or both")
        return self


Extra = NullShare | PatternAbsent | QueryCheck


class ExtraFile(Frozen):
    """The extra checks of one table."""

    table: str
    checks: tuple[Annotated[Extra, Field(discriminator="kind")], ...] = Field(min_length=1)


@cache
def extras() -> dict[str, tuple[Extra, ...]]:
    """Extra checks by table name; raises ContractError naming the bad file."""
    found: dict[str, tuple[Extra, ...]] = {}
    for path in sorted(ROOT.glob("*.yml")):
        try:
            item = ExtraFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (ValueError, yaml.YAMLError) as error:
            raise ContractError(f"extra/{path.name}: {error}") from error
        if item.table != path.stem:
            raise ContractError(f"extra/{path.name}: table is {item.table!r}, expected the file's name")
        found[item.table] = item.checks
    return found
