"""`c360 models score`: the champion's answers for every profile, written to gold only when they differ from what is there."""

import json
import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from models.als_recommender import AlsRecommender
from models.base import Bools, Floats, Ints, Purchases
from models.dataset import (
    Connection,
    read_best_sellers,
    read_ledger_version,
    read_profiles,
    read_purchases,
    read_traits,
)
from models.profile_clusters import ProfileClusters, trait_matrix
from models.ranking import NOTHING, top_k
from models.recommender_training import K, load_recommender
from models.tracking import Registered, Registry

log = logging.getLogger(__name__)
RECOMMENDATIONS = "gold_recommendations"
CLUSTERS = "gold_profile_clusters"
ITEM_KIND = "product_type"
BLOCK_ROWS = 2048
DECIMALS = 6  # below this, sums of floats differ between machines
VOLATILE = ("run_id", "scored_at")  # what a second run on equal input may differ in


@dataclass(frozen=True)
class Written:
    """What one scoring came to. `changed` is False when gold held equal content already."""

    table: str
    model_name: str
    version: str
    rows: int
    changed: bool
    personal_profiles: int


@dataclass(frozen=True)
class Lists:
    """Ranked lists, one row per profile and rank: positions of profile and item, with how the list was made."""

    profile: Ints
    rank: Ints
    item: Ints
    score: Floats
    tier: list[str]
    reason: list[str | None]


def score_all(context: Context, connection: Connection, registry: Registry) -> list[Written]:
    """Scores with each champion; raises PermanentError when a model has none, ArtifactError when its files are refused."""
    champions = {name: _champion(registry, name) for name in (AlsRecommender.name, ProfileClusters.name)}
    return [
        score_recommendations(context, connection, registry, champions[AlsRecommender.name]),
        score_clusters(context, connection, registry, champions[ProfileClusters.name]),
    ]


def _champion(registry: Registry, name: str) -> Registered:
    champion = registry.champion(name)
    if champion is None:
        raise PermanentError(f"{name} has no champion; train first: c360 models train")
    return champion


def score_recommendations(
    context: Context, connection: Connection, registry: Registry, champion: Registered
) -> Written:
    """Ten items for every profile of dim_profiles; personal ones only with profiling consent and purchases."""
    recommender, is_personal = load_recommender(registry.load(champion))
    profiles = read_profiles(connection)
    purchases = read_purchases(connection, context.clock.now())
    best_sellers = read_best_sellers(connection, context.clock.now())
    names = profiles.column("profile_id").to_numpy().astype(str)
    consents = profiles.column("has_profiling_consent").to_numpy().astype(bool)
    histories = _histories(purchases, names, recommender)
    lists = recommend(recommender, histories, consents, is_personal=is_personal)
    items = pa.array(recommender.items.tolist())
    products = pa.array([best_sellers.get(item) for item in recommender.items.tolist()], pa.string())
    table = pa.table(
        {
            **_origin(context, champion, read_ledger_version(connection), len(lists.rank)),
            "profile_id": profiles.column("profile_id").take(pa.array(lists.profile)),
            "is_simulated": profiles.column("is_simulated").take(pa.array(lists.profile)),
            "rank": lists.rank,
            "item_kind": _same(ITEM_KIND, len(lists.rank)),
            "item_id": items.take(pa.array(lists.item)),
            "product_id": products.take(pa.array(lists.item)),
            "score": np.round(lists.score, DECIMALS),
            "tier": pa.array(lists.tier, pa.string()),
            "is_fallback": pc.is_valid(pa.array(lists.reason, pa.string())),
            "fallback_reason": pa.array(lists.reason, pa.string()),
        }
    )
    personal = len(np.unique(lists.profile[[reason is None for reason in lists.reason]]))
    return _write(context, champion, table, RECOMMENDATIONS, key=("profile_id", "rank"), personal=personal)


def recommend(
    recommender: AlsRecommender, histories: sp.csr_matrix, consents: Bools, *, is_personal: bool, k: int = K
) -> Lists:
    """The lists of all rows, by row and rank.

    Without consent a history is not even looked at: the popular list as it is. With consent but a model that did not beat
    popularity: the popular list without what was bought. Personal lists are filled up with `repeat` items when a profile
    has bought nearly everything.
    """
    has_history = np.asarray(histories.getnnz(axis=1) > 0)
    known = consents & has_history
    popular = np.round(recommender.share, DECIMALS)
    common = top_k(popular[None, :], k)[0]
    common = common[common != NOTHING]
    parts = [
        _same_list(np.flatnonzero(~consents), common, popular, "no_profiling_consent"),
        _same_list(np.flatnonzero(consents & ~has_history), common, popular, "cold_profile"),
    ]
    rows = np.flatnonzero(known)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        scores = recommender.score(histories[block]) if is_personal else np.tile(popular, (len(block), 1))
        parts.append(_known_lists(block, scores, histories[block], k, is_personal=is_personal))
    return _by_profile(parts)


def _same_list(rows: Ints, items: Ints, share: Floats, reason: str) -> Lists:
    n = len(rows) * len(items)
    return Lists(
        np.repeat(rows, len(items)),
        np.tile(np.arange(1, len(items) + 1), len(rows)),
        np.tile(items, len(rows)),
        np.tile(share[items], len(rows)),
        ["popular"] * n,
        [reason] * n,
    )


