"""50 publishes under 4 readers with 10 kills at the four failpoints, as on every change; 300 and 50 by `make drill-publish`."""

from publishdrill.drill import Plan, run_drill

from jobs.core.failpoints import Sabotage
from jobs.core.settings import Settings

SEED = 20180102


def test_readers_notice_nothing(settings: Settings) -> None:
    report = run_drill(
        settings.model_copy(update={"duckdb_threads": 1}), Plan(publishes=50, kills=10, rows=500, pause=0.15), SEED
    )
    assert report.problems == [], report.line()
    assert (report.published, report.kills.total()) == (50, 10)
    assert report.counts["torn"] == report.counts["errors"] == 0
    assert report.counts["reads"] > 100


def test_a_publish_that_copies_is_noticed(settings: Settings) -> None:
    careless = settings.model_copy(
        update={"duckdb_threads": 1, "sabotage": str(Sabotage.PUBLISH_BY_COPY), "testing": True}
    )
    report = run_drill(careless, Plan(publishes=15, kills=0, pause=0.02), SEED)
    assert report.counts["torn"] + report.counts["errors"] > 0, report.line()
    assert report.problems
