"""What a recommender and a clusterer must offer. Everything is a function of arrays; no engine, no registry, no clock."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from jobs.core.errors import PermanentError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]

DAY_US = 86_400_000_000


class EmptyTrainingError(PermanentError):
    """There is nothing to learn from; the message says which data is missing."""


@dataclass(frozen=True)
class Purchases:
    """One row per order and item: who bought what, when.

    `profile` and `item` are positions in `profiles` and `items`, both sorted and unique, so that "lower position" and
    "lower id" mean the same when ties are broken. `at_us` is microseconds since 1970 UTC.
    """

    profiles: Names
    items: Names
    profile: Ints
    item: Ints
    at_us: Ints

    def __len__(self) -> int:
        return len(self.at_us)

    def between(self, start_us: int | None, end_us: int | None) -> "Purchases":
        """The rows with start <= at < end; profiles and items keep their positions."""
        keep = np.ones(len(self), dtype=bool)
        if start_us is not None:
            keep &= self.at_us >= start_us
        if end_us is not None:
            keep &= self.at_us < end_us
        return Purchases(self.profiles, self.items, self.profile[keep], self.item[keep], self.at_us[keep])

    def counts(self) -> sp.csr_matrix:
        """profiles by items: in how many orders the profile bought the item."""
        ones = np.ones(len(self), dtype=np.float64)
        shape = (len(self.profiles), len(self.items))
        matrix = sp.coo_matrix((ones, (self.profile, self.item)), shape=shape).tocsr()
        matrix.sort_indices()
        return matrix


class Recommender(ABC):
    """Learns from purchases and scores every item for a purchase history. Histories need not belong to known profiles."""

    name: str
    items: Names

    @abstractmethod
    def fit(self, purchases: Purchases, as_of_us: int) -> Self:
        """Learns from purchases before `as_of_us`; raises EmptyTrainingError when there are none."""

    @abstractmethod
    def score(self, histories: sp.csr_matrix) -> Floats:
        """rows of `histories` by items, higher is better. An empty history gets the order of popularity."""

    def _learnable(self, purchases: Purchases, as_of_us: int) -> Purchases:
        known = purchases.between(None, as_of_us)
        if not len(known):
            raise EmptyTrainingError(f"{self.name}: no purchases to learn from; load orders first (c360 ingest run)")
        return known


class Clusterer(ABC):
    """Groups profiles by their traits. Clusters are numbered from 0 by falling size."""

    name: str

    @abstractmethod
    def fit(self, traits: Floats) -> Self:
        """Learns from profiles by traits in their own units; raises EmptyTrainingError when there are none."""

    @abstractmethod
    def assign(self, traits: Floats) -> tuple[Ints, Floats]:
        """Cluster of each profile, and its Euclid distance to the centroid in scaled space."""


@dataclass(frozen=True)
class Metric:
    """One figure of an evaluation. `baseline` is `model` for the model itself, else the name of what it is compared to."""

    name: str
    baseline: str
    value: float


def jsonable(value: Any) -> Any:
    """Numpy numbers as Python numbers, so that they can be written as JSON."""
    return value.item() if isinstance(value, np.generic) else value
