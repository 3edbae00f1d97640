"""Who may send what: write keys from their making to their revocation, the rule for browser keys, and sites (CORS)."""

import json
import stat
from typing import Any

import pytest
from click.testing import CliRunner
from doorkit import SOURCE, Door, event, wait_until
from settingskit import SAMPLE_NOW

from jobs.cli import cli
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.ingest.collector.keys import KeyKind, create_key, key_file, read_keys, revoke_keys

GRANT = {"consent": {"categoryPreferences": {"Analytics": True, "Advertising": "true"}}}
DENIAL = {"consent": {"categoryPreferences": {"Analytics": False}}}
SHOP = "https://shop.example.com"


def run(settings: Settings, *arguments: str) -> str:
    found = CliRunner().invoke(cli, ["--home", str(settings.home), "collector", "keys", *arguments])
    assert found.exit_code == 0, found.output
    return found.stdout


# ---- making, listing, revoking


def test_a_key_is_shown_once_and_kept_hashed(settings: Settings) -> None:
    text = run(settings, "create", SOURCE).strip()
    assert len(text) > 64
    assert text not in key_file(settings).read_text()
    assert stat.S_IMODE(key_file(settings).stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file(settings).parent.stat().st_mode) == 0o700
    listed = run(settings, "list")
    assert SOURCE in listed
    assert text.split("_")[1] in listed
    assert text.split("_")[2] not in listed


def test_two_keys_of_a_source_are_revoked_together_or_by_id(settings: Settings) -> None:
    first, second = (run(settings, "create", SOURCE).split("_")[1] for _ in range(2))
    assert first in run(settings, "revoke", SOURCE, "--id", first)
    assert [key.revoked_at is None for key in read_keys(settings)] == [False, True]
    assert second in run(settings, "revoke", SOURCE)
    assert all(key.revoked_at for key in read_keys(settings))


@pytest.mark.parametrize(
    ("source", "kind", "options", "why"),
    [
        ("nobody", KeyKind.SERVER, {}, "not a source of events"),
        ("catalog", KeyKind.SERVER, {}, "not a source of events"),
        (SOURCE, KeyKind.BROWSER, {"types": ["alias"]}, "cannot send alias"),
        (SOURCE, KeyKind.SERVER, {"origins": [SHOP]}, "no origins"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    settings: Settings, source: str, kind: KeyKind, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        create_key(settings, source, kind, SAMPLE_NOW, **options)
    assert not read_keys(settings)


def test_revoking_what_is_not_there_says_so(settings: Settings) -> None:
    with pytest.raises(UsageError, match="keys list"):
        revoke_keys(settings, SOURCE, SAMPLE_NOW)


def test_revocation_and_new_keys_are_noticed_within_five_seconds(open_door: Any) -> None:
    door = open_door()
    _, later = create_key(door.settings, SOURCE, KeyKind.SERVER, SAMPLE_NOW)
    wait_until(lambda: door.post("/v1/track", event(), key=later).status == 200, seconds=5)
    revoke_keys(door.settings, SOURCE, SAMPLE_NOW)
    wait_until(lambda: door.post("/v1/track", event(), key=later).status == 401, seconds=5)
    assert door.post("/v1/track", event()).code == "invalid_write_key"


@pytest.mark.parametrize("damage", ["text", "mode"])
def test_a_damaged_key_file_means_later_never_yes(open_door: Any, damage: str) -> None:
    """A key may have been revoked in it; 503 makes the sender try again, 401 would make it give up."""
    door = open_door()
    path = key_file(door.settings)
    good = path.read_text()
    path.write_text("{" if damage == "text" else good + "\n")
    path.chmod(0o600 if damage == "text" else 0o644)
    wait_until(lambda: door.post("/v1/track", event()).status == 503, seconds=5)
    path.write_text(good)
    path.chmod(0o600)
    wait_until(lambda: door.post("/v1/track", event()).status == 200, seconds=5)


# ---- 6A 13: wrong, missing, revoked, elsewhere


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + "OnB3"},
        {"authorization": "Bearer abc"},
        {"authorization": "Basic d3Jvbmc6"},
    ],
)
def test_13_no_valid_key(door: Door, headers: dict[str, str]) -> None:
    answer = door.request("POST", "/v1/track", json.dumps(event()).encode(), headers)
    assert (answer.status, answer.code) == (401, "invalid_write_key")
    assert "basic" in answer.headers["www-authenticate"].lower()


