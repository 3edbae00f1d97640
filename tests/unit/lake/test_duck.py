"""The Delta extension of DuckDB: its signature is looked at once per process and file, and no other extension may come."""

import shutil
from pathlib import Path

import duckdb
import pytest
from settingskit import make_settings

from jobs.core.settings import Settings
from jobs.lake import duck


def test_an_extension_that_was_changed_is_refused(settings: Settings, tmp_path: Path) -> None:
    """Also when the one that came with DuckDB has been loaded before, and under its name."""
    duck.connect(settings).close()
    other = tmp_path / "other"
    shutil.copytree(settings.home / "duckdb/extensions", other / "duckdb/extensions")
    [file] = other.glob("duckdb/extensions/*/*/delta.duckdb_extension")
    with file.open("r+b") as changed:
        changed.seek(10_000)
        changed.write(b"changed")
    for _ in range(2):
        with pytest.raises(duckdb.Error, match="signature"):
            duck.connect(make_settings(other))


def test_a_connection_loads_no_other_unsigned_extension(settings: Settings, tmp_path: Path) -> None:
    duck.connect(settings).close()
    [signed] = settings.home.glob("duckdb/extensions/*/*/delta.duckdb_extension")
    unsigned = tmp_path / "other.duckdb_extension"
    unsigned.write_bytes(signed.read_bytes()[:-256] + bytes(256))
    connection = duck.connect(settings)
    try:
        with pytest.raises(duckdb.Error, match="signature"):
            connection.execute(f"load '{unsigned}'")
    finally:
        connection.close()
