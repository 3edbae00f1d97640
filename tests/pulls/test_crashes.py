"""Kills: a pull that ends anywhere is run again and loses nothing; an object lands once, a row at least once."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crmkit import Crm, stamp
from moto.server import ThreadedMotoServer
from pullkit import context_of, hidden, hubspot, landed, pull, run_cli, run_puller, versions
from settingskit import make_settings
from storekit import BUCKET, REGION, campaigns, client, put

from jobs.core.settings import Settings
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.pulls.options import S3Options
from jobs.ingest.pulls.s3 import pull_objects
from jobs.lake.delta import read

FAILPOINTS = ["during_pull", "after_pull_before_landing", "after_landing_before_record"]
SOURCE = "crm_campaigns"
ARGUMENTS = ("ingest", "pull", "s3", SOURCE, "--bucket", BUCKET, "--prefix", "pos/")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A moto server with six objects; its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    s3 = client(f"http://{host}:{port}")
    s3.create_bucket(Bucket=BUCKET)
    for number in range(6):
        put(s3, f"pos/{number}.csv", campaigns(number, number + 100))
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_settings(tmp_path: Path, store: str) -> Settings:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIDMARKER\naws_secret_access_key = secret-marker-5\n")
    return make_settings(
        tmp_path / "home", http_allow_loopback=True, s3_endpoint=store, s3_region=REGION, s3_credentials_file=file
    )


def run_s3(settings: Settings, **environment: str) -> subprocess.CompletedProcess[str]:
    names = ("s3_endpoint", "s3_region", "s3_credentials_file")
    given = {f"C360_{name.upper()}": str(getattr(settings, name)) for name in names}
    return run_cli(settings, *ARGUMENTS, **given, **environment)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_s3_killed_at(failpoint: str, s3_settings: Settings) -> None:
    settings, options = s3_settings, S3Options(bucket=BUCKET, prefix="pos/")
    assert run_s3(settings, C360_FAIL_AT=f"{failpoint}:3").returncode == -9
    seal_new_files(context_of(settings))  # `c360 ingest run` may come at any time
    again = pull_objects(context_of(settings), SOURCE, options)
    assert (again.received, again.landed, again.known) == (6, 4, 2)
    seal_new_files(context_of(settings))
    assert sorted(p.read_bytes() for p in landed(settings, SOURCE)) == [campaigns(n, n + 100) for n in range(6)]
    assert hidden(settings, SOURCE) == []
    assert sealed_rows(settings) == 12
    assert pull_objects(context_of(settings), SOURCE, options).landed == 0


def test_s3_by_command(s3_settings: Settings) -> None:
    done = run_s3(s3_settings)
    assert done.returncode == 0
    assert done.stdout == f"{SOURCE}: 6 found, 6 new in 6 files, 0 known\n"
    assert "marker" not in (done.stdout + done.stderr).lower()
    stages = [(row["stage"], row["rows_in"], row["rows_out"]) for row in read(s3_settings, "ops_runs").to_pylist()]
    assert stages == [(f"ingest.pull_{SOURCE}", 6, 6)]


def sealed_rows(settings: Settings) -> int:
    found = read(settings, "ops_landing_manifest").to_pylist()
    assert {row["status"] for row in found} == {"loaded"}
    return sum(row["row_count"] for row in found)


def expected(crm: Crm) -> set[tuple[str, str]]:
    return {(str(number), stamp(contact["at"])) for number, contact in crm.contacts.items()}


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_rest_killed_at(failpoint: str, settings: Settings, crm: Crm) -> None:
    crm.fill(450)
    killed = run_puller(settings, hubspot(crm), C360_FAIL_AT=f"{failpoint}:2", C360_PULL_FILE_ROWS="100")
    assert killed.returncode == -9
    crm.put(7, crm.contacts[450]["at"])  # meanwhile
    pull(settings, hubspot(crm))
    found = versions(settings)
    assert set(found) >= expected(crm)
    assert hidden(settings, "hubspot_contacts") == []
    repeated = sum(found.values()) - len(found)
    # Only what stood in landing/ and was not noted comes twice.
    assert (repeated > 0) == (failpoint == "after_landing_before_record")
    assert seal_new_files(context_of(settings)).rejected == 0
    assert pull(settings, hubspot(crm)).landed == 0


def test_a_pull_touches_its_home_and_its_source_and_nothing_else(settings: Settings, crm: Crm, tmp_path: Path) -> None:
    """dlt sends no telemetry, reads no configuration of its own, asks no Airflow and leaves nothing behind."""
    home = tmp_path / "person"
    home.mkdir()
    poison = {"RUNTIME__DLTHUB_TELEMETRY": "true", "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "true", "HOME": str(home)}
    crm.fill(150)
    done = run_puller(settings, hubspot(crm), **poison)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert told["landed"] == 150
    assert set(told["connected"]) == {str(("127.0.0.1", int(crm.url.rsplit(":", 1)[1])))}
    allowed = ("/dev/null", str(settings.home))
    assert [path for path in told["written"] if not path.startswith(allowed) and not path.endswith(".pyc")] == []
    assert list(home.iterdir()) == []
    assert "airflow" not in told["modules"]
    assert "pyspark" not in told["modules"]
