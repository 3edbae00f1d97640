"""S3 pulls on moto: each object once, whatever its name, its date and the moment it changes."""

import logging
import resource
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from moto import mock_aws
from moto.backends import get_backend
from pullkit import context_of, hidden, landed
from settingskit import make_settings
from storekit import BUCKET, REGION, Shaky, SmallPages, campaigns, client, put

from expectations import contracts
from jobs.core.errors import AuthError, ExitCode, PermanentError, RetryableError, UsageError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.ingest.landing.manifest import Manifest
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.pulls.landing_file import pull_lock
from jobs.ingest.pulls.options import S3Options
from jobs.ingest.pulls.report import PullReport
from jobs.ingest.pulls.s3 import local_name, pull_objects
from jobs.transport.s3 import ObjectStore, StoredObject

SOURCE = "crm_campaigns"


@pytest.fixture(scope="module")
def aws() -> Iterator[Any]:
    """One client for all tests: to make one costs more than most of them."""
    with mock_aws():
        yield client()


@pytest.fixture
def s3(aws: Any) -> Any:
    """The client, and an empty bucket."""
    get_backend("s3").reset()
    aws.create_bucket(Bucket=BUCKET)
    return aws


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "home", s3_region=REGION)


def pull(settings: Settings, s3: Any, *, store: ObjectStore | None = None, **options: Any) -> PullReport:
    wanted = S3Options.model_validate({"bucket": BUCKET, "prefix": "pos/"} | options)
    return pull_objects(context_of(settings), SOURCE, wanted, store=store or ObjectStore(settings, s3))


def contents(settings: Settings) -> list[bytes]:
    return sorted(path.read_bytes() for path in landed(settings, SOURCE))


def test_new_objects_land_once(settings: Settings, s3: Any) -> None:
    put(s3, "pos/a.csv", campaigns(1))
    put(s3, "pos/b.csv", campaigns(2))
    put(s3, "elsewhere/c.csv", campaigns(3))
    first = pull(settings, s3)
    assert (first.received, first.landed, first.known) == (2, 2, 0)
    put(s3, "pos/2017/c.csv", campaigns(4))
    second = pull(settings, s3)
    assert (second.received, second.landed, second.known) == (3, 1, 2)
    assert contents(settings) == [campaigns(1), campaigns(2), campaigns(4)]
    assert {p.name.split("-", 1)[1] for p in landed(settings, SOURCE)} == {"a.csv", "b.csv", "c.csv"}
    assert {p.stat().st_mode & 0o777 for p in landed(settings, SOURCE)} == {0o600}


def test_a_listing_of_many_pages(settings: Settings, s3: Any) -> None:
    for number in range(40):
        put(s3, f"pos/{number:03d}.csv", campaigns(number))
    assert pull(settings, s3, store=SmallPages(settings, s3)).landed == 40
    put(s3, "pos/0005.csv", campaigns(99))  # in the middle of what was listed before
    assert pull(settings, s3, store=SmallPages(settings, s3)).landed == 1
    assert len(contents(settings)) == 41


def test_other_content_under_the_same_key_comes_too(settings: Settings, s3: Any) -> None:
    put(s3, "pos/a.csv", campaigns(1))
    pull(settings, s3)
    put(s3, "pos/a.csv", campaigns(2))
    assert pull(settings, s3).landed == 1
    put(s3, "pos/a.csv", campaigns(2))
    assert pull(settings, s3).landed == 0
    assert contents(settings) == [campaigns(1), campaigns(2)]
    landed_files = seal_new_files(context_of(settings))
    assert (landed_files.loaded, landed_files.rejected, landed_files.messages) == (2, 0, 2)


def test_the_same_content_under_another_key_is_loaded_once(settings: Settings, s3: Any) -> None:
    put(s3, "pos/a.csv", campaigns(1))
    pull(settings, s3)
    assert seal_new_files(context_of(settings)).loaded == 1
    put(s3, "pos/copy.csv", campaigns(1))
    assert pull(settings, s3).landed == 1
    assert seal_new_files(context_of(settings)).loaded == 0
    assert sorted(row["status"] for row in Manifest.open(settings).decided.values()) == ["loaded", "repeated"]