def _known_lists(rows: Ints, scores: Floats, seen: sp.csr_matrix, k: int, *, is_personal: bool) -> Lists:
    fresh = top_k(scores, k, seen=seen)
    ranked = _fill_up(fresh, scores, seen)
    row, place = np.nonzero(ranked != NOTHING)
    item, is_repeat = ranked[row, place], fresh[row, place] == NOTHING
    tier = np.where(is_repeat, "repeat", "personal") if is_personal else np.full(len(row), "popular")
    reason: list[str | None] = [None if is_personal else "model_not_better"] * len(row)
    return Lists(rows[row], place + 1, item, scores[row, item], tier.tolist(), reason)


def _fill_up(fresh: Ints, scores: Floats, seen: sp.csr_matrix) -> Ints:
    """Lists that ran out of new items, continued with the best of what the profile bought before."""
    ranked = fresh.copy()
    for row in np.flatnonzero((fresh == NOTHING).any(axis=1)):
        start = int((fresh[row] != NOTHING).sum())
        bought = np.asarray(seen[row].indices, dtype=np.int64)
        again = bought[np.argsort(-scores[row, bought], kind="stable")][: fresh.shape[1] - start]
        ranked[row, start : start + len(again)] = again
    return ranked


def _by_profile(parts: list[Lists]) -> Lists:
    profile = np.concatenate([p.profile for p in parts])
    rank = np.concatenate([p.rank for p in parts])
    order = np.lexsort((rank, profile))
    tier = np.array([t for p in parts for t in p.tier], dtype=object)[order]
    reason = np.array([r for p in parts for r in p.reason], dtype=object)[order]
    item = np.concatenate([p.item for p in parts])[order]
    score = np.concatenate([p.score for p in parts])[order]
    return Lists(profile[order], rank[order], item, score, tier.tolist(), reason.tolist())


def _histories(purchases: Purchases, names: np.ndarray, recommender: AlsRecommender) -> sp.csr_matrix:
    """All profiles by the model's items; purchases of items that the model does not know are left out."""
    row_of = _positions(purchases.profiles, names)[purchases.profile]
    column_of = _positions(purchases.items, recommender.items)[purchases.item]
    keep = (row_of != NOTHING) & (column_of != NOTHING)
    shape = (len(names), len(recommender.items))
    matrix = sp.coo_matrix((np.ones(int(keep.sum())), (row_of[keep], column_of[keep])), shape=shape).tocsr()
    matrix.sort_indices()
    return matrix


def _positions(wanted: np.ndarray, known: np.ndarray) -> Ints:
    """Position of each wanted name in the sorted `known`, -1 where it is absent."""
    if not len(known):
        return np.full(len(wanted), NOTHING, dtype=np.int64)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, at, NOTHING).astype(np.int64)


def score_clusters(context: Context, connection: Connection, registry: Registry, champion: Registered) -> Written:
    """The cluster of every consenting profile with an order."""
    stored = registry.load(champion)["model.json"]
    assert isinstance(stored, dict)
    model = ProfileClusters.from_dict(stored)
    traits = read_traits(connection, context.clock.now())
    clusters, distances = model.assign(trait_matrix(traits))
    profiles = read_profiles(connection)
    known, scored = (table.column("profile_id").to_numpy().astype(str) for table in (profiles, traits))
    rows = _positions(scored, known)
    table = pa.table(
        {
            **_origin(context, champion, read_ledger_version(connection), traits.num_rows),
            "profile_id": traits.column("profile_id"),
            "is_simulated": profiles.column("is_simulated").take(pa.array(rows)),
            "cluster_id": clusters,
            "cluster_name": pa.array(model.names).take(pa.array(clusters)),
            "distinguishing_traits": pa.array([json.dumps(t) for t in model.traits]).take(pa.array(clusters)),
            "distance": np.round(distances, DECIMALS),
        }
    )
    return _write(context, champion, table, CLUSTERS, key=("profile_id",), personal=table.num_rows)


def _same(value: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), rows)


def _origin(context: Context, champion: Registered, ledger_version: int, rows: int) -> dict[str, pa.Array]:
    scored_at = pa.scalar(context.clock.now(), pa.timestamp("us", tz="UTC"))
    return {
        "model_name": _same(champion.model_name, rows),
        "model_version": _same(champion.version, rows),
        "run_id": _same(context.run_id, rows),
        "scored_at": pa.repeat(scored_at, rows),
        "ledger_version": pa.repeat(pa.scalar(ledger_version, pa.int64()), rows),
    }


def _write(
    context: Context, champion: Registered, table: pa.Table, name: str, *, key: tuple[str, ...], personal: int
) -> Written:
    """Replaces the rows of this model whole, in one commit, unless what is there is equal but for run and time. Equal scores of
    a newer ledger version are written: since somebody was parted, older ones are shown for neither side."""
    schema = arrow_schema(lake_table(name).contract)
    fresh = table.select(schema.names).cast(schema).combine_chunks()
    existing = delta.read(context.settings, name)
    existing = existing.filter(pc.equal(existing.column("model_name"), champion.model_name))
    existing = existing.sort_by([(column, "ascending") for column in key]).cast(schema)
    stable = [column for column in schema.names if column not in VOLATILE]
    changed = not existing.select(stable).equals(fresh.select(stable))
    if changed:
        delta.replace(context.settings, name, fresh, predicate=f"model_name = '{champion.model_name}'")
    return Written(name, champion.model_name, champion.version, fresh.num_rows, changed, personal)
