"""What was learned about agreement: trained once and kept, so that a run tomorrow judges a pair as today's did."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema

TABLE = "identity_weights"
PRIOR = "(any two records)"
Level = tuple[str, float | None, float | None]


@dataclass(frozen=True)
class Weights:
    """`prior`: probability that two records drawn at random are of one person. `levels[column]`: from full agreement to none,
    (name, m, u): how often records of one person agree so, and how often strangers do; None where nothing was learned."""

    prior: float
    levels: Mapping[str, Sequence[Level]]

    @property
    def say_something(self) -> bool:
        """Whether anything was learned that tells people apart: how often records of one person agree, in two columns at least.
        Where no two records are of one person, nothing is."""
        learned = [column for column, levels in self.levels.items() if any(m is not None for _, m, _ in levels)]
        return 0 < self.prior < 1 and len(learned) >= 2

    @property
    def version(self) -> str:
        """Twelve hex digits of their content."""
        flat = [part for column, levels in sorted(self.levels.items()) for level in levels for part in (column, *level)]
        return hash_parts([self.prior, *flat])[:12]


def match_weight(m: float | None, u: float | None) -> float | None:
    """log2(m / u) of Fellegi and Sunter (1969): what this agreement adds to the weight of a pair, in bits."""
    return math.log2(m / u) if m and u else None


def read_weights(settings: Settings) -> Weights | None:
    """The weights in force; None before the first training."""
    rows = sorted(delta.read(settings, TABLE).to_pylist(), key=lambda row: (row["column_name"], row["level"]))
    levels: dict[str, list[Level]] = {}
    prior = None
    for row in rows:
        if row["column_name"] == PRIOR:
            prior = row["m_probability"]
        else:
            level = (row["level_name"], row["m_probability"], row["u_probability"])
            levels.setdefault(row["column_name"], []).append(level)
    return None if prior is None else Weights(prior, levels)


def write_weights(settings: Settings, weights: Weights, *, trained_at: datetime, records: int, simulated: bool) -> bool:
    """Swaps the table, unless it holds these weights already; whether it did."""
    if (there := read_weights(settings)) is not None and there.version == weights.version:
        return False
    told = {
        "model_version": weights.version,
        "trained_at": trained_at,
        "records": records,
        "is_simulated": simulated,
    }
    rows = [row | told for row in _rows(weights)]
    delta.replace(settings, TABLE, pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(TABLE).contract)))
    return True


def _rows(weights: Weights) -> Iterable[dict[str, Any]]:
    yield _row(PRIOR, 0, ("one person", weights.prior, 1 - weights.prior))
    for column, levels in weights.levels.items():
        for number, level in enumerate(levels):
            yield _row(column, number, level)


def _row(column: str, number: int, level: Level) -> dict[str, Any]:
    name, m, u = level
    return {
        "column_name": column,
        "level": number,
        "level_name": name,
        "m_probability": m,
        "u_probability": u,
        "match_weight": match_weight(m, u),
    }
