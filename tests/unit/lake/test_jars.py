"""The Spark jars: a missing one names the command, a changed one is refused."""

from pathlib import Path

import pytest

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake.jars import expected_sums, verify


def test_a_missing_jar_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="c360 lake fetch-jars"):
        verify(Settings(home=tmp_path))


def test_a_changed_jar_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "jars").mkdir()
    for name in expected_sums(settings):
        (tmp_path / "jars" / name).write_bytes(b"not the jar")
    with pytest.raises(PermanentError, match=r"refused: .*delta-spark"):
        verify(settings)
