"""Backfill: bounded, and gone on with where it stopped. What a day's build holds is for test_as_of.py."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from lakekit import NOW

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.lake.runs import Stage, stage
from jobs.warehouse import backfill as subject
from jobs.warehouse.backfill import backfill
from jobs.warehouse.commands import group
from jobs.warehouse.paths import as_of_file

FIRST, LAST = date(2017, 12, 29), date(2018, 1, 1)


class Builder:
    """Writes a file per build, as build_as_of does when all went well; breaks on demand."""

    def __init__(self) -> None:
        self.moments: list[datetime] = []
        self.breaks_at: datetime | None = None

    def __call__(self, context: Context, _: Stage, as_of: datetime, pin: str) -> Path:
        if as_of == self.breaks_at:
            raise PermanentError("a model failed")
        file = as_of_file(context.settings, as_of, pin)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{as_of} {len(self.moments)}", encoding="utf-8")
        self.moments.append(as_of)
        return file


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    made = Builder()
    monkeypatch.setattr(subject, "build_as_of", made)
    return made


@pytest.fixture
def pinned(settings: Settings) -> Settings:
    """Three runs that have built: two now, one at the end of 30 December."""
    for run_id, moment in (("r", NOW), ("other", NOW), ("early", datetime(2017, 12, 31, tzinfo=UTC))):
        with stage(Context(settings, Clock(NOW), run_id), "warehouse.build") as current:
            current.details |= {"as_of": moment.isoformat(), "lake_versions": {}}
    return settings


def files(settings: Settings) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in (settings.home / "warehouse" / "as_of").iterdir()}


def test_a_run_builds_so_many_days_and_the_next_goes_on(pinned: Settings, builder: Builder) -> None:
    context = Context.from_settings(pinned)
    one = backfill(context, FIRST, LAST, pin="r", most=3)
    assert (len(one.built), one.there, one.left) == (3, (), (LAST,))
    before = files(pinned)
    two = backfill(context, FIRST, LAST, pin="r", most=3)
    assert (two.built, len(two.there), two.left) == ((LAST,), 3, ())
    assert backfill(context, FIRST, LAST, pin="r", most=3).built == ()
    assert builder.moments == sorted(builder.moments)
    assert builder.moments[-1] == NOW, "a day is as of its end"
    assert {name: text for name, text in files(pinned).items() if name in before} == before, (
        "what is there is left alone"
    )
    assert sorted(files(pinned))[-1] == "20180102T000000Z@r.duckdb"
    assert len(backfill(context, FIRST, LAST, pin="other", most=9).built) == 4, "another run's versions are other days"


def test_a_day_that_fails_leaves_those_before_it(pinned: Settings, builder: Builder) -> None:
    context = Context.from_settings(pinned)
    builder.breaks_at = datetime.fromisoformat("2017-12-31T00:00:00+00:00")
    with pytest.raises(PermanentError, match="a model failed"):
        backfill(context, FIRST, LAST, pin="r", most=9)
    builder.breaks_at = None
    done = backfill(context, FIRST, LAST, pin="r", most=9)
    assert (done.there, len(done.built)) == ((FIRST,), 3)


def test_the_command_says_what_is_left(pinned: Settings, builder: Builder) -> None:
    days = ["--from", str(FIRST), "--to", str(LAST), "--pin", "r", "--most", "3"]
    said = [CliRunner().invoke(group, ["backfill", *days], obj=Context.from_settings(pinned)).output for _ in range(2)]
    assert said == [
        "built 3 days, 0 were there; 1 left, from 2018-01-01: run it again\n",
        "built 1 days, 3 were there; all days are there\n",
    ]


def test_a_stretch_that_cannot_be_is_refused(settings: Settings) -> None:
    context = Context.from_settings(settings)
    with pytest.raises(UsageError, match="is after"):
        backfill(context, LAST, FIRST, pin="r", most=1)
    with pytest.raises(UsageError, match="has not ended"):
        backfill(context, FIRST, date(2018, 1, 2), pin="r", most=1)


def test_days_after_the_moment_of_the_pin_are_refused_before_any_is_built(pinned: Settings, builder: Builder) -> None:
    context = Context.from_settings(pinned)
    with pytest.raises(UsageError, match=r"run early has read what was there at 2017-12-31T00.*before 2018-01-01T00"):
        backfill(context, FIRST, date(2017, 12, 31), pin="early", most=9)
    assert not builder.moments
    assert len(backfill(context, FIRST, date(2017, 12, 30), pin="early", most=9).built) == 2
    with pytest.raises(UsageError, match="no finished warehouse build of run 'nobody'"):
        backfill(context, FIRST, LAST, pin="nobody", most=9)
