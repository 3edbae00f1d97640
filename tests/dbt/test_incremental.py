"""Building only what has changed: the tables equal a whole build, whatever came before (promise P16)."""

import shutil
from dataclasses import dataclass, field
from datetime import timedelta

import duckdb
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from incrementkit import Manifest, Rig, ancestors
from lakekit import NOW, Lake, Row, line, order_properties, profile, write_lake
from warehousekit import Warehouse, build_contents, built, built_with_manifest, record_gate

from jobs.core.profile_ids import founded_profile_id
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.warehouse.increment import why_whole
from jobs.warehouse.publish import publish
from jobs.warehouse.reading import reading_now

MODELS = (
    "fct_events", "fct_sessions", "fct_orders", "fct_order_lines", "fct_refunds", "fct_messages", "fct_trait_changes",
    "kpi_daily", "kpi_daily_sales", "fct_campaign_touches", "dim_products", "int_sessions__events", "int_identity__profiles",
    "int_profiles__web_activity", "int_segments__events", "int_segments__measured", "int_segments__measured_utc",
)  # fmt: skip


def a_day(settings: Settings) -> None:
    """A late event within a visit and one that joins two, an order resent with an earlier receipt, a browser that is found to be
    somebody's, two profiles found to be one, and an event erased."""
    lake = Lake(position=2_000_000_000)
    for minute in ("12:10", "12:40"):
        lake.event("sim_web", "page", f"2017-12-24T{minute}:00", {"anonymous_id": "v0"}, {"path": "/late"})
    lake.order("1", "B5", "2017-12-19", [line("P1")])
    lake.belongs(profile(3), anonymous_id="v3")
    lake.add(
        "profile_redirects", from_profile_id=profile(5), to_profile_id=profile(2), merged_at=NOW, is_simulated=False
    )
    write_lake(settings, lake)
    events = delta.read(settings, "silver_events")
    delta.replace(
        settings, "silver_events", events.filter(pc.fill_null(pc.not_equal(events["anonymous_id"], "v7"), True))
    )


@dataclass
class Two:
    """A home built in part after a day came, the manifest of that, and what a whole build of the same lake holds."""

    settings: Settings
    manifest: Manifest
    part: dict[str, object]
    whole: dict[str, object]


