"""Other REST sources than HubSpot: the example of docs/pulls.md, other paginators and ways to say who we are."""

import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import yaml
from crmkit import BEGIN, Crm, stamp
from pullkit import hubspot, keep_secret, landed, pull, rows
from settingskit import SAMPLE_NOW

from expectations import contracts
from expectations.contracts import SourceContract
from jobs.core.definitions import DefinitionError, PullHeader
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import PROJECT_ROOT, Settings
from jobs.ingest.pulls.options import rest_options, s3_options
from jobs.transport.connections import BlockedError

DOCS = (PROJECT_ROOT / "docs" / "pulls.md").read_text("utf-8")
EXAMPLES = {e["name"]: e for e in map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL))}
CONTRACT = {
    "name": "club_members", "kind": "records", "format": "ndjson", "description": "Members of the club.", "object": "person",
    "key": ["member_id"], "valid_from": "changed_at", "identifiers": {"email": "email"},
    "columns": {
        "member_id": {"required": True}, "email": {"pii": "email"}, "first_name": {"pii": "name"},
        "spent": {"type": "number"}, "changed_at": {"type": "timestamp", "required": True},
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def contract(monkeypatch: pytest.MonkeyPatch) -> SourceContract:
    made = SourceContract.model_validate(CONTRACT)
    monkeypatch.setitem(contracts.sources(), made.name, made)
    return made


def club(crm: Crm, **changes: Any) -> PullHeader:
    example = EXAMPLES["club_members"]
    options = example["options"] | {"base_url": crm.url} | changes
    return PullHeader.model_validate(example | {"options": options})


def members(settings: Settings) -> Counter[int]:
    return Counter(row["member_id"] for row in rows(settings, "club_members"))


def test_the_example_of_the_docs_works(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    crm.fill(230)
    crm.put(7, BEGIN, spent=12.5)
    assert pull(settings, club(crm)).landed == 230
    assert members(settings) == Counter(range(1, 231))
    assert rows(settings, "club_members")[6]["spent"] == 12.5
    assert crm.requests[0]["headers"]["X-Api-Key"]
    crm.put(3, BEGIN + timedelta(days=1))
    assert pull(settings, club(crm)).landed == 1
    assert crm.requests[-1]["query"]["since"] == "2017-06-01T00:02:49.000Z"


def test_the_s3_example_of_the_docs_is_one() -> None:
    header = PullHeader.model_validate(EXAMPLES["nightly_exports"])
    assert s3_options(header).bucket == "exports"
    assert header.schedule == "10 4 * * *"


def test_a_source_that_cannot_sort_counts_as_read_at_its_end_only(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    crm.fill(300)
    crm.put(1, BEGIN + timedelta(days=90))  # the newest stands first
    crm.before = lambda number: crm.faults.extend([crm_gone()] * 9) if number == 2 else None
    with pytest.raises(PermanentError):
        pull(settings, club(crm), pull_file_rows=100)
    assert len(landed(settings, "club_members")) == 2
    crm.before, crm.faults = (lambda number: None), []
    pull(settings, club(crm))
    assert set(members(settings)) == set(range(1, 301))


def test_what_changes_while_an_unsorted_source_is_read_comes_next_time(settings: Settings, crm: Crm) -> None:
    """Person 1 changes when its page is behind us, person 250 later, when its page is ahead: the newest is no measure."""
    keep_secret(settings, "club_key")
    crm.fill(300)

    def meanwhile(number: int) -> None:
        if number == 2:
            crm.put(1, SAMPLE_NOW + timedelta(minutes=1))
            crm.put(250, SAMPLE_NOW + timedelta(minutes=9))

    crm.before = meanwhile
    pull(settings, club(crm))
    crm.before = lambda number: None
    pull(settings, club(crm))
    found = {(row["member_id"], row["changed_at"]) for row in rows(settings, "club_members")}
    assert found >= {(n, stamp(contact["at"])) for n, contact in crm.contacts.items()}


def crm_gone() -> Any:
    from crmkit import Fault

    return Fault(404)


def test_without_a_cursor_every_run_fetches_all(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    crm.fill(30)
    header = club(crm, cursor=None, params={"size": 10})
    assert pull(settings, header).landed == 30
    assert pull(settings, header).landed == 30
    with pytest.raises(UsageError, match="has no cursor"):
        pull(settings, header, since="2017-01-01T00:00:00Z")


def test_pages_by_link(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    crm.fill(35)
    header = club(
        crm,
        path="/people/links",
        cursor=None,
        params={"size": 10},
        paginator={"kind": "json_link", "next_url_path": "next"},
    )
    assert pull(settings, header).landed == 35


def test_links_that_lead_in_a_circle(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    page = f'{{"items": [{{"id": 1}}], "next": "{crm.url}/people/links?page=2"}}'.encode()
    fault = crm_gone()
    fault.status, fault.body = 200, page
    crm.faults = [fault] * 20
    header = club(
        crm, path="/people/links", cursor=None, params={}, paginator={"kind": "json_link", "next_url_path": "next"}
    )
    with pytest.raises(PermanentError, match="in a circle"):
        pull(settings, header)
    assert len(crm.requests) == 2
    assert landed(settings, "club_members") == []


def test_a_link_to_another_host_gets_neither_request_nor_secret(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    other = Crm()
    try:
        crm.fill(1)
        body = f'{{"items": [], "next": "{other.url}/people/links?page=1"}}'.encode()
        header = club(
            crm, path="/people/links", cursor=None, params={}, paginator={"kind": "json_link", "next_url_path": "next"}
        )
        fault = crm_gone()
        fault.status, fault.body = 200, body
        crm.faults = [fault]
        with pytest.raises(BlockedError, match="not among the declared hosts"):
            pull(settings, header)
        assert other.requests == []
        other.fill(3)
        crm.faults = [fault]
        assert pull(settings, club_with_host(header, other.url)).landed == 3
        assert len(other.requests) == 1
    finally:
        other.close()


def club_with_host(header: PullHeader, host: str) -> PullHeader:
    return header.model_copy(update={"options": header.options | {"hosts": [host]}})


def test_oauth2_fetches_a_token_and_sends_it(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key", "client-secret-9")
    crm.fill(3)
    auth = {"kind": "oauth2", "secret": "club_key", "token_url": f"{crm.url}/token", "client_id": "c360"}
    assert pull(settings, club(crm, auth=auth)).landed == 3
    assert [r["path"] for r in crm.requests].count("/token") == 1
    assert b"client-secret-9" in crm.requests[0]["raw"]
    assert b"client-secret-9" not in (crm.requests[1]["raw"] or b"")


def test_a_password_is_sent_as_basic(settings: Settings, crm: Crm) -> None:
    from base64 import b64encode

    keep_secret(settings, "club_key", "pässword")
    crm.fill(1)
    auth = {"kind": "basic", "secret": "club_key", "username": "ann"}
    with pytest.raises(PermanentError):  # the fake CRM takes its own token only
        pull(settings, club(crm, auth=auth))
    assert crm.requests[0]["headers"]["Authorization"] == "Basic " + b64encode("ann:pässword".encode()).decode()


def test_requests_are_spread(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    crm.fill(50)
    waits: list[float] = []
    pull(settings, club(crm, requests_per_second=2, params={"size": 10, "since": "{cursor}"}), waits)
    assert len(waits) >= 4
    assert all(0 < wait <= 0.5 for wait in waits)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"token": "x"}, "token: Extra inputs"),
        ({"base_url": "club.example.com"}, "base_url: expected https://"),
        ({"base_url": "https://ann:secret@club.example.com"}, "without user name"),
        ({"auth": {"kind": "bearer", "token": "x"}}, r"auth\.secret: Field required"),
        ({"auth": {"kind": "header", "secret": "club_key"}}, "auth header needs header"),
        ({"auth": {"kind": "bearer", "secret": "../club_key"}}, r"auth\.secret: String should match"),
        ({"params": {}}, "a cursor is declared and stands as"),
        ({"cursor": None}, "a cursor is declared and stands as"),
        ({"cursor": {"column": "changed_at", "start": "soon"}}, "start 'soon' is no iso8601"),
        (
            {"cursor": {"column": "changed_at", "start": "0", "format": "integer"}},
            "integer cursor needs `ascending: true`",
        ),
        ({"cursor": {"column": "changed", "start": "2015-01-01"}}, "cursor.column is not among the columns"),
        ({"columns": {"email": "mail", "changed_at": "changed"}}, "key is not among the columns"),
        ({"columns": {"member_id": "id", "changed_at": "changed", "mail": "mail"}}, r"does not declare: \['mail'\]"),
        ({"columns": {"member_id": "id", "email": "mail", "first_name": "$..name"}}, "columns.first_name"),
    ],
)
def test_definitions_are_judged_before_anything_is_sent(crm: Crm, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(DefinitionError, match=match) as raised:
        rest_options(club(crm, **changes))
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("pull club_members: ")


def test_a_cursor_needs_the_time_of_the_version(
    crm: Crm, monkeypatch: pytest.MonkeyPatch, contract: SourceContract
) -> None:
    """Without it a row that is pulled twice would be two versions."""
    monkeypatch.setitem(contracts.sources(), contract.name, contract.model_copy(update={"valid_from": None}))
    with pytest.raises(DefinitionError, match="valid_from"):
        rest_options(club(crm))


def test_a_paginator_that_does_not_exist(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    for paginator in ({"kind": "auto"}, {"kind": "offset"}, {"kind": "cursor", "token": 1}):
        with pytest.raises(PermanentError, match="kinds: single_page"):
            pull(settings, club(crm, paginator=paginator))
    assert crm.requests == []


def test_plain_http_and_inner_networks_are_not_reached(settings: Settings, crm: Crm) -> None:
    keep_secret(settings, "club_key")
    with pytest.raises(BlockedError, match="is not encrypted"):
        pull(settings, club(crm), http_allow_loopback=False)
    secure = crm.url.replace("http://", "https://")
    with pytest.raises(BlockedError, match="address of this machine or of an inner network"):
        pull(settings, club(crm, base_url=secure), http_allow_loopback=False)
    assert crm.requests == []


def test_the_shipped_definition_fits_its_contract(crm: Crm) -> None:
    options, source = rest_options(hubspot(crm))
    assert set(options.columns) == set(source.columns)
    assert source.consents == {"marketing": "marketing_consent"}
