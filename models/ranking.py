"""From scores to lists: the best k per row, seen items masked, ties by item id."""

import numpy as np
import scipy.sparse as sp

from models.base import Floats, Ints

NOTHING = -1


def top_k(scores: Floats, k: int, *, seen: sp.csr_matrix | None = None) -> Ints:
    """rows by k item positions, best first; equal scores by lower position; `seen` items never; -1 where none is left.

    argpartition is 10x cheaper than a sort but picks any of the items tied at the border, so rows with a tie there are
    sorted whole.
    """
    values = np.array(scores, dtype=np.float64)
    if seen is not None:
        rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
        values[rows, seen.indices] = -np.inf
    rows_n, items_n = values.shape
    width = min(k, items_n)
    best = np.full((rows_n, k), NOTHING, dtype=np.int64)
    if not (rows_n and width):
        return best
    part = np.argpartition(-values, width - 1, axis=1)[:, :width]
    border = np.take_along_axis(values, part, axis=1).min(axis=1)
    tied = np.flatnonzero((values >= border[:, None]).sum(axis=1) > width)
    part.sort(axis=1)  # a stable sort by score over rising positions breaks ties by position
    order = np.argsort(-np.take_along_axis(values, part, axis=1), axis=1, kind="stable")
    best[:, :width] = np.take_along_axis(part, order, axis=1)
    if len(tied):
        best[tied, :width] = np.argsort(-values[tied], axis=1, kind="stable")[:, :width]
    chosen = np.take_along_axis(values, np.maximum(best, 0), axis=1)
    best[np.isneginf(chosen)] = NOTHING
    return best
