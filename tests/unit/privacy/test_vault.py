"""Keys, tokens and the vault: made once, closed to others, encrypted at rest, every read audited."""

import hashlib
import hmac
import json
import shutil
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.privacy import key_files, keys, tokens, vault
from jobs.privacy.registry import KeyRow, Registry
from jobs.privacy.rotation import rotate_tokens


def context_of(settings: Settings) -> Context:
    return Context(settings, Clock(datetime(2018, 1, 2, tzinfo=UTC)), "test-run")


def test_a_token_is_the_hmac_of_the_normalised_value() -> None:
    key = keys.TokenKey(3, b"k" * 32, b"")
    expected = hmac.new(b"k" * 32, b"ann@example.com", hashlib.sha256).hexdigest()
    assert tokens.token("email", "  Ann@Example.COM ", key) == f"email_v3_{expected}"
    assert tokens.token("phone", "+1 (555) 010-0000", key) == tokens.token("phone", "+15550100000", key)
    other = keys.TokenKey(3, b"j" * 32, b"")
    assert tokens.token("email", "ann@example.com", other) != tokens.token("email", "ann@example.com", key)
    assert "kkk" not in repr(key)


def test_keys_are_made_once_and_private(settings: Settings) -> None:
    first = keys.load_keys(settings)
    assert keys.load_keys(settings) == first
    assert first[0] != first[1]
    for name in ("tokens_v1", "vault_v1"):
        assert keys.key_path(settings, name).stat().st_mode & 0o777 == 0o600


def test_a_lost_key_is_not_replaced_silently(settings: Settings) -> None:
    vault.store(settings, [("email_v1_a", "a@example.com")])
    keys.key_path(settings, "vault_v1").unlink()
    with pytest.raises(PermanentError, match="restore the key"):
        keys.load_keys(settings)


def test_values_are_encrypted_and_reads_are_audited(settings: Settings) -> None:
    assert vault.store(settings, [("email_v1_a", "a@example.com")]) == 1
    assert vault.store(settings, [("email_v1_a", "a@example.com")]) == 0
    files = [p for p in (settings.home / "vault").iterdir() if p.is_file()]
    assert files
    assert all(b"example.com" not in p.read_bytes() for p in files)
    found = vault.reveal(context_of(settings), ["email_v1_a", "email_v1_unknown"], purpose="sync:test")
    assert found == {"email_v1_a": "a@example.com"}
    entries = [json.loads(line) for line in (settings.home / "vault" / "audit.jsonl").read_text().splitlines()]
    assert entries == [{"at": "2018-01-02T00:00:00+00:00", "purpose": "sync:test", "run_id": "test-run", "tokens": 2}]


def test_a_swapped_ciphertext_is_refused(settings: Settings) -> None:
    import sqlite3

    vault.store(settings, [("email_v1_a", "a@example.com"), ("email_v1_b", "b@example.com")])
    with sqlite3.connect(settings.home / "vault" / "identifiers.db") as connection:
        row = connection.execute("select nonce, ciphertext from identifiers where token = 'email_v1_b'").fetchone()
        connection.execute("update identifiers set nonce = ?, ciphertext = ? where token = 'email_v1_a'", row)
    with pytest.raises(PermanentError, match="does not fit"):
        vault.reveal(context_of(settings), ["email_v1_a"], purpose="test")


def test_a_home_from_before_the_record_is_taken_as_it_stands(settings: Settings) -> None:
    """Two keys and a vault, no fingerprints: tokens stay what they were, and the third key is made once, of the first."""
    secrets = {name: bytes(range(start, start + 32)) for name, start in (("tokens_v1", 0), ("vault_v1", 50))}
    for name, secret in secrets.items():
        key_files.create_key(settings, name, secret)
    (settings.home / "vault").mkdir()
    (settings.home / "vault" / "audit.jsonl").write_text("{}\n")
    found, of_vault = keys.load_keys(settings)
    assert (found.version, found.secret, of_vault) == (1, secrets["tokens_v1"], secrets["vault_v1"])
    assert found.stable not in secrets.values()
    assert keys.load_keys(settings)[0] == found
    assert keys.key_path(settings, "fingerprints_v1").stat().st_mode & 0o777 == 0o600
    keys.key_path(settings, "fingerprints_v1").unlink()
    with pytest.raises(PermanentError, match=r"fingerprints_v1\.key is missing"):
        keys.load_keys(settings)


def test_the_lake_knows_fingerprints_and_no_key(settings: Settings) -> None:
    made = keys.load_keys(settings)
    rows = delta.read(settings, "ops_keys").to_pylist()
    assert {row["key_name"]: row["state"] for row in rows} == dict.fromkeys(
        ("tokens_v1", "vault_v1", "fingerprints_v1"), "active"
    )
    secrets = [made[0].secret, made[0].stable, made[1]]
    files = [path for path in (settings.home / "lake").rglob("*") if path.is_file()]
    for secret in secrets:
        assert not [p for p in files if secret in p.read_bytes() or secret.hex().encode() in p.read_bytes()]


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_record_that_a_crash_cut_short_is_completed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    add = Registry.add

    def cut_short(self: Registry, *arguments: Any, **more: Any) -> KeyRow:
        if len(self.rows) == written:
            raise InterruptedError
        return add(self, *arguments, **more)

    monkeypatch.setattr(Registry, "add", cut_short)
    with pytest.raises(InterruptedError):
        keys.load_keys(settings)
    files = {path.name: path.read_bytes() for path in (settings.home / "keys").iterdir()}
    monkeypatch.undo()
    made = keys.load_keys(settings)
    assert {path.name: path.read_bytes() for path in (settings.home / "keys").iterdir()} == files
    assert delta.row_count(settings, "ops_keys") == 3
    assert keys.load_keys(settings) == made


def test_a_lake_built_anew_takes_the_newest_keys(settings: Settings) -> None:
    keys.load_keys(settings)
    rotate_tokens(context_of(settings), window_days=0)
    newest = keys.load_token_key(settings)
    shutil.rmtree(settings.lake)
    assert keys.load_token_key(settings) == newest


def test_keys_of_others_beside_ours_are_no_sign_of_earlier_data(settings: Settings) -> None:
    """Airflow's keys are made before the first ingest of `c360 run`."""
    folder = settings.home / "keys"
    folder.mkdir(mode=0o700, parents=True)
    (folder / "airflow_jwt.key").write_bytes(bytes(range(32)))
    made = keys.load_keys(settings)
    assert made == keys.load_keys(settings)
