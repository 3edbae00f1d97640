"""Five fixed histories of one shop, a day after a day: what is built in part equals a whole build, and both equal Spark's.

Each day brings something, an identity run, and a build of the warehouse that starts from yesterday's file and is published. At
the end of each history every public mart is compared: built in part, built whole, and by Spark, which always builds whole. The
file goes on from history to history, so that the last one has grown over all of them. `make histories`; simulated people.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

sys.path.append(str(Path(__file__).parents[1] / "dbt"))
from lakekit import NOW, Lake, build_tiny_lake, line, write_lake
from settingskit import make_settings
from sparkkit import contents_on_spark, session_ended, spark_home
from tinylake import EMAIL_1
from warehousekit import build_contents, hashes, record_gate

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity import runner
from jobs.identity.undo import undo
from jobs.lake import delta
from jobs.lake.runs import Stage
from jobs.privacy import vault
from jobs.privacy.keys import load_token_key
from jobs.privacy.rotation import rotate_tokens
from jobs.privacy.tokens import token
from jobs.warehouse.build import build
from jobs.warehouse.content import Content
from jobs.warehouse.dbt import Outcome, run_dbt
from jobs.warehouse.publish import publish
from jobs.warehouse.reader import open_published

Day = Callable[["Shop"], None]
Contents = dict[str, Content]
MAIL = "rotated@example.com"


@dataclass
class Shop:
    """The home of the shop, the day it is, and why builds of the history at hand were whole."""

    settings: Settings
    day: int = 0
    whole: list[str] = field(default_factory=list)

    @property
    def today(self) -> Settings:
        return self.settings.model_copy(update={"now": NOW + timedelta(days=self.day)})

    @property
    def context(self) -> Context:
        return Context(self.today, Clock(self.today.now), f"day-{self.day}")

    def lake(self) -> Lake:
        """New rows, received behind all that came before."""
        return Lake(position=2_000_000_000 + self.day * 1_000_000)

    def built(self, *, incremental: bool) -> str:
        stage = Stage("warehouse.build")
        build_id = build(self.context, stage, incremental=incremental)
        if incremental and "whole" in stage.details:
            self.whole.append(str(stage.details["whole"]))
        return build_id

    def close(self) -> None:
        """The end of a day: who is who, and a published build that starts from yesterday's."""
        runner.run(self.context, Stage("identity.run"), approved=1_000)
        record_gate(self.today, self.built(incremental=True))
        publish(self.today)
        self.day += 1


def said(shop: Shop, *, hours: int = 1) -> str:
    """A time before the clock of the day, as events give it."""
    return (NOW + timedelta(days=shop.day, hours=-hours)).isoformat()[:19]


def late_rows(shop: Shop) -> None:
    """Events of days ago: within a visit, between two visits, before everything; an order of last week."""
    lake, received = shop.lake(), said(shop)
    for when in ("2017-12-24T12:10:00", "2017-12-24T12:40:00", "2017-01-01T00:00:00"):
        lake.event("sim_web", "page", when, {"anonymous_id": "v0"}, {"path": "/late"}, received_at=received)
    write_lake(shop.settings, lake.order("1", "L1", "2017-12-22", [line("P1", 3, "4.00")], received_at=received))


def late_again(shop: Shop) -> None:
    """Later still, and before what came late; by a browser that nobody knows."""
    lake, received = shop.lake(), said(shop)
    lake.event("sim_web", "page", "2017-12-24T11:50:00", {"anonymous_id": "v0"}, {"path": "/0"}, received_at=received)
    lake.event("sim_web", "page", "2017-12-23", {"anonymous_id": "new", "user_id": "U50"}, {"path": "/"})
    write_lake(shop.settings, lake)


def corrections(shop: Shop) -> None:
    """An order sent again, one given back, a product and a person that are described anew, a consent withdrawn."""
    lake, received = shop.lake(), said(shop)
    lake.order("1", "L1", "2017-12-22", [line("P1", 9, "99.00")], received_at=received)
    lake.refund("L1", "2017-12-30", household="1", refund_id="R9", total=1.5, received_at=received)
    lake.product("P1", brand="Corrected")
    lake.event("web", "identify", said(shop), {"user_id": "U1"}, {"plan": "gold"})
    write_lake(shop.settings, lake.consent("loyalty_id", "1", "profiling", "denied", said(shop)))


def more_corrections(shop: Shop) -> None:
    """Consent given back; an order of before the corrected one that was received before it."""
    lake = shop.lake().consent("loyalty_id", "1", "all", "granted", said(shop))
    write_lake(shop.settings, lake.order("1", "L1", "2017-12-22", [line("P2", 1, "1.00")], received_at="2017-12-23"))


def strangers(shop: Shop) -> None:
    """Two people, each with an account and a browser, who will be taken for one."""
    lake = shop.lake()
    for name in ("ann", "bob"):
        for hours in (9, 8, 3):
            ids = {"user_id": name, "anonymous_id": f"b-{name}"}
            lake.event("web", "page", said(shop, hours=hours), ids, {"path": f"/{name}/{hours}"})
        lake.consent("user_id", name, "all", "granted", said(shop))
    write_lake(shop.settings, lake)


def a_merge(shop: Shop) -> None:
    """One's browser with the other's account, an hour behind its last visit; and events of the browser alone."""
    lake = shop.lake().event("web", "page", said(shop), {"user_id": "ann", "anonymous_id": "b-bob"}, {"path": "/both"})
    lake.event("web", "page", said(shop, hours=2), {"anonymous_id": "b-bob"}, {"path": "/alone"})
    write_lake(shop.settings, lake)