@pytest.fixture(scope="module")
def two(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Two:
    home = tmp_path_factory.mktemp("incremental") / "home"
    shutil.copytree(warehouse.settings.home, home, symlinks=True)
    settings = warehouse.settings.model_copy(update={"home": home})
    a_day(settings)
    build_id, manifest = built_with_manifest(settings, incremental=True)
    record_gate(settings, build_id)
    part = build_contents(settings)
    publish(settings)
    built(settings)
    return Two(settings, manifest, dict(part), dict(build_contents(settings)))


def test_a_day_in_part_is_a_day_as_a_whole(warehouse: Warehouse, two: Two) -> None:
    assert two.part == two.whole
    assert two.part["marts.fct_sessions"] != warehouse.contents["marts.fct_sessions"], (
        "else the day would prove nothing"
    )
    with duckdb.connect(str(two.settings.warehouse_file), read_only=True) as connection:
        changes = connection.execute(
            "select change, count(*) from intermediate.int_changes__events group by 1 order by 1"
        )
        assert changes.fetchall() == [("gone", 1), ("moved", 2), ("new", 3)]
        assert connection.execute(
            "select count(*) from duckdb_schemas() where schema_name = 'previous'"
        ).fetchall() == [(0,)]


def test_what_cannot_be_built_in_part_is_built_whole(two: Two, settings: Settings) -> None:
    reading = reading_now(two.settings, NOW)
    assert why_whole(two.settings, reading) is None
    assert why_whole(settings, reading) == "nothing is published yet"
    euros = two.settings.model_copy(update={"currency": "EUR"})
    assert why_whole(euros, reading) == "the dbt project or its settings have changed"
    rotated = reading_now(two.settings, NOW)
    rotated = type(rotated)(rotated.as_of, {**rotated.versions, "ops_keys": 99})
    assert why_whole(two.settings, rotated) == "ops_keys has changed"


BLOCKED = (
    ("user_id", "value", "u0"),
    ("user_id", "pattern", "U."),
    ("anonymous_id", "value", "b0"),
    ("anonymous_id", "pattern", "b[1-3]"),
)


@dataclass
class History:
    """The lake of a small shop, as it changes."""

    lake: Lake = field(default_factory=Lake)

    def apply(self, step: tuple[int, ...]) -> None:
        kind, who, when, what = step
        rows = self.lake.rows
        if kind <= 2:
            self._event(kind, who, when, what)
        elif kind == 3 and rows.get("silver_events"):
            self._erase(when, what)
        elif kind in (4, 5):  # identity finds, adopts (what == 3), moves, or no longer knows an identifier
            name = ("user_id", f"U{who % 2}") if kind == 4 else ("anonymous_id", f"b{who}")
            owned = rows.setdefault("profile_identifiers", [])
            owned[:] = [row for row in owned if (row["identifier_type"], row["identifier_value"]) != name]
            if what:
                self.lake.belongs(founded_profile_id(*name) if what == 3 else profile(what), **{name[0]: name[1]})
        elif kind == 6:  # a merge; what == 0 undoes it
            gone = rows.setdefault("profile_redirects", [])
            gone[:] = [row for row in gone if row["from_profile_id"] != profile(1)]
            if what:
                ends = {"from_profile_id": profile(1), "to_profile_id": profile(1 + what)}
                self.lake.add("profile_redirects", merged_at=NOW, is_simulated=False, **ends)
        elif kind == 7:
            self._block(when, what)
        elif kind == 8 and rows.get("silver_events"):  # erased, and replayed with other words
            row = rows["silver_events"][when % len(rows["silver_events"])]
            row |= {"name": "page", "type": "page"} if what == 0 else {}
            row |= {"properties": order_properties(f"o{what}", [line("P1", what, "2.50")]), "ingest_batch": "replay:0"}
        elif kind >= 9:
            (self._other if kind == 9 else self._touch)(who, when, what)

    def _erase(self, when: int, what: int) -> None:
        """An event is erased, or its retention is over; with what % 2 what it says of identifiers too."""
        events, named = self.lake.rows["silver_events"], self.lake.rows["silver_identifiers"]
        gone = events.pop(when % len(events))
        if what % 2:
            named[:] = [row for row in named if row["event_id"] != gone["event_id"]]

    def _block(self, when: int, what: int) -> None:
        """Somebody finds that identifiers point at nobody; when % 2: that they do after all."""
        blocked = self.lake.rows.setdefault("ops_blocked_identifiers", [])
        row = dict(zip(("identifier_type", "rule", "blocked"), BLOCKED[what], strict=True))
        blocked[:] = [other for other in blocked if not row.items() <= other.items()]
        if not when % 2:
            self.lake.add("ops_blocked_identifiers", **row)

    def _other(self, who: int, when: int, what: int) -> None:
        """A refund, something of an e-mail, or what somebody says of himself."""
        moment, received = (NOW - timedelta(hours=4) + timedelta(minutes=n * when) for n in (10, 15))
        ids = {"anonymous_id": f"b{who}"} | ({"user_id": f"U{who % 2}"} if when % 2 else {})
        name, said = (
            ("Order Refunded", {"order_id": f"o{who}", "refund_id": f"r{when % 2}", "total": "1.00"}),
            ("Email Delivered", {"email_id": f"m{who}", "campaign_id": "1"}),
            ("Email Opened", {"email_id": f"m{who}"}),
            ("identify", {"plan": f"p{when % 3}"}),
        )[what]
        self.lake.event("web", name, moment.isoformat()[:19], ids, said, received_at=received.isoformat()[:19])

    def _touch(self, who: int, when: int, what: int) -> None:
        """A household is sent a campaign or redeems its coupon; what a campaign is (what >= 2) the CRM says, now and anew."""
        if what >= 2:
            told = {"campaign_id": f"c{who}", "campaign_type": f"Type{what}"}
            self.lake.record("crm_campaigns", "campaign", f"c{who}", told, valid_from=f"2017-10-{when % 28 + 1:02}")
            return
        moment, received = (
            NOW - timedelta(hours=n - when) for n in (40, 20)
        )  # some are received later than they are known
        name = ("Campaign Sent", "Coupon Redeemed")[what]
        said = {"campaign_id": f"c{who}"} | ({"coupon_upc": f"{when}"} if what else {})
        ids = {"loyalty_id": f"{who % 2}"}
        self.lake.event("web", name, moment.isoformat()[:19], ids, said, received_at=received.isoformat()[:19])

    def _event(self, kind: int, who: int, when: int, what: int) -> None:
        happened = NOW - timedelta(hours=5) + timedelta(minutes=10 * when)
        ids = {"anonymous_id": f"b{who}"} | ({"user_id": f"U{who % 2}"} if what == 1 else {})
        received = (
            None if when % 3 else (NOW + timedelta(hours=when - 20)).isoformat()[:19]
        )  # some only after the clock
        about: Row = {"campaign": {"source": "google", "medium": "cpc"}} if what == 2 else {}
        said: Row | str = order_properties(f"o{when % 3}", [line("P1")]) if what == 3 else {"path": f"/{when}"}
        name = "Order Completed" if what == 3 else "Product Added" if kind == 1 else "page"
        moment = happened.isoformat()[:19]
        self.lake.event("web", name, moment, ids, said, context=about, received_at=received)


# (kind, who, when, what). A browser of profile 1 whose account is provisional: the known one counts, until the account's
# profile is adopted under the id that it has. A browser of a provisional profile that is blocked, and no more. And an order of
# one visitor that was sent again by another: it is found to be somebody's, refunded, the refund is erased, and the first
# message too, so that the second counts, in a visit that has not changed.
ADOPTED = [[(0, 0, 3, 1), (5, 0, 0, 1)], [(4, 0, 0, 3)]]
BLOCKED_FOR_A_DAY = [[(0, 1, 3, 0)], [(7, 0, 0, 3)], [(7, 0, 1, 3)]]
SENT_AGAIN = [[(0, 0, 3, 3), (0, 1, 6, 3)], [(5, 0, 0, 1)], [(9, 0, 1, 0)], [(3, 0, 2, 1)], [(3, 0, 0, 0)]]
# Something is put into a cart, and an hour goes by without an order: no event says so. And an event that was received after the
# day began that percentiles are of, and before the build, counts the day after. The first step's `when` is the hours that go by.
GIVEN_UP = [[(5, 0, 0, 1), (1, 0, 28, 0)], [(5, 1, 1, 1)]]
AFTER_MIDNIGHT = [[(5, 0, 9, 1), (0, 0, 24, 0)], [(5, 1, 24, 1)]]
# A campaign that is known by its sendings only, is told of later, changes, and whose coupon is redeemed; the sending is
# replayed as something else, and the redemption erased.
CAMPAIGN = [
    [(10, 0, 3, 0)],
    [(10, 0, 1, 2), (10, 0, 9, 1)],
    [(10, 0, 5, 3), (10, 1, 30, 0)],
    [(8, 0, 0, 0), (3, 0, 1, 1)],
]
STEP = st.tuples(st.integers(0, 10), st.integers(0, 3), st.integers(0, 30), st.integers(0, 3))
HISTORY = st.lists(st.lists(STEP, min_size=1, max_size=6), min_size=2, max_size=5)


@pytest.fixture(scope="module")
def rigs(warehouse: Warehouse, two: Two) -> tuple[Rig, Rig]:
    """One that is built in part from day to day, and one that is built whole."""
    whole, part = ancestors(warehouse.manifest, MODELS), ancestors(two.manifest, MODELS)
    return Rig(whole, part), Rig(whole, part)


@hypothesis_settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(history=HISTORY)
@example(history=ADOPTED)
@example(history=BLOCKED_FOR_A_DAY)
@example(history=SENT_AGAIN)
@example(history=GIVEN_UP)
@example(history=AFTER_MIDNIGHT)
@example(history=CAMPAIGN)
def test_after_any_history_the_tables_equal_a_whole_build(
    rigs: tuple[Rig, Rig], history: list[list[tuple[int, ...]]]
) -> None:
    part, whole = rigs
    shop, at = History(), NOW
    part.fill(shop.lake.rows)
    part.whole()
    for steps in history:
        for step in steps:
            shop.apply(step)
        at += timedelta(hours=steps[0][2])  # none, or up to more than a day
        part.fill(shop.lake.rows, at)
        part.part()
        whole.fill(shop.lake.rows, at)
        whole.whole()
        held = part.contents(), whole.contents()
        assert [name for name in held[0] if held[0][name] != held[1][name]] == []


def key_test(manifest: Manifest, model: str) -> str:
    """The SQL of the test of a model's key, as dbt has compiled it: what it finds is wrong."""
    (found,) = (
        node["compiled_code"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node["attached_node"] == f"model.c360.{model}"
        and node["test_metadata"]["name"] == "key"
    )
    return str(found)


def test_a_key_is_tested_where_it_has_changed(warehouse: Warehouse, two: Two, rigs: tuple[Rig, Rig]) -> None:
    """A row written twice by the increment is found; the others are looked at by a whole build only."""
    part, _ = rigs
    shop = History()
    shop.apply((0, 0, 2, 0))
    part.fill(shop.lake.rows)
    part.whole()
    shop.apply((0, 0, 5, 0))
    part.fill(shop.lake.rows)
    part.part()
    whole, changed = (key_test(each.manifest, "fct_events") for each in (warehouse, two))
    run = part.connection.execute
    assert run(changed).fetchall() == run(whole).fetchall() == []
    twice = "insert into marts.fct_events select * from marts.fct_events where event_key = '{}'"
    old, new = (f"web|{row['event_id']}" for row in shop.lake.rows["silver_events"])
    run(twice.format(old))
    assert (run(changed).fetchall(), run(whole).fetchall()) == ([], [(old,)])
    run(twice.format(new))
    assert run(changed).fetchall() == [(new,)]
