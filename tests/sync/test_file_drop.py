"""The file drop keeps the laws of a destination, and those of files: manifest last, private, inside C360_HOME."""

import csv
import json
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conformance import DestinationConformance, batch, row
from synckit import header

from jobs.core.errors import PermanentError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.sync.destinations import destination_class, file_drop, names
from jobs.sync.destinations.base import Destination
from jobs.sync.destinations.file_drop import FileDrop


def drops(destination: Destination) -> list[Path]:
    """Finished drops in the order in which they were made."""
    assert isinstance(destination, FileDrop)
    return sorted((p.parent for p in destination.root.glob("*/manifest.json")), key=lambda p: p.stat().st_mtime_ns)


def lines(folder: Path) -> list[dict[str, str]]:
    """The rows of a drop, NULL as empty text."""
    manifest = json.loads((folder / "manifest.json").read_text())
    data = folder / manifest["data_file"]
    if manifest["format"] == "csv":
        with data.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    return [{k: v or "" for k, v in line.items()} for line in pq.read_table(data).to_pylist()]


class FileDropLaws(DestinationConformance):
    format = "csv"

    def make(self, settings: Settings, **options: str) -> Destination:
        found = header(columns={"stage": "lifecycle_stage"}, options={"format": self.format} | options)
        return FileDrop(settings, found)

    def observed(self, destination: Destination) -> dict[str, dict[str, str]]:
        state: dict[str, dict[str, str]] = {}
        for folder in drops(destination):
            for line in lines(folder):
                if line["operation"] == "remove":
                    state.pop(line["profile_id"])
                else:
                    state[line["profile_id"]] = {"stage": line["stage"]}
        return state

    def deliveries(self, destination: Destination) -> int:
        return len(drops(destination))


class TestFileDropCsv(FileDropLaws):
    format = "csv"


class TestFileDropParquet(FileDropLaws):
    format = "parquet"


def make(settings: Settings, **options: str) -> FileDrop:
    return FileDrop(settings, header(columns={"stage": "lifecycle_stage"}, options=options))


def test_the_manifest_states_counts_and_sum(settings: Settings) -> None:
    destination = make(settings)
    destination.deliver(batch(row("a", stage="x"), row("b", stage="y")))
    folder = settings.home / "outbox" / "drops" / "sync_test_profiles" / "run-1"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["row_count"] == 2
    assert manifest["operations"] == {"add": 2}
    assert manifest["sha256"] == hash_file(folder / "data.csv")
    assert manifest["fields"] == ["operation", "idempotency_key", "profile_id", "stage"]
    assert sorted(p.name for p in folder.iterdir()) == ["data.csv", "manifest.json"]


def test_only_the_owner_can_read_a_drop(settings: Settings) -> None:
    destination = make(settings)
    destination.deliver(batch(row("a", stage="x")))
    (folder,) = drops(destination)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}


def test_a_crash_before_the_manifest_leaves_no_drop_and_is_repaired(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = file_drop.write_durably

    def crash(path: Path, content: bytes) -> None:
        if path.name == "manifest.json":
            raise OSError("disk is gone")
        real(path, content)

    destination = make(settings)
    monkeypatch.setattr(file_drop, "write_durably", crash)
    with pytest.raises(OSError, match="disk is gone"):
        destination.deliver(batch(row("a", stage="x")))
    assert drops(destination) == []
    monkeypatch.setattr(file_drop, "write_durably", real)
    destination.deliver(batch(row("a", stage="x")))
    assert [folder.name for folder in drops(destination)] == ["run-1"]


@pytest.mark.parametrize("folder", ["../elsewhere", "/tmp/elsewhere", ".", "outbox/../.."])
def test_a_folder_outside_of_the_home_is_refused(settings: Settings, folder: str) -> None:
    with pytest.raises(PermanentError, match="outside"):
        make(settings, folder=folder)


def test_a_link_that_leads_outside_is_refused(settings: Settings, tmp_path: Path) -> None:
    (settings.home / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(PermanentError, match="outside"):
        make(settings, folder="link/drops")


def test_a_run_id_cannot_leave_the_drop_folder(settings: Settings) -> None:
    destination = make(settings)
    with pytest.raises(PermanentError, match="outside"):
        destination.deliver(batch(row("a", stage="x"), run_id=".."))


def test_an_unknown_format_is_refused(settings: Settings) -> None:
    with pytest.raises(PermanentError, match="csv, parquet"):
        make(settings, format="xlsx")


def test_every_destination_file_is_a_destination() -> None:
    assert "file_drop" in names()
    for name in names():
        assert issubclass(destination_class(name), Destination)
