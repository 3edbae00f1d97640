"""What the collector leaves in its log, through both streams: completed by the receipt, judged, and consent kept closed."""

import json
from collections.abc import Callable

import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession
from test_ingest import context_of, ingest

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.ingest.balance import compute_balance, hourly_balance
from jobs.ingest.landing.log import Received, encode, log_folder
from jobs.lake.delta import read

pytestmark = pytest.mark.spark
NOW_US = 1_514_764_800_000_000  # 2018-01-01T00:00Z
GRANTS = {"consent": {"categoryPreferences": {"Advertising": True, "Sharing": True}}}


def received(number: int, endpoint: str | None, receipt: dict[str, object], **message: object) -> Received:
    body = {"anonymousId": "an1"} | message
    return Received("web", NOW_US + number, endpoint, {"receipt_id": f"r{number}"} | receipt, json.dumps(body))


MESSAGES = [
    received(0, "page", {"key_kind": "browser"}, messageId="m0", properties={"path": "/"}),
    received(1, "page", {"key_kind": "browser"}, properties={"path": "/no-id-no-time"}),
    received(
        2,
        "identify",
        {"key_kind": "browser"},
        anonymousId="an2",
        messageId="m2",
        userId="victim",
        context=GRANTS,
        traits={},
    ),
    received(
        3, "identify", {"key_kind": "server", "gpc": True}, messageId="m3", userId="u3", context=GRANTS, traits={}
    ),
    received(4, "page", {}, messageId="m0", properties={"path": "/"}),  # the same again
    received(5, "page", {}, messageId="m0", properties={"path": "/other"}),  # the same id, another body
    received(6, None, {"batch_context": json.dumps(GRANTS)}, messageId="m6", type="page", properties={"path": "/b"}),
    received(7, "page", {}, messageId="m7", context={"consent": "true"}, properties={"path": "/c"}),
    Received("web", NOW_US + 8, None, {"receipt_id": "r8"}, '{"batch": [', "malformed_json"),
]


@pytest.fixture(scope="module")
def posted(
    session: SparkSession, tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[..., Settings]
) -> Context:
    settings = make_settings(tmp_path_factory.mktemp("doors") / "home")
    log_folder(settings).mkdir(mode=0o700)
    (log_folder(settings) / "0001.log").write_bytes(b"".join(encode(message) for message in MESSAGES))
    context = context_of(settings)
    ingest(session, context)
    return context


def test_each_message_ends_where_it_belongs(posted: Context) -> None:
    rows = {r["event_id"]: r for r in read(posted.settings, "silver_events").to_pylist()}
    named = {event_id for event_id in rows if not event_id.startswith("receipt-")}
    assert named == {"m0", "m2", "m3", "m6", "m7"}
    (nameless,) = (row for event_id, row in rows.items() if event_id.startswith("receipt-"))
    assert nameless["occurred_at"] == nameless["received_at"]
    assert json.loads(rows["m0"]["properties"]) == {"path": "/"}
    quarantine = {r["payload"]: r["reason_details"] for r in read(posted.settings, "quarantine_messages").to_pylist()}
    assert quarantine == {
        MESSAGES[5].payload: ["id_conflict:messageId"],
        MESSAGES[8].payload: ["malformed_json:payload"],
    }
    (dropped,) = read(posted.settings, "ops_dropped_messages").to_pylist()
    assert (dropped["outcome"], dropped["event_id"]) == ("duplicate", "m0")


def test_oddities_are_flagged_and_kept(posted: Context) -> None:
    flags = {r["event_id"]: r["flags"] for r in read(posted.settings, "silver_events").to_pylist()}
    assert (flags["m0"], flags["m3"], flags["m7"]) == ([], ["gpc"], ["consent_malformed"])


def test_a_public_key_grants_for_its_browser_only_and_gpc_denies_sharing(posted: Context) -> None:
    found = {
        (r["event_id"], r["identifier_type"], r["purpose"], r["status"])
        for r in read(posted.settings, "consents").to_pylist()
    }
    assert {row[1:] for row in found if row[0] == "m2"} == {
        ("anonymous_id", "marketing", "granted"),
        ("anonymous_id", "sharing", "granted"),
    }
    assert ("m3", "user_id", "marketing", "granted") in found
    assert {row[3] for row in found if row[0] == "m3" and row[2] == "sharing"} == {"denied"}
    assert not [
        row for row in found if row[0] in ("m6", "m7")
    ]  # a page view grants nothing, an odd object says nothing


def test_the_books_balance_by_hour_and_see_a_loss_that_a_double_hides(posted: Context) -> None:
    rows = hourly_balance(posted.settings)
    assert [(r["source"], r["received"], r["doubled"], r["is_balanced"]) for r in rows] == [("web", 9, 0, True)]
    assert all(r["is_balanced"] for r in compute_balance(posted))
    table = DeltaTable(str(lake_table("silver_events").path(posted.settings)))
    write_deltalake(table, table.to_pyarrow_table().slice(0, 1), mode="append")
    table.delete("event_id = 'm7'")
    (row,) = hourly_balance(posted.settings)
    assert (row["doubled"], row["is_balanced"]) == (1, False)