def test_13_almost_the_key(door: Door) -> None:
    for wrong in (door.key[:-1] + ("0" if door.key[-1] != "0" else "1"), door.key + "0", door.key.upper(), "x"):
        assert door.post("/v1/track", event(), key=wrong).status == 401


def test_13_a_password_is_no_key(door: Door) -> None:
    assert door.post("/v1/track", event(), key=f"{door.key}:x").status == 401


def test_13_a_key_of_another_home(door: Door, open_door: Any) -> None:
    assert door.post("/v1/track", event(), key=open_door().key).status == 401


@pytest.mark.parametrize("query", ["writeKey={}", "write_key={}", "a=b&key={}", "WRITEKEY={}"])
def test_13_a_key_in_the_url_is_refused_even_beside_a_good_one(door: Door, query: str) -> None:
    answer = door.post(f"/v1/track?{query.format(door.key)}", event())
    assert (answer.status, answer.code) == (401, "key_in_query")


def test_a_key_in_the_body_will_do(door: Door) -> None:
    for path, body in (("/v1/track", event()), ("/v1/batch", {"batch": [event()]})):
        assert door.post(path, body | {"writeKey": door.browser_key}, key=None).status == 200
        assert door.post(path, body | {"writeKey": "wrong"}, key=None).status == 401
        assert door.post(path, body | {"writeKey": 5}, key=None).status == 401


def test_a_broken_body_with_its_key_is_still_of_that_source(door: Door) -> None:
    door.new()
    body = f'{{"batch":[{{"anonymousId":"a","v":NaN}}],"writeKey":"{door.browser_key}"}}'.encode()
    assert door.post("/v1/batch", body, key=None).status == 200
    assert door.newest().source == SOURCE


# ---- 6A 14: what a browser key may send


ALLOWED = [
    ("/v1/track", event()),
    ("/v1/page", {"anonymousId": "a"}),
    ("/v1/screen", {"anonymousId": "a"}),
    ("/v1/identify", {"anonymousId": "a", "userId": "u", "traits": {"email": "ann@example.com"}, "context": GRANT}),
    ("/v1/track", event(event="Consent Preference Updated", context=GRANT)),
    ("/v1/track", event(event="Consent Preference Updated", context=DENIAL, userId="u")),
    ("/v1/track", event(event="Product Viewed", context=GRANT, userId="u")),
    ("/v1/track", event(type="made up")),  # the stream's to quarantine
    ("/v1/batch", {"batch": [event()]}),
]
REFUSED = [
    ("/v1/alias", {"anonymousId": "a", "previousId": "b", "userId": "c"}),
    ("/v1/group", {"anonymousId": "a", "groupId": "g"}),
    ("/v1/import", {"batch": [event()]}),
    ("/v1/track", event(type="alias")),
    ("/v1/identify", event(type="group")),
    ("/v1/batch", {"batch": [event(type="alias")]}),
    ("/v1/track", event(anonymousId=None)),
    ("/v1/track", event(anonymousId=" ")),
    ("/v1/track", event(anonymousId=7)),
    ("/v1/identify", {"userId": "u", "traits": {"email": "ann@example.com"}}),
    ("/v1/track", event(event="Consent Preference Updated", context=GRANT, userId="another")),
    ("/v1/track", event(event="Consent Preference Updated", context=GRANT, loyaltyId="another")),
    ("/v1/track", event(event="Consent Preference Updated", context=GRANT | {"traits": {"email": "ann@example.com"}})),
    ("/v1/batch", {"batch": [event(event="Consent Preference Updated", userId="another")], "context": GRANT}),
]


@pytest.mark.parametrize(("path", "body"), ALLOWED)
def test_14_a_browser_key_may(door: Door, path: str, body: dict[str, Any]) -> None:
    door.new()
    answer = door.post(path, body, key=door.browser_key)
    assert answer.status == 200, answer.raw
    assert door.newest().receipt["key_kind"] == "browser"


