"""Records of people in the vault: latest statement per column in any order, encrypted, audited, carried through rotations."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from rotationkit import context_at
from settingskit import make_settings

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.privacy import persons, vault
from jobs.privacy.keys import load_token_key
from jobs.privacy.retirement import retire_tokens
from jobs.privacy.rotation import rotate_tokens, rotate_vault
from jobs.privacy.tokens import token

ANN = "ann@example.com"
ROW = persons.SEPARATOR.join(["person", "crm", "person", "7"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = make_settings(tmp_path / "home")
    delta.ensure_all(found)
    return found


def said(at: int, *, record: str = ROW, whole: bool = False, ids: Any = (("user_id", "u7"),), **columns: str) -> Any:
    pairs = [{"identifier_type": kind, "identifier_value": value} for kind, value in ids]
    statement = {"at": at, "position": at, "whole": whole, "identifiers": pairs, "columns": columns}
    return record, json.dumps(statement)


def stored(settings: Settings) -> dict[str, persons.PersonRecord]:
    return {found.record: found for found in persons.read(context_at(settings), purpose="test")}


def test_each_column_keeps_its_latest_statement_in_any_order(settings: Settings) -> None:
    statements = [
        said(1, given_name="Ann", surname="Old", city="Here"),
        said(2, surname="New"),
        said(3, whole=True, given_name="Anne", surname="New"),
        said(4, ids=[("user_id", "u8")], email=ANN),
    ]
    found = []
    for number, order in enumerate(itertools.permutations(statements)):
        name = persons.SEPARATOR.join(["person", "crm", "person", str(number)])
        persons.keep(settings, [(name, text) for _, text in order])
    for record in stored(settings).values():
        found.append((record.identifiers, record.columns, record.seen_at, record.source))
    assert len(found) == 24
    columns = {"email": ANN, "given_name": "Anne", "surname": "New"}  # a whole row without a city has none
    assert all(one == ((("user_id", "u8"),), columns, 4, "crm") for one in found)


def test_nothing_is_readable_in_the_file_and_no_read_is_unnoticed(settings: Settings) -> None:
    persons.keep(settings, [said(1, given_name="Rumpelstiltskin", address="1 Castle Way")])
    folder = settings.home / "vault"
    assert not [p for p in folder.iterdir() if b"Rumpel" in p.read_bytes() or b"Castle" in p.read_bytes()]
    persons.read(context_at(settings), purpose="identity:match")
    entry = json.loads((folder / "audit.jsonl").read_text().splitlines()[-1])
    assert (entry["purpose"], entry["person_records"]) == ("identity:match", 1)


def test_an_entry_in_the_wrong_place_is_refused(settings: Settings) -> None:
    other = ROW + "8"
    persons.keep(settings, [said(1, given_name="Ann"), said(1, record=other, given_name="Bob")])
    with vault.open_vault(settings) as connection:
        connection.execute("update person_records set nonce = (select nonce from person_records where record = ?),"
                           " ciphertext = (select ciphertext from person_records where record = ?)", (ROW, ROW))  # fmt: skip
    with pytest.raises(PermanentError, match="does not fit"):
        stored(settings)


def test_records_go_along_with_a_new_vault_key(settings: Settings) -> None:
    persons.keep(settings, [said(1, given_name="Ann")])
    before = stored(settings)
    rotate_vault(context_at(settings))
    assert stored(settings) == before


def test_old_tokens_leave_the_records_with_their_key(settings: Settings) -> None:
    old = token("email", ANN, load_token_key(settings))
    persons.keep(settings, [(old, ANN), said(1, ids=[("email", old)], given_name="Ann")])
    before = stored(settings)
    rotate_tokens(context_at(settings), window_days=1)
    assert stored(settings) == before
    retire_tokens(context_at(settings, days=2))
    (found,) = stored(settings).values()
    assert found.identifiers == (("email", token("email", ANN, load_token_key(settings))),)
    assert (found.record, found.columns) == (ROW, {"given_name": "Ann"})
