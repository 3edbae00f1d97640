"""The two streams on one hand-written delivery: where each message ends, and that no crash doubles or loses one."""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import delivery
import pytest
from pyspark.sql import SparkSession

from expectations import contracts
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity import runner as identity
from jobs.ingest.balance import compute_balance, in_flight
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.stream import silver
from jobs.ingest.stream.bronze import run_bronze
from jobs.lake.delta import ensure_all, ensure_table, read
from jobs.lake.duck import lake_connection
from jobs.lake.runs import Stage
from jobs.privacy import persons, vault
from jobs.privacy.keys import load_keys
from jobs.privacy.tokens import token
from jobs.warehouse.content import content_hash

pytestmark = pytest.mark.spark
TABLES = (
    "silver_events",
    "silver_records",
    "silver_identifiers",
    "consents",
    "quarantine_messages",
    "ops_dropped_messages",
)


def context_of(settings: Settings) -> Context:
    return Context(settings, Clock(datetime(2018, 1, 2, tzinfo=UTC)), "test-run")


def ingest(session: SparkSession, context: Context) -> None:
    """What `run_ingest` does, on the session of the lane."""
    ensure_all(context.settings)
    seal_new_files(context)
    run_bronze(session, context.settings)
    silver.run_silver(session, context.settings, load_keys(context.settings)[0])


