"""Webhooks through the door: durable before the answer, refused with a code, the same limits. Vendors: tests/unit/ingest."""

import errno
import json
import os
from typing import Any

import pytest
from doorkit import Answer, Door

from jobs.ingest.landing.log_writer import Disk
from jobs.ingest.webhooks.secrets import write_secret

SECRET = b"a-secret-of-more-than-thirty-two-characters"
PATH = f"/v1/webhooks/mailchimp/mailchimp/{SECRET.decode()}"
FORM = b"type=unsubscribe&fired_at=2018-01-01+12:00:00&data[email]=ann%40example.com&data[reason]=manual"


@pytest.fixture
def hooked(door: Door) -> Door:
    write_secret(door.settings, "mailchimp", "mailchimp", SECRET)
    door.new()
    return door


def call(door: Door, method: str = "POST", path: str = PATH, body: bytes = FORM, **headers: str) -> Answer:
    return door.request(method, path, body, {"content-type": "application/x-www-form-urlencoded"} | headers)


def test_an_event_is_durable_and_says_where_it_came_from(hooked: Door) -> None:
    answer = call(hooked, **{"user-agent": "MailChimp.com"})
    assert (answer.status, answer.json["accepted"]) == (200, 1)
    found = hooked.newest()
    assert (found.source, found.endpoint, found.error) == ("mailchimp", None, None)
    assert json.loads(found.payload)["data"]["email"] == "ann@example.com"
    assert found.receipt["vendor"] == "mailchimp"
    assert str(found.receipt["receipt_id"]).startswith(answer.json["receipt_id"])
    assert found.receipt["ip"] == "127.0.0.0/24"
    assert 'endpoint="webhooks",source="mailchimp"' in hooked.request("GET", "/metrics").raw.decode()


def test_a_test_call_of_the_vendor(hooked: Door) -> None:
    for method in ("GET", "POST"):
        answer = call(hooked, method, body=b"")
        assert (answer.status, answer.json["accepted"]) == (200, 0)
    assert hooked.new() == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", PATH[:-1] + "x", 401, "invalid_signature"),
        ("POST", "/v1/webhooks/mailchimp/mailchimp", 401, "invalid_signature"),
        ("POST", "/v1/webhooks/mailchimp/sim_web/x", 404, "not_found"),
        ("POST", "/v1/webhooks/nobody/mailchimp/x", 404, "not_found"),
        ("POST", "/v1/webhooks/mailchimp/../../etc/passwd", 404, "not_found"),
        ("POST", "/v1/webhooks/mailchimp/%2e%2e%2f%2e%2e%2fetc", 404, "not_found"),
        ("POST", "/v1/webhooks/base/mailchimp/x", 404, "not_found"),
        ("PUT", PATH, 405, "method_not_allowed"),
    ],
)
def test_what_is_refused_is_not_kept(hooked: Door, method: str, path: str, status: int, code: str) -> None:
    answer = call(hooked, method, path)
    assert (answer.status, answer.code) == (status, code)
    assert hooked.new() == []


def test_what_cannot_be_read_is_kept_with_its_reason(hooked: Door) -> None:
    assert call(hooked, body=b"\xff\xfe no form").status == 200  # the vendor would only send it again
    assert hooked.newest().error == "invalid_encoding"


def test_the_body_is_bounded(hooked: Door) -> None:
    assert call(hooked, body=b"x" * (5 * 2**20 + 1)).code == "body_limit"
    assert hooked.new() == []


class NoDisk(Disk):
    def sync(self, descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_no_answer_before_it_is_durable(open_door: Any) -> None:
    door = open_door(disk=NoDisk())
    write_secret(door.settings, "mailchimp", "mailchimp", SECRET)
    answer = call(door)
    assert (answer.status, answer.code) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_secret_that_others_can_read_is_not_used(hooked: Door) -> None:
    path = write_secret(hooked.settings, "mailchimp", "mailchimp", SECRET)
    path.chmod(0o644)
    assert call(hooked).status == 503
    path.chmod(0o600)
    assert call(hooked).status == 200
