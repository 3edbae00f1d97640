"""`c360 privacy keys` killed after each of its steps, then run again: always the same end, and nobody is lost on the way."""

import re
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from lakekit import write_lake
from rotationkit import Person, context_at, home_of, profiles, resolve, seen, texts

from jobs.core.settings import PROJECT_ROOT, Settings
from jobs.lake import delta
from jobs.privacy import vault
from jobs.privacy.key_files import key_path
from jobs.privacy.keys import load_token_key
from jobs.privacy.registry import Purpose, Registry, State
from jobs.privacy.retirement import retire_tokens
from jobs.privacy.rotation import rotate_tokens, rotate_vault

OLD = re.compile(r"_v1_[0-9a-f]{64}")
PEOPLE = [Person(number) for number in range(8)]
KILLED = -9


class Crash(BaseException):
    """Ends a command as a crash would: no handler of ours catches it."""


def run_until(monkeypatch: pytest.MonkeyPatch, turn: int, command: Callable[[], object]) -> bool:
    """Runs a command that ends after its `turn`th step; returns whether it was interrupted."""
    passed = count(1)

    def crash(*_: object) -> None:
        if next(passed) == turn:
            raise Crash

    with monkeypatch.context() as patched:
        for module in ("rotation", "retirement"):
            patched.setattr(f"jobs.privacy.{module}.fail_at", crash)
        try:
            command()
        except Crash:
            return True
        return False


def kill(settings: Settings, call: str, failpoint: str, days: int) -> int:
    """Runs a command in a process of its own, ended at the failpoint by SIGKILL; returns its exit code."""
    program = (
        "import sys; sys.path[:0] = ['tests', 'tests/unit/privacy']\n"
        "from pathlib import Path\n"
        "from settingskit import make_settings\n"
        "from rotationkit import context_at\n"
        "from jobs.privacy.rotation import rotate_tokens, rotate_vault\n"
        "from jobs.privacy.retirement import retire_tokens\n"
        f"settings = make_settings(Path({str(settings.home)!r}), testing=True, fail_at={failpoint!r})\n"
        f"context = context_at(settings, {days})\n{call}\n"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=PROJECT_ROOT, check=False).returncode


def everybody_is_one(settings: Settings, before: dict[str, str]) -> None:
    """Whatever a crash has left: an identity run splits nobody, and each identifier belongs where it did."""
    assert resolve(settings, days=40)["creates"] == 0
    after = profiles(settings)
    assert all(after[value] == profile for value, profile in before.items() if value in after)


@pytest.fixture
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = home_of(tmp_path, tmp_path_factory)
    write_lake(settings, seen(settings, PEOPLE, "2017-06-01", "Product Added"))
    resolve(settings)
    return settings


@pytest.mark.parametrize("turn", [1, 3, 5, 6])
def test_a_rotation_killed_after_any_step_is_finished_by_the_next(
    home: Settings, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    before = profiles(home)
    is_cut = run_until(monkeypatch, turn, lambda: rotate_tokens(context_at(home), window_days=30))
    assert is_cut == (turn < 6)
    everybody_is_one(home, before)
    if turn < 6:
        assert load_token_key(home).version == 1  # the switch is the last step
        rotate_tokens(context_at(home), window_days=30)
    assert load_token_key(home).version == 2
    assert len(Registry(home).of(Purpose.TOKENS)) == 2
    write_lake(home, seen(home, PEOPLE, "2018-01-03", "Product Viewed"))
    everybody_is_one(home, before)


@pytest.mark.parametrize("turn", [2, 6, 7, 8, 9, 10, 11])  # 2 to 7: tables
def test_a_retirement_killed_after_any_step_is_finished_by_the_next(
    home: Settings, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    before = profiles(home)
    rows = {name: delta.row_count(home, name) for name in ("silver_events", "silver_identifiers")}
    rotate_tokens(context_at(home), window_days=0)
    assert run_until(monkeypatch, turn, lambda: retire_tokens(context_at(home, days=40))) == (turn < 11)
    everybody_is_one(home, before)
    if turn < 11:
        retire_tokens(context_at(home, days=41))
    assert not [table for table, value in texts(home) if OLD.search(value)]
    assert not key_path(home, "tokens_v1").exists()
    assert rows == {name: delta.row_count(home, name) for name in rows}
    everybody_is_one(home, before)
    assert [row.state for row in Registry(home).of(Purpose.TOKENS)] == [State.RETIRED, State.ACTIVE]


@pytest.mark.parametrize("turn", [2, 3, 4, 5])
def test_a_rotation_of_the_vault_killed_after_any_step_opens_with_one_key(
    home: Settings, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    mine = PEOPLE[1].tokens(load_token_key(home))["email"]
    assert run_until(monkeypatch, turn, lambda: rotate_vault(context_at(home))) == (turn < 5)
    assert vault.reveal(context_at(home), [mine], purpose="test") == {mine: PEOPLE[1].email}
    active = Registry(home).active(Purpose.VAULT)
    if active is not None and active.key_version == 1:
        rotate_vault(context_at(home))
    assert vault.reveal(context_at(home), [mine], purpose="test") == {mine: PEOPLE[1].email}
    assert not key_path(home, "vault_v1").exists()
    assert not key_path(home, "vault_v3").exists()


def test_a_real_kill_leaves_no_lock_and_no_half_step(home: Settings) -> None:
    before = profiles(home)
    assert kill(home, "rotate_tokens(context, window_days=0)", "after_rotation_step:4", 0) == KILLED
    rotate_tokens(context_at(home), window_days=0)
    assert kill(home, "retire_tokens(context)", "after_retirement_step:3", 40) == KILLED
    retire_tokens(context_at(home, days=41))
    assert not [table for table, value in texts(home) if OLD.search(value)]
    everybody_is_one(home, before)
