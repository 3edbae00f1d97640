"""What the tests of pulls share: definitions that point at the fake CRM, what landed, a pull in a process of its own."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from crmkit import TOKEN, Crm

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.definitions import PULL_FOLDER, PullHeader
from jobs.core.settings import PROJECT_ROOT, Settings
from jobs.ingest.pulls.report import PullReport
from jobs.ingest.pulls.rest import pull_rest

HUBSPOT = PROJECT_ROOT / PULL_FOLDER / "hubspot_contacts.yml"


def hubspot(crm: Crm, **changes: Any) -> PullHeader:
    """The pull as it is shipped, but for the address; `changes` replace options."""
    found = yaml.safe_load(HUBSPOT.read_text())
    found["options"] |= {"base_url": crm.url, "requests_per_second": None} | changes
    return PullHeader.model_validate(found)


def context_of(settings: Settings, **changes: Any) -> Context:
    return Context(settings.model_copy(update=changes), Clock(settings.now), "test")


def keep_secret(settings: Settings, name: str = "hubspot_contacts", text: str = TOKEN) -> Path:
    path = settings.home / "secrets" / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def pull(settings: Settings, header: PullHeader, waits: list[float] | None = None, **changes: Any) -> PullReport:
    """One run in this process; what it would have waited is added to `waits` instead."""
    waited = [] if waits is None else waits
    since = changes.pop("since", None)
    return pull_rest(context_of(settings, **changes), header, since=since, sleep=waited.append)


def landed(settings: Settings, source: str) -> list[Path]:
    """Files of a source that a run of `c360 ingest run` would see."""
    return sorted(p for p in (settings.landing / source).glob("*") if not p.name.startswith("."))


def hidden(settings: Settings, source: str) -> list[str]:
    return sorted(p.name for p in (settings.landing / source).glob(".*"))


def rows(settings: Settings, source: str = "hubspot_contacts") -> list[dict[str, Any]]:
    """All rows that landed, in the order they were handed on."""
    files = sorted(landed(settings, source), key=lambda p: p.stat().st_mtime_ns)
    return [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]


def versions(settings: Settings, source: str = "hubspot_contacts") -> Counter[tuple[str, str]]:
    """(contact, time of change) → how often it landed."""
    return Counter((row["contact_id"], row["updated_at"]) for row in rows(settings, source))


def run_cli(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`c360 …` in a process of its own, with these settings; may be killed by a failpoint (return code -9)."""
    return _process(settings, ["-m", "jobs.cli", *arguments], environment)


def run_puller(settings: Settings, header: PullHeader, **environment: str) -> subprocess.CompletedProcess[str]:
    """A REST pull in a process of its own; prints what it touched (see puller.py)."""
    script = str(Path(__file__).parent / "puller.py")
    return _process(settings, [script], environment, header.model_dump_json())


def _process(
    settings: Settings, command: list[str], environment: dict[str, str], text: str = ""
) -> subprocess.CompletedProcess[str]:
    given = {
        "C360_HOME": str(settings.home),
        "C360_HTTP_ALLOW_LOOPBACK": "1",
        "C360_NOW": settings.now.isoformat() if settings.now else "",
        "C360_TESTING": "1",
        "C360_LOG_LEVEL": "INFO",
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    return subprocess.run(
        [sys.executable, *command],
        env=settings.child_environment | given | environment,
        cwd=PROJECT_ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
