"""Fills missing feature values by declared rules (`imputation.yml`) and says which ones; whatever has no rule is an error.

The figures are those of the frame at hand, for training as for scoring: nothing of a person is stored with a model.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from jobs.core.errors import PermanentError
from models.base import Floats

log = logging.getLogger(__name__)
RULES_FILE = Path(__file__).with_name("imputation.yml")
FLAG = "_is_imputed"


class Rule(BaseModel):
    """How one feature is filled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Literal["median", "mean", "knn"]
    neighbours: int = Field(default=5, ge=1, le=100)
    of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _neighbours_are_found_somehow(self) -> "Rule":
        if (self.rule == "knn") != bool(self.of):
            raise ValueError("rule knn, and it alone, needs `of`: the features in which profiles are near each other")
        return self


Rules = Mapping[str, Rule]


def load_rules(path: Path = RULES_FILE) -> dict[str, dict[str, Rule]]:
    """Rules by model and feature; raises pydantic's ValidationError naming the field."""
    return TypeAdapter(dict[str, dict[str, Rule]]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))


def impute(table: pa.Table, rules: Rules) -> pa.Table:
    """The table with the ruled columns filled and a boolean `<feature>_is_imputed` after the others for each of them.

    In: one row per profile, numeric columns as double. Raises PermanentError when a column without a rule has gaps, or a
    rule names a column that is not there.
    """
    unknown = {name for feature, rule in rules.items() for name in (feature, *rule.of)} - set(table.column_names)
    if unknown:
        raise PermanentError(f"imputation.yml names features that are not there: {', '.join(sorted(unknown))}")
    gaps = [name for name in table.column_names if table.column(name).null_count and name not in rules]
    if gaps:
        raise PermanentError(
            f"{', '.join(gaps)}: values are missing and models/imputation.yml declares no rule for them"
        )
    filled = table
    for name, rule in rules.items():
        values = table.column(name).to_numpy().astype(np.float64)
        missing = np.isnan(values)
        if missing.any():
            log.info("%s: %d of %d values imputed by %s", name, missing.sum(), len(values), rule.rule)
            values = _filled(table, name, rule)
        filled = filled.set_column(filled.column_names.index(name), name, pa.array(values, pa.float64()))
        filled = filled.append_column(name + FLAG, pa.array(missing))
    return filled


def _filled(table: pa.Table, name: str, rule: Rule) -> Floats:
    from sklearn.impute import KNNImputer, SimpleImputer

    columns = [table.column(column).to_numpy().astype(np.float64) for column in (name, *rule.of)]
    if rule.rule != "knn":
        simple = SimpleImputer(strategy=rule.rule, keep_empty_features=True)
        return np.asarray(simple.fit_transform(columns[0].reshape(-1, 1))[:, 0], dtype=np.float64)
    features = np.column_stack([columns[0], *[_standardised(column) for column in columns[1:]]])
    nearest = KNNImputer(n_neighbors=rule.neighbours, keep_empty_features=True)
    # The feature itself is far from nobody: only the others tell who is near.
    return np.asarray(nearest.fit_transform(features)[:, 0], dtype=np.float64)


def _standardised(values: Floats) -> Floats:
    deviation = np.nanstd(values)
    return (values - np.nanmean(values)) / deviation if deviation > 0 else np.zeros_like(values)
