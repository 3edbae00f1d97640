"""Repaired and replayed, messages give the very tables that a delivery without faults gives; by the stream's own judge."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
import yaml
from pyspark.sql import SparkSession

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.ingest.balance import compute_balance
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.quarantine import journal, runner
from jobs.ingest.quarantine.judging import Judge, StreamJudge
from jobs.ingest.quarantine.patch_rules import find_rule
from jobs.ingest.quarantine.replay import Replay
from jobs.ingest.quarantine.rows import Selection
from jobs.ingest.stream.bronze import run_bronze
from jobs.ingest.stream.silver import SilverBatch, run_silver
from jobs.lake.delta import ensure_all, read, version
from jobs.lake.duck import lake_connection
from jobs.privacy.keys import load_keys
from jobs.warehouse.content import Content, content_hash

pytestmark = pytest.mark.spark
TABLES = ("silver_events", "silver_records", "silver_identifiers", "consents", "ops_dropped_messages")
RULE = {
    "name": "mend",
    "version": 1,
    "description": "Everything that is wrong below, in one rule.",
    "match": {
        "source": ["sim_web", "pos", "sim_crm_people"],
        "reasons": ["unknown_event", "wrong_type", "missing_property", "bad_timestamp", "undeclared_pii", "bad_number"],
    },
    "operations": [
        {"do": "map_value", "path": "event", "values": {"product_added": "Product Added"}},
        {"do": "map_value", "path": "properties.quantity", "values": {"two": 2}},
        {"do": "rename", "path": "properties.sku", "to": "product_id"},
        {"do": "rename", "path": "properties.products[].sku", "to": "product_id"},
        {"do": "cast", "path": "properties.products[].sales_value", "to": "number", "decimal": ","},
        {"do": "cast", "path": "timestamp", "to": "timestamp", "format": "dd.MM.yyyy HH:mm"},
        {"do": "cast", "path": "userId", "to": "string"},
        {"do": "drop_field", "path": "properties.debug"},
        {"do": "default", "path": "household_id", "value": "7"},
    ],
}
ADDED = (
    '{"messageId":"w%d", "type":"track", "event":"Product Added", "timestamp":"2017-05-01T10:00:00Z",'
    ' "receivedAt":"2017-05-01T10:00:07Z", "anonymousId":"an%d",'
    ' "properties":{"product_id":"1","quantity":2, "price":1.50, "note":"\\u00e9\\/"}}'
)
SUPPRESSED = ADDED.replace('"prop', '"context":{"consent":{"categoryPreferences":{"Analytics":false}}},"prop')
NUMBERED = ADDED.replace('"anonymousId"', '"userId":"12345678901234567","anonymousId"')
ORDER = (
    '{"messageId":"pos-1","type":"track","event":"Order Completed","timestamp":"2017-05-01T10:00:00Z","loyaltyId":"7",'
    '"receivedAt":"2017-05-01T10:05:00Z","properties":{"order_id":"1","total":2.50,"products":'
    '[{"product_id":"10","quantity":1,"sales_value":1.00},{"product_id":"11","quantity":0,"sales_value":1.50}]}}'
)
PEOPLE = (
    "person_id,household_id,user_id,first_name,last_name,email,phone,marketing_consent,profiling_consent,sharing_consent\n"
    "crm-7,7,u-7,Ann,Other,ann@example.com,+15550100000,granted,denied,\n"
)
UNREPAIRABLE = ADDED.replace('"quantity":2', '"quantity":5000') % (20, 20)


def broken(number: int, *swaps: tuple[str, str], clean: str = ADDED) -> tuple[str, str]:
    """(a line as it should have come, as it came)."""
    text = clean % (number, number) if "%d" in clean else clean
    wrong = text
    for right, instead in swaps:
        assert right in wrong
        wrong = wrong.replace(right, instead)
    return text, wrong


WEB = [
    broken(1),
    broken(2, ('"Product Added"', '"product_added"')),
    broken(3, ('"quantity":2', '"quantity":"two"')),
    broken(3, ('"quantity":2', '"quantity":"two"')),  # sent twice
    broken(5, ('"product_id"', '"sku"'), ('"Product Added"', '"product_added"')),
    broken(6, ('"2017-05-01T10:00:00Z"', '"01.05.2017 10:00"')),
    broken(7, ('"quantity"', '"debug":"ann@example.com","quantity"')),
    broken(8, ('"Product Added"', '"product_added"'), clean=SUPPRESSED),
    broken(9, ('"12345678901234567"', "12345678901234567"), clean=NUMBERED),
    (UNREPAIRABLE, UNREPAIRABLE.replace('"Product Added"', '"product_added"')),
    (UNREPAIRABLE.replace("20", "21"), UNREPAIRABLE.replace("20", "21")),
]
POS = [broken(1, ('"product_id":"11"', '"sku":"11"'), ("1.50}]", '"1,50"}]'), clean=ORDER)]


@dataclass
class Homes:
    """One that got everything right, one that got it wrong, and the judge of the lane's session."""

    clean: Context
    wrong: Context
    session: SparkSession
    quantity_max: float | None = None

    @contextmanager
    def judge(self, settings: Settings) -> Iterator[Judge]:
        """As `stream_judge`, on the session of the lane; `quantity_max` is the mended contract."""
        batch = SilverBatch(self.session, settings, load_keys(settings)[0])
        if self.quantity_max is not None:
            today = batch.contracts.today
            added = today.events["Product Added"]
            field = added.properties["quantity"].model_copy(update={"max": self.quantity_max})
            mended = added.model_copy(update={"properties": added.properties | {"quantity": field}, "version": 2})
            batch.contracts.today = replace(today, events=today.events | {"Product Added": mended})
        yield StreamJudge(batch)

    def replay(self, rule: str | None = "mend") -> Replay:
        """A replay in the home that got it wrong."""
        found = find_rule(self.wrong.settings, rule) if rule else None
        selection = Selection.of_rule(found) if found else Selection(reasons=("out_of_range",))
        return Replay(self.wrong, selection, found, self.judge)