def scores(shop: Shop) -> None:
    """What a model says of the two, who are one by now, and of somebody else."""
    rows = delta.read(shop.settings, "profile_identifiers").to_pylist()
    lake = shop.lake()
    for owner in sorted({row["profile_id"] for row in rows if row["identifier_value"] in ("ann", "bob", "U50")}):
        lake.cluster(owner).score(owner, "churn", 0.5).recommendation(owner, 1, "TYPE P1")
    write_lake(shop.settings, lake)


def an_undo(shop: Shop) -> None:
    """Two people again; the browser goes on."""
    [merge] = [row for row in _ledger(shop) if row["action"] == "merge" and row["identifier_value"] == "b-bob"]
    undo(shop.context, Stage("identity.undo"), str(merge["entry_id"]), approved=1_000)
    lake = shop.lake().event("web", "page", said(shop), {"anonymous_id": "b-bob"}, {"path": "/own"})
    write_lake(shop.settings, lake)


def merged_again(shop: Shop) -> None:
    """Somebody else and the one of the two who had been parted."""
    write_lake(
        shop.settings, shop.lake().event("web", "identify", said(shop), {"user_id": "bob", "anonymous_id": "v3"})
    )


def known_by_mail(shop: Shop) -> None:
    """Somebody with an e-mail that the vault knows."""
    address = token("email", MAIL, load_token_key(shop.settings))
    vault.store(shop.settings, [(address, MAIL)])
    lake = shop.lake().event("web", "identify", said(shop), {"user_id": "carl", "email": address})
    write_lake(shop.settings, lake.consent("email", address, "all", "granted", said(shop)))


def a_rotation(shop: Shop) -> None:
    """A new token key, and an event under it."""
    rotate_tokens(shop.context, window_days=30)
    address = token("email", MAIL, load_token_key(shop.settings))
    write_lake(shop.settings, shop.lake().event("web", "page", said(shop), {"email": address}, {"path": "/new-key"}))


def retention(shop: Shop) -> None:
    """The first half of the year goes from silver, and one browser and one e-mail with all that they did."""
    for name in ("silver_events", "silver_identifiers"):
        table = delta.read(shop.settings, name)
        kept = pc.greater_equal(table["event_date"], pa.scalar(NOW.date().replace(year=2017, month=7)))
        erased = {"silver_events": ("anonymous_id", "email_token"), "silver_identifiers": ("identifier_value",)}[name]
        for column in erased:
            kept = pc.and_(kept, pc.invert(pc.is_in(table[column], pa.array(["v7", EMAIL_1]))))
        delta.replace(shop.settings, name, table.filter(kept))


def a_quiet_day(shop: Shop) -> None:
    """Nothing comes; what was received ahead of the clock is of now, and everybody is a day older."""


HISTORIES: dict[str, tuple[Day, ...]] = {
    "late rows": (late_rows, late_again),
    "corrections": (corrections, more_corrections, a_quiet_day),
    "merges": (strangers, a_merge, scores),
    "undos": (an_undo, merged_again),
    "rotation and retention": (known_by_mail, a_rotation, retention, late_rows),
}


def published(shop: Shop) -> Contents:
    """What all days so far have come to, each built on the one before."""
    connection = open_published(shop.today)
    try:
        return hashes(connection)
    finally:
        connection.close()


def _ledger(shop: Shop) -> list[dict[str, object]]:
    found: list[dict[str, object]] = delta.read(shop.settings, "identity_ledger").to_pylist()
    return found


@pytest.fixture(scope="module", autouse=True)
def models_only() -> Iterator[None]:
    """The tests of the dbt project are the lane's of dbt; here they would take as long as the builds."""

    def models(*arguments: Any) -> Outcome:
        *rest, extra = arguments
        return run_dbt(*rest, [*extra, "--resource-type", "model"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.warehouse.build.run_dbt", models)
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The tiny lake, built whole and published."""
    settings = make_settings(tmp_path_factory.mktemp("histories") / "home", duckdb_memory="1GB")
    build_tiny_lake(settings)
    found = Shop(settings)
    found.close()
    assert found.whole == ["nothing is published yet"]
    return found


@pytest.fixture(scope="module")
def on_spark(shop: Shop, jar_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Contents]]:
    """Builds the lake of today by Spark; one session for all histories."""
    settings = spark_home(tmp_path_factory.mktemp("spark") / "home", jar_home, shop.settings)
    with session_ended():
        yield lambda: contents_on_spark(settings.model_copy(update={"now": shop.today.now}))


@pytest.mark.parametrize("name", HISTORIES)
def test_in_part_as_a_whole_and_on_spark(shop: Shop, on_spark: Callable[[], Contents], name: str) -> None:
    """In the order given: each history goes on where the one before has ended."""
    before, shop.whole = published(shop), []
    for day in HISTORIES[name]:
        day(shop)
        shop.close()
    shop.day -= 1  # the evening of the last day
    part = published(shop)
    shop.built(incremental=False)
    whole = build_contents(shop.today)
    assert part == whole
    spark = on_spark()
    assert {mart: spark.get(mart) for mart in whole} == whole
    shop.day += 1
    assert part["marts.fct_events"] != before["marts.fct_events"], "else the history would prove nothing"
    if name == "rotation and retention":  # the day of another key is built whole, the others in part
        assert 0 < len(shop.whole) < len(HISTORIES[name])
        assert all(why.startswith("ops_") for why in shop.whole)
    else:
        assert shop.whole == []
