"""The main job on 60 households: `c360 run`, twice. All of it is there, it adds up, and the second run changes nothing."""

import gzip
import json
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from settingskit import make_settings

from jobs.core.catalog import lake_table
from jobs.core.settings import PREFIX, Settings, bin_path
from jobs.lake.delta import read
from jobs.lake.duck import connect
from jobs.warehouse.content import content_hash
from jobs.warehouse.paths import public_marts
from jobs.warehouse.reader import open_published

HOUSEHOLDS = 60
PATIENCE_SECONDS = 600
TAIL = 6000  # characters of the log of the step that hangs
SILVER = (
    "silver_events",
    "silver_identifiers",
    "silver_records",
    "consents",
    "suppressions",
    "quarantine_messages",
    "profile_identifiers",
    "profile_redirects",
    "identity_ledger",
    "identity_edges",
    "gold_recommendations",
    "gold_profile_clusters",
)
# Ids of runs may differ, as may the batch that a row came with; nothing else.
ASIDE = ("run_id", "ingest_batch")

Hashes = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class After:
    """What there is after one run."""

    exit_code: int
    output: str
    lake: Hashes
    marts: Hashes
    versions: dict[str, list[str]]
    sent: int
    drops: int
    summary: dict[str, Any]


@dataclass(frozen=True)
class Twice:
    """A home in which the pipeline ran twice."""

    settings: Settings
    strays_before: set[str]
    first: After
    second: After


def strays(settings: Settings) -> set[str]:
    """Folders and files that libraries like to make where they stand."""
    usual = ("spark-warehouse", "metastore_db", "mlruns", "mlflow.db", "derby.log", "logs", "dbt_project/target")
    return {name for name in usual if (settings.project_root / name).exists()}


def environment(settings: Settings) -> dict[str, str]:
    """That of a person who has set nothing but the home."""
    return {k: v for k, v in settings.child_environment.items() if not k.startswith(PREFIX)} | {
        "C360_HOME": str(settings.home)
    }


def c360(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [bin_path("c360"), *arguments], env=environment(settings), capture_output=True, text=True, check=False,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        logs = sorted((settings.home / "logs" / "run").glob("*.log"), key=lambda path: path.stat().st_mtime)
        said = [(error.stdout or b"").decode(), *(path.read_text()[-TAIL:] for path in logs[-1:])]
        pytest.fail("\n".join(["it hangs; what it said, and the last of its log:", *said]))


def lake_hashes(settings: Settings) -> Hashes:
    found: Hashes = {}
    with closing(connect(settings)) as connection:
        for name in SILVER:
            columns = {column.name for column in lake_table(name).contract.columns}
            aside = tuple(column for column in ASIDE if column in columns)
            content = content_hash(connection, f"delta_scan('{lake_table(name).path(settings)}')", exclude=aside)
            found[name] = (content.rows, content.digest)
    return found


def mart_hashes(settings: Settings) -> Hashes:
    found: Hashes = {}
    with closing(open_published(settings)) as connection:
        for name in public_marts():
            content = content_hash(connection, name)
            found[name] = (content.rows, content.digest)
    return found


def registered(settings: Settings) -> dict[str, list[str]]:
    from models.tracking import Registry

    registry = Registry(settings)
    return {name: sorted(version.version for version in registry.versions(name)) for name in registry.names()}


def run_once(settings: Settings) -> After:
    done = c360(settings, "run", "--households", str(HOUSEHOLDS))
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    outcomes = read(settings, "ops_sync_outcomes").to_pylist()
    return After(
        exit_code=done.returncode,
        output=output,
        lake=lake_hashes(settings),
        marts=mart_hashes(settings),
        versions=registered(settings),
        sent=sum(row["outcome"] == "delivered" for row in outcomes),
        drops=len(list((settings.home / "outbox").rglob("manifest.json"))),
        summary=json.loads(c360(settings, "ops", "summary", "--json").stdout),
    )


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, jar_home: Path) -> Twice:
    assert jar_home.exists()
    settings = make_settings(tmp_path_factory.mktemp("e2e") / "home")
    return Twice(settings, strays(settings), run_once(settings), run_once(settings))


@pytest.fixture(scope="module")
def plan(twice: Twice) -> dict[str, Any]:
    """What the sample says it has written: the oracle for what must come out."""
    found: dict[str, Any] = json.loads((twice.settings.home / "reports" / "sample_plan.json").read_text())
    return found


def mart(twice: Twice, sql: str) -> tuple[Any, ...]:
    with closing(open_published(twice.settings)) as connection:
        row: tuple[Any, ...] = connection.execute(sql).fetchall()[0]
        return row


def test_every_real_line_arrives_to_the_cent(twice: Twice, plan: dict[str, Any]) -> None:
    real = plan["real"]
    found = mart(
        twice,
        "select count(*), count(distinct order_id), sum(sales_value)::varchar "
        "from marts.fct_order_lines where not is_simulated",
    )
    assert found == (real["order_lines"], real["orders"], real["sales_value"])
    buyers = mart(twice, "select count(*) from marts.dim_profiles where order_count > 0")
    assert buyers == (HOUSEHOLDS,)


