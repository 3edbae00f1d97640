"""The registry serves what was registered, byte by byte, and nothing that could run code."""

import dataclasses
import json
import pickle  # noqa: TID251 - the hostile file of these tests
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from shopkit import NOW, champion

from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from models.artifacts import ArtifactError, read_files, write_files
from models.base import Metric
from models.tracking import Candidate, Registered, Registry

FILES = {"items.parquet": pa.table({"item_id": ["x"], "factors": [[1.0, 2.0]]}), "model.json": {"served": "personal"}}


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def candidate(fingerprint: str = "f1", **changes: object) -> Candidate:
    made = Candidate(
        "m", fingerprint, NOW, {"rank": 4}, [Metric("recall", "model", 0.5), Metric("recall", "popularity", 0.4)], FILES
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings)


@pytest.fixture
def version(registry: Registry) -> Registered:
    made = registry.register(candidate(), registry.record(candidate()))
    registry.promote("m", made.version)
    return made


def folder_of(settings: Settings, version: Registered) -> Path:
    return settings.home / "mlflow" / "artifacts" / version.source


def test_what_was_registered_is_loaded(registry: Registry, version: Registered) -> None:
    loaded = registry.load(champion(registry, "m"))
    assert loaded["model.json"] == FILES["model.json"]
    assert loaded["items.parquet"].equals(FILES["items.parquet"])


def test_run_facts_hold_parameters_and_the_baselines_metrics(registry: Registry, version: Registered) -> None:
    assert registry.run_facts(version) == ({"rank": "4"}, {"recall": 0.5, "recall.popularity": 0.4})


def test_a_new_version_is_not_served_before_it_is_promoted(registry: Registry, version: Registered) -> None:
    second = registry.register(candidate("f2"), registry.record(candidate("f2")))
    assert champion(registry, "m").version == version.version == "1"
    registry.promote("m", second.version)
    assert champion(registry, "m").version == "2"
    registry.promote("m", "1")
    assert champion(registry, "m").version == "1"


def test_versions_are_found_by_fingerprint_and_listed_newest_first(registry: Registry, version: Registered) -> None:
    later = candidate("f2", trained_at=NOW + timedelta(days=8))
    registry.register(later, registry.record(later))
    assert [v.version for v in registry.versions("m")] == ["2", "1"]
    assert registry.with_fingerprint("m", "f2").trained_at == NOW + timedelta(days=8)
    assert registry.with_fingerprint("m", "f3") is None


def test_an_unknown_model_has_no_champion(registry: Registry) -> None:
    assert registry.champion("nothing") is None
    with pytest.raises(UsageError, match="no version 1"):
        registry.promote("nothing", "1")


def test_everything_stays_below_the_home(settings: Settings, version: Registered, tmp_path: Path) -> None:
    assert (folder_of(settings, version) / "items.parquet").exists()
    assert not list(tmp_path.rglob("mlruns"))
    assert not Path("mlruns").exists()
    assert not [p for p in settings.home.rglob("*") if p.suffix in {".pkl", ".pickle", ".joblib"}]


def test_an_added_pickle_is_refused_and_does_not_run(
    settings: Settings, registry: Registry, version: Registered
) -> None:
    canary = settings.home / "canary"
    (folder_of(settings, version) / "model.pkl").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(ArtifactError, match=r"refused: model\.pkl is not"):
        registry.load(version)
    assert not canary.exists()


def test_a_pickle_named_like_a_table_is_refused(settings: Settings, registry: Registry, version: Registered) -> None:
    canary = settings.home / "canary"
    (folder_of(settings, version) / "items.parquet").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(ArtifactError, match=r"items\.parquet has changed"):
        registry.load(version)
    assert not canary.exists()


def test_changed_bytes_are_refused(settings: Settings, registry: Registry, version: Registered) -> None:
    (folder_of(settings, version) / "model.json").write_text(json.dumps({"served": "popular"}))
    with pytest.raises(ArtifactError, match=r"model\.json has changed"):
        registry.load(version)


def test_a_missing_file_is_refused(settings: Settings, registry: Registry, version: Registered) -> None:
    (folder_of(settings, version) / "model.json").unlink()
    with pytest.raises(ArtifactError, match=r"differ from what was registered \(model\.json\)"):
        registry.load(version)


def test_a_link_is_refused(settings: Settings, registry: Registry, version: Registered, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    (folder_of(settings, version) / "model.json").rename(outside)
    (folder_of(settings, version) / "model.json").symlink_to(outside)
    with pytest.raises(ArtifactError, match="refused"):
        registry.load(version)


def test_files_outside_the_artifact_folder_are_refused(registry: Registry, version: Registered) -> None:
    with pytest.raises(ArtifactError, match="outside"):
        registry.load(dataclasses.replace(version, source="../../../elsewhere"))


def test_gone_files_say_what_to_do(registry: Registry, version: Registered) -> None:
    with pytest.raises(ArtifactError, match="train again"):
        registry.load(dataclasses.replace(version, source="m/none"))


def test_code_is_not_even_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="never code"):
        write_files(tmp_path, {"model.py": {"a": 1}})


def test_arrow_files_are_read(tmp_path: Path) -> None:
    from pyarrow import feather

    from jobs.core.hashing import hash_file

    feather.write_feather(FILES["items.parquet"], tmp_path / "items.arrow")
    found = read_files(tmp_path, {"items.arrow": hash_file(tmp_path / "items.arrow")})
    assert found["items.arrow"].equals(FILES["items.parquet"])


def test_numbers_survive_the_round_trip(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=20).tolist()
    sums = write_files(tmp_path, {"model.json": {"values": values}})
    assert read_files(tmp_path, sums)["model.json"] == {"values": values}
