"""Trains the product-type recommender: tunes on the validation window, judges on the test window, refits on everything."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import scipy.sparse as sp

from models.als_recommender import AlsParams, AlsRecommender
from models.artifacts import Content
from models.base import EmptyTrainingError, Metric, Purchases
from models.evaluation import Evaluated, evaluate, paired_lift_interval
from models.popularity import OwnMostFrequent, Popularity
from models.splits import TimeSplit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)
K = 10
TARGET = f"recall_at_{K}_new_only"
MARGIN = 0.02  # relative lift over popularity, on the test window, that earns a model its place
POPULARITY_DAYS = (28, 90, 365)
BLENDS = (0.0, 0.2, 0.4, 0.6)
# (rank, reg, alpha). reg is scaled by the purchases of a profile, and grocery profiles buy hundreds of types, so little is
# enough. The usual (64, 0.3, 0.5) lost to each of these on validation (0.058 against 0.062 to 0.066) at three times the cost.
GRID = ((32, 0.05, 1.0), (16, 0.01, 0.5), (16, 0.1, 1.0))


@dataclass(frozen=True)
class Trained:
    """What a training found. `is_better` is the verdict against the baseline, `verdict` the same in words."""

    files: dict[str, Content]
    params: dict[str, object]
    metrics: list[Metric]
    is_better: bool
    verdict: str


def search_space(seed: int) -> list[object]:
    """Everything that steers the training besides data and code, for the fingerprint."""
    return [GRID, BLENDS, POPULARITY_DAYS, MARGIN, K, seed]


def train_recommender(
    purchases: Purchases, as_of: datetime, seed: int, open_session: Callable[[ExitStack], "SparkSession"]
) -> Trained:
    """Tunes, judges and refits, in one Spark session that is opened only when there is something to learn from.

    Raises EmptyTrainingError without purchases, PermanentError when a window of the time split is empty.
    """
    if not len(purchases):
        raise EmptyTrainingError(
            "als_recommender: no orders of profiles with profiling consent; load orders and consents first (c360 ingest run)"
        )
    split = TimeSplit.before(as_of)
    split.require_windows(purchases)
    with ExitStack() as stack:
        session = open_session(stack)
        days = _best_days(purchases, split)
        params, tuned = _tune(session, purchases, split, days, seed)
        metrics, lift, interval = _judge(session, purchases, split, params, seed)
        final = AlsRecommender(params, session).fit(purchases, split.as_of_us + 1)
    is_better = lift >= MARGIN
    metrics += [Metric(f"validation_{TARGET}", "model", tuned), Metric("lift_over_popularity", "model", lift)]
    verdict = _verdict(metrics, lift, interval, is_better=is_better)
    log.info("als_recommender: %s", verdict)
    served = "personal" if is_better else "popular"
    facts: dict[str, object] = {"served": served, "as_of": as_of.isoformat(), "margin": MARGIN, **params.as_dict()}
    model = {"params": params.as_dict(), "served": served, "verdict": verdict, "as_of": as_of.isoformat()}
    files: dict[str, Content] = {"items.parquet": _items_table(final), "model.json": model}
    return Trained(files, facts, metrics, is_better, verdict)


def load_recommender(files: dict[str, Content]) -> tuple[AlsRecommender, bool]:
    """(recommender, whether its personal lists are served) from the stored files."""
    items, model = files["items.parquet"], files["model.json"]
    assert isinstance(items, pa.Table)
    assert isinstance(model, dict)
    params = AlsParams(**model["params"])
    flat = items.column("factors").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    names = items.column("item_id").to_numpy().astype(str)
    share = items.column("buyer_share").to_numpy()
    made = AlsRecommender.from_parts(params, names, flat.reshape(-1, params.rank), share)
    return made, model["served"] == "personal"


def _items_table(final: AlsRecommender) -> pa.Table:
    factors = pa.array(list(final.item_factors), pa.list_(pa.float64()))
    return pa.table({"item_id": pa.array(final.items.tolist()), "buyer_share": final.share, "factors": factors})


def _best_days(purchases: Purchases, split: TimeSplit) -> int:
    """The window that makes the strongest popularity list on validation: the baseline gets its tuning, too."""
    history, future = _counts(split.validation(purchases))

    def recall(days: int) -> float:
        fitted = Popularity(days).fit(purchases, split.validation_start_us)
        return evaluate(fitted, history, future, k=K, new_only=True).metrics[TARGET]

    return max(POPULARITY_DAYS, key=recall)


def _tune(
    session: "SparkSession", purchases: Purchases, split: TimeSplit, days: int, seed: int
) -> tuple[AlsParams, float]:
    history, future = _counts(split.validation(purchases))
    best: tuple[AlsParams, float] | None = None
    for rank, reg, alpha in GRID:
        params = AlsParams(rank=rank, reg=reg, alpha=alpha, popularity_days=days, seed=seed)
        fitted = AlsRecommender(params, session).fit(purchases, split.validation_start_us)
        for blend in BLENDS:
            found = evaluate(fitted.with_blend(blend), history, future, k=K, new_only=True).metrics[TARGET]
            log.info("tuning: rank %d, reg %g, alpha %g, blend %g: %s %.4f", rank, reg, alpha, blend, TARGET, found)
            if best is None or found > best[1]:
                best = (replace(params, blend=blend), found)
    assert best is not None
    return best


def _judge(
    session: "SparkSession", purchases: Purchases, split: TimeSplit, params: AlsParams, seed: int
) -> tuple[list[Metric], float, tuple[float, float]]:
    """(metrics of model and baselines on the test window, relative lift of the target, its 95 % interval)."""
    history, future = _counts(split.test(purchases))
    model = AlsRecommender(params, session).fit(purchases, split.test_start_us)
    popular = Popularity(params.popularity_days).fit(purchases, split.test_start_us)
    own = OwnMostFrequent(params.popularity_days).fit(purchases, split.test_start_us)
    contenders = {"model": model, "als_without_popularity": model.with_blend(0.0), "popularity": popular}
    new = {name: evaluate(r, history, future, k=K, new_only=True) for name, r in contenders.items()}
    everything = {
        name: evaluate(r, history, future, k=K, new_only=False)
        for name, r in {**contenders, "own_most_frequent": own}.items()
    }
    metrics = [metric for found in (new, everything) for name, result in found.items() for metric in result.named(name)]
    lift, interval = _lift(new["model"], new["popularity"], seed)
    return metrics, lift, interval


def _lift(model: Evaluated, popular: Evaluated, seed: int) -> tuple[float, tuple[float, float]]:
    base = max(popular.metrics[TARGET], 1e-9)
    low, high = paired_lift_interval(model.recall, popular.recall, seed)
    return model.metrics[TARGET] / base - 1.0, (low / base, high / base)


def _verdict(metrics: list[Metric], lift: float, interval: tuple[float, float], *, is_better: bool) -> str:
    figures = {m.baseline: m.value for m in metrics if m.name == TARGET}
    text = (
        f"{TARGET}: model {figures['model']:.4f}, popularity {figures['popularity']:.4f}, lift {lift:+.1%} "
        f"(95 % interval {interval[0]:+.1%} to {interval[1]:+.1%}), needed {MARGIN:+.0%}"
    )
    return (
        f"{text}: personal lists are served" if is_better else f"{text}: NOT better, popularity is served to everyone"
    )


def _counts(parts: tuple[Purchases, Purchases]) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    return parts[0].counts(), parts[1].counts()
