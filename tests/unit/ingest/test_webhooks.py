"""Vendors' doors: what proves a sender, what is refused, how bodies fall apart, and where secrets are kept."""

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jobs.cli import cli
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.ingest.collector.split import Limits
from jobs.ingest.webhooks import base, secrets, vendors
from jobs.ingest.webhooks.base import WebhookRefusedError, WebhookRequest, receive, split_events

NOW = 1_514_764_800  # 2018-01-01T00:00:00Z
URL = "https://shop.example.com/v1/webhooks"
BODY = b'[{"email":"ann@example.com","event":"open"},\r\n{"email":"bob@example.com","event":"click"}]\r\n'
SECRET = b"example-secret-0123456789"
TOKEN = b"example-token-0123456789-0123456789"
KEY = ec.derive_private_key(0x51A9, ec.SECP256R1())
PUBLIC = b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
LIMITS = Limits(depth=8, message_bytes=200, batch_messages=5)
DAY = 86_400


def request(url: str, headers: dict[str, str], body: bytes = BODY, method: str = "POST") -> WebhookRequest:
    return WebhookRequest(method, url, headers, body, NOW * 1_000_000, {"receipt_id": "r1"})


def sendgrid(body: bytes = BODY, at: int = NOW, key: ec.EllipticCurvePrivateKey = KEY) -> WebhookRequest:
    signature = key.sign(str(at).encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "x-twilio-email-event-webhook-signature": b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": str(at),
    }
    return request(f"{URL}/sendgrid/sendgrid", headers, body)


def hubspot(
    body: bytes = BODY, at: int = NOW, secret: bytes = SECRET, signed: str = "", url: str = ""
) -> WebhookRequest:
    url = url or f"{URL}/hubspot/hubspot_email"
    text = b"POST" + (signed or url).encode() + body + b"%d000" % at
    signature = b64encode(hmac.new(secret, text, hashlib.sha256).digest()).decode()
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": f"{at}000"}
    return request(url, headers, body)


def customerio(body: bytes = BODY, at: int = NOW, secret: bytes = SECRET) -> WebhookRequest:
    signature = hmac.new(secret, b"v0:%d:%b" % (at, body), hashlib.sha256).hexdigest()
    headers = {"x-cio-signature": signature, "x-cio-timestamp": str(at)}
    return request(f"{URL}/customerio/customerio", headers, body)


def mailchimp(body: bytes, last: str = TOKEN.decode(), method: str = "POST") -> WebhookRequest:
    return request(f"{URL}/mailchimp/mailchimp/{last}", {}, body, method)


Signed = Callable[..., WebhookRequest]
SIGNING: dict[str, tuple[Signed, str, bytes, dict[str, Any], int]] = {
    "sendgrid": (sendgrid, "sendgrid", PUBLIC, {"key": ec.derive_private_key(7, ec.SECP256R1())}, 26 * 3600),
    "hubspot": (hubspot, "hubspot_email", SECRET, {"secret": b"another"}, 300),
    "customerio": (customerio, "customerio", SECRET, {"secret": b"another"}, 8 * DAY),
}


def refused(*arguments: Any, **named: Any) -> tuple[int, str]:
    with pytest.raises(WebhookRefusedError) as error:
        receive(*arguments, **named)
    return error.value.status, error.value.code.value


@pytest.fixture(params=SIGNING)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_vendor_is_tested() -> None:
    assert {*SIGNING, "mailchimp"} == set(vendors.names())


def test_a_good_signature(vendor: str) -> None:
    signed, source, secret, _, _ = SIGNING[vendor]
    found = receive(vendor, source, signed(), secret)
    assert [message.payload for message in found] == [
        '{"email":"ann@example.com","event":"open"}',
        '{"email":"bob@example.com","event":"click"}',
    ]
    assert found[0].receipt == {"receipt_id": "r1.0", "vendor": vendor}
    assert found[1].receipt == {"receipt_id": "r1.1", "vendor": vendor}
    assert {(m.source, m.received_us, m.endpoint, m.error) for m in found} == {(source, NOW * 1_000_000, None, None)}


def test_the_signature_of_another_key(vendor: str) -> None:
    signed, source, secret, other, _ = SIGNING[vendor]
    assert refused(vendor, source, signed(**other), secret) == (401, "invalid_signature")


def test_a_body_that_was_tampered_with(vendor: str) -> None:
    signed, source, secret, _, _ = SIGNING[vendor]
    good = signed()
    bad = request(good.url, dict(good.headers), BODY.replace(b"ann", b"eve"))
    assert refused(vendor, source, bad, secret) == (401, "invalid_signature")


