"""What dbt has parsed is used again, for whatever is the same and for nothing else."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from lakekit import NOW, Lake, write_lake
from warehousekit import built

from jobs.core.settings import Settings
from jobs.warehouse import dbt, parsed
from jobs.warehouse.paths import build_file


def a_page(settings: Settings, minute: int) -> None:
    """An event of the hour after NOW."""
    lake = Lake(position=3_000_000_000 + minute)
    moment = f"{NOW + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%S}"
    lake.event("sim_web", "page", moment, {"anonymous_id": f"new{minute}"}, {"path": "/new"}, received_at=moment)
    write_lake(settings, lake)


def held(settings: Settings) -> tuple[object, ...]:
    """The moment of the build, and how many events it has of the hour after NOW."""
    with duckdb.connect(str(build_file(settings)), read_only=True) as connection:
        found = connection.execute(
            "select as_of, (select count(*) from marts.fct_events where received_at > ?) from ops.build_info",
            [NOW.replace(tzinfo=None)],
        ).fetchall()
    return tuple(found[0])


def test_the_next_build_parses_nothing_and_reads_its_own_versions(
    spare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In part and whole, in this process and, from what was left in the home, in another. The home is a copy: the lake of the one
    that was parsed for is another, too."""
    parsed._known.clear()
    a_page(spare, 10)
    built(spare.model_copy(update={"now": NOW + timedelta(minutes=30)}))
    parsed._known.clear()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("dbt parses the project again")

    monkeypatch.setattr("dbt.cli.requires.parse_manifest", refuse)
    a_page(spare, 40)
    later = NOW + timedelta(hours=1)
    built(spare.model_copy(update={"now": later}), incremental=True)
    assert held(spare) == (later.replace(tzinfo=None), 2)


def test_what_a_project_parses_to_is_known_by_all_that_it_depends_on(spare: Settings, tmp_path: Path) -> None:
    keys = {
        dbt._parsed_for(settings, Path(name))
        for settings in (spare, spare.model_copy(update={"currency": "EUR"}))
        for name in ("a.duckdb", "b.duckdb")
    } | {dbt._parsed_for(spare.model_copy(update={"dbt_target": "spark"}), Path("a.duckdb"))}
    assert len(keys) == 5
    parsing = parsed.Parsing("other", tmp_path)
    parsing.file.write_bytes(b"parsed for a key")
    parsing.mark.write_text("a key", encoding="utf-8")
    assert parsing.manifest("lake", {}) is None
    assert not parsing.mark.exists(), "from here on the file may be half of something else"
