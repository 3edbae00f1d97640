"""Builds as of a moment: what is in them, that later data change nothing, and that nothing publishes them."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from lakekit import NOW, Lake, line, profile, write_lake
from warehousekit import Warehouse, hashes

from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.runs import Stage
from jobs.warehouse.build import build_as_of
from jobs.warehouse.commands import group
from jobs.warehouse.content import Content
from jobs.warehouse.paths import build_file
from jobs.warehouse.reading import reading_of_run

JUNE = datetime(2017, 6, 15, tzinfo=UTC)


def contents(file: Path) -> dict[str, Content]:
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return hashes(connection)


def as_of(settings: Settings, moment: datetime | None, pin: str | None = None) -> Path:
    return build_as_of(Context.from_settings(settings), Stage("warehouse.build_as_of"), moment, pin)


def more_arrives(settings: Settings) -> None:
    """A late order of before June, one of after it, and identity finding that profiles 2 and 3 are one."""
    lake = Lake(position=2_000_000_000)
    lake.order("1", "B8", "2017-06-01", [line("P1", 1, "1.00")], received_at="2018-01-01")
    lake.order("2", "B9", "2017-12-31", [line("P1", 1, "1.00")])
    lake.add(
        "profile_redirects", from_profile_id=profile(3), to_profile_id=profile(2), merged_at=NOW, is_simulated=False
    )
    write_lake(settings, lake)


@pytest.fixture(scope="module")
def spoken(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[str, Content], str]:
    """A copy of the home in which more has arrived, what it was as of June before, and the run that built it then."""
    home = tmp_path_factory.mktemp("as_of") / "home"
    shutil.copytree(warehouse.settings.home, home, symlinks=True)
    settings = warehouse.settings.model_copy(update={"home": home})
    runs = [row for row in delta.read(settings, "ops_runs").to_pylist() if row["stage"] == "warehouse.build"]
    before = contents(as_of(settings, JUNE))
    more_arrives(settings)
    return settings, before, runs[0]["run_id"]


Spoken = tuple[Settings, dict[str, Content], str]


def test_only_what_was_received_by_then_is_in_it(warehouse: Warehouse, spoken: Spoken) -> None:
    settings, before, _ = spoken
    assert before.keys() == warehouse.contents.keys()
    with duckdb.connect(str(settings.home / "warehouse/as_of/20170615T000000Z.duckdb"), read_only=True) as connection:
        assert connection.execute("select order_id from marts.fct_orders order by 1").fetchall() == [
            (name,) for name in ("B1", "B4", "B7")
        ]
        assert connection.execute("select distinct as_of from marts.dim_profiles").fetchall() == [
            (JUNE.replace(tzinfo=None),)
        ]


def test_pinned_it_is_the_same_whatever_has_arrived_since(spoken: Spoken) -> None:
    settings, before, run_id = spoken
    published = hash_file(settings.warehouse_file)
    assert contents(as_of(settings, JUNE, run_id)) == before
    assert reading_of_run(settings, run_id, None).as_of == NOW, "without a moment, that of the run"
    assert hash_file(settings.warehouse_file) == published
    assert not build_file(settings).exists(), "there is nothing that a gate could judge and a run publish"


def test_unpinned_facts_are_the_same_and_people_are_those_of_today(spoken: Spoken) -> None:
    settings, before, _ = spoken
    now = contents(as_of(settings, JUNE))
    differing = {name for name, content in now.items() if content != before[name]}
    assert "marts.dim_products" not in differing
    assert "marts.dim_profiles" in differing, "else the pinned build would prove nothing"


def test_a_pin_tells_nothing_of_what_came_after_it(spoken: Spoken) -> None:
    settings, _, run_id = spoken
    later = settings.model_copy(update={"now": NOW + timedelta(days=9)})
    with pytest.raises(UsageError, match=f"run {run_id} has read what was there at 2018-01-02.*pin a later run"):
        as_of(later, NOW + timedelta(seconds=1), run_id)
    assert reading_of_run(settings, run_id, NOW).as_of == NOW


def test_a_version_that_is_gone_is_named(spoken: Spoken, tmp_path: Path) -> None:
    settings, _, run_id = spoken
    shutil.copytree(settings.home / "lake", tmp_path / "home" / "lake")
    copy = settings.model_copy(update={"home": tmp_path / "home"})
    for file in (copy.lake / "silver" / "events").glob("*.parquet"):
        file.unlink()
    with pytest.raises(PermanentError, match="silver_events, which is no longer kept"):
        reading_of_run(copy, run_id, JUNE)
    assert not delta.is_kept(copy, "consents", 99)


def test_what_cannot_be_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="still to come"):
        as_of(settings, NOW + timedelta(seconds=1))
    with pytest.raises(UsageError, match="no finished warehouse build of run 'nobody'"):
        as_of(settings, None, "nobody")
    with pytest.raises(UsageError, match="duckdb only"):
        as_of(settings.model_copy(update={"dbt_target": "spark"}), JUNE)
    mixed = CliRunner().invoke(
        group, ["build", "--as-of", "2017-06-15", "--select", "x"], obj=Context.from_settings(settings)
    )
    assert isinstance(mixed.exception, UsageError)
