"""The streams while a key is rotated between two runs, and the flags of bots and outliers."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lakekit import Lake, write_lake
from pyspark.sql import SparkSession

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity.runner import run as resolve
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.outliers import refresh
from jobs.ingest.stream import silver
from jobs.ingest.stream.bronze import run_bronze
from jobs.lake.delta import ensure_all, read
from jobs.lake.runs import Stage
from jobs.privacy import vault
from jobs.privacy.keys import load_token_key
from jobs.privacy.retirement import retire_tokens
from jobs.privacy.rotation import rotate_tokens
from jobs.privacy.tokens import token

pytestmark = pytest.mark.spark
NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)
ANN, OTHER = "ann@example.com", "bob@example.com"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
ENDLESS = "Mozilla/5.0 (X11; Linux x86_64) " + "Mobile " * 20_000  # no stack is deep enough for it, were it not cut


def message(number: int, **fields: object) -> dict[str, object]:
    return {"messageId": f"m{number}", "timestamp": "2018-01-02T10:00:00Z", "anonymousId": f"an{number}"} | fields


def added(number: int, quantity: object, **fields: object) -> dict[str, object]:
    body = {"product_id": "1", "quantity": quantity}
    return message(number, type="track", event="Product Added", properties=body, **fields)


IDENTIFY = message(1, type="identify", userId=ANN.upper(), traits={"email": ANN, "phone": "+1 555 010 0001"})
FIRST = [
    IDENTIFY,
    added(2, 1, context={"userAgent": BOT}),
    added(3, 1, context={"userAgent": BROWSER}),
    added(4, 1, context={"userAgent": ENDLESS}),
    added(5, 41, userId=OTHER),
    added(6, 12),
    added(7, "39", context={"userAgent": BOT}),
]
FLAGS = {"m2": ["known_bot"], "m5": ["outlier:quantity"], "m7": ["known_bot", "outlier:quantity"]}


def ingest(session: SparkSession, context: Context, name: str, messages: list[dict[str, object]]) -> None:
    """What `run_ingest` does, on the session of the lane."""
    settings = context.settings
    ensure_all(settings)
    folder = settings.landing / "web"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(json.dumps(m) for m in messages) + "\n", encoding="utf-8")
    seal_new_files(context)
    refresh(context)
    run_bronze(session, settings)
    silver.run_silver(session, settings, load_token_key(settings))


def at(settings: Settings, days: int) -> Context:
    return Context(settings, Clock(NOW + timedelta(days=days)), f"run-{days}")


def events(settings: Settings) -> dict[str, dict[str, object]]:
    return {
        row["event_id"]: row for row in read(settings, "silver_events").to_pylist() if row["ingest_batch"] != "test:0"
    }


def test_a_rotation_between_two_runs(
    session: SparkSession, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(tmp_path / "home")
    history = Lake(position=0)
    for number in range(150):
        body = {"product_id": "1", "quantity": 1 + number % 5}
        history.event("web", "Product Added", "2017-12-20", {"anonymous_id": "old"}, body)
    write_lake(settings, history)
    ingest(session, at(settings, 0), "first.ndjson", FIRST)
    found = events(settings)
    assert {name: row["flags"] for name, row in found.items() if row["flags"]} == FLAGS
    assert len(found) == len(FIRST)  # flagged rows are kept
    old = load_token_key(settings)
    resolve(at(settings, 0), Stage("identity.run"))
    # What silver knows by a token only is in the vault: e-mail, phone, and account ids that are e-mails.
    known = [token("email", ANN, old), token("user_id", ANN, old), token("user_id", OTHER, old)]
    assert vault.reveal(at(settings, 0), known, purpose="test") == dict(zip(known, [ANN, ANN, OTHER], strict=True))

    rotate_tokens(at(settings, 0), window_days=1)
    new = load_token_key(settings)
    repeated = FIRST[:1]
    ingest(
        session, at(settings, 1), "second.ndjson", [*repeated, {**IDENTIFY, "messageId": "m9", "anonymousId": "an9"}]
    )
    rows = events(settings)
    assert rows["m9"]["email_token"] == token("email", ANN, new)
    assert rows["m9"]["user_id"] == token("user_id", ANN, new)
    # A repeat across the rotation is a repeat, and no conflict: what it says is fingerprinted under another key.
    assert [row["outcome"] for row in read(settings, "ops_dropped_messages").to_pylist()] == ["duplicate"]
    assert read(settings, "quarantine_messages").num_rows == 0
    resolve(at(settings, 1), Stage("identity.run"))
    owners = {row["identifier_value"]: row["profile_id"] for row in read(settings, "profile_identifiers").to_pylist()}
    assert owners["an9"] == owners["an1"] == owners[token("email", ANN, old)] == owners[token("email", ANN, new)]

    retire_tokens(at(settings, 2))
    resolve(at(settings, 2), Stage("identity.run"))
    after = {row["identifier_value"]: row["profile_id"] for row in read(settings, "profile_identifiers").to_pylist()}
    assert after[token("user_id", OTHER, new)] == owners["an5"]
    for name in ("silver_events", "silver_identifiers", "profile_identifiers", "identity_ledger", "consents"):
        assert not re.search(r"_v1_[0-9a-f]{64}", str(read(settings, name).to_pylist()))
