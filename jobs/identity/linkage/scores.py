"""How well groups of records match the truth. Pure: label arrays in, figures out.

Pairwise: of all pairs of records that share a group, and of all that share an entity. Clusters: groups that equal an
entity, record for record (Menestrina, Whang and Garcia-Molina, "Evaluating Entity Resolution Results", 2010, section 3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.identity.edges import Ints, Mask


@dataclass(frozen=True)
class Score:
    """Shares between 0 and 1; 1 where there was nothing to find and nothing was found."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def as_dict(self) -> dict[str, float]:
        """For JSON, six digits."""
        return {name: round(getattr(self, name), 6) for name in ("precision", "recall", "f1")}


def pairwise(entity: Ints, label: Ints) -> Score:
    """Over pairs of records; counts, never lists them."""
    both = _pairs(np.unique(np.stack([entity, label]), axis=1, return_counts=True)[1])
    return _score(both, _pairs(_counts(label)), _pairs(_counts(entity)))


def clusters(entity: Ints, label: Ints) -> Score:
    """Over whole groups: right is a group that holds all records of one entity and no other's."""
    (entities, labels), counts = np.unique(np.stack([entity, label]), axis=1, return_counts=True)
    size_of_entity, size_of_label = _sizes(entity), _sizes(label)
    right = sum(
        count == size_of_entity[e] == size_of_label[g]
        for e, g, count in zip(entities.tolist(), labels.tolist(), counts.tolist(), strict=True)
    )
    return _score(right, len(size_of_label), len(size_of_entity))


def labelled(is_match: Mask, is_linked: Mask) -> Score:
    """Over pairs that a person has judged, and no others."""
    return _score(int((is_match & is_linked).sum()), int(is_linked.sum()), int(is_match.sum()))


def _score(right: int, found: int, true: int) -> Score:
    return Score(right / found if found else 1.0, right / true if true else 1.0)


def _sizes(label: Ints) -> dict[int, int]:
    values, counts = np.unique(label, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _counts(label: Ints) -> NDArray[np.integer]:
    return np.unique(label, return_counts=True)[1]


def _pairs(counts: NDArray[np.integer]) -> int:
    sizes = counts.astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())
