"""K-Means over what profiles do with their money: log-scaled, standardised traits, clusters that can be read.

k is the elbow of the inertia curve (the point farthest from the line between its ends), or its neighbour with the better
Euclid silhouette on a seeded sample (Rousseeuw 1987).
"""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from models.base import Clusterer, EmptyTrainingError, Floats, Ints

K_MIN, K_MAX = 2, 10
N_INIT = 4
SILHOUETTE_ROWS = 2000
TELLING = 0.3  # a trait whose cluster mean lies this many deviations off sets the cluster apart
NAMED_TRAITS = 2

# trait → what a low and a high mean is called
WORDS = {
    "days_since_last_order": ("active lately", "long absent"),
    "order_count": ("few orders", "frequent"),
    "lifetime_value": ("low value", "high value"),
    "average_order_value": ("small baskets", "large baskets"),
    "product_variety": ("narrow range", "wide range"),
    "discount_share": ("full price", "deal seekers"),
    "coupons_redeemed": ("no coupons", "coupon users"),
}
TRAITS = tuple(WORDS)


def trait_matrix(table: pa.Table) -> Floats:
    """profiles by traits, in the order of TRAITS."""
    return np.column_stack([table.column(name).to_numpy() for name in TRAITS])


@dataclass(frozen=True)
class Scaler:
    """log1p, then mean 0 and deviation 1 by trait; traits without spread become 0. Negative values count as 0."""

    mean: Floats
    deviation: Floats

    @classmethod
    def learn(cls, traits: Floats) -> "Scaler":
        """Means and deviations of the logarithms."""
        logged = np.log1p(np.maximum(traits, 0.0))
        return cls(logged.mean(axis=0), logged.std(axis=0))

    def scale(self, traits: Floats) -> Floats:
        """The traits in the space in which distances are taken."""
        centred: Floats = np.log1p(np.maximum(traits, 0.0)) - self.mean
        scaled: Floats = np.divide(centred, self.deviation, out=np.zeros_like(centred), where=self.deviation > 1e-12)
        return scaled


def elbow(inertias: dict[int, float]) -> int:
    """The k whose point lies farthest below the line from the first to the last k; the lowest k of equals."""
    ks = np.array(sorted(inertias), dtype=np.float64)
    values = np.array([inertias[int(k)] for k in ks])
    if len(ks) < 3 or values[0] <= values[-1]:
        return int(ks[0])
    x = (ks - ks[0]) / (ks[-1] - ks[0])
    y = (values - values[-1]) / (values[0] - values[-1])
    return int(ks[int(np.argmax(1.0 - x - y))])


def silhouette(scaled: Floats, labels: Ints, seed: int) -> float:
    """Mean Euclid silhouette over at most 2,000 seeded rows; 0 when there are not two groups in the sample."""
    from sklearn.metrics import silhouette_score

    rows = np.arange(len(scaled))
    if len(rows) > SILHOUETTE_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SILHOUETTE_ROWS, replace=False))
    groups = len(np.unique(labels[rows]))
    if not 2 <= groups < len(rows):
        return 0.0
    return float(silhouette_score(scaled[rows], labels[rows], metric="euclidean"))


def value_groups(traits: Floats, groups: int) -> Ints:
    """The baseline: as many equal-sized groups by lifetime value alone, ties by row."""
    order = np.argsort(traits[:, TRAITS.index("lifetime_value")], kind="stable")
    labels = np.empty(len(order), dtype=np.int64)
    labels[order] = np.arange(len(order)) * groups // max(len(order), 1)
    return labels


def describe(centroids: Floats) -> list[tuple[str, dict[str, float]]]:
    """(name, trait → z-score against all profiles) of each cluster, unique names, most telling traits first."""
    described: list[tuple[str, dict[str, float]]] = []
    taken: set[str] = set()
    for centroid in centroids:
        order = sorted(range(len(TRAITS)), key=lambda i: (-abs(centroid[i]), i))
        scores = {TRAITS[i]: round(float(centroid[i]), 2) for i in order}
        telling = [WORDS[name][int(z > 0)] for name, z in scores.items() if abs(z) >= TELLING]
        name = _unique_name(telling, taken)
        taken.add(name)
        described.append((name, scores))
    return described


