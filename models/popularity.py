"""The two baselines that a personal model must beat: what many buy, and what oneself buys most."""

from typing import Self

import numpy as np
import scipy.sparse as sp

from models.base import DAY_US, Floats, Purchases, Recommender


def buyer_share(purchases: Purchases, as_of_us: int, days: int) -> Floats:
    """Share of all buying profiles that bought each item in the last `days` days (ever, if nobody bought in them)."""
    recent = purchases.between(as_of_us - days * DAY_US, as_of_us)
    chosen = recent if len(recent) else purchases.between(None, as_of_us)
    buyers = np.asarray((chosen.counts() > 0).sum(axis=0), dtype=np.float64).ravel()
    everyone = len(np.unique(purchases.profile))
    return buyers / max(everyone, 1)


class Popularity(Recommender):
    """The same list for everyone: items by the share of profiles that bought them lately."""

    name = "popularity"

    def __init__(self, days: int = 28) -> None:
        self.days = days
        self.share: Floats = np.zeros(0)

    def fit(self, purchases: Purchases, as_of_us: int) -> Self:
        """Counts buyers per item over the last `days` days before `as_of_us`."""
        known = self._learnable(purchases, as_of_us)
        self.items = known.items
        self.share = buyer_share(known, as_of_us, self.days)
        return self

    def score(self, histories: sp.csr_matrix) -> Floats:
        """The share of buyers, whatever the history."""
        return np.tile(self.share, (histories.shape[0], 1))


class OwnMostFrequent(Popularity):
    """What the profile itself bought in most orders; popularity decides between equals and fills up."""

    name = "own_most_frequent"

    def score(self, histories: sp.csr_matrix) -> Floats:
        """Orders per item plus a popularity term that is always below one order."""
        scores: Floats = histories.toarray().astype(np.float64) + self.share / (1.0 + self.share.max(initial=0.0))
        return scores
