"""Steady load through collector and service: how long a micro-batch of silver takes, and how old an event is when silver has it.

An event's age is the time of the Delta commit that holds it less its receipt by the collector, both by this machine's clock.
"""

import http.client
import json
import re
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import IO

import numpy as np
import psutil
from proctree import Usage
from shop_events import SOURCE, messages

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.settings import bin_path, load_settings
from jobs.lake.duck import lake_connection

BATCH = 100
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
SILVER_BATCH = re.compile(r"silver: batch (\d+) took (\d+\.\d+) s")
LIMIT_BATCH, LIMIT_AGE = 8.0, 15.0
WARM_UP_SECONDS, DRAIN_SECONDS = 60.0, 120.0


def measure_latency(home: Path, env: dict[str, str], *, minutes: float, rate: int, seed: int) -> Iterator[str]:
    """Runs it all and tells the figures, a line each."""
    made = subprocess.run(
        [bin_path("c360"), "collector", "keys", "create", SOURCE], env=env, capture_output=True, text=True, check=True
    )
    with (home / "service.log").open("w") as log:
        serve = [bin_path("c360"), "collector", "serve", "--port", "0"]
        collector = subprocess.Popen(serve, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        service = subprocess.Popen([bin_path("c360"), "ingest", "run", "--continuous"], env=env, stderr=log)
        try:
            port = _port(collector.stdout)
            began = Clock().now().timestamp()
            usage = _feed(_sender(port, made.stdout.strip()), minutes * 60, rate, seed, (collector, service))
            yield f"{rate * minutes * 60:,.0f} events sent; collector and service: {usage}"
            _drain(home, int(rate * minutes * 60))
        finally:
            for process in (collector, service):
                process.send_signal(signal.SIGTERM)
            for process in (collector, service):
                process.wait(120)
    yield from _told(home, began)


def _port(output: IO[str] | None) -> int:
    assert output is not None
    for line in output:
        if found := ADDRESS.search(line):
            return int(found.group(1))
    raise SystemExit("the collector did not start")


def _sender(port: int, key: str) -> Callable[[str], int]:
    """Posts a body over one kept connection; returns the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"authorization": "Basic " + b64encode(f"{key}:".encode()).decode(), "content-type": "application/json"}

    def send(body: str) -> int:
        connection.request("POST", "/v1/batch", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    return send


def _feed(
    send: Callable[[str], int], seconds: float, rate: int, seed: int, servers: tuple[subprocess.Popen[str], ...]
) -> Usage:
    """Sends batches at an even pace; what is late is sent at once, so that the rate holds."""
    usage, roots = Usage(), [psutil.Process(server.pid) for server in servers]
    total = int(rate * seconds)
    source = messages(total, seed=seed)
    began = time.perf_counter()
    for number in range(total // BATCH):
        body = '{"batch":[' + ",".join(islice(source, BATCH)) + "]}"
        time.sleep(max(0.0, began + number * BATCH / rate - time.perf_counter()))
        status = send(body)
        if status != 200:
            raise SystemExit(f"the collector answered {status}")
        if number % 20 == 0:
            for root in roots:
                usage.look(root)
    usage.wall = time.perf_counter() - began
    return usage


def _drain(home: Path, sent: int) -> None:
    """Waits until every message has been judged."""
    tables = ("bronze_messages", "silver_events", "quarantine_messages", "ops_dropped_messages")
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        with lake_connection(load_settings(home=str(home)), tables) as connection:
            counts = [connection.execute(f"select count(*) from {name}").fetchone() for name in tables]
        bronze, *placed = [int(row[0]) if row else 0 for row in counts]
        if bronze == sum(placed) and bronze >= sent:
            return
        time.sleep(2)
    raise SystemExit(f"not all was judged after {DRAIN_SECONDS:.0f} s: {bronze} in bronze, {sum(placed)} placed")


def _told(home: Path, began: float) -> Iterator[str]:
    ages, thirds = _ages(home, began)
    took = [float(found.group(2)) for found in SILVER_BATCH.finditer((home / "service.log").read_text("utf-8"))]
    batches = np.array(took[max(1, int(len(took) * WARM_UP_SECONDS / max(1.0, ages[:, 0].max()))) :])
    yield f"silver micro-batch {_verdict(batches, LIMIT_BATCH)} ({len(batches)} batches)"
    yield f"event to silver    {_verdict(ages[:, 1], LIMIT_AGE)} ({len(ages):,} events)"
    yield "event to silver p95 in the first, second and last third: " + ", ".join(f"{value:.1f} s" for value in thirds)


def _ages(home: Path, began: float) -> tuple[np.ndarray, list[float]]:
    """(seconds since the beginning, age in seconds) of each event received after the warm-up; p95 of each third."""
    settings = load_settings(home=str(home))
    committed: dict[str, float] = {}
    for path in sorted((lake_table("silver_events").path(settings) / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        batch = [a["txn"] for a in actions if "txn" in a]
        info = [a["commitInfo"] for a in actions if "commitInfo" in a]
        if batch:
            name = f"{batch[0]['appId'].split(':')[1]}:{batch[0]['version']}"
            committed[name] = info[0].get("inCommitTimestamp", info[0]["timestamp"]) / 1000
    with lake_connection(settings, ("silver_events",)) as connection:
        rows = connection.execute("select epoch(received_at) as at, ingest_batch from silver_events").fetchnumpy()
    done = np.array([committed[name] for name in rows["ingest_batch"]])
    found = np.column_stack([rows["at"] - began, done - rows["at"]])
    found = found[found[:, 0] >= min(WARM_UP_SECONDS, found[:, 0].max() / 3)]
    edges = np.quantile(found[:, 0], [0, 1 / 3, 2 / 3, 1])
    thirds = [_p(found[(found[:, 0] >= low) & (found[:, 0] <= high), 1], 95) for low, high in pairwise(edges)]
    return found, thirds


def _p(values: np.ndarray, share: float) -> float:
    return float(np.percentile(values, share))


def _verdict(values: np.ndarray, limit: float) -> str:
    high = _p(values, 95)
    return f"p50 {_p(values, 50):.1f} s, p95 {high:.1f} s, limit {limit:.0f} s: {'ok' if high <= limit else 'OVER'}"
