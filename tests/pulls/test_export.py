"""Exports to a folder and to a bucket (moto): one build behind the pointer, whatever was broken off."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from moto import mock_aws
from publishdrill.builds import make_build, pass_gate
from settingskit import make_settings
from storekit import BUCKET, REGION, client

from jobs.core.context import Context
from jobs.core.errors import AuthError, PermanentError, RetryableError, UsageError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.transport.s3 import ObjectStore
from jobs.warehouse import export as exporting
from jobs.warehouse.commands import group
from jobs.warehouse.export import export
from jobs.warehouse.export_places import Bucket, Folder, place_of
from jobs.warehouse.paths import public_marts, sidecar_file
from jobs.warehouse.publish import publish
from jobs.warehouse.rollback import rollback

MARTS = [name.removeprefix("marts.") for name in public_marts()]


class CutError(Exception):
    """Where a transfer ends."""


@pytest.fixture
def published(tmp_path: Path) -> Settings:
    """Build `a` published; `b` and `c` judged."""
    settings = make_settings(tmp_path / "home", duckdb_memory="500MB", s3_region=REGION)
    pass_gate(settings, "a", "b", "c")
    next_build(settings, "a", 1)
    return settings


def next_build(settings: Settings, build: str, number: int) -> None:
    make_build(settings, build, number)
    publish(settings)


def current(root: Path) -> tuple[str, set[int]]:
    """The build that the pointer names, and the numbers in the rows of its files."""
    pointer = json.loads((root / "current.json").read_text())
    folder = (root / pointer["manifest"]).parent
    manifest = json.loads((folder / "manifest.json").read_text())
    assert sorted(mart["mart"] for mart in manifest["marts"]) == sorted(MARTS)
    numbers = set()
    for mart in manifest["marts"]:
        file = folder / mart["file"]
        table = pq.read_table(file)
        assert (table.num_rows, hash_file(file)) == (mart["rows"], mart["sha256"])
        assert [name for name, _ in mart["columns"]] == table.column_names
        assert pq.read_metadata(file).metadata[b"build_id"].decode() == pointer["build_id"]
        numbers |= set(table.column("build_number").to_pylist())
    return pointer["build_id"], numbers


def test_a_folder_holds_one_build_behind_its_pointer(published: Settings, tmp_path: Path) -> None:
    root = tmp_path / "bi's"
    done = CliRunner().invoke(group, ["export", "--to", str(root)], obj=Context.from_settings(published))
    assert done.output == f"build a: {len(MARTS)} marts, {50 * len(MARTS):,} rows at {root}\n", done.exception
    assert current(root) == ("a", {1})
    recorded = delta.read(published, "ops_runs").to_pylist()[-1]
    assert (recorded["stage"], recorded["rows_out"]) == ("warehouse.export", 50 * len(MARTS))
    assert not [path for path in published.warehouse_file.parent.iterdir() if path.name.startswith("export-")]


def test_exporting_again_writes_the_pointer_only(published: Settings, tmp_path: Path) -> None:
    place = Folder(tmp_path / "bi", 2)
    first = export(published, place)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "bi" / "a").iterdir()}
    assert export(published, place) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "bi" / "a").iterdir()} == files


def test_so_many_builds_stay_and_a_rollback_is_followed(published: Settings, tmp_path: Path) -> None:
    root = tmp_path / "bi"
    (root / "of somebody else").mkdir(parents=True)
    for build, number in (("b", 2), ("c", 3)):
        export(published, Folder(root, 2))
        next_build(published, build, number)
    export(published, Folder(root, 2))
    assert sorted(path.name for path in root.iterdir()) == ["b", "c", "current.json", "of somebody else"]
    rollback(published)
    export(published, Folder(root, 2))
    assert current(root) == ("b", {2})


FOREIGN = {
    "site": '{"name": "a web site"}',
    "renamed": '{"build_id": "x", "epoch": 1, "warehouse_sha256": "0"}',
    "of another tool": '{"build_id": "of another tool", "epoch": 1}',
    "no number": '{"build_id": "no number", "epoch": "late", "warehouse_sha256": "0"}',
    "list": "[1, 2]",
    "half": "{",
    "empty": "[]",
}


def test_what_no_export_has_written_is_left_alone(published: Settings, tmp_path: Path) -> None:
    root = tmp_path / "bi"
    for name, text in FOREIGN.items():
        (root / name).mkdir(parents=True)
        (root / name / "manifest.json").write_text(text)
    (root / "a folder" / "manifest.json").mkdir(parents=True)
    for build, number in (("b", 2), ("c", 3)):
        export(published, Folder(root, 1))
        next_build(published, build, number)
    export(published, Folder(root, 1))
    assert {path.name for path in root.iterdir()} == {"c", "current.json", "a folder", *FOREIGN}
    assert {name: (root / name / "manifest.json").read_text() for name in FOREIGN} == FOREIGN


def test_an_older_build_does_not_overtake_a_newer_one(published: Settings, tmp_path: Path) -> None:
    place = Folder(tmp_path / "bi", 2)
    export(published, place)
    next_build(published, "b", 2)
    opened = exporting._open(published)
    next_build(published, "c", 3)
    opened[0].close()
    export(published, place)
    with pytest.raises(RetryableError, match="build c was exported meanwhile"):
        place.point_to("b", opened[1].epoch)
    assert current(tmp_path / "bi") == ("c", {3})


def test_a_cut_export_leaves_the_pointer_where_it_was(
    published: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "bi"
    export(published, Folder(root, 2))
    next_build(published, "b", 2)

    def cut(*_: Any, **__: Any) -> None:
        (root / ".b.partial" / "x").mkdir(parents=True)
        raise CutError

    monkeypatch.setattr("jobs.warehouse.export_places.shutil.copytree", cut)
    with pytest.raises(CutError):
        export(published, Folder(root, 2))
    monkeypatch.undo()
    assert current(root) == ("a", {1})
    export(published, Folder(root, 2))
    assert current(root) == ("b", {2})
    assert not list(root.glob(".*"))


def test_what_cannot_be_exported_is_said(published: Settings, tmp_path: Path) -> None:
    for to in ("https://example.com/x", "s3:///x"):
        with pytest.raises(UsageError, match="--to"):
            place_of(published, to, keep=2)
    (tmp_path / "bi").mkdir()
    for text in ("half", "[]", '{"name": "a web site"}', '{"build_id": "x", "epoch": "late"}'):
        (tmp_path / "bi" / "current.json").write_text(text)
        with pytest.raises(PermanentError, match="damaged"):
            export(published, Folder(tmp_path / "bi", 2))
    (tmp_path / "bi" / "current.json").unlink()
    (tmp_path / "bi" / "a").mkdir()
    for text in ('{"name": "a web site"}', '{"marts": [{"columns": []}]}', '{"marts": 1}'):
        (tmp_path / "bi" / "a" / "manifest.json").write_text(text)
        with pytest.raises(PermanentError, match="damaged"):
            export(published, Folder(tmp_path / "bi", 2))
    sidecar_file(published).write_text(sidecar_file(published).read_text().replace('"a"', '"z"'))
    with pytest.raises(RetryableError, match="c360 warehouse doctor"):
        export(published, Folder(tmp_path / "other", 2))
    published.warehouse_file.unlink()
    with pytest.raises(PermanentError, match="nothing is published"):
        export(published, Folder(tmp_path / "other", 2))


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        made = client()
        made.create_bucket(Bucket=BUCKET)
        yield made


def test_a_bucket_holds_one_build_behind_its_pointer(published: Settings, tmp_path: Path, s3: Any) -> None:
    place = place_of(published, f"s3://{BUCKET}/bi/c360/", keep=2, client=s3)
    export(published, place)
    next_build(published, "b", 2)

    class Cut(ObjectStore):
        def put(self, bucket: str, key: str, content: Any) -> None:
            if key.endswith(f"{MARTS[-1]}.parquet"):
                raise CutError
            super().put(bucket, key, content)

    with pytest.raises(CutError):
        export(published, Bucket(Cut(published, s3), BUCKET, "bi/c360"))
    assert current(downloaded(s3, tmp_path / "1")) == ("a", {1})
    export(published, place)
    assert export(published, place).build_id == "b"
    assert current(downloaded(s3, tmp_path / "2")) == ("b", {2})


def test_two_exports_that_looked_at_the_same_pointer_of_a_bucket_cannot_both_move_it(
    published: Settings, s3: Any
) -> None:
    place = place_of(published, f"s3://{BUCKET}/bi/c360", keep=2, client=s3)

    class Late(ObjectStore):
        def put_unless_changed(self, bucket: str, key: str, content: bytes, *, etag: str | None) -> None:
            place.point_to("c", 3)  # the other one is between our look and our write
            super().put_unless_changed(bucket, key, content, etag=etag)

    late = Bucket(Late(published, s3), BUCKET, "bi/c360")
    for _ in ("no pointer yet", "a pointer"):
        with pytest.raises(RetryableError, match="written meanwhile"):
            late.point_to("b", 3)
        said = json.loads(s3.get_object(Bucket=BUCKET, Key="bi/c360/current.json")["Body"].read())
        assert said["build_id"] == "c"
        place.point_to("d", 3)


def test_two_exports_to_a_folder_wait_for_each_other(tmp_path: Path) -> None:
    root, made = tmp_path / "bi", tmp_path / "made"
    root.mkdir()
    made.mkdir()
    others = [
        Thread(target=Folder(root, 2).take, args=("a", made)),
        Thread(target=Folder(root, 2).point_to, args=("a", 1)),
    ]
    with Folder(root, 2)._alone():
        for other in others:
            other.start()
            other.join(0.3)
        assert [other.is_alive() for other in others] == [True, True]
        assert list(root.iterdir()) == []
    for other in others:
        other.join()
    assert sorted(path.name for path in root.iterdir()) == ["a", "current.json"]


def test_a_build_that_another_export_has_brought_meanwhile_stays(published: Settings, tmp_path: Path) -> None:
    root = tmp_path / "bi"
    export(published, Folder(root, 2))
    file = next((root / "a").glob("*.parquet"))
    before = file.stat().st_ino
    Folder(root, 2).take("a", tmp_path / "nothing")
    assert file.stat().st_ino == before


def downloaded(s3: Any, folder: Path) -> Path:
    for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix="bi/c360/")["Contents"]:
        target = folder / entry["Key"].removeprefix("bi/c360/")
        target.parent.mkdir(parents=True, exist_ok=True)
        body = io.BytesIO()
        s3.download_fileobj(BUCKET, entry["Key"], body)
        target.write_bytes(body.getvalue())
    return folder


def test_a_store_that_refuses_is_told_in_our_words(published: Settings, s3: Any) -> None:
    with pytest.raises(PermanentError, match="NoSuchBucket"):
        export(published, place_of(published, "s3://nowhere/x", keep=2, client=s3))
    s3.meta.events.register("before-call.s3.PutObject", refuse)
    with pytest.raises(AuthError, match="AccessDenied"):
        export(published, place_of(published, f"s3://{BUCKET}/x", keep=2, client=s3))


def refuse(**_: Any) -> None:
    from botocore.exceptions import ClientError

    raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")
