"""What is usual for a number: statistics of silver against scipy's, the window, the rules that flag nothing."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from lakekit import NOW, Lake, write_lake
from pydantic import ValidationError
from scipy.stats import median_abs_deviation
from settingskit import make_settings

from expectations import contracts
from expectations.contracts import EventContract
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.ingest.outliers import TABLE, read_bounds, refresh
from jobs.lake import delta

EVENTS = contracts.events()
ORDERS = EVENTS["Order Completed"]


@pytest.fixture
def settings(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    shared = tmp_path_factory.getbasetemp() / "duckdb"
    shared.mkdir(exist_ok=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "duckdb").symlink_to(shared, target_is_directory=True)
    return make_settings(tmp_path / "home")


def context_at(settings: Settings, days: int = 0) -> Context:
    return Context(settings, Clock(NOW + timedelta(days=days)), "test-run")


def orders(totals: list[object], *, source: str = "pos", when: str = "2017-12-20") -> Lake:
    lake = Lake(position=int.from_bytes(f"{source}{when}".encode()[-6:]))
    for total in totals:
        lake.event(source, "Order Completed", when, {"loyalty_id": "7"}, {"order_id": "1", "total": total})
    return lake


def test_statistics_and_bounds_equal_scipys(settings: Settings) -> None:
    rng = np.random.default_rng(20180102)
    totals = {"pos": rng.lognormal(3, 1, 501).round(2), "web": rng.normal(50, 9, 240).round(2)}
    for source, values in totals.items():
        write_lake(settings, orders([*values.tolist()], source=source))
    # Numbers sent as text count; texts that are none, and values outside the window or of the day itself, do not.
    write_lake(settings, orders(["17.5", 1e9, None], when="2017-12-21"))
    totals["pos"] = np.append(totals["pos"], [17.5, 1e9])
    write_lake(settings, orders([1e6] * 50, when="2017-09-01"))
    write_lake(settings, orders([1e6] * 50, when="2018-01-02"))
    assert refresh(context_at(settings)) == 2
    bounds = {bound.source: bound for bound in read_bounds(settings, EVENTS.values())}
    for row in delta.read(settings, TABLE).to_pylist():
        values = totals[row["source"]]
        assert row["value_count"] == len(values)
        assert row["median"] == pytest.approx(np.median(values))
        assert row["mad"] == row["spread"] == pytest.approx(median_abs_deviation(values))
        # scale="normal" divides by 0.67449, what 0.6745 abbreviates.
        scores = np.abs(values - np.median(values)) / median_abs_deviation(values, scale="normal")
        bound = bounds[row["source"]]
        beyond = (values < bound.low) | (values > bound.high)
        assert beyond.tolist() == (scores > 8.0).tolist()
        assert beyond.any() or row["source"] == "web"


def test_a_day_has_one_set_of_statistics(settings: Settings) -> None:
    """Batches of a day are judged alike, whatever was loaded in between; the next day knows more."""
    assert refresh(context_at(settings)) == 0  # nothing there yet: nothing written, so that it is tried again
    write_lake(settings, orders([float(n % 9) for n in range(200)]))
    assert refresh(context_at(settings)) == 1
    before = read_bounds(settings, EVENTS.values())
    write_lake(settings, orders([float(n) for n in range(900)], when="2017-12-22"))
    assert refresh(context_at(settings)) == 0
    assert read_bounds(settings, EVENTS.values()) == before
    assert refresh(context_at(settings, days=1)) == 1
    assert read_bounds(settings, EVENTS.values()) != before


@pytest.mark.parametrize(
    ("totals", "spread"),
    [
        ([5.0] * 300, None),  # all alike
        ([5.0] * 300 + [6.0] * 9, None),  # too few that differ
        ([5.0] * 300 + [6.0] * 9 + [9.0], 1.0),  # MAD is 0: the ten that differ say what is usual
        ([1.0, 2.0, 3.0] * 100, 1.0),
    ],
)
def test_where_most_values_are_equal(settings: Settings, totals: list[object], spread: float | None) -> None:
    write_lake(settings, orders(totals))
    refresh(context_at(settings))
    assert [row["spread"] for row in delta.read(settings, TABLE).to_pylist()] == [spread]
    assert len(read_bounds(settings, EVENTS.values())) == (spread is not None)


def test_too_few_values_flag_nothing(settings: Settings) -> None:
    write_lake(settings, orders([float(n) for n in range(99)]))
    refresh(context_at(settings))
    assert delta.row_count(settings, TABLE) == 1
    assert read_bounds(settings, EVENTS.values()) == []
    write_lake(settings, orders([99.0], when="2017-12-21"))
    refresh(context_at(settings, days=1))
    assert len(read_bounds(settings, EVENTS.values())) == 1


def test_a_rule_inside_an_array_is_refused() -> None:
    items = {"quantity": {"type": "integer", "outlier": {}}}
    with pytest.raises(ValidationError, match="outliers inside an array are not judged"):
        EventContract.model_validate(
            {"name": "x", "type": "track", "description": "x", "properties": {"a": {"type": "array", "items": items}}}
        )
    assert ORDERS.properties["total"].outlier is not None