@pytest.mark.parametrize(("path", "body"), REFUSED)
def test_14_a_browser_key_may_not(door: Door, path: str, body: dict[str, Any]) -> None:
    door.new()
    answer = door.post(path, body, key=door.browser_key)
    assert (answer.status, answer.code) == (403, "not_allowed_for_key")
    assert door.new() == []
    assert door.post(path, body).status == 200  # a server key may


@pytest.mark.parametrize("trick", [',"v":NaN', ',"v":"\\ud800"', ',"v":"\x01"'])
def test_14_text_that_is_no_json_is_no_way_around(door: Door, trick: str) -> None:
    body = f'{{"type":"alias","anonymousId":"a","previousId":"b"{trick}}}'
    assert door.post("/v1/track", body.encode(), key=door.browser_key).status == 403
    body = f'{{"type":"track","userId":"a"{trick}}}'
    assert door.post("/v1/track", body.encode(), key=door.browser_key).status == 403


def test_14_in_a_batch_only_the_message_is_refused(door: Door) -> None:
    door.new()
    body = {"batch": [event(1), event(2, type="alias"), event(3)]}
    answer = door.post("/v1/batch", body, key=door.browser_key)
    assert (answer.status, answer.json["accepted"]) == (200, 2)
    assert answer.json["errors"] == [{"index": 1, "code": "not_allowed_for_key"}]
    assert [json.loads(text)["messageId"] for text in door.payloads()] == ["m1", "m3"]


def test_a_key_is_narrowed_to_types_and_without_events(open_door: Any) -> None:
    door = open_door()
    _, key = create_key(
        door.settings, SOURCE, KeyKind.SERVER, SAMPLE_NOW, types=["track"], server_only=["Order Completed"]
    )
    wait_until(lambda: door.post("/v1/track", event(), key=key).status == 200)
    assert door.post("/v1/page", event(type="page"), key=key).status == 403
    assert door.post("/v1/track", event(event="Order Completed"), key=key).status == 403
    assert door.post("/v1/batch", {"batch": [event(type="identify")]}, key=key).status == 403


# ---- sites


def test_pages_of_this_machine_are_the_default(door: Door) -> None:
    for origin in ("http://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:5", "https://localhost"):
        answer = door.post("/v1/track", event(), key=door.browser_key, headers={"origin": origin})
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert "origin" in answer.headers["vary"].lower()
    for origin in (SHOP, "null", "http://localhost.example.com", "http://127.0.0.1:8000.example.com", "file://"):
        answer = door.post("/v1/track", event(), key=door.browser_key, headers={"origin": origin})
        assert (answer.status, answer.code) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answer.headers


def test_a_server_key_in_a_page_is_refused(door: Door) -> None:
    answer = door.post("/v1/track", event(), headers={"origin": "http://localhost:3000"})
    assert (answer.status, answer.code) == (403, "origin_not_allowed")


def test_listed_sites_and_their_preflight(open_door: Any) -> None:
    door = open_door()
    revoke_keys(door.settings, SOURCE, SAMPLE_NOW)
    _, key = create_key(door.settings, SOURCE, KeyKind.BROWSER, SAMPLE_NOW, origins=[SHOP])
    wait_until(lambda: door.post("/v1/track", event(), key=key, headers={"origin": SHOP}).status == 200)
    asked = {"origin": SHOP, "access-control-request-method": "POST"}
    answer = door.request("OPTIONS", "/v1/batch", headers=asked)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    for origin in ("http://localhost:3000", "https://evil.example.com"):
        answer = door.request("OPTIONS", "/v1/batch", headers=asked | {"origin": origin})
        assert (answer.status, answer.code) == (403, "origin_not_allowed")
        assert door.post("/v1/track", event(), key=key, headers={"origin": origin}).status == 403
    refused = door.post("/v1/track", b"{", key=key, headers={"origin": SHOP})
    assert refused.headers["access-control-allow-origin"] == SHOP  # the page may read why


def test_a_star_is_any_site(open_door: Any) -> None:
    door = open_door()
    _, key = create_key(door.settings, SOURCE, KeyKind.BROWSER, SAMPLE_NOW, origins=["*"])
    wait_until(lambda: door.post("/v1/track", event(), key=key, headers={"origin": "null"}).status == 200)
    assert door.request("OPTIONS", "/v1/track", headers={"origin": SHOP}).status == 204