def _unique_name(telling: list[str], taken: set[str]) -> str:
    for length in range(min(NAMED_TRAITS, len(telling)), len(telling) + 1):
        name = ", ".join(telling[:length]).capitalize() or "Average shoppers"
        if name not in taken:
            return name
    base = ", ".join(telling).capitalize() or "Average shoppers"
    return next(f"{base} ({n})" for n in range(2, len(taken) + 3) if f"{base} ({n})" not in taken)


class ProfileClusters(Clusterer):
    """K-Means (k-means++, four starts, fixed seed) with the number of clusters found as stated above."""

    name = "profile_clusters"

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.scaler = Scaler(np.zeros(0), np.zeros(0))
        self.centroids: Floats = np.zeros((0, 0))
        self.names: list[str] = []
        self.traits: list[dict[str, float]] = []
        self.sizes: list[int] = []
        self.curve: dict[int, dict[str, float]] = {}

    def fit(self, traits: Floats) -> Self:
        """Learns scaling, k and centroids; clusters are numbered by falling size."""
        if not len(traits):
            raise EmptyTrainingError(
                f"{self.name}: no orders of profiles with profiling consent; load orders and consents first (c360 ingest run)"
            )
        self.scaler = Scaler.learn(traits)
        scaled = self.scaler.scale(traits)
        labels, centroids = self._search(scaled)
        sizes = np.bincount(labels, minlength=len(centroids))
        order = np.lexsort((*centroids.T[::-1], -sizes))  # by size, then by centroid, so that equals keep their order
        self.centroids = centroids[order]
        self.sizes = [int(n) for n in sizes[order]]
        described = describe(self.centroids)
        self.names = [name for name, _ in described]
        self.traits = [scores for _, scores in described]
        return self

    def _search(self, scaled: Floats) -> tuple[Ints, Floats]:
        from sklearn.cluster import KMeans

        distinct = len(np.unique(scaled, axis=0))
        found: dict[int, tuple[Ints, Floats]] = {}
        for k in range(K_MIN, min(K_MAX, distinct - 1) + 1):
            model = KMeans(n_clusters=k, n_init=N_INIT, random_state=self.seed).fit(scaled)
            labels = model.labels_.astype(np.int64)
            found[k] = (labels, model.cluster_centers_)
            self.curve[k] = {"inertia": float(model.inertia_), "silhouette": silhouette(scaled, labels, self.seed)}
        if not found:  # too few different profiles to tell groups apart
            return np.zeros(len(scaled), dtype=np.int64), scaled.mean(axis=0, keepdims=True)
        bend = elbow({k: point["inertia"] for k, point in self.curve.items()})
        near = [k for k in (bend, bend - 1, bend + 1) if k in found]
        return found[max(near, key=lambda k: self.curve[k]["silhouette"])]

    def assign(self, traits: Floats) -> tuple[Ints, Floats]:
        """The nearest centroid (the lowest cluster of equals) and the distance to it."""
        scaled = self.scaler.scale(traits)
        distances = np.sqrt(((scaled[:, None, :] - self.centroids[None, :, :]) ** 2).sum(axis=2))
        clusters = distances.argmin(axis=1).astype(np.int64)
        return clusters, distances[np.arange(len(clusters)), clusters]

    def to_dict(self) -> dict[str, Any]:
        """Everything that scoring needs, as JSON."""
        return {
            "seed": self.seed,
            "trait_names": list(TRAITS),
            "mean": self.scaler.mean.tolist(),
            "deviation": self.scaler.deviation.tolist(),
            "centroids": self.centroids.tolist(),
            "names": self.names,
            "traits": [json.dumps(scores) for scores in self.traits],
            "sizes": self.sizes,
            "curve": {str(k): point for k, point in self.curve.items()},
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "ProfileClusters":
        """The clustering that `to_dict` described."""
        made = cls(int(stored["seed"]))
        made.scaler = Scaler(np.array(stored["mean"]), np.array(stored["deviation"]))
        made.centroids = np.array(stored["centroids"])
        made.names = list(stored["names"])
        made.traits = [json.loads(text) for text in stored["traits"]]
        made.sizes = list(stored["sizes"])
        made.curve = {int(k): point for k, point in stored["curve"].items()}
        return made
