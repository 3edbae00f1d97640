"""The same dbt project on Spark: every public mart holds the rows that DuckDB built from the same lake."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sparkkit import contents_on_spark, session_ended, spark_home
from warehousekit import Warehouse

from jobs.warehouse.content import Content

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def spark_contents(
    warehouse: Warehouse, jar_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Content]]:
    """Contents of every table that one build on Spark has made of the lake of `warehouse`."""
    with session_ended():
        yield contents_on_spark(spark_home(tmp_path_factory.mktemp("spark") / "home", jar_home, warehouse.settings))


def test_spark_builds_equal_rows(warehouse: Warehouse, spark_contents: dict[str, Content]) -> None:
    assert {name: spark_contents.get(name) for name in warehouse.contents} == warehouse.contents
