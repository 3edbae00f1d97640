"""REST pulls against a CRM on loopback: everything comes once, changes come again, nothing is passed over."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from crmkit import BEGIN, TOKEN, Crm, Fault, stamp
from pullkit import context_of, hidden, hubspot, keep_secret, landed, pull, rows, run_cli, versions
from settingskit import SAMPLE_NOW

from jobs.core.clock import Clock
from jobs.core.errors import AuthError, PermanentError, RetryableError
from jobs.core.settings import Settings
from jobs.ingest.pulls.commands import _run
from jobs.ingest.pulls.ledger import open_ledger
from jobs.ingest.pulls.options import rest_options
from jobs.ingest.pulls.report import PullReport
from jobs.ingest.pulls.rest import _endpoint
from jobs.transport.connections import BlockedError


def everything(crm: Crm) -> dict[tuple[str, str], int]:
    return {(str(n), c["lastmodifieddate"]): 1 for n, c in crm.contacts.items()}


def test_all_pages_land_once_in_one_file(settings: Settings, crm: Crm) -> None:
    crm.fill(350)
    report = pull(settings, hubspot(crm))
    assert versions(settings) == everything(crm)
    assert (report.landed, report.files, report.problems) == (350, 1, [])
    assert len(landed(settings, "hubspot_contacts")) == 1
    assert hidden(settings, "hubspot_contacts") == []
    assert landed(settings, "hubspot_contacts")[0].stat().st_mode & 0o777 == 0o600


def test_columns_are_the_contracts_and_opt_out_is_a_denial(settings: Settings, crm: Crm) -> None:
    crm.put(1, BEGIN, firstname="Ann", phone="+15555550100", user_id="u1", hs_email_optout="true")
    crm.put(2, BEGIN + timedelta(seconds=1), hs_email_optout="false")
    crm.put(3, BEGIN + timedelta(seconds=2), hs_email_optout=True)
    pull(settings, hubspot(crm))
    first, second, third = rows(settings)
    assert first == {
        "contact_id": "1", "user_id": "u1", "email": "person1@example.com", "phone": "+15555550100",
        "first_name": "Ann", "last_name": None, "lifecycle_stage": None, "marketing_consent": "denied",
        "created_at": "2017-06-01T00:00:00Z", "updated_at": "2017-06-01T00:00:00Z",
    }  # fmt: skip
    assert second["marketing_consent"] is None  # not opted out is no consent
    assert third["marketing_consent"] == "denied"


def test_the_cursor_is_kept_over_runs_and_idle_runs_land_nothing(settings: Settings, crm: Crm) -> None:
    crm.fill(5)
    pull(settings, hubspot(crm))
    crm.fill(3, first=6, at=BEGIN + timedelta(hours=5))
    second = pull(settings, hubspot(crm))
    assert (second.landed, second.files) == (3, 1)
    asked = int(crm.requests[-1]["body"]["filterGroups"][0]["filters"][0]["value"])
    assert asked == int((BEGIN + timedelta(seconds=4 - 900)).timestamp() * 1000)
    third = pull(settings, hubspot(crm))
    assert (third.landed, third.files) == (0, 0)
    assert len(landed(settings, "hubspot_contacts")) == 2
    assert versions(settings) == everything(crm)


def test_a_changed_contact_comes_again(settings: Settings, crm: Crm) -> None:
    crm.fill(3)
    pull(settings, hubspot(crm))
    crm.put(2, BEGIN + timedelta(days=1), firstname="Ann")
    assert pull(settings, hubspot(crm)).landed == 1
    assert [(row["contact_id"], row["first_name"]) for row in rows(settings)][-1] == ("2", "Ann")


def test_a_second_change_within_one_millisecond_comes_again(settings: Settings, crm: Crm) -> None:
    """A mark is of the whole row: what has the same id and the same time is not by itself the same."""
    crm.put(1, BEGIN, firstname="Ann")
    pull(settings, hubspot(crm))
    crm.put(1, BEGIN, firstname="Anne")
    assert pull(settings, hubspot(crm)).landed == 1
    assert [row["first_name"] for row in rows(settings)] == ["Ann", "Anne"]


def test_a_change_that_the_search_shows_late_is_seen(settings: Settings, crm: Crm) -> None:
    """The index lags: a contact changed at 12:00:00 appears after one of 12:05:00 was read."""
    crm.put(1, BEGIN + timedelta(minutes=5))
    pull(settings, hubspot(crm))
    crm.put(2, BEGIN)
    pull(settings, hubspot(crm))
    assert versions(settings) == everything(crm)


def test_without_the_overlap_the_late_change_is_lost(settings: Settings, crm: Crm) -> None:
    header = hubspot(crm)
    cursor = header.options["cursor"] | {"overlap_seconds": 0}
    crm.put(1, BEGIN + timedelta(minutes=5))
    pull(settings, hubspot(crm, cursor=cursor))
    crm.put(2, BEGIN)
    pull(settings, hubspot(crm, cursor=cursor))
    assert set(everything(crm)) - set(versions(settings)) == {("2", stamp(BEGIN))}


def test_contacts_that_move_while_pages_are_read_hide_no_other(settings: Settings, crm: Crm) -> None:
    """Each answer moves a contact of the first page to the end: by offset, the next page would skip one each time."""
    crm.fill(500)

    def move(number: int) -> None:
        crm.put(number, BEGIN + timedelta(hours=number))

    crm.before = move
    pull(settings, hubspot(crm))
    crm.before = lambda number: None
    pull(settings, hubspot(crm))
    assert set(versions(settings)) >= set(everything(crm))


def test_by_offset_alone_moved_contacts_would_be_lost(settings: Settings, crm: Crm) -> None:
    """The test above can fail: without `ascending` the same moves lose contacts."""
    crm.fill(500)
    crm.before = lambda number: crm.put(number, BEGIN + timedelta(hours=number))
    cursor = hubspot(crm).options["cursor"] | {"ascending": False, "ties": None}
    pull(settings, hubspot(crm, cursor=cursor))
    crm.before = lambda number: None
    pull(settings, hubspot(crm, cursor=cursor))
    assert set(everything(crm)) - set(versions(settings))


def test_a_bulk_update_beyond_the_search_limit(settings: Settings, crm: Crm) -> None:
    """More contacts share one time than a search can page through."""
    crm.search_limit = 300
    crm.fill(50)
    crm.fill(700, first=100, at=BEGIN + timedelta(hours=1), step=timedelta(0))
    crm.fill(50, first=1000, at=BEGIN + timedelta(hours=2))
    pull(settings, hubspot(crm))
    assert versions(settings) == everything(crm)
    assert pull(settings, hubspot(crm)).landed == 0


def test_a_time_to_come_hides_nothing(settings: Settings, crm: Crm) -> None:
    crm.fill(3)
    crm.put(99, datetime(2099, 1, 1, tzinfo=UTC))
    pull(settings, hubspot(crm))
    crm.put(4, SAMPLE_NOW + timedelta(hours=1))
    assert pull(settings, hubspot(crm)).landed == 1
    assert versions(settings) == everything(crm)


def test_many_rows_are_handed_on_in_several_files(settings: Settings, crm: Crm) -> None:
    crm.fill(450)
    report = pull(settings, hubspot(crm), pull_file_rows=100)
    assert report.landed == 450
    assert report.files == len(landed(settings, "hubspot_contacts")) >= 3
    assert versions(settings) == everything(crm)


def test_429_waits_as_long_as_it_is_told_and_500_is_tried_again(settings: Settings, crm: Crm) -> None:
    crm.fill(150)
    in_a_while = format_datetime(Clock().now() + timedelta(seconds=30), usegmt=True)
    crm.faults = [
        Fault(429, {"Retry-After": "7"}), Fault(500), Fault(502), Fault(429, {"Retry-After": in_a_while}),
    ]  # fmt: skip
    waits: list[float] = []
    pull(settings, hubspot(crm), waits)
    assert versions(settings) == everything(crm)
    assert waits[0] == 7
    assert 20 < waits[3] <= 30
    assert 0 <= waits[1] <= waits_limit(1)


def waits_limit(attempt: int) -> float:
    return 0.5 * 2 ** (attempt + 1)


def test_a_server_that_asks_to_wait_for_an_hour_ends_the_run(settings: Settings, crm: Crm) -> None:
    crm.fill(1)
    crm.faults = [Fault(429, {"Retry-After": "3600"})]
    waits: list[float] = []
    with pytest.raises(RetryableError, match="asks to wait 3600 s"):
        pull(settings, hubspot(crm), waits)
    assert waits == []


def test_faults_that_last_end_the_run_and_the_next_goes_on(settings: Settings, crm: Crm) -> None:
    crm.fill(450)
    crm.before = lambda number: crm.faults.extend([Fault(503)] * 5) if number == 3 else None
    with pytest.raises(RetryableError, match="answered 503"):
        pull(settings, hubspot(crm), pull_file_rows=100)
    got = len(rows(settings))
    assert 0 < got < 450
    pull(settings, hubspot(crm), pull_file_rows=100)
    assert versions(settings) == everything(crm)


def test_an_answer_that_breaks_off_is_asked_for_again(settings: Settings, crm: Crm) -> None:
    crm.fill(5)
    crm.faults = [Fault(200, body=b'{"results": [', cut=True)]
    assert pull(settings, hubspot(crm)).landed == 5


@pytest.mark.parametrize(
    ("fault", "error", "match"),
    [
        (Fault(401), AuthError, "credential was refused"),
        (Fault(403), AuthError, "credential was refused"),
        (Fault(400, body=b'{"message": "marker-7"}'), PermanentError, "answered 400"),
        (Fault(302, {"Location": "http://127.0.0.1:1/"}), BlockedError, "redirects are not followed"),
        (Fault(200, {"Content-Type": "text/html"}, b"<html>log in</html>"), PermanentError, "strict JSON"),
        (Fault(200, body=b'{"results": [{"id": 1, "id": 2}]}'), PermanentError, "strict JSON"),
        (Fault(200, body=b"[" * 100_000), PermanentError, "strict JSON"),
        (Fault(200, body=b'{"message": "marker-7"}'), PermanentError, "no list at 'results'"),
        (Fault(200, body=b'{"results": null}'), PermanentError, "no list at 'results'"),
        (Fault(200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 2_000_000)), PermanentError, "more than 100000"),
    ],
)
def test_answers_that_are_none_end_the_run(
    settings: Settings, crm: Crm, fault: Fault, error: type[Exception], match: str
) -> None:
    """Never taken for "nothing new"; nothing lands, the cursor stays, and the text of the answer is not repeated."""
    crm.fill(5)
    crm.faults = [fault]
    with pytest.raises(error, match=match) as raised:
        pull(settings, hubspot(crm), http_response_bytes=100_000)
    assert "marker-7" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert landed(settings, "hubspot_contacts") == []
    assert pull(settings, hubspot(crm)).landed == 5


def test_rows_that_are_odd_are_handed_on_as_they_are(settings: Settings, crm: Crm) -> None:
    """They are judged downstream, where they get their reason; a row without a time does not move the cursor."""
    body = (
        '{"results": [{"id": "1", "properties": {"lastmodifieddate": "2017-06-01T00:00:00Z", "email": "\\ud800"}},'
        '"text", {"id": 12.10, "properties": {"email": NaN}}, {"id": 123456789012345678901234567890}]}'
    )
    crm.faults = [Fault(200, body=body.encode())]
    pull(settings, hubspot(crm))
    lines = landed(settings, "hubspot_contacts")[0].read_bytes().splitlines()
    assert b'"email":"\\ud800"' in lines[0]
    assert lines[1] == b'"text"'
    assert b'"contact_id":12.10,' in lines[2]
    assert b'"email":"NaN"' in lines[2]
    assert b'"contact_id":123456789012345678901234567890,' in lines[3]


def test_a_server_that_leads_in_a_circle(settings: Settings, crm: Crm) -> None:
    crm.fill(5)
    page = json.dumps({"results": [crm.shown(1)], "paging": {"next": {"after": "1"}}}).encode()
    crm.faults = [Fault(200, body=page)] * 10
    with pytest.raises(PermanentError, match=r"in a circle|do not go on"):
        pull(settings, hubspot(crm))


def test_a_server_that_does_not_sort_is_found_out(settings: Settings, crm: Crm) -> None:
    crm.fill(5)
    page = json.dumps({"results": [crm.shown(3), crm.shown(1)]}).encode()
    crm.faults = [Fault(200, body=page)]
    with pytest.raises(PermanentError, match="not in ascending order of updated_at"):
        pull(settings, hubspot(crm))


def test_a_server_that_does_not_filter_is_found_out(settings: Settings, crm: Crm) -> None:
    crm.fill(5)
    pull(settings, hubspot(crm))
    crm.put(6, BEGIN - timedelta(days=30))
    crm.faults = [Fault(200, body=json.dumps({"results": [crm.shown(6)]}).encode())]
    with pytest.raises(PermanentError, match="from before the updated_at"):
        pull(settings, hubspot(crm))


def test_since_reads_again_and_leaves_the_cursor_alone(settings: Settings, crm: Crm) -> None:
    crm.fill(5)
    header = hubspot(crm)
    pull(settings, header)
    options, _ = rest_options(header)
    with open_ledger(settings) as ledger:
        before = ledger.position("hubspot_contacts", _endpoint(options))
    crm.put(6, BEGIN - timedelta(days=30))
    assert pull(settings, header, since="2017-01-01T00:00:00Z").landed == 1
    with open_ledger(settings) as ledger:
        assert ledger.position("hubspot_contacts", _endpoint(options)) == before


def test_another_address_is_read_from_its_beginning(settings: Settings, crm: Crm) -> None:
    crm.fill(5)
    pull(settings, hubspot(crm))
    other = Crm()
    try:
        other.fill(5, first=100, at=BEGIN - timedelta(days=300))
        assert pull(settings, hubspot(other)).landed == 5
    finally:
        other.close()


def test_the_secret_is_a_closed_file_and_goes_nowhere_else(settings: Settings, crm: Crm) -> None:
    crm.fill(1)
    path = keep_secret(settings)
    path.chmod(0o644)
    with pytest.raises(PermanentError, match="readable by others"):
        pull(settings, hubspot(crm))
    path.unlink()
    with pytest.raises(AuthError, match="secret hubspot_contacts is missing"):
        pull(settings, hubspot(crm))
    assert crm.requests == []
    keep_secret(settings)
    pull(settings, hubspot(crm))
    assert crm.requests[0]["headers"]["Authorization"] == f"Bearer {TOKEN}"
    held = [p for p in settings.home.rglob("*") if p.is_file() and p.parent.name not in ("secrets", "jars")]
    assert held
    assert not [p for p in held if TOKEN.encode() in p.read_bytes()]


def test_the_ledger_holds_nothing_personal(settings: Settings, crm: Crm) -> None:
    crm.put(1, BEGIN, email="ann@example.com")
    pull(settings, hubspot(crm))
    files = [p for p in (settings.home / "pulls").iterdir() if p.is_file()]
    assert all(p.stat().st_mode & 0o077 == 0 for p in files if p.suffix == ".db")
    assert not [p for p in files if b"ann@" in p.read_bytes()]


def test_a_disk_that_fills_up_is_said_in_one_line(settings: Settings) -> None:
    def work() -> PullReport:
        raise OSError(28, "No space left on device", "/somewhere/ann")

    with pytest.raises(RetryableError, match="pull crm: No space left on device; what is in landing/ counts") as raised:
        _run(context_of(settings), "crm", work)
    assert "ann" not in str(raised.value)


def test_the_command_and_what_it_says(settings: Settings, crm: Crm) -> None:
    crm.fill(3)
    pull(settings, hubspot(crm))
    done = run_cli(settings, "ingest", "pull", "list")
    assert "hubspot_contacts: rest -> hubspot_contacts, by hand, 1 files, last 2018-01-02T00:00:00+00:00" in done.stdout
    wrong = run_cli(settings, "ingest", "pull", "rest", "hubspot")
    assert wrong.returncode == 2
    assert "known: hubspot_contacts" in wrong.stderr
    odd = run_cli(settings, "ingest", "pull", "rest", "hubspot_contacts", "--since", "yesterday")
    assert odd.returncode == 2
    assert "is no iso8601" in odd.stderr