def hashes(settings: Settings) -> dict[str, Content]:
    connection = lake_connection(settings, TABLES)
    return {name: content_hash(connection, name, exclude=("ingest_batch",)) for name in TABLES}


def pending(settings: Settings) -> dict[str, list[str]]:
    """Origin → what is said to be wrong."""
    rows = read(settings, "quarantine_messages").to_pylist()
    return {r["origin"]: r["reason_details"] for r in rows if r["replay_state"] == "pending"}


def known(settings: Settings) -> int:
    """How many identifiers the vault holds; it is made when it gets the first one."""
    file = settings.home / "vault" / "identifiers.db"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("select count(*) from identifiers").fetchone()[0])


def balanced(context: Context) -> bool:
    return all(row["is_balanced"] for row in compute_balance(context))


@pytest.fixture(scope="module")
def homes(
    session: SparkSession, tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[..., Settings]
) -> Homes:
    """Both deliveries ingested, under one key."""
    folder = tmp_path_factory.mktemp("quarantine")
    contexts = []
    for place, name in enumerate(("clean", "wrong")):
        settings = make_settings(folder / name)
        if contexts:
            shutil.copytree(contexts[0].settings.home / "keys", settings.home / "keys")
        files = {
            "sim_web/web.ndjson": "".join(line[place] + "\n" for line in WEB),
            "pos/orders.ndjson": "".join(line[place] + "\n" for line in POS),
            "sim_crm_people/people.csv": PEOPLE.replace("crm-7,7", "crm-7,") if place else PEOPLE,
        }
        for file, text in files.items():
            (settings.landing / file).parent.mkdir(parents=True)
            (settings.landing / file).write_text(text, encoding="utf-8")
        contexts.append(Context(settings, Clock(datetime(2018, 1, 2, tzinfo=UTC)), "test-run"))
        ensure_all(settings)
        seal_new_files(contexts[-1])
        run_bronze(session, settings)
        run_silver(session, settings, load_keys(settings)[0])
    rules = contexts[1].settings.home / "rules"
    rules.mkdir()
    (rules / "mend.yml").write_text(yaml.safe_dump(RULE), encoding="utf-8")
    return Homes(contexts[0], contexts[1], session)


def test_a_dry_run_says_what_will_be_and_writes_nothing(homes: Homes) -> None:
    settings = homes.wrong.settings
    assert len(pending(settings)) == 12
    before = {p: p.stat().st_mtime_ns for p in (settings.home / "lake").rglob("*")}
    report = runner.rehearse(homes.replay())
    assert {p: p.stat().st_mtime_ns for p in (settings.home / "lake").rglob("*")} == before
    assert not (settings.home / "replay").exists()
    assert known(settings) == 0  # no identifier of a rehearsal is kept
    assert [report.count(name) for name in ("accepted", "duplicate", "suppressed", "still failing")] == [8, 1, 1, 1]
    assert report.why == {"out_of_range:quantity": 1}


def test_killed_before_the_states_are_set_nothing_is_lost_or_doubled_and_all_is_as_if_it_had_come_right(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = homes.wrong.settings
    with monkeypatch.context() as patch:
        patch.setattr(journal, "update", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.run(homes.replay())
    assert len(pending(settings)) == 12
    assert hashes(settings)["silver_events"] == hashes(homes.clean.settings)["silver_events"]
    assert balanced(homes.wrong)
    report = runner.run(homes.replay())
    assert (report.matched, report.still_failing) == (1, 1)  # the rest was finished, not judged again
    assert hashes(settings) == hashes(homes.clean.settings)
    assert known(settings) == known(homes.clean.settings) == 2
    assert set(pending(settings)) == set(pending(homes.clean.settings))
    assert balanced(homes.wrong)
    versions = {name: version(settings, name) for name in (*TABLES, "quarantine_messages")}
    again = runner.run(homes.replay())
    assert (again.matched, again.still_failing) == (1, 1)
    assert {name: version(settings, name) for name in versions} == versions
    assert pending(settings)["file:3:10"] == ["unknown_event:event"]  # of the payload, which stays as it came


def test_as_they_are_after_the_contract_was_mended(homes: Homes) -> None:
    homes.quantity_max = 10_000
    report = runner.run(homes.replay(None))
    assert (report.matched, report.count("accepted")) == (1, 1)
    rows = {r["event_id"]: r for r in read(homes.wrong.settings, "silver_events").to_pylist()}
    assert rows["w21"]["contract_version"] == 2
    assert str(rows["w21"]["ingest_batch"]).endswith(":as_is")
    assert balanced(homes.wrong)