def test_a_signature_that_is_missing_or_nonsense(vendor: str) -> None:
    signed, source, secret, _, _ = SIGNING[vendor]
    good = signed()
    for name in good.headers:
        for nonsense in ({}, {name: ""}, {name: "nonsense"}, {name: "Ä€"}, {name: "-1"}, {name: "9" * 40}):
            headers = {n: v for n, v in good.headers.items() if n != name} | nonsense
            assert refused(vendor, source, request(good.url, headers), secret) == (401, "invalid_signature")


def test_an_old_signature_and_one_of_tomorrow(vendor: str) -> None:
    signed, source, secret, _, tolerance = SIGNING[vendor]
    assert receive(vendor, source, signed(at=NOW - tolerance), secret)
    assert receive(vendor, source, signed(at=NOW + base.AHEAD_SECONDS), secret)
    assert refused(vendor, source, signed(at=NOW - tolerance - 1), secret) == (401, "stale_signature")
    assert refused(vendor, source, signed(at=NOW + base.AHEAD_SECONDS + 1), secret) == (401, "stale_signature")


def test_a_new_timestamp_under_an_old_signature(vendor: str) -> None:
    signed, source, secret, _, _ = SIGNING[vendor]
    old, new = signed(at=NOW - 100 * DAY), signed()
    headers = {name: new.headers[name] if "timestamp" in name else value for name, value in old.headers.items()}
    assert refused(vendor, source, request(old.url, headers), secret) == (401, "invalid_signature")


def test_nothing_is_at_an_address_without_a_secret(vendor: str) -> None:
    signed, source, secret, _, _ = SIGNING[vendor]
    assert refused(vendor, source, signed(), None) == (404, "not_found")
    assert refused("nobody", source, signed(), secret) == (404, "not_found")
    assert refused("../base", source, signed(), secret) == (404, "not_found")
    assert refused(vendor, "no_such_source", signed(), secret) == (404, "not_found")
    assert refused(vendor, "crm_households", signed(), secret) == (404, "not_found")


def test_other_methods_are_refused(vendor: str) -> None:
    signed, source, secret, _, _ = SIGNING[vendor]
    good = signed()
    bad = request(good.url, dict(good.headers), method="GET")
    assert refused(vendor, source, bad, secret) == (405, "method_not_allowed")


def test_the_known_answer_of_hubspots_own_clients() -> None:
    """The scheme itself, not our reading of it: what the tests of HubSpot's Python client say must come out."""
    url, body, at = "https://www.example.com/webhook_uri", b"{'example_field':'example_value'}", 1_693_657_560
    known = {
        "x-hubspot-signature-v3": "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
        "x-hubspot-request-timestamp": f"{at}000",
    }
    asked = WebhookRequest("POST", url, known, body, at * 1_000_000)
    assert receive("hubspot", "hubspot_email", asked, b"yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy")


def test_hubspot_signs_the_address_it_was_given() -> None:
    here = "http://127.0.0.1:8090/v1/webhooks/hubspot/hubspot_email?a=%3A%20b"
    there = base.public_url("https://shop.example.com/events/", here)
    assert there == "https://shop.example.com/events/v1/webhooks/hubspot/hubspot_email?a=%3A%20b"
    signed = there.replace("%3A", ":")  # of the encoded characters some are signed plain, a blank is not
    assert receive("hubspot", "hubspot_email", hubspot(url=there, signed=signed), SECRET)
    assert refused("hubspot", "hubspot_email", hubspot(url=here, signed=signed), SECRET)[1] == "invalid_signature"
    assert base.public_url(None, here) == here