def contents(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the written tables without the mark of the batch, sorted."""
    connection = lake_connection(settings)
    query = "select * exclude (ingest_batch) from {} order by all"
    return {name: connection.execute(query.format(name)).fetchall() for name in TABLES}


@pytest.fixture(scope="module")
def loaded(
    session: SparkSession, tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[..., Settings]
) -> Context:
    """A home with the delivery ingested."""
    settings = make_settings(tmp_path_factory.mktemp("ingest") / "home")
    delivery.deliver(settings.landing)
    context = context_of(settings)
    ingest(session, context)
    return context


def test_every_message_ends_where_it_belongs(loaded: Context) -> None:
    events = {(r["source"], r["event_id"]) for r in read(loaded.settings, "silver_events").to_pylist()}
    assert events == delivery.ACCEPTED
    quarantine = read(loaded.settings, "quarantine_messages").to_pylist()
    reasons = {(r["source"], int(r["origin"].split(":")[2])): r["reason_details"] for r in quarantine}
    assert {k: sorted(v) for k, v in reasons.items()} == {k: sorted(v) for k, v in delivery.QUARANTINED.items()}
    assert all(r["payload"] is not None for r in quarantine)
    # Retention goes by our receipt, whatever time of receipt an import claims.
    assert {r["quarantined_date"] for r in quarantine} == {date(2018, 1, 2)}
    bronze = {r["message_id"]: r["origin"] for r in read(loaded.settings, "bronze_messages").to_pylist()}
    dropped = {
        (r["source"], int(bronze[r["message_id"]].split(":")[2])): r["outcome"]
        for r in read(loaded.settings, "ops_dropped_messages").to_pylist()
    }
    assert dropped == delivery.DROPPED


def test_the_books_balance_per_source(loaded: Context) -> None:
    rows = {r["source"]: r for r in compute_balance(loaded)}
    assert all(r["is_balanced"] for r in rows.values())
    assert in_flight(loaded.settings) == {}
    web = rows["sim_web"]
    assert [web[k] for k in ("received", "accepted", "duplicate", "quarantined", "suppressed")] == [13, 3, 0, 8, 2]


def test_times_are_kept_and_clamped_never_dropped(loaded: Context) -> None:
    rows = {r["event_id"]: r for r in read(loaded.settings, "silver_events").to_pylist()}
    future = rows["w8"]
    assert future["occurred_at"].year == 2099
    assert future["effective_at"] == future["received_at"]
    assert future["is_time_suspect"]
    assert rows["pos-1"]["received_at"] == datetime(2017, 5, 1, 10, 5, tzinfo=UTC)
    assert rows["e1"]["received_at"] == datetime(2018, 1, 2, tzinfo=UTC)  # it states no receipt time: ours counts


def test_no_raw_pii_from_silver_on_and_tokens_open_only_by_the_vault(loaded: Context) -> None:
    key, _ = load_keys(loaded.settings)
    expected = token("email", "ann@example.com", key)
    rows = {r["event_id"]: r for r in read(loaded.settings, "silver_events").to_pylist()}
    assert rows["w2"]["email_token"] == rows["e1"]["email_token"] == expected
    assert rows["w2"]["phone_token"] == token("phone", "+15550100000", key)
    for name in ("silver_events", "silver_records", "silver_identifiers", "consents", "ops_dropped_messages"):
        text = str(read(loaded.settings, name).to_pylist()).lower()
        for raw in ("example.com", "5550100000", "555 010", "'ann'", '"ann"', "other"):
            assert raw not in text, f"{raw} in {name}"
    assert vault.reveal(loaded, [expected], purpose="test") == {expected: "ann@example.com"}


def test_what_is_said_of_people_is_in_the_vault_alone(loaded: Context) -> None:
    records = {found.source: found for found in persons.read(loaded, purpose="test")}
    assert set(records) == {"sim_web", "sim_crm_people"}
    account, row = records["sim_web"], records["sim_crm_people"]
    assert account.identifiers[0] == ("user_id", "u-7")
    assert set(row.identifiers) == set(account.identifiers) - {("anonymous_id", "an1")}
    phone = {"sim_web": "+1 555 010 0000", "sim_crm_people": "+15550100000"}
    assert account.columns == {"email": " Ann@Example.com ", "given_name": "Ann", "phone": phone["sim_web"]}
    both = {"email": "ann@example.com", "given_name": "Ann", "surname": "Other"}
    assert row.columns == both | {"phone": phone["sim_crm_people"]}


def test_an_alias_joins_the_browser_and_the_account_that_it_names(loaded: Context) -> None:
    """By their former id, whichever of the two it was; an identify joins its browser."""
    identity.run(loaded, Stage("identity.run"))
    key = load_keys(loaded.settings)[0]
    former = token("user_id", "jen@example.com", key)
    owners = {
        (row["identifier_type"], row["identifier_value"]): row["profile_id"]
        for row in read(loaded.settings, "profile_identifiers").to_pylist()
    }
    of_person = {pair for pair, owner in owners.items() if owner == owners["user_id", "u-9"]}
    assert of_person == {
        ("user_id", "u-9"), ("anonymous_id", "an9"), ("previous_id", "an9"), ("user_id", former), ("previous_id", former),
        ("anonymous_id", "an10"),
    }  # fmt: skip


def test_consent_is_stated_by_people_and_denied_anywhere(loaded: Context) -> None:
    rows = read(loaded.settings, "consents").to_pylist()
    web = {(r["event_id"], r["identifier_type"], r["purpose"], r["status"]) for r in rows if r["source"] == "sim_web"}
    assert ("w1", "anonymous_id", "marketing", "denied") in web  # seen on a page view
    assert ("w1", "anonymous_id", "analytics", "granted") not in web  # a page view grants nothing
    assert ("w2", "email", "marketing", "granted") in web
    assert ("w3", "anonymous_id", "analytics", "denied") in web  # of a suppressed message
    crm = {(r["purpose"], r["status"]) for r in rows if r["source"] == "sim_crm_people"}
    # "perhaps" is no consent, and takes back an earlier one
    assert crm == {("marketing", "granted"), ("profiling", "denied"), ("sharing", "denied")}


@pytest.mark.parametrize("table", ["silver_events", "silver_identifiers", "silver_records", "quarantine_messages"])
def test_three_engines_read_equal_content(session: SparkSession, loaded: Context, table: str) -> None:
    """Count and content hash over every column, as Spark, delta-rs and DuckDB's delta_scan read it."""
    from jobs.lake.frames import read_frame

    connection = lake_connection(loaded.settings)  # delta_scan, as the view `table`
    connection.register("by_spark", read_frame(session, loaded.settings, table).toArrow())
    connection.register("by_delta_rs", read(loaded.settings, table))
    hashes = {content_hash(connection, relation) for relation in (table, "by_spark", "by_delta_rs")}
    assert len(hashes) == 1
    assert hashes.pop().rows > 0


def test_a_batch_delivered_again_changes_nothing(session: SparkSession, loaded: Context) -> None:
    """Removing the newest commit of the checkpoint is the crash between the writes and Spark's own bookkeeping."""
    before = contents(loaded.settings)
    commits = loaded.settings.checkpoints / "silver" / "commits"
    newest = max((p for p in commits.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    newest.unlink()
    (commits / f".{newest.name}.crc").unlink(missing_ok=True)
    assert in_flight(loaded.settings)["pos"] == len(delivery.POS)
    silver.run_silver(session, loaded.settings, load_keys(loaded.settings)[0])
    assert contents(loaded.settings) == before


def test_a_crash_between_two_tables_neither_loses_nor_doubles_even_when_the_contracts_change(
    session: SparkSession,
    loaded: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(tmp_path / "home")
    shutil.copytree(loaded.settings.home / "keys", settings.home / "keys")
    delivery.deliver(settings.landing)
    append = silver.append_once

    def dies_at_identifiers(frame: object, home: Settings, name: str, **options: object) -> None:
        if name == "silver_identifiers":
            raise RuntimeError("killed here")
        append(frame, home, name, **options)

    with monkeypatch.context() as patch:
        patch.setattr(silver, "append_once", dies_at_identifiers)
        with pytest.raises(Exception, match="killed here"):
            ingest(session, context_of(settings))
    assert len(read(settings, "silver_events").to_pylist()) == len(delivery.ACCEPTED)
    with (
        monkeypatch.context() as patch
    ):  # contracts that know no event: all of the batch would go to quarantine as well
        nothing = {name: source.model_copy(update={"events": ()}) for name, source in contracts.sources().items()}
        patch.setattr(contracts, "sources", lambda: nothing)
        ingest(session, context_of(settings))
    assert contents(settings) == contents(loaded.settings)
    # A later delivery repeats an event: counted as a duplicate against the table, not only within its batch.
    (settings.landing / "pos" / "again.ndjson").write_text(delivery.lines([delivery.order(1), delivery.order(9)]))
    ingest(session, context_of(settings))
    assert all(r["is_balanced"] for r in compute_balance(context_of(settings)))
    pos = {r["source"]: r for r in compute_balance(context_of(settings))}["pos"]
    assert (pos["received"], pos["accepted"], pos["duplicate"]) == (10, 3, 2)


@pytest.mark.parametrize("small_batch_rows", [0, 50_000])
def test_a_batch_of_records_alone(
    session: SparkSession, tmp_path: Path, make_settings: Callable[..., Settings], small_batch_rows: int
) -> None:
    settings = make_settings(tmp_path / "home", small_batch_rows=small_batch_rows)
    (settings.landing / "crm_coupons").mkdir(parents=True)
    (settings.landing / "crm_coupons" / "coupons.csv").write_text(delivery.COUPONS)
    ingest(session, context_of(settings))
    (row,) = compute_balance(context_of(settings))
    assert [row[k] for k in ("received", "accepted", "duplicate", "quarantined")] == [3, 1, 1, 1]


def test_the_ways_for_big_batches_give_the_same_tables(
    session: SparkSession, loaded: Context, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(tmp_path / "home", small_batch_rows=0, dedupe_index_keys=0)
    shutil.copytree(loaded.settings.home / "keys", settings.home / "keys")
    delivery.deliver(settings.landing)
    ingest(session, context_of(settings))
    assert contents(settings) == contents(loaded.settings)
    engines = {
        home: {str(commit.get("engineInfo", commit.get("clientVersion"))).split(".")[0] for commit in history}
        for home, history in {
            "big": ensure_table(settings, "silver_events").history(),
            "small": ensure_table(loaded.settings, "silver_events").history(),
        }.items()
    }
    assert any(name.startswith("Apache-Spark") for name in engines["big"])
    assert not any(name.startswith("Apache-Spark") for name in engines["small"])