def test_no_date_is_looked_at(settings: Settings, s3: Any) -> None:
    put(s3, "pos/new.csv", campaigns(1))
    pull(settings, s3)
    put(s3, "pos/old.csv", campaigns(2))
    put(s3, "pos/later.csv", campaigns(3))
    keys = get_backend("s3")["123456789012"]["aws"].buckets[BUCKET].keys
    keys["pos/old.csv"].last_modified = datetime(1970, 1, 1, tzinfo=UTC)
    keys["pos/later.csv"].last_modified = datetime(2099, 1, 1, tzinfo=UTC)
    assert pull(settings, s3).landed == 2


def test_versions_that_were_overwritten(settings: Settings, s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for number in (1, 2, 3, 1):
        put(s3, "pos/a.csv", campaigns(number))
    put(s3, "pos/b.csv", campaigns(9))
    s3.delete_object(Bucket=BUCKET, Key="pos/b.csv")
    assert pull(settings, s3).landed == 1
    report = pull(settings, s3, all_versions=True, store=SmallPages(settings, s3))
    assert (report.landed, report.problems) == (5, [])
    assert set(contents(settings)) == {campaigns(n) for n in (1, 2, 3, 9)}
    assert pull(settings, s3, all_versions=True).landed == 0


def test_older_versions_come_before_newer(settings: Settings, s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for number in range(20):
        put(s3, "pos/a.csv", campaigns(number))
    listed = SmallPages(settings, s3).list(BUCKET, "pos/", all_versions=True)
    etags = [stored.etag for stored in listed]
    from hashlib import md5

    assert etags == [md5(campaigns(number)).hexdigest() for number in range(20)]


NASTY = [
    "pos/../../../etc/passwd", "pos/..", "pos/.hidden.csv", "pos/-rf", "pos/two words.csv", "pos/line\nbreak.csv",
    "pos/émoji😀.csv", "pos/" + "x" * 300 + ".csv", "pos/%2e%2e%2fup.csv", "pos//double//slash.csv", "pos/a.csv",
    "pos/\x1b[31mred.csv", "pos/ann@example.com.csv", "pos/_underscore.csv", "pos/C:\\windows.csv", "pos/nul\x7f.csv",
]  # fmt: skip


def test_names_are_never_paths(settings: Settings, s3: Any, caplog: pytest.LogCaptureFixture) -> None:
    for number, key in enumerate(NASTY):
        put(s3, key, campaigns(number))
    before = {p for p in settings.home.parent.rglob("*") if "landing" not in p.parts and "pulls" not in p.parts}
    assert pull(settings, s3).landed == len(NASTY)
    assert len(contents(settings)) == len(set(contents(settings))) == len(NASTY)
    assert all(p.name.replace("-", "").replace(".", "").replace("_", "").isalnum() for p in landed(settings, SOURCE))
    after = {p for p in settings.home.parent.rglob("*") if "landing" not in p.parts and "pulls" not in p.parts}
    assert after == before
    assert seal_new_files(context_of(settings)).loaded == len(NASTY)


def test_folders_and_marks_are_no_data(settings: Settings, s3: Any) -> None:
    put(s3, "pos/", b"")
    put(s3, "pos/2017/", b"")
    put(s3, "pos/a.csv", campaigns(1))
    put(s3, "pos/a.csv.done", b"")
    put(s3, "pos/empty.csv", b"")
    report = pull(settings, s3)
    assert (report.received, report.landed) == (2, 2)
    assert contents(settings) == [b"", campaigns(1)]


def test_an_object_waits_for_its_mark(settings: Settings, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    marked = contracts.sources()[SOURCE].model_copy(update={"ready": "marker"})
    monkeypatch.setitem(contracts.sources(), SOURCE, marked)
    put(s3, "pos/a.csv", campaigns(1))
    put(s3, "pos/b.csv", campaigns(2))
    put(s3, "pos/b.csv-part", campaigns(3))
    put(s3, "pos/b.csv.done", b"")
    assert pull(settings, s3).landed == 1
    sealed = seal_new_files(context_of(settings))
    assert (sealed.loaded, sealed.rejected) == (1, 0)
    put(s3, "pos/a.csv.done", b"")
    assert pull(settings, s3).landed == 1
    assert seal_new_files(context_of(settings)).loaded == 1


def test_an_object_that_vanishes_is_named_and_stops_no_other(
    settings: Settings, s3: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abc":
        put(s3, f"pos/{name}.csv", campaigns(ord(name)))
    report = pull(settings, s3, store=Shaky(settings, s3, lambda: s3.delete_object(Bucket=BUCKET, Key="pos/b.csv")))
    assert (report.landed, len(report.problems), report.exit_code) == (2, 1, ExitCode.REFUSED_INPUT)
    assert report.problems[0].startswith("'pos/b.csv': vanished")
    assert "'pos/b.csv': vanished" in caplog.text
    assert hidden(settings, SOURCE) == []
    put(s3, "pos/b.csv", campaigns(ord("b")))  # the very same object, back again
    assert pull(settings, s3).landed == 1


def test_an_object_that_is_replaced_comes_with_the_next_run(settings: Settings, s3: Any) -> None:
    put(s3, "pos/a.csv", campaigns(1))
    report = pull(settings, s3, store=Shaky(settings, s3, lambda: put(s3, "pos/a.csv", campaigns(2))))
    assert report.problems[0].startswith("'pos/a.csv': changed")
    assert contents(settings) == []
    assert pull(settings, s3).landed == 1
    assert contents(settings) == [campaigns(2)]


def test_an_object_that_is_too_large_is_not_begun(settings: Settings, s3: Any) -> None:
    put(s3, "pos/a.csv", campaigns(*range(100)))
    put(s3, "pos/b.csv", campaigns(1))
    small = settings.model_copy(update={"s3_object_bytes": 500})
    report = pull(small, s3)
    assert report.landed == 1
    assert "too_large" in report.problems[0]
    assert pull(settings, s3).landed == 1


class Answers:
    """A client that answers as it is told."""

    def __init__(self, *, code: str | None = None, body: bytes = b"", says: int = 10, etag: str = '"e"') -> None:
        self._code, self._body, self._says, self._etag = code, body, says, etag

    def get_object(self, **_: Any) -> dict[str, Any]:
        import io

        if self._code:
            raise ClientError({"Error": {"Code": self._code, "Message": "marker-7 AKIDMARKER"}}, "GetObject")
        body = StreamingBody(io.BytesIO(self._body), self._says)
        return {"ETag": self._etag, "ContentLength": self._says, "Body": body}


STORED = StoredObject(BUCKET, "pos/a.csv", "e", None, 10)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        (Answers(code="AccessDenied"), AuthError),
        (Answers(code="SignatureDoesNotMatch"), AuthError),
        (Answers(code="ExpiredToken"), AuthError),
        (Answers(code="SlowDown"), RetryableError),
        (Answers(code="503"), RetryableError),
        (Answers(code="NoSuchBucket"), PermanentError),
        (Answers(body=b"12345"), RetryableError),
        (Answers(body=b"1234567890", etag='"other"'), PermanentError),
        (Answers(body=b"12345678901", says=11), PermanentError),
    ],
)
def test_what_a_store_may_answer(settings: Settings, answers: Answers, error: type[Exception], tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, pytest.raises(error) as raised:
        list(ObjectStore(settings, answers).fetch(STORED, out))
    assert "marker-7" not in str(raised.value)
    assert "AKID" not in str(raised.value)


def test_a_body_that_breaks_off_lands_nothing(settings: Settings) -> None:
    class Half(ObjectStore):
        def list(self, *_: Any, **__: Any) -> Iterator[StoredObject]:
            yield STORED

    with pytest.raises(RetryableError):
        pull(settings, None, store=Half(settings, Answers(body=b"12345")))
    assert landed(settings, SOURCE) == []
    assert hidden(settings, SOURCE) == []


def test_a_disk_that_fills_up_leaves_nothing_half(settings: Settings, s3: Any) -> None:
    put(s3, "pos/a.csv", campaigns(1))
    put(s3, "pos/b.csv", campaigns(*range(100_000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            pull(settings, s3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(settings) == [campaigns(1)]
    assert hidden(settings, SOURCE) == []
    assert pull(settings, s3).landed == 1


def test_a_missing_bucket_and_an_unknown_source(settings: Settings, s3: Any) -> None:
    with pytest.raises(PermanentError, match="bucket nowhere: S3 answered NoSuchBucket"):
        pull(settings, s3, bucket="nowhere")
    with pytest.raises(UsageError, match="source 'crm' has no contract; known: "):
        pull_objects(context_of(settings), "crm", S3Options(bucket=BUCKET))
    assert not (settings.landing / "crm").exists()


def test_one_pull_into_a_source_at_a_time(settings: Settings, s3: Any) -> None:
    with pull_lock(settings, SOURCE), pytest.raises(RetryableError, match="another pull into crm_campaigns"):
        pull(settings, s3)


def test_credentials_of_the_file_win_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-environment")
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = one\naws_secret_access_key = x\n[other]\naws_access_key_id = two\n"
                    "aws_secret_access_key = y\n")  # fmt: skip
    chain = make_settings(tmp_path / "home", s3_region=REGION)
    assert key_id(chain) == "from-environment"
    from_file = chain.model_copy(update={"s3_credentials_file": file})
    assert key_id(from_file) == "one"
    assert key_id(from_file.model_copy(update={"s3_profile": "other"})) == "two"
    with pytest.raises(AuthError, match="ProfileNotFound"):
        key_id(from_file.model_copy(update={"s3_profile": "third"}))
    with pytest.raises(AuthError, match="is no file"):
        key_id(chain.model_copy(update={"s3_credentials_file": tmp_path / "none"}))


def key_id(settings: Settings) -> str:
    return str(ObjectStore(settings)._client._request_signer._credentials.access_key)


def test_the_endpoint_is_encrypted_or_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(tmp_path / "home", s3_region=REGION, s3_endpoint="http://127.0.0.1:9")
    with pytest.raises(PermanentError, match="C360_S3_ENDPOINT is not encrypted"):
        ObjectStore(settings)
    ObjectStore(settings.model_copy(update={"http_allow_loopback": True}))
    inner = {"http_allow_loopback": True, "s3_endpoint": "http://minio.example.com:9000"}
    with pytest.raises(PermanentError, match="C360_S3_ENDPOINT is not encrypted"):
        ObjectStore(settings.model_copy(update=inner))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere.example.com")
    plain = ObjectStore(settings.model_copy(update={"s3_endpoint": None}))
    assert plain._client.meta.endpoint_url.startswith("https://s3.")


def test_proxies_of_the_environment_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    store = ObjectStore(make_settings(tmp_path / "home", s3_region=REGION))
    assert store._client._endpoint.http_session._proxy_config.proxy_url_for("https://s3.example.com/") is None


def test_what_a_crash_left_of_an_object_that_is_gone_is_cleared(settings: Settings, s3: Any) -> None:
    folder = settings.landing / SOURCE
    folder.mkdir(parents=True)
    (folder / ".pull-0123-gone.csv.partial").write_bytes(b"half")
    (folder / ".somebody-elses.tmp").write_bytes(b"theirs")
    pull(settings, s3)
    assert hidden(settings, SOURCE) == [".somebody-elses.tmp"]


def test_the_name_says_what_the_object_is() -> None:
    names = {
        local_name(StoredObject(*parts))
        for parts in [
            ("b", "k.csv", "e", None, 1), ("c", "k.csv", "e", None, 1), ("b", "x/k.csv", "e", None, 1),
            ("b", "k.csv", "f", None, 1), ("b", "k.csv", "e", "v", 1), ("b", "k.csv", "e", None, 2),
        ]
    }  # fmt: skip
    assert len(names) == 6
    assert all(name.endswith("-k.csv") for name in names)


def test_nothing_of_the_credentials_is_kept(settings: Settings, s3: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    put(s3, "pos/a.csv", campaigns(1))
    pull(settings, s3)
    files = [p for p in settings.home.rglob("*") if p.is_file() and "jars" not in p.parts]
    assert hash_file(landed(settings, SOURCE)[0])
    assert not [p for p in files if b"FOOBARKEY" in p.read_bytes()]
    assert "FOOBARKEY" not in caplog.text