def test_sendgrid_keys_of_another_kind_are_refused() -> None:
    vendor = base.open_vendor("sendgrid")
    vendor.check_secret(PUBLIC)
    vendor.check_secret(b"\n" + KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    other = ec.derive_private_key(7, ec.SECP384R1()).public_key()
    for bad in (
        b"",
        b"nonsense",
        PUBLIC[:-8],
        b64encode(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
    ):
        with pytest.raises(UsageError, match="P-256"):
            vendor.check_secret(bad)


FORM = (
    b"type=unsubscribe&fired_at=2017-03-26+21%3A40%3A57&data%5Baction%5D=unsub&data[reason]=manual&"
    b"data[email]=ann%40example.com&data[merges][FNAME]=Ann&data[merges][NOTE]=a%26b+%22c%22+%C3%A9&data[ip_opt]="
)


def test_a_form_becomes_an_object_of_texts() -> None:
    (found,) = receive("mailchimp", "mailchimp", mailchimp(FORM), TOKEN)
    assert json.loads(found.payload) == {
        "type": "unsubscribe",
        "fired_at": "2017-03-26 21:40:57",
        "data": {
            "action": "unsub",
            "reason": "manual",
            "email": "ann@example.com",
            "merges": {"FNAME": "Ann", "NOTE": 'a&b "c" é'},
            "ip_opt": "",
        },
    }
    assert (found.error, found.receipt["receipt_id"]) == (None, "r1.0")


@pytest.mark.parametrize("last", ["", "wrong", TOKEN.decode()[:-1], TOKEN.decode() + "/", "é", TOKEN.decode().upper()])
def test_an_address_that_was_guessed(last: str) -> None:
    assert refused("mailchimp", "mailchimp", mailchimp(FORM, last), TOKEN) == (401, "invalid_signature")


def test_the_secret_counts_in_its_place_alone() -> None:
    for url in (f"{URL}/mailchimp/mailchimp?token={TOKEN.decode()}", f"{URL}/mailchimp/pos/{TOKEN.decode()}"):
        assert refused("mailchimp", "mailchimp", request(url, {}, FORM), TOKEN)[0] == 401


def test_a_test_call_of_mailchimp_is_welcome() -> None:
    for asked in (mailchimp(b"", method="GET"), mailchimp(b"", method="HEAD"), mailchimp(b"")):
        assert receive("mailchimp", "mailchimp", asked, TOKEN) == []
    assert refused("mailchimp", "mailchimp", mailchimp(b"", "wrong", method="GET"), TOKEN)[0] == 401


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"data[email]=a&data[email]=b", "duplicate_key"),
        (b"data=1&data[email]=b", "duplicate_key"),
        (b"data[email]=b&data=1", "duplicate_key"),
        (b"a=%ff", "invalid_encoding"),
        (b"a=\xff", "invalid_encoding"),
        (b"a=\x00", "invalid_encoding"),
        (b'{"type":"unsubscribe"}', "wrong_format"),
        (b"=1", "wrong_format"),
        (b"[a]=1", "wrong_format"),
        (b"a[b=1", "wrong_format"),
        (b"a[b]c=1", "wrong_format"),
        (b"a" + b"[a]" * 40 + b"=1", "too_deep"),
        (b"&".join(b"a%d=1" % n for n in range(1001)), "too_many_keys"),
    ],
)
def test_a_form_that_is_none_is_kept_with_its_reason(body: bytes, reason: str) -> None:
    (found,) = receive("mailchimp", "mailchimp", mailchimp(body), TOKEN)
    assert found.error == reason
    assert (
        found.payload == body.decode()
        if body.isascii() and b"\x00" not in body
        else found.payload.startswith("base64:")
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"id":1}', [('{"id":1}', None)]),
        (b' [ {"id" : 1.0} , {"id":2} ] ', [('{"id" : 1.0}', None), ('{"id":2}', None)]),
        (b"[]", []),
        (b"", []),
        (b'[{"id":1},{},null]', [('{"id":1}', None), ("{}", None), ("null", None)]),
        (b'[{"id":1},{"id":NaN}]', [('{"id":1}', None), ('{"id":NaN}', None)]),
        (b'[{"id":1},{"id":"\xff"}]', [('{"id":1}', None), ("base64:eyJpZCI6Iv8ifQ==", "invalid_encoding")]),
        (
            b'[{"id":1},{"a":' + b"[" * 9 + b"]" * 9 + b"}]",
            [('{"id":1}', None), ('{"a":[[[[[[[[[]]]]]]]]]}', "too_deep")],
        ),
        (b'[{"id":1},{"a":"' + b"x" * 300 + b'"}]', [('{"id":1}', None), ('{"a":"' + "x" * 300 + '"}', "too_long")]),
        (b'[{"id":1}', [('[{"id":1}', "malformed_json")]),
        (b'[{"id":1}],"context":{"a":[1]}', [('[{"id":1}],"context":{"a":[1]}', "malformed_json")]),
        (b'[{"id":1}],"x":[1]', [('[{"id":1}],"x":[1]', "malformed_json")]),
        (b'[{"id":1}] [2]', [('{"id":1}] [2', "malformed_json")]),
        (b'"text"', [('"text"', "not_an_object")]),
        (b"no json", [("no json", "malformed_json")]),
        (b"\xff\xfe", [("base64://4=", "invalid_encoding")]),
    ],
)
def test_a_body_falls_apart_and_loses_nothing(body: bytes, expected: list[tuple[str, str | None]]) -> None:
    assert [(part.payload, part.error) for part in split_events(body, LIMITS)] == expected


