"""Settings: precedence, refusal of unknown names, a clean environment for children."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.core.clock import Clock
from jobs.core.errors import UsageError
from jobs.core.hashing import hash_parts
from jobs.core.logging import redact
from jobs.core.settings import load_settings


def test_environment_wins_over_the_home_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings.yml").write_text("now: 2018-01-02T00:00:00+00:00\nseed: 7\n")
    monkeypatch.setenv("C360_HOME", str(tmp_path))
    monkeypatch.setenv("C360_SEED", "8")
    settings = load_settings()
    assert settings.now == datetime(2018, 1, 2, tzinfo=UTC)
    assert settings.seed == 8


def test_an_unknown_setting_is_refused_with_the_known_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("C360_HOEM", "/x")
    with pytest.raises(UsageError, match=r"C360_HOEM.*C360_HOME"):
        load_settings()


def test_a_bad_value_names_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("C360_RETENTION_DAYS", "9999")
    with pytest.raises(UsageError, match="C360_RETENTION_DAYS"):
        load_settings(home=str(tmp_path))


def test_a_home_with_a_quote_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^C360_HOME: .*o'neil holds a quote.*name a folder without one"):
        load_settings(home=str(tmp_path / "o'neil"))
    assert list(tmp_path.iterdir()) == []


def test_a_run_id_cannot_carry_shell_or_path_characters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("C360_RUN_ID", "x; rm -rf /")
    with pytest.raises(UsageError, match="C360_RUN_ID"):
        load_settings(home=str(tmp_path))


def test_children_get_a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "secret")
    monkeypatch.setenv("C360_SEED", "8")
    environment = load_settings(home=str(tmp_path)).child_environment
    assert "AIRFLOW__API_AUTH__JWT_SECRET" not in environment
    assert environment["C360_SEED"] == "8"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_fixed_clock_stands_still() -> None:
    instant = datetime(2018, 1, 2, tzinfo=UTC)
    assert Clock(instant).now() == instant
    assert Clock().now() > instant


def test_hashes_have_separators_and_null_marks() -> None:
    assert hash_parts(["a", "bc"]) != hash_parts(["ab", "c"])
    assert hash_parts([None]) != hash_parts([""])


def test_logs_show_no_address_and_no_phone_number() -> None:
    text = redact("sent to ann@example.com, +1 555 010 0000, at 2018-01-02T00:00:00+00:00")
    assert text == "sent to [email], [phone], at 2018-01-02T00:00:00+00:00"
