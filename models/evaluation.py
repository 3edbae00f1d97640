"""Ranking metrics, in numpy alone. Per-profile figures, so that means and their uncertainty come from one place.

`ranked` is profiles by k item positions, best first, -1 for "no item". `relevant` is profiles by items, true where the profile
bought the item in the test window; every row must have at least one. Definitions: Manning, Raghavan, Schütze, Introduction to
Information Retrieval, chapter 8; average precision and ideal gain are normalised by min(k, relevant items).
"""

import numpy as np
import scipy.sparse as sp

from models.base import Bools, Floats, Ints, Metric, Recommender
from models.ranking import top_k

BLOCK_ROWS = 1024


def hits(ranked: Ints, relevant: Bools) -> Bools:
    """profiles by k: whether the item at that rank is relevant."""
    found: Bools = np.take_along_axis(relevant, np.maximum(ranked, 0), axis=1) & (ranked >= 0)
    return found


def recall_at_k(hit: Bools, relevant_count: Ints) -> Floats:
    """Share of the relevant items that the list holds."""
    share: Floats = hit.sum(axis=1) / relevant_count
    return share


def map_at_k(hit: Bools, relevant_count: Ints) -> Floats:
    """Average precision at k of each profile; its mean is MAP@k."""
    k = hit.shape[1]
    precision = np.cumsum(hit, axis=1) / np.arange(1, k + 1)
    average: Floats = (precision * hit).sum(axis=1) / np.minimum(relevant_count, k)
    return average


def ndcg_at_k(hit: Bools, relevant_count: Ints) -> Floats:
    """Discounted gain with discount log2(rank + 1), against the best possible list."""
    k = hit.shape[1]
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(relevant_count, k) - 1]
    gain: Floats = (hit * discount).sum(axis=1) / ideal
    return gain


def coverage(ranked: Ints, item_count: int) -> float:
    """Share of the items that appear in at least one list."""
    return len(np.unique(ranked[ranked >= 0])) / item_count if item_count else 0.0


def paired_lift_interval(model: Floats, baseline: Floats, seed: int, rounds: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of mean(model) - mean(baseline) over the same profiles."""
    difference = model - baseline
    draws = np.random.default_rng(seed).integers(0, len(difference), size=(rounds, len(difference)))
    low, high = np.quantile(difference[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


class Evaluated:
    """The figures of one recommender on one window: per-profile recall, and all metrics as means."""

    def __init__(self, recall: Floats, metrics: dict[str, float]) -> None:
        self.recall = recall
        self.metrics = metrics

    def named(self, baseline: str) -> list[Metric]:
        """The means as metric rows."""
        return [Metric(name, baseline, value) for name, value in self.metrics.items()]


def evaluate(
    recommender: Recommender, history: sp.csr_matrix, future: sp.csr_matrix, *, k: int = 10, new_only: bool
) -> Evaluated:
    """Judges the lists made from `history` by what was bought in `future`, both profiles by items counts.

    Judged are profiles with a history and something relevant ahead. With `new_only`, only items that the profile had not
    bought before count, and only such items are recommended. Raises ValueError when no profile can be judged.
    """
    relevant = (future > 0).astype(np.int8)
    if new_only:
        relevant = relevant - relevant.multiply(history > 0)
    relevant = sp.csr_matrix(relevant)
    relevant.eliminate_zeros()
    judged = np.flatnonzero((relevant.getnnz(axis=1) > 0) & (history.getnnz(axis=1) > 0))
    if not len(judged):
        raise ValueError("no profile has both a history and a relevant purchase after it")
    lists, found = [], []
    for start in range(0, len(judged), BLOCK_ROWS):
        rows = judged[start : start + BLOCK_ROWS]
        ranked = top_k(recommender.score(history[rows]), k, seen=history[rows] if new_only else None)
        lists.append(ranked)
        found.append(hits(ranked, relevant[rows].toarray() > 0))
    hit, ranked = np.vstack(found), np.vstack(lists)
    count = np.asarray(relevant.getnnz(axis=1), dtype=np.int64)[judged]
    recall = recall_at_k(hit, count)
    scope = "new_only" if new_only else "all_items"
    metrics = {
        f"recall_at_{k}_{scope}": float(recall.mean()),
        f"map_at_{k}_{scope}": float(map_at_k(hit, count).mean()),
        f"ndcg_at_{k}_{scope}": float(ndcg_at_k(hit, count).mean()),
        f"coverage_at_{k}_{scope}": coverage(ranked, len(recommender.items)),
    }
    return Evaluated(recall, metrics)