def test_too_many_events_are_refused_whole() -> None:
    for body in (b"[" + b",".join([b"{}"] * 6) + b"]", b"[" + b",".join([b"{NaN}"] * 6) + b"]"):
        with pytest.raises(WebhookRefusedError) as error:
            split_events(body, LIMITS)
        assert (error.value.status, error.value.code) == (413, "batch_limit")
    assert len(split_events(b"[" + b",".join([b"{}"] * 5) + b"]", LIMITS)) == 5


def test_a_secret_is_kept_closed_and_replaced_whole(settings: Settings) -> None:
    assert secrets.read_secret(settings, "hubspot", "hubspot_email") is None
    path = secrets.write_secret(settings, "hubspot", "hubspot_email", b"first-secret-0123456789")
    secrets.write_secret(settings, "hubspot", "hubspot_email", SECRET)
    assert secrets.read_secret(settings, "hubspot", "hubspot_email") == SECRET
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [p.name for p in path.parent.iterdir()] == ["webhook.hubspot.hubspot_email.key"]
    path.chmod(0o640)
    with pytest.raises(PermanentError, match="chmod 600"):
        secrets.read_secret(settings, "hubspot", "hubspot_email")


@pytest.mark.parametrize(
    ("vendor", "source", "secret"),
    [
        ("nobody", "sendgrid", SECRET),
        ("sendgrid", "no_such_source", PUBLIC),
        ("sendgrid", "crm_households", PUBLIC),
        ("hubspot", "hubspot_email", b"short"),
        ("hubspot", "hubspot_email", b"two words of a secret"),
        ("customerio", "customerio", b""),
        ("mailchimp", "mailchimp", b"guessable"),
        ("mailchimp", "mailchimp", b"0123456789/0123456789/0123456789"),
    ],
)
def test_what_can_be_no_secret_is_refused(settings: Settings, vendor: str, source: str, secret: bytes) -> None:
    with pytest.raises(UsageError):
        secrets.write_secret(settings, vendor, source, secret)
    assert secrets.list_secrets(settings) == []


def test_names_from_a_url_never_become_a_path(settings: Settings) -> None:
    outside = settings.home / "keys" / "webhook....x.key"
    outside.parent.mkdir()
    outside.write_bytes(SECRET)
    for vendor, source in (("..", "x"), ("sendgrid", "../../x"), ("", "sendgrid")):
        assert secrets.read_secret(settings, vendor, source) is None


def run(settings: Settings, *arguments: str, typed: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(
        cli, ["--home", str(settings.home), "collector", "webhooks", *arguments], input=typed, catch_exceptions=True
    )
    return result.exit_code, result.stdout, f"{result.stderr}{result.exception or ''}"


def test_the_commands_take_secrets_from_files_and_people_and_show_none(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "key.txt"
    file.write_bytes(PUBLIC + b"\n")
    assert run(settings, "set", "sendgrid", "sendgrid", "--file", str(file))[:2] == (
        0,
        "/v1/webhooks/sendgrid/sendgrid\n",
    )
    code, shown, _ = run(settings, "set", "customerio", "customerio", typed=SECRET.decode() + "\n")
    assert code == 0
    assert SECRET.decode() not in shown
    assert secrets.read_secret(settings, "sendgrid", "sendgrid") == PUBLIC
    assert secrets.read_secret(settings, "customerio", "customerio") == SECRET
    assert run(settings, "list")[1].splitlines() == [
        "customerio  customerio  /v1/webhooks/customerio/customerio",
        "sendgrid  sendgrid  /v1/webhooks/sendgrid/sendgrid",
    ]
    assert run(settings, "remove", "sendgrid", "sendgrid")[0] == 0
    assert secrets.list_secrets(settings) == [("customerio", "customerio")]
    code, _, told = run(settings, "remove", "sendgrid", "sendgrid")
    assert code != 0
    assert "there are: customerio/customerio" in told


def test_a_made_up_secret_opens_the_address_that_is_shown(settings: Settings) -> None:
    code, shown, _ = run(settings, "set", "mailchimp", "mailchimp", "--generate")
    assert code == 0
    secret = secrets.read_secret(settings, "mailchimp", "mailchimp")
    assert secret is not None
    assert len(secret) >= 43
    asked = request(f"https://shop.example.com{shown.strip()}", {}, FORM)
    assert receive("mailchimp", "mailchimp", asked, secret)
    again = run(settings, "set", "mailchimp", "mailchimp", "--generate")[1]
    assert again != shown
    assert (
        "--generate is for vendors that do not sign"
        in run(settings, "set", "hubspot", "hubspot_email", "--generate")[2]
    )


def test_the_clock_of_these_tests() -> None:
    assert datetime.fromtimestamp(NOW, UTC) == datetime(2018, 1, 1, tzinfo=UTC)
