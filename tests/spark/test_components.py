"""Components on Spark equal those in memory: label by label, on random graphs, chains and lone nodes."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs.core.settings import Settings
from jobs.identity.components import connected
from jobs.identity.edges import Ints
from jobs.identity.spark_components import connect_for, connected_on_spark

pytestmark = pytest.mark.spark


def random_graph(seed: int) -> tuple[int, Ints, Ints]:
    """A sparse random graph, a chain in order, one out of order, a star and nodes without a link; edges twice and to itself."""
    draw = np.random.default_rng(seed)
    a, b = draw.integers(0, 400, (2, 260))
    chain = np.arange(400, 480)
    loose = draw.permutation(np.arange(480, 540))
    star = np.arange(541, 560)
    ends = [
        (a, b),
        (a[:20], b[:20]),
        (chain[:-1], chain[1:]),
        (loose[:-1], loose[1:]),
        (np.full(19, 540), star),
        ([7], [7]),
    ]
    left, right = (np.concatenate([np.asarray(pair[side], dtype=np.int64) for pair in ends]) for side in (0, 1))
    return 570, left, right


@pytest.mark.parametrize("seed", [11])
def test_spark_finds_the_components_that_scipy_finds(session: SparkSession, tmp_path: Path, seed: int) -> None:
    count, a, b = random_graph(seed)
    assert connected_on_spark(session, tmp_path, count, a, b).tolist() == connected(count, a, b).tolist()
    assert not list(tmp_path.iterdir())


def test_no_edges_and_no_nodes(session: SparkSession, tmp_path: Path) -> None:
    none = np.zeros(0, dtype=np.int64)
    assert connected_on_spark(session, tmp_path, 3, none, none).tolist() == [0, 1, 2]
    assert connected_on_spark(session, tmp_path, 0, none, none).tolist() == []


def test_the_size_decides(settings: Settings) -> None:
    assert connect_for(settings, settings.identity_spark_edges) is connected
    assert connect_for(settings, settings.identity_spark_edges + 1) is not connected
