"""What each gate must stop, by the commands that operators and DAGs run: exit code 3, and a published file nobody touched.

Each case starts from a warehouse that was built, judged by the real gate and published, damages one thing in a copy of
that home, and runs `c360 quality gate …` and `c360 warehouse publish` to the exit code of the process.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import duckdb
import pytest
from deltalake import write_deltalake
from settingskit import SAMPLE_NOW
from warehousekit import Warehouse

from expectations import gate, suites
from expectations.suites import Suite
from jobs.cli import main
from jobs.core.catalog import lake_table
from jobs.core.errors import ExitCode
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.warehouse.paths import build_file
from jobs.warehouse.stamp import stamp

Sabotage: TypeAlias = Callable[[Settings, pytest.MonkeyPatch], None]


def c360(settings: Settings, *arguments: str) -> int:
    """Exit code of `c360 …` on the home of `settings` and the sample's clock, as the entry point gives it."""
    with pytest.MonkeyPatch.context() as process:
        process.setattr(sys, "argv", ["c360", "--home", str(settings.home), *arguments])
        process.setenv("C360_NOW", SAMPLE_NOW.isoformat())
        process.setenv("C360_DUCKDB_MEMORY", "1GB")
        process.setenv("C360_LOG_LEVEL", "ERROR")
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def next_build(settings: Settings, build_id: str) -> None:
    """A private build beside the published one: equal tables under an id that no gate has judged yet."""
    shutil.copyfile(settings.warehouse_file, build_file(settings))
    with duckdb.connect(str(build_file(settings))) as connection:
        connection.execute("update ops.build_info set build_id = ?", [build_id])
        stamp(connection, build_id)


def in_build(statement: str) -> Callable[..., None]:
    """Sabotage of the private build by one SQL statement."""

    def damage(settings: Settings, *_: pytest.MonkeyPatch) -> None:
        with duckdb.connect(str(build_file(settings))) as connection:
            connection.execute(statement)

    return damage


def empty_silver_events(settings: Settings, _: pytest.MonkeyPatch) -> None:
    delta.replace(settings, "silver_events", delta.read(settings, "silver_events").slice(0, 0))


def renamed_silver_column(settings: Settings, _: pytest.MonkeyPatch) -> None:
    """A writer past the contract: the Delta table itself has the column under another name."""
    declared = lake_table("silver_events")
    kept = delta.read(settings, "silver_events")
    names = ["event_name" if name == "name" else name for name in kept.column_names]
    write_deltalake(
        str(declared.path(settings)),
        kept.rename_columns(names),
        mode="overwrite",
        schema_mode="overwrite",
        partition_by=list(declared.partition_by),
    )


def emptied_suite(_: Settings, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(suites, "build_suite", lambda contract, *_, **__: Suite(contract.name, ()))


def engine_error(_: Settings, patch: pytest.MonkeyPatch) -> None:
    """Great Expectations itself gives up, below everything of ours."""

    def explode(*_: object, **__: object) -> Any:
        raise RuntimeError("the engine broke")

    patch.setattr(gate.gx, "ExpectationSuite", explode)


# What is damaged, and the recorded failure (table, expectation, beginning of what was observed) that must stop it.
SILVER: dict[str, tuple[Sabotage, tuple[str, str, str]]] = {
    "empty table": (empty_silver_events, ("silver_events", "row_count", "0 rows")),
    "renamed column": (renamed_silver_column, ("silver_events", "columns", "unexpected event_name; missing name")),
    "emptied suite": (emptied_suite, ("silver_events", "suite_complete", "empty")),
    "engine error": (engine_error, ("silver_events", "row_count", "engine error RuntimeError")),
}
MARTS: dict[str, tuple[Sabotage, tuple[str, str, str]]] = {
    "empty table": (in_build("delete from marts.fct_orders"), ("fct_orders", "row_count", "0 rows")),
    "renamed column": (
        in_build("alter table marts.fct_orders rename column sales_value to sales"),
        ("fct_orders", "columns", "unexpected sales; missing sales_value"),
    ),
    "emptied suite": (emptied_suite, ("fct_orders", "suite_complete", "empty")),
    "engine error": (engine_error, ("fct_orders", "row_count", "engine error RuntimeError")),
}


def failures(settings: Settings, name: str) -> Iterator[tuple[str, str, str]]:
    for row in delta.read(settings, "ops_quality_results").to_pylist():
        if row["gate"] == name and row["severity"] == "critical" and not row["is_success"]:
            yield row["table_name"], row["expectation"], row["observed"]


@pytest.fixture(scope="module")
def published(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The tiny lake's build, judged and published by the commands themselves. Read only: cases take `home`."""
    folder = tmp_path_factory.mktemp("sabotage") / "home"
    shutil.copytree(warehouse.settings.home, folder, symlinks=True)
    settings = warehouse.settings.model_copy(update={"home": folder})
    next_build(settings, "good")
    assert c360(settings, "quality", "gate", "marts") == ExitCode.OK
    assert c360(settings, "warehouse", "publish") == ExitCode.OK
    next_build(settings, "next")
    return settings


@pytest.fixture
def home(published: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of that home, with a next build that waits for its verdict."""
    folder = tmp_path_factory.mktemp("case") / "home"
    shutil.copytree(published.home, folder, symlinks=True)
    return published.model_copy(update={"home": folder})


def test_without_sabotage_both_gates_pass_and_the_next_build_is_published(home: Settings) -> None:
    before = hash_file(home.warehouse_file)
    assert c360(home, "quality", "gate", "silver") == ExitCode.OK
    assert c360(home, "quality", "gate", "marts") == ExitCode.OK
    assert hash_file(home.warehouse_file) == before
    assert c360(home, "warehouse", "publish") == ExitCode.OK
    assert hash_file(home.warehouse_file) != before, "else the other tests could not tell a publish from none"


@pytest.mark.parametrize("case", SILVER)
def test_the_silver_gate_stops(case: str, home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    damage, seen = SILVER[case]
    stopped(home, "silver", damage, seen, monkeypatch)


@pytest.mark.parametrize("case", MARTS)
def test_the_marts_gate_stops(case: str, home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    damage, seen = MARTS[case]
    stopped(home, "marts", damage, seen, monkeypatch)


def stopped(home: Settings, name: str, damage: Sabotage, seen: tuple[str, str, str], patch: pytest.MonkeyPatch) -> None:
    """Exit code 3 for the gate's own reason; the waiting build cannot be published, also once the damage is over."""
    before = hash_file(home.warehouse_file)
    damage(home, patch)
    assert c360(home, "quality", "gate", name) == ExitCode.GATED
    assert seen in failures(home, name)
    patch.undo()
    assert c360(home, "warehouse", "publish") == ExitCode.GATED
    assert hash_file(home.warehouse_file) == before
    assert build_file(home).exists()
