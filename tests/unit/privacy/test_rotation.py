"""Rotation of the token key at a reduced size, by the real functions: nobody is split off, consent holds, the old key goes."""

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lakekit import Lake, write_lake
from rotationkit import Person, context_at, home_of, profiles, resolve, seen, texts

from jobs.core.errors import PermanentError, RetryableError, UsageError
from jobs.core.settings import Settings
from jobs.core.token_lock import tokens_in_use
from jobs.lake import delta
from jobs.lake.locks import maintenance_lock
from jobs.privacy import vault
from jobs.privacy.commands import group
from jobs.privacy.key_files import create_key, key_path
from jobs.privacy.keys import load_keys, load_token_key
from jobs.privacy.retirement import retire_tokens
from jobs.privacy.rotation import rotate_tokens, rotate_vault
from jobs.privacy.tokens import token
from jobs.sync.consent import refused_since

PEOPLE = [Person(number) for number in range(1_000)]
OLD = re.compile(r"_v1_[0-9a-f]{64}")


@pytest.fixture
def settings(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return home_of(tmp_path, tmp_path_factory)


def start(settings: Settings, people: list[Person]) -> dict[str, str]:
    """People with a history, consents and a suppression under the first key, resolved; returns identifier → profile."""
    lake = seen(settings, people, "2017-06-01", "Product Added")
    key = load_token_key(settings)
    for person in people:
        ids = person.tokens(key)
        status = "denied" if person.number % 3 == 0 else "granted"
        lake.consent("email", ids["email"], "marketing", status, "2017-06-02")
    late = people[-1].tokens(key)["email"]
    lake.add("suppressions", identifier_type="email", identifier_value=late, reason="unsubscribed", source="web",
             effective_at=context_at(settings).clock.now())  # fmt: skip
    for person in people[:5]:
        lake.record("sim_crm_people", "person", str(person.number), {"email_token": token("email", person.email, key)})
    write_lake(settings, lake)
    resolve(settings)
    return profiles(settings)


def refused(settings: Settings, days: float = 0) -> set[str]:
    """Living profiles that refuse marketing; ids that their identifiers would found change with the tokens."""
    found = refused_since(settings, ["marketing"], now=context_at(settings, days).clock.now())
    return found & set(profiles(settings).values())


def test_a_thousand_people_keep_their_profiles_and_the_old_key_goes(settings: Settings) -> None:
    before = start(settings, PEOPLE)
    old_key = load_token_key(settings)
    denied = refused(settings)
    rotated = rotate_tokens(context_at(settings), window_days=30)
    new_key = load_token_key(settings)
    assert (new_key.version, new_key.stable) == (2, old_key.stable)
    assert rotated.values == 2_000 + len([p for p in PEOPLE if "@" in p.account])
    # At once, before any identity run: known by both tokens, consent and suppression found by either.
    both = profiles(settings)
    assert all(both[p.tokens(new_key)["email"]] == both[p.tokens(old_key)["email"]] for p in PEOPLE)
    assert refused(settings) == denied
    # New messages carry new tokens; a second identity run finds everybody where they were.
    write_lake(settings, seen(settings, PEOPLE, "2018-01-03", "Product Viewed"))
    figures = resolve(settings, days=2)
    assert (figures["profiles"], figures["creates"], figures["merges"], figures["splits"]) == (1_000, 0, 0, 0)
    assert {value: profile for value, profile in profiles(settings).items() if value in before} == before
    done = retire_tokens(context_at(settings, days=31))
    assert done.unknown == 0
    assert not [table for table, value in texts(settings) if OLD.search(value)]
    assert resolve(settings, days=32)["creates"] == 0
    after = profiles(settings)
    kept = [after[p.tokens(new_key)["email"]] == before[p.tokens(old_key)["email"]] for p in PEOPLE]
    assert sum(kept) == 1_000
    assert refused(settings) == denied
    assert not key_path(settings, "tokens_v1").exists()
    with pytest.raises(PermanentError, match="missing"):
        vault.read_key(settings, "tokens_v1")
    assert vault.reveal(context_at(settings), [PEOPLE[0].tokens(old_key)["email"]], purpose="test") == {}
    mine = PEOPLE[0].tokens(new_key)["email"]
    assert vault.reveal(context_at(settings), [mine], purpose="test") == {mine: PEOPLE[0].email}


def test_without_the_aliases_profiles_would_split(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protection off: the test above can fail."""
    people = [Person(n) for n in range(1, 6)]
    start(settings, people)
    monkeypatch.setattr("jobs.privacy.rotation._extend_vault", lambda *_: {})
    rotate_tokens(context_at(settings), window_days=30)
    key = load_token_key(settings)
    lake = Lake(position=5)
    for person in people:
        lake.event("web", "Product Viewed", "2018-01-03", {"email": token("email", person.email, key)})
    write_lake(settings, lake)
    assert resolve(settings, days=2)["creates"] == 5
    with pytest.raises(PermanentError, match="restore the vault"):
        retire_tokens(context_at(settings, days=31))


def test_a_dictionary_of_emails_matches_nothing_without_the_key(settings: Settings) -> None:
    key = load_token_key(settings)
    stored = {token("email", person.email, key).rsplit("_", 1)[1] for person in PEOPLE}
    known = [row["fingerprint"].encode() for row in delta.read(settings, "ops_keys").to_pylist()]  # what the lake tells
    hashes = ("md5", "sha1", "sha256", "sha512")
    guesses = set()
    for person in PEOPLE:
        text = person.email.encode()
        guesses |= {hashlib.new(name, text).hexdigest()[:64] for name in hashes}
        guesses |= {hmac.new(secret, text, hashlib.sha256).hexdigest() for secret in [b"", b"c360", *known, key.stable]}
    assert not stored & guesses
    assert stored == {hmac.new(key.secret, p.email.encode(), hashlib.sha256).hexdigest() for p in PEOPLE}


def test_a_grant_after_a_denial_counts_across_the_two_tokens(settings: Settings) -> None:
    people = [Person(3)]
    start(settings, people)
    rotate_tokens(context_at(settings), window_days=30)
    assert len(refused(settings, days=3)) == 1
    fresh = people[0].tokens(load_token_key(settings))["email"]
    write_lake(settings, Lake(position=9).consent("email", fresh, "marketing", "granted", "2018-01-03"))
    suppressed = {profiles(settings)[fresh]}
    assert refused(settings, days=3) == suppressed  # by the suppression alone
    delta.replace(settings, "suppressions", delta.read(settings, "suppressions").slice(0, 0))
    assert refused(settings, days=3) == set()


def test_the_window_is_kept_and_one_rotation_is_open_at_a_time(settings: Settings) -> None:
    start(settings, [Person(1)])
    with pytest.raises(UsageError, match="no key waits"):
        retire_tokens(context_at(settings))
    rotate_tokens(context_at(settings), window_days=7)
    with pytest.raises(UsageError, match="open until 2018-01-09"):
        retire_tokens(context_at(settings, days=6))
    with pytest.raises(UsageError, match="not retired yet"):
        rotate_tokens(context_at(settings, days=6), window_days=7)
    retire_tokens(context_at(settings, days=6), early=True)
    assert rotate_tokens(context_at(settings, days=7), window_days=7).new.key_name == "tokens_v3"


def test_nothing_is_changed_while_a_run_is_at_work(settings: Settings) -> None:
    start(settings, [Person(1)])
    with tokens_in_use(settings), pytest.raises(RetryableError, match="stop it or wait"):
        rotate_tokens(context_at(settings), window_days=7)
    assert load_token_key(settings).version == 1
    rotate_tokens(context_at(settings), window_days=0)
    with maintenance_lock(settings), pytest.raises(RetryableError, match="maintain"):
        retire_tokens(context_at(settings, days=1))


def test_tokens_unknown_to_the_vault_stop_the_retirement_until_a_person_decides(settings: Settings) -> None:
    start(settings, [Person(1)])
    stray = token("email", "stray@example.com", load_token_key(settings))
    lake = Lake(position=7).event("web", "Product Viewed", "2017-07-01", {"email": stray})
    write_lake(settings, lake.event("web", "Product Viewed", "2017-07-02", {"email": stray, "user_id": "U9"}))
    resolve(settings)
    owner = profiles(settings)["U9"]
    rotate_tokens(context_at(settings), window_days=0)
    with pytest.raises(PermanentError, match=r"1 tokens of tokens_v1.*silver_events: 1"):
        retire_tokens(context_at(settings, days=1))
    assert key_path(settings, "tokens_v1").exists()
    assert retire_tokens(context_at(settings, days=1), rekey_unknown=True).unknown == 1
    assert not [table for table, value in texts(settings) if OLD.search(value)]
    resolve(settings, days=1)
    assert [profile for value, profile in profiles(settings).items() if profile == owner] == [owner, owner]


def test_rejected_messages_lose_tokens_that_nobody_can_translate(settings: Settings) -> None:
    start(settings, [Person(1)])
    known = Person(1).tokens(load_token_key(settings))["email"]
    lake = Lake()
    for number, value in enumerate((known, token("email", "who@example.com", load_token_key(settings)))):
        day = context_at(settings).clock.now()
        lake.add("quarantine_messages", message_id=f"m{number}", source="web", is_simulated=False, origin="x",
                 receive_position=number, received_at=day, email_token=value, payload="{}", reason_codes=["bad_json"],
                 reason_details=["bad_json:payload"], replay_state="pending", quarantined_date=day.date(),
                 ingest_batch="b")  # fmt: skip
    write_lake(settings, lake)
    rotate_tokens(context_at(settings), window_days=0)
    retire_tokens(context_at(settings, days=1))
    kept = {row["message_id"]: row["email_token"] for row in delta.read(settings, "quarantine_messages").to_pylist()}
    assert kept == {"m0": Person(1).tokens(load_token_key(settings))["email"], "m1": None}


def test_the_vault_is_encrypted_anew_and_its_old_key_is_gone(settings: Settings) -> None:
    people = [Person(n) for n in range(20)]
    start(settings, people)
    mine = people[0].tokens(load_token_key(settings))["email"]
    _, before = load_keys(settings)
    done = rotate_vault(context_at(settings))
    assert (done.new.key_name, done.values) == ("vault_v2", 43)
    assert load_keys(settings)[1] != before
    assert not key_path(settings, "vault_v1").exists()
    assert vault.reveal(context_at(settings), [mine], purpose="test") == {mine: people[0].email}
    vault.store(settings, [("email_v1_x", "x@example.com")])
    assert vault.reveal(context_at(settings), ["email_v1_x"], purpose="test") == {"email_v1_x": "x@example.com"}


def test_a_vault_half_encrypted_anew_is_the_old_vault(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [Person(n) for n in range(5)]
    start(settings, people)
    mine = people[0].tokens(load_token_key(settings))["email"]
    seal, sealed = vault.seal, []

    def cut_off(*arguments: Any) -> Any:
        sealed.append(arguments)
        if len(sealed) == 3:
            raise KeyboardInterrupt
        return seal(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(vault, "seal", cut_off)
        with pytest.raises(KeyboardInterrupt):
            rotate_vault(context_at(settings))
    assert vault.reveal(context_at(settings), [mine], purpose="test") == {mine: people[0].email}
    assert rotate_vault(context_at(settings)).values > 0
    assert vault.reveal(context_at(settings), [mine], purpose="test") == {mine: people[0].email}


def test_a_changed_foreign_weak_or_equal_key_is_refused(settings: Settings, tmp_path: Path) -> None:
    load_keys(settings)
    path = key_path(settings, "tokens_v1")
    original = path.read_bytes()
    cases = {
        bytes(range(32)): "fingerprint differs",
        original[:31]: "31 bytes",
        b"changeme" * 4: "not random",
        key_path(settings, "vault_v1").read_bytes(): "fingerprint differs",
    }
    for secret, message in cases.items():
        path.write_bytes(secret)
        with pytest.raises(PermanentError, match=message):
            load_keys(settings)
    path.write_bytes(original)
    assert load_token_key(settings).secret == original
    assert create_key(settings, "tokens_v1").read_bytes() == original  # never overwritten


def test_two_equal_keys_are_refused_when_a_lake_meets_them(settings: Settings) -> None:
    same = bytes(range(32))
    for name in ("tokens_v1", "vault_v1", "fingerprints_v1"):
        create_key(settings, name, same)
    with pytest.raises(PermanentError, match="are equal"):
        load_keys(settings)


def test_a_retired_key_that_turns_up_again_is_removed(settings: Settings) -> None:
    start(settings, [Person(1)])
    backup = key_path(settings, "tokens_v1").read_bytes()
    rotate_tokens(context_at(settings), window_days=0)
    retire_tokens(context_at(settings, days=1))
    create_key(settings, "tokens_v1", backup)
    assert load_token_key(settings).version == 2
    assert not key_path(settings, "tokens_v1").exists()


def test_the_commands_say_what_they_did_and_show_no_key(settings: Settings) -> None:
    start(settings, [Person(1)])
    secrets = [path.read_bytes().hex() for path in (settings.home / "keys").iterdir()]

    def said(*arguments: str, days: float = 0) -> str:
        result = CliRunner().invoke(group, ["keys", *arguments], obj=context_at(settings, days), catch_exceptions=False)
        assert not [secret for secret in secrets if secret in result.output]
        return result.output

    assert "tokens_v1        active    since 2018-01-02" in said("list")
    assert "known by both tokens until 2018-02-01 00:00 UTC" in said("rotate")
    assert "tokens_v1        window    since 2018-01-02  until 2018-02-01 00:00 UTC" in said("list")
    assert "vault_v2 is in use" in said("rotate", "--vault")
    assert "no table carries its tokens" in said("retire", days=31)
    listed = said("list", days=31)
    assert "tokens_v1        retired   since 2018-01-02  removed 2018-02-02 00:00 UTC" in listed
    assert json.dumps(listed).count("active") == 3
