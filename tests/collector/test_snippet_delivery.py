"""c360.js in a real browser: what becomes of messages when the collector fails, refuses or is away, and pages close."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browserkit import Visitor, wait_for
from snippetkit import (
    DROP,
    GRANT,
    SLOW,
    STATEMENT,
    FakeCollector,
    add_script,
    is_quiet,
    load,
    name_of,
    queue,
    stored,
)

from jobs.core.settings import Settings
from jobs.ingest.landing.log import Received, log_folder, read_segment


def test_a_failed_batch_is_sent_again_unchanged(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    fake.answers = [503, (429, {"Retry-After": "0"}), DROP, 408, (307, {"Location": "/elsewhere"}), 500]
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "analytics.track('A', {n: 1})", retryMs=5)
    fake.wait_for_events("A")

    assert [request.status for request in fake.requests] == [503, 429, 0, 408, 307, 500, 200]
    assert {request.path for request in fake.requests} == {"/v1/batch"}
    assert len({json.dumps(request.messages) for request in fake.requests}) == 1
    assert is_quiet(fake)
    assert not queue(tab)


def test_waits_grow_from_failure_to_failure(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    fake.answers = [503] * 5
    tab = visitor.open(shop)
    load(tab, fake, GRANT, retryMs=50)
    wait_for(lambda: len(fake.requests) == 6, "five failures and a success")
    times = [request.at for request in fake.requests]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    for step, wait in enumerate(waits):
        assert wait >= 0.05 * 2**step / 2


@pytest.mark.parametrize("is_date", [False, True])
def test_retry_after_is_honoured_also_on_the_next_page(
    visitor: Visitor, shop: str, fake: FakeCollector, *, is_date: bool
) -> None:
    tab = visitor.open(shop)
    asked = tab.run("new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000).toUTCString()") if is_date else "1"
    fake.answers = [(429, {"Retry-After": asked})]
    load(tab, fake, GRANT)
    wait_for(lambda: "c360.wait" in stored(tab), "the first answer")
    until = int(stored(tab)["c360.wait"])
    tab.go(f"{shop}/next")
    load(tab, fake, GRANT, "analytics.track('A')")
    fake.wait_for_events("A")
    assert fake.requests[1].at - fake.requests[0].at >= 0.95
    assert tab.run("Date.now()") >= until


def test_an_absurd_wait_is_not_kept(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    fake.answers = [(503, {"Retry-After": "999999999"})]
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "analytics.track('A')")
    wait_for(lambda: "c360.wait" in stored(tab), "the first answer")
    assert int(stored(tab)["c360.wait"]) <= tab.run("Date.now()") + 3_600_000

    tab.run("localStorage['c360.wait'] = Date.now() + 1e12, 0")  # as a clock leaves it that was wrong and is set right
    tab.go(f"{shop}/next")
    load(tab, fake, GRANT)
    fake.wait_for_events("A")


def test_what_is_refused_is_not_sent_again_but_counted(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    statuses = [400, 401, 403, 413]
    fake.answers = list(statuses)
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "analytics.track('A')")
    for count in range(1, 1 + len(statuses)):
        wait_for(lambda count=count: len(fake.requests) == count, f"request {count}")
        assert is_quiet(fake)
        tab.run("analytics.track('B'), 0")
    message = fake.wait_for_events("B")[-1]
    assert [len(request.messages) for request in fake.requests] == [2, 1, 1, 1, 1]
    assert message["context"]["library"]["lost"] == 5
    tab.run(f"{GRANT}, 0")  # the grant was refused too, and is stated again
    wait_for(lambda: [name_of(found) for found in fake.taken] == ["B", STATEMENT], "the grant")


def test_the_queue_survives_a_reload(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    fake.always = DROP
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "analytics.track('A')", "analytics.track('B')")
    wait_for(lambda: fake.requests, "the first try")
    first = {message["messageId"] for message in fake.requests[0].messages}

    fake.always = 200
    tab.go(f"{shop}/next")
    load(tab, fake, GRANT)
    taken = fake.wait_for_events("A", "B")
    assert {message["messageId"] for message in taken} == first
    wait_for(lambda: not queue(tab), "an empty queue")


def test_the_queue_is_bounded_and_loss_is_counted(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    fake.always = DROP
    tab = visitor.open(shop)
    load(tab, fake, GRANT, *[f"analytics.track('E{n}')" for n in range(6)], queueMessages=3, **SLOW)
    assert [name_of(json.loads(text)) for text in queue(tab)] == [STATEMENT, "E4", "E5"]
    assert stored(tab)["c360.lost"] == "4"

    tab.go(f"{shop}/next")
    fake.always = 200
    load(tab, fake, GRANT, "analytics.track('Last')", queueMessages=4)
    messages = fake.wait_for_events("E4", "E5", "Last")
    assert {name_of(message): message["context"]["library"].get("lost") for message in messages} == {
        STATEMENT: None, "E4": 2, "E5": 3, "Last": 4,
    }  # fmt: skip


def test_the_queue_is_bounded_in_bytes(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    calls = [f"analytics.track('E{n}', {{text: 'é'.repeat(2000)}})" for n in range(6)]
    load(tab, fake, GRANT, *calls, queueBytes=15_000, **SLOW)
    assert len(queue(tab)) == 4
    assert 9_000 < sum(len(text.encode()) for text in queue(tab)) <= 15_000


def test_messages_older_than_the_collector_remembers_are_given_up(
    visitor: Visitor, shop: str, fake: FakeCollector
) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT)
    wait_for(lambda: fake.taken and not queue(tab), "the grant")
    tab.go(f"{shop}/next")
    for days in (29, 27):
        tab.run(f"localStorage['c360.q.' + (Date.now() - {days} * 86400000) + '.000000.x'] = '{{\"messageId\":\"x\"}}'")
    load(tab, fake, GRANT)
    wait_for(lambda: not queue(tab), "an empty queue")
    assert [len(request.messages) for request in fake.requests] == [1, 1]
    assert stored(tab)["c360.lost"] == "1"


def test_many_messages_go_in_batches_that_may_outlive_the_page(
    visitor: Visitor, shop: str, fake: FakeCollector
) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "for (let n = 0; n < 120; n++) analytics.track('A', {text: 'x'.repeat(1000)})")
    fake.wait_for_events(*["A"] * 120)
    assert max(len(request.body) for request in fake.requests) < 64 * 1024
    assert max(len(request.messages) for request in fake.requests) <= 50
    assert fake.repeats == 0


def test_a_closed_page_sends_what_it_has_and_the_next_one_makes_sure(
    visitor: Visitor, shop: str, fake: FakeCollector
) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "analytics.track('A')", **SLOW)
    tab.close()
    beacon = fake.wait_for_events("A")
    assert is_quiet(fake)
    assert [request.headers["Content-Type"] for request in fake.requests] == ["text/plain"]
    assert json.loads(fake.requests[0].body)["writeKey"] == "key"

    load(visitor.open(f"{shop}/next"), fake, GRANT)
    wait_for(lambda: len(fake.requests) == 2, "the same once more")
    assert fake.requests[1].messages == beacon


def test_a_hidden_page_sends_what_it_has_once(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "analytics.track('A')", **SLOW)
    tab.run("Object.defineProperty(document, 'hidden', {value: true, configurable: true}), 0")
    tab.run("document.dispatchEvent(new Event('visibilitychange')), 0")
    fake.wait_for_events("A")
    tab.run("Object.defineProperty(document, 'hidden', {value: false}), analytics.track('B'), 0")
    tab.close()  # of which some browsers tell by pagehide alone
    fake.wait_for_events("A", "B")
    assert is_quiet(fake)
    assert [[name_of(m) for m in request.messages] for request in fake.requests] == [[STATEMENT, "A"], ["B"]]


def test_one_page_in_two_tabs_loses_nothing(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    fake.always = 503
    first, second = visitor.open(shop), visitor.open(f"{shop}/second")
    for name, tab in (("A", first), ("B", second)):
        load(tab, fake, GRANT, *[f"analytics.track('{name}{n}')" for n in range(5)])
    wait_for(lambda: len(fake.requests) > 2, "both tabs try")
    fake.always = 200
    wait_for(lambda: {f"{name}{n}" for name in "AB" for n in range(5)} <= set(fake.taken_events()), "all ten")
    assert len({message["anonymousId"] for message in fake.taken}) == 1
    assert len(fake.taken) == 11


@pytest.fixture
def real_collector(settings: Settings) -> Iterator[tuple[str, str]]:
    """`c360 collector serve` on a free port, and a browser key for a source of it: (address, key)."""
    c360 = [sys.executable, "-m", "jobs.cli", "collector"]
    environment = {"PATH": os.defpath, "C360_HOME": str(settings.home)}
    create = [*c360, "keys", "create", "sim_web", "--kind", "browser"]
    key = subprocess.run(create, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    serve = [*c360, "serve", "--port", "0"]
    with subprocess.Popen(serve, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()[-1], key
        finally:
            process.terminate()


def received(settings: Settings) -> list[Received]:
    """What the landing log holds."""
    paths: list[Path] = sorted(log_folder(settings).glob("*.*")) if log_folder(settings).exists() else []
    return [entry for path in paths for _, entry in read_segment(path) if isinstance(entry, Received)]


def test_the_real_collector_takes_it(
    visitor: Visitor, shop: str, real_collector: tuple[str, str], settings: Settings
) -> None:
    url, key = real_collector
    tab = visitor.open(f"{shop}/bare")
    add_script(tab, f"{url}/c360.js")
    load(tab, url, GRANT, "analytics.page()", "analytics.identify('u1', {email: 'ann@example.com'})", writeKey=key)
    wait_for(lambda: len(received(settings)) == 3, "three messages in the landing log")
    wait_for(lambda: not queue(tab), "the answer")
    tab.run("analytics.track('Product Viewed', {product_id: 'p1'}), 0")
    tab.close()  # by sendBeacon
    messages = wait_for(lambda: len(found := received(settings)) == 4 and found, "the beacon")

    payloads = [json.loads(message.payload) for message in messages]
    assert [name_of(payload) for payload in payloads] == [STATEMENT, "page", "identify", "Product Viewed"]
    assert len({payload["anonymousId"] for payload in payloads}) == 1
    assert {message.source for message in messages} == {"sim_web"}
    assert {message.error for message in messages} == {None}
    assert messages[0].receipt["sent_at"]
