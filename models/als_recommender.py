"""Implicit-feedback matrix factorisation by Spark ALS (Hu, Koren, Volinsky 2008), blended with popularity.

Spark learns the item factors. A profile's factors are then the closed solution of its own least-squares problem, which is
exactly what the last half-step of Spark computes (a test holds the two equal). So a model keeps nothing about any person,
new purchases count at once, and profiles that came after the training are served like all others.
"""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from models.base import EmptyTrainingError, Floats, Names, Purchases, Recommender
from models.popularity import buyer_share

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class AlsParams:
    """Settings of one fit. `blend` is the weight of popularity against the personal score, both standardised."""

    rank: int = 64
    reg: float = 0.3
    alpha: float = 0.5
    blend: float = 0.0
    popularity_days: int = 28
    max_iter: int = 10
    seed: int = 20180102

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)


def confidence(histories: sp.csr_matrix) -> sp.csr_matrix:
    """1 + log(orders): the second order of an item says less than the first."""
    weighted = sp.csr_matrix(histories, dtype=np.float64, copy=True)
    weighted.data = 1.0 + np.log(weighted.data)
    return weighted


def fold_in(item_factors: Floats, histories: sp.csr_matrix, params: AlsParams) -> Floats:
    """rows by rank: the factors that minimise each row's loss for fixed item factors; zero for an empty history.

    Solves (Y'Y + sum of a r y y' + l n I) x = sum of (1 + a r) y over the n items of the row; Spark, too, scales l (reg) by n.
    """
    weights = confidence(histories)
    gram = item_factors.T @ item_factors
    identity = np.eye(item_factors.shape[1])
    solved = np.zeros((histories.shape[0], item_factors.shape[1]))
    for row in range(histories.shape[0]):
        start, end = weights.indptr[row], weights.indptr[row + 1]
        if start == end:
            continue
        bought = item_factors[weights.indices[start:end]]
        extra = params.alpha * weights.data[start:end]
        left = gram + (bought.T * extra) @ bought + params.reg * (end - start) * identity
        solved[row] = np.linalg.solve(left, (1.0 + extra) @ bought)
    return solved


def standardise(scores: Floats) -> Floats:
    """Each row with mean 0 and deviation 1 over the items; rows without spread become 0."""
    spread = scores.std(axis=1, keepdims=True)
    centred: Floats = scores - scores.mean(axis=1, keepdims=True)
    scaled: Floats = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return scaled


class AlsRecommender(Recommender):
    """Spark ALS for the item factors, numpy for everything after. Scoring needs no Spark."""

    name = "als_recommender"

    def __init__(self, params: AlsParams, session: "SparkSession | None" = None) -> None:
        self.params = params
        self.session = session
        self.item_factors: Floats = np.zeros((0, params.rank))
        self.user_factors: Floats = np.zeros((0, params.rank))
        self.share: Floats = np.zeros(0)

    @classmethod
    def from_parts(cls, params: AlsParams, items: Names, item_factors: Floats, share: Floats) -> "AlsRecommender":
        """A trained recommender from its stored parts; `items` sorted."""
        made = cls(params)
        made.items, made.item_factors, made.share = items, item_factors, share
        return made

    def with_blend(self, blend: float) -> "AlsRecommender":
        """The same factors with another weight of popularity: tuning the blend costs no fit."""
        made = AlsRecommender.from_parts(replace(self.params, blend=blend), self.items, self.item_factors, self.share)
        return made

    def fit(self, purchases: Purchases, as_of_us: int) -> Self:
        """Learns item factors from all purchases before `as_of_us`, one rating per profile and item."""
        known = self._learnable(purchases, as_of_us)
        if self.session is None:
            raise EmptyTrainingError(f"{self.name}: fit needs a Spark session; a loaded model can only score")
        self.items = known.items
        self.share = buyer_share(known, as_of_us, self.params.popularity_days)
        self._fit_factors(self.session, confidence(known.counts()).tocoo())
        return self

    def _fit_factors(self, session: "SparkSession", ratings: sp.coo_matrix) -> None:
        from pyspark.ml.recommendation import ALS

        frame = session.createDataFrame(
            pa.table(
                {
                    "user": pa.array(ratings.row, pa.int32()),
                    "item": pa.array(ratings.col, pa.int32()),
                    "rating": pa.array(ratings.data, pa.float32()),
                }
            )
        ).coalesce(1)  # one partition in a fixed order: sums of floats, and so the factors, repeat exactly
        blocks = int(session.conf.get("spark.sql.shuffle.partitions") or 2)
        als = ALS(
            rank=self.params.rank,
            maxIter=self.params.max_iter,
            regParam=self.params.reg,
            alpha=self.params.alpha,
            implicitPrefs=True,
            nonnegative=False,
            seed=self.params.seed,
            numUserBlocks=blocks,
            numItemBlocks=blocks,
            userCol="user",
            itemCol="item",
            ratingCol="rating",
        )
        model = als.fit(frame)
        self.item_factors = self._dense(model.itemFactors.toArrow(), ratings.shape[1])
        self.user_factors = self._dense(model.userFactors.toArrow(), ratings.shape[0])

    def _dense(self, table: pa.Table, rows: int) -> Floats:
        factors = np.zeros((rows, self.params.rank))
        flat = table.column("features").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        factors[table.column("id").to_numpy()] = flat.reshape(-1, self.params.rank)
        return factors

    def score(self, histories: sp.csr_matrix) -> Floats:
        """Standardised personal score and popularity, blended; by popularity alone where there is no history."""
        popular = standardise(self.share[None, :])
        personal = standardise(fold_in(self.item_factors, histories, self.params) @ self.item_factors.T)
        blended: Floats = (1.0 - self.params.blend) * personal + self.params.blend * popular
        cold = histories.getnnz(axis=1) == 0
        blended[cold] = popular
        return blended
