"""Connected components on Spark, by Splink's clustering: for graphs beyond `identity_spark_edges`, where scipy's working memory
would be the limit. The same components as `components.connected`, many times slower on one machine."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.core.settings import Settings
from jobs.identity.components import Connect, connected
from jobs.identity.edges import Ints

SEED = 20180102
TASK_ROWS = 1_000_000  # of a file that one task reads


def connect_for(settings: Settings, edges: int) -> Connect:
    """How to find the components of a graph with so many edges."""
    if edges <= settings.identity_spark_edges:
        return connected

    def on_spark(count: int, a: Ints, b: Ints) -> Ints:
        from jobs.lake.session import end_session, open_session

        session = open_session(settings, "c360-identity")
        try:
            return connected_on_spark(session, settings.home / "spark" / "local", count, a, b)
        finally:
            end_session(session)

    return on_spark


def connected_on_spark(session: Any, work: Path, count: int, a: Ints, b: Ints) -> Ints:
    """The component of each of `count` nodes, numbered from 0 by their first node; `work` is a folder that all executors see.

    Nodes go by random numbers: Splink hands the smallest number of a component on from neighbour to neighbour, and a chain of
    identifiers in order would take as many rounds as it has links.
    """
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    number = np.random.default_rng(SEED).permutation(count).astype(np.int64)
    folder = Path(tempfile.mkdtemp(prefix="components-", dir=work))
    try:
        _write(folder / "nodes", node=number)
        _write(folder / "edges", node_l=number[a], node_r=number[b])
        found = _clustered(session, folder)
    finally:
        shutil.rmtree(folder)
    cluster = np.empty(count, dtype=np.int64)
    cluster[found["node"].to_numpy()] = found["cluster_id"].to_numpy()
    _, first, label = np.unique(cluster[number], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[label].astype(np.int64)


def _write(folder: Path, **columns: Ints) -> None:
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "part.parquet", row_group_size=TASK_ROWS)


def _clustered(session: Any, folder: Path) -> pa.Table:
    """Columns node and cluster_id."""
    from splink import SparkAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    api = cast(Any, SparkAPI)(spark_session=session, register_udfs_automatically=False)
    nodes, edges = (session.read.parquet(str(folder / name)) for name in ("nodes", "edges"))
    found = cluster_pairwise_predictions_at_threshold(nodes, edges, api, node_id_column_name="node")
    return found.as_spark_dataframe().toArrow()
