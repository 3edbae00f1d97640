"""c360.js in a real browser: what a page's calls become at the collector, with and without consent."""

import json
import re

import pytest
from browserkit import Visitor, wait_for
from snippetkit import (
    GRANT,
    SNIPPET,
    STATEMENT,
    FakeCollector,
    add_script,
    is_quiet,
    load,
    name_of,
    queue,
    stored,
)

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
PRIVACY_CONTROL = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true})"


def test_it_is_small() -> None:
    assert len(SNIPPET.read_bytes()) <= 14_000


def test_messages_have_the_shape_of_the_segment_api(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(f"{shop}/hats?token=secret&utm_source=mail&utm_campaign=spring#top")
    load(tab, fake, GRANT, "analytics.page()", "analytics.track('Product Viewed', {product_id: 'p1'})")
    messages = fake.wait_for_events("page", "Product Viewed")

    assert [name_of(message) for message in messages] == [STATEMENT, "page", "Product Viewed"]
    assert messages[2]["properties"] == {"product_id": "p1"}
    url = f"{shop}/hats?utm_source=mail&utm_campaign=spring"
    assert messages[1]["properties"] == {"path": "/hats", "url": url, "title": "Shop"}
    for message in messages:
        assert UUID.fullmatch(message["messageId"])
        assert UUID.fullmatch(message["anonymousId"])
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", message["timestamp"])
        assert message["context"]["page"] == {"path": "/hats", "url": url, "title": "Shop"}
        assert message["context"]["campaign"] == {"source": "mail", "name": "spring"}
        assert message["context"]["locale"] == tab.run("navigator.language")
        assert message["context"]["consent"] == {"categoryPreferences": {"Analytics": True}}
        assert message["context"]["library"] == {"name": "c360.js", "version": tab.run("analytics.library.version")}
    request = fake.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/batch")
    body = json.loads(request.body)
    assert body["writeKey"] == "key"
    assert body["sentAt"] >= messages[0]["timestamp"]
    assert b"secret" not in request.body


def test_no_preflight_no_cookies_to_the_collector(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "analytics.track('A')")
    fake.wait_for_events("A")
    tab.run("analytics.track('B'); analytics.track('C')")
    fake.wait_for_events("A", "B", "C")
    assert {request.method for request in fake.requests} == {"POST"}
    assert not any("Cookie" in request.headers for request in fake.requests)


def test_referrers_lose_their_query(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(f"{shop}/search?q=ann@example.com")
    tab.run("location.href = '/found'")
    wait_for(lambda: tab.run("location.pathname === '/found' && Boolean(window.analytics)"), "the next page")
    load(tab, fake, GRANT, "analytics.page()")
    message = fake.wait_for_events("page")[-1]
    assert message["properties"]["referrer"] == message["context"]["page"]["referrer"] == f"{shop}/search"


# ---- consent


CALLS = ("analytics.page()", "analytics.track('A')", "analytics.identify('u1', {email: 'ann@example.com'})")


def test_nothing_is_sent_or_stored_before_consent(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    load(tab, fake, *CALLS)
    assert is_quiet(fake)
    assert stored(tab) == {}
    tab.go(f"{shop}/next")  # the page is left: no beacon either
    assert is_quiet(fake)
    assert fake.requests == []


def test_what_waited_is_sent_once_consent_is_given(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    load(tab, fake, "given = {n: 1}", "analytics.track('A', given)", "given.n = 2", "analytics.identify('u1')")
    before = tab.run("new Date().toISOString()")
    tab.run("analytics.track('B'); analytics.consent({Analytics: true, Advertising: false, Personalization: 'yes'})")
    messages = {name_of(message): message for message in fake.wait_for_events("A", "identify", "B")}

    assert list(messages) == [STATEMENT, "A", "identify", "B"]
    assert messages["A"]["properties"] == {"n": 1}
    assert messages["A"]["timestamp"] <= before
    assert "userId" not in messages["A"]
    assert messages["B"]["userId"] == "u1"
    choice = {"Analytics": True, "Advertising": False, "Personalization": False}
    assert all(m["context"]["consent"]["categoryPreferences"] == choice for m in messages.values())


def test_a_choice_is_stated_once(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT, GRANT)
    wait_for(lambda: fake.taken and not queue(tab), "the statement")
    tab.go(f"{shop}/next")
    load(tab, fake, GRANT)
    assert is_quiet(fake)
    tab.run("analytics.identify('u1'), analytics.consent({Analytics: true, Sharing: true}), 0")
    wait_for(lambda: len(fake.taken) == 3, "the new choice")
    assert [name_of(message) for message in fake.taken] == [STATEMENT, "identify", STATEMENT]
    assert "userId" not in fake.taken[2]  # a browser's grant speaks of the visitor only


def test_denied_means_nothing(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    for choice in ("{Analytics: false}", "{Advertising: true}", "{Analytics: 'true'}", "null", ""):
        tab.go(shop)
        load(tab, fake, *CALLS, f"analytics.consent({choice})", *CALLS)
        assert is_quiet(fake)
        assert stored(tab) == {}
    assert fake.requests == []
    tab.run(f"{GRANT}, analytics.track('Later'), 0")
    fake.wait_for_events("Later")  # and nothing of what was said before


def test_withdrawal_forgets_all_and_tells_the_collector(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT, *CALLS)
    known = fake.wait_for_events("page", "A", "identify")[-1]["anonymousId"]
    fake.answers = [(503, {"Retry-After": "60"})]
    tab.run("analytics.track('B'), analytics.consent({Analytics: false}), analytics.track('C'), 0")
    wait_for(lambda: "c360.wait" in stored(tab), "the first answer")
    assert sorted(key.split(".")[1] for key in stored(tab)) == ["q", "wait"]

    tab.go(f"{shop}/next")
    load(tab, fake, "analytics.track('D')", "analytics.consent({Analytics: false})")
    wait_for(lambda: len(fake.taken) == 5, "the withdrawal")
    last = fake.taken[-1]
    assert (name_of(last), last["anonymousId"]) == (STATEMENT, known)
    assert last["context"]["consent"]["categoryPreferences"] == {"Analytics": False}
    wait_for(lambda: stored(tab) == {}, "nothing to be left")
    assert is_quiet(fake)
    assert len(fake.taken) == 5


def test_withdrawal_in_one_tab_stops_the_other(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    first, second = visitor.open(shop), visitor.open(f"{shop}/second")
    load(first, fake, GRANT)
    wait_for(lambda: fake.taken and not queue(first), "the grant")
    load(second, fake, GRANT)
    first.run("analytics.consent({Analytics: false}), 0")
    wait_for(lambda: len(fake.taken) == 2 and not queue(first), "the withdrawal")
    second.run("analytics.track('A'), 0")
    assert is_quiet(fake)
    assert stored(second) == {}


def test_global_privacy_control_outranks_the_page(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    everything = "{Analytics: true, Advertising: true, Personalization: true, Sharing: true}"
    tab = visitor.open(shop, before=PRIVACY_CONTROL)
    load(tab, fake, f"analytics.consent({everything})", "analytics.track('A')")
    choice = {"Advertising": False, "Analytics": True, "Personalization": True, "Sharing": False}
    for message in fake.wait_for_events("A"):
        assert message["context"]["consent"]["categoryPreferences"] == choice


# ---- the visitor


def test_identify_links_the_user_to_the_visitor(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    traits = "{email: 'ann@example.com'}"
    load(tab, fake, GRANT, "analytics.track('A')", f"analytics.identify(17, {traits})", "analytics.track('B')")
    fake.wait_for_events("A", "identify", "B")
    tab.go(f"{shop}/next")
    load(tab, fake, GRANT, "analytics.track('C')")
    messages = {name_of(m): m for m in fake.wait_for_events("A", "identify", "B", "C")}

    assert len({message["anonymousId"] for message in messages.values()}) == 1
    assert {name: message.get("userId") for name, message in messages.items()} == {
        STATEMENT: None, "A": None, "identify": "17", "B": "17", "C": "17",
    }  # fmt: skip
    assert messages["identify"]["traits"] == {"email": "ann@example.com"}
    wait_for(lambda: not queue(tab), "all answers")
    assert "example.com" not in json.dumps(stored(tab))


@pytest.mark.parametrize("change", ["analytics.reset()", "analytics.identify('u2')"])
def test_somebody_else_gets_an_id_of_their_own(visitor: Visitor, shop: str, fake: FakeCollector, change: str) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "analytics.identify('u1')", "analytics.track('A')", change, "analytics.track('B')")
    wait_for(lambda: {"A", "B"} <= set(fake.taken_events()), "both events")
    messages = {name_of(message): message for message in fake.taken if name_of(message) != STATEMENT}
    assert messages["A"]["userId"] == "u1"
    assert messages["B"].get("userId") == ("u2" if "u2" in change else None)
    ids = [messages[name]["anonymousId"] for name in ("A", "B")]
    assert ids[0] != ids[1]
    assert [m["anonymousId"] for m in fake.taken if name_of(m) == STATEMENT] == ids  # the grant holds for both


def test_subdomains_can_share_the_visitor(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    ids = []
    for host in ("www", "pay"):
        tab = visitor.open(shop.replace("127.0.0.1", f"{host}.shop.localhost"))
        load(tab, fake, GRANT, f"analytics.track('{host}')", cookieDomain="shop.localhost")
        wait_for(lambda host=host: host in fake.taken_events(), f"the event of {host}")
        ids.append(fake.taken[-1]["anonymousId"])
    assert ids[0] == ids[1]


# ---- embedding


def test_calls_made_before_the_script_is_there_are_kept(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open("about:blank")
    tab.call("Page.navigate", url=f"{shop}/embed?collector={fake.url}")
    wait_for(lambda: tab.run("Boolean(window.analytics)"), "the stub")
    assert tab.run("'library' in analytics") is False
    tab.run(f"window.early = analytics, early.track('A', {{n: 1}}), {GRANT}, 0")
    messages = {name_of(message): message for message in fake.wait_for_events("page", "A")}
    assert list(messages) == [STATEMENT, "page", "A"]
    assert messages["A"]["properties"] == {"n": 1}
    add_script(tab, f"{shop}/c360.js")  # embedded twice
    tab.run("early.track('B'), 0")  # what the page took hold of before still works
    fake.wait_for_events("page", "A", "B")


def test_a_mistake_in_a_call_does_not_break_the_page(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    load(tab, fake, GRANT, "window.ring = {}", "ring.ring = ring", "analytics.track('A', ring)", "analytics.track()")
    tab.run("analytics.track('Long', {text: 'x'.repeat(40000)}), analytics.track('B'), 0")
    message = fake.wait_for_events("B")[-1]
    assert message["context"]["library"]["lost"] == 2


def test_without_storage_it_works_for_the_page(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    refuse = "{get() { throw new DOMException('no', 'SecurityError'); }, set() {}}"
    places = "[window, 'localStorage'], [document, 'cookie']"
    off = f"for (const [object, name] of [{places}]) Object.defineProperty(object, name, {refuse})"
    fake.answers = [503]
    tab = visitor.open(shop, before=off)
    load(tab, fake, GRANT, *CALLS)
    messages = fake.wait_for_events("page", "A", "identify")
    assert len({message["anonymousId"] for message in messages}) == 1
    assert UUID.fullmatch(messages[0]["anonymousId"])


def test_a_full_storage_costs_no_message(visitor: Visitor, shop: str, fake: FakeCollector) -> None:
    tab = visitor.open(shop)
    tab.run(
        "(() => { for (let n = 2 ** 20; n >= 1; n /= 2) for (let i = 0; i < 20; i++) "
        "try { localStorage['other' + n + '.' + i] = 'x'.repeat(n) } catch { break } })()"
    )
    load(tab, fake, GRANT, *CALLS)
    fake.wait_for_events("page", "A", "identify")