def test_every_message_is_accounted_for(twice: Twice, plan: dict[str, Any]) -> None:
    assert c360(twice.settings, "ops", "balance").returncode == 0
    received = {row["source"]: row["received"] for row in twice.second.summary["balance"]}
    delivered: dict[str, int] = {}
    for file in plan["files"]:
        delivered[file["source"]] = delivered.get(file["source"], 0) + file["messages"]
    assert received == delivered
    planted = plan["planted"]["sim_web"]
    web = next(row for row in twice.second.summary["balance"] if row["source"] == "sim_web")
    assert (web["duplicate"], web["quarantined"], web["suppressed"]) == (
        planted["duplicates"],
        planted["broken"],
        planted["suppressed"],
    )


def test_every_stage_leaves_something(twice: Twice) -> None:
    for name in ("silver_events", "profile_identifiers", "gold_recommendations", "gold_profile_clusters"):
        assert twice.first.lake[name][0] > 0, name
    # The package has returns within orders and no refunds, and no ML model of ours gives scores. Triggers are decided by the
    # stream of segments, a service beside the DAGs.
    empty = {name for name in public_marts() if not twice.first.marts[name][0]}
    unscored, undecided = (
        {"fct_profile_scores", "fct_refunds"},
        {"fct_trigger_decisions", "fct_journeys", "kpi_triggers"},
    )
    assert empty == {f"marts.{name}" for name in unscored | undecided}
    assert set(twice.first.versions) >= {"als_recommender", "profile_clusters"}
    assert twice.first.sent > 0


def test_the_second_run_changes_nothing(twice: Twice) -> None:
    assert twice.second.lake == twice.first.lake
    assert twice.second.marts == twice.first.marts


def test_the_second_run_registers_no_model_and_sends_nothing(twice: Twice) -> None:
    assert twice.second.versions == twice.first.versions
    assert twice.second.sent == twice.first.sent
    assert twice.second.drops == twice.first.drops > 0


def test_the_summary_tells_it_all(twice: Twice) -> None:
    summary, text = twice.second.summary, twice.first.output
    stages = {row["stage"] for row in summary["stages"]}
    assert {"sample.generate", "ingest.stream", "identity.run", "warehouse.build", "models.train"} <= stages
    assert len(summary["segments"]) >= 1
    assert summary["example"]["recommended"]
    assert "every message is accounted for" in text
    assert "popularity" in text
    assert str(twice.settings.warehouse_file) in text


def test_the_output_holds_no_address_and_no_phone_number(twice: Twice) -> None:
    from jobs.core.logging import EMAIL, PHONE

    for output in (twice.first.output, twice.second.output):
        assert not EMAIL.search(output)
        assert not PHONE.search(output)


def test_bad_files_are_refused_and_the_good_one_beside_them_loads(twice: Twice) -> None:
    """Last of the module's runs: five bad files and a good one land; exit code 4, and the last line says so."""
    landing = twice.settings.landing
    good = b'{"messageId":"late-1","type":"track","event":"Campaign Sent","timestamp":"2017-12-30T10:00:00Z",'
    good += b'"loyaltyId":"1","properties":{"campaign_id":"1"}}\n'
    files = {
        "pos/cut.ndjson.gz": gzip.compress(good * 1000)[:60],
        "pos/zero.ndjson": b"",
        "pos/binary.ndjson": bytes(range(256)),
        "crm_campaigns/doubled.csv": b"campaign_id,campaign_type,start_date,Start_Date\n1,A,2017-01-01,2017-02-01\n",
        "crm_campaigns/broken.csv": b"campaign_id;campaign_type\n1;A\n",
        "campaign_sends/good.ndjson": good,
    }
    for name, data in files.items():
        (landing / name).write_bytes(data)
    done = c360(twice.settings, "ingest", "run")
    assert done.returncode == 4, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "ingest: done, some files were refused; see `c360 ops landing`"
    manifest = {r["file_name"]: r["reason"] for r in read(twice.settings, "ops_landing_manifest").to_pylist()}
    refused = ("cut.ndjson.gz", "zero.ndjson", "binary.ndjson", "doubled.csv", "broken.csv")
    expected = ("truncated", "empty", "wrong_format", "wrong_header", "wrong_header")
    assert tuple(manifest[name] for name in refused) == expected
    assert manifest["good.ndjson"] is None
    events = read(twice.settings, "silver_events", ["event_id"]).column("event_id").to_pylist()
    assert events.count("late-1") == 1
    assert c360(twice.settings, "ops", "balance").returncode == 0
    assert c360(twice.settings, "ingest", "run").returncode == 0  # a refusal is told once


def test_everything_stays_in_the_home(twice: Twice) -> None:
    assert strays(twice.settings) <= twice.strays_before
