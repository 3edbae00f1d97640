"""Secret files: closed, named by a name, one line."""

from pathlib import Path

import pytest
from settingskit import make_settings

from jobs.core.errors import AuthError, C360Error, PermanentError
from jobs.core.secrets import read_secret


def keep(folder: Path, name: str, data: bytes, mode: int = 0o600) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    (folder / name).chmod(mode)


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "home")
    keep(settings.home / "secrets", "crm", b"pat-1\n")
    keep(tmp_path / "mounted", "crm", b"pat-2")
    assert read_secret(settings, "crm") == "pat-1"
    assert read_secret(settings.model_copy(update={"secrets_dir": tmp_path / "mounted"}), "crm") == "pat-2"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o606])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    settings = make_settings(tmp_path / "home")
    keep(settings.home / "secrets", "crm", b"pat-1", mode)
    with pytest.raises(PermanentError, match="chmod 600") as raised:
        read_secret(settings, "crm")
    assert "pat-1" not in str(raised.value)


@pytest.mark.parametrize("name", ["../keys/tokens_v1.key", "/etc/passwd", "a/b", "", "A", ".", "crm\n", "c" * 64])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(PermanentError, match="no name of a secret"):
        read_secret(make_settings(tmp_path / "home"), name)


@pytest.mark.parametrize("data", [b"", b"\n", b"one\ntwo", b"\xff\xfe", b"tab\there", b"nul\x00"])
def test_what_is_no_secret(tmp_path: Path, data: bytes) -> None:
    settings = make_settings(tmp_path / "home")
    keep(settings.home / "secrets", "crm", data)
    with pytest.raises(C360Error) as raised:
        read_secret(settings, "crm")
    assert isinstance(raised.value, AuthError)
    assert "two" not in str(raised.value)


def test_a_missing_secret_says_where_it_belongs(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "home")
    with pytest.raises(AuthError, match=r"put it into .*/secrets/crm, mode 0600"):
        read_secret(settings, "crm")
