"""People whose e-mail, phone, consent and suppression are known by tokens: a small lake as the stream would write it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from lakekit import NOW, Lake, at
from settingskit import make_settings

from jobs.core.catalog import TABLES
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity.runner import run
from jobs.lake import delta
from jobs.lake.runs import Stage
from jobs.privacy import vault
from jobs.privacy.keys import TokenKey, load_token_key
from jobs.privacy.tokens import normalise, token


def home_of(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home of one test alone, but one copy of DuckDB's extension for all: installing it costs a second each time."""
    shared = tmp_path_factory.getbasetemp() / "duckdb"
    shared.mkdir(exist_ok=True)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "duckdb").symlink_to(shared, target_is_directory=True)
    return make_settings(home)


@dataclass(frozen=True)
class Person:
    """A customer with an account, an e-mail and a phone; every seventh has an e-mail for an account id."""

    number: int

    @property
    def email(self) -> str:
        return f"person{self.number}@example.com"

    @property
    def phone(self) -> str:
        return f"+1555{self.number:07d}"

    @property
    def account(self) -> str:
        return self.email if self.number % 7 == 0 else f"U{self.number}"

    def tokens(self, key: TokenKey) -> dict[str, str]:
        """Identifiers of an event as silver has them."""
        account = token("user_id", self.account, key) if "@" in self.account else self.account
        found = {"user_id": account, "email": token("email", self.email, key), "phone": token("phone", self.phone, key)}
        return found if self.number % 2 else {k: v for k, v in found.items() if k != "phone"}


def context_at(settings: Settings, days: float = 0) -> Context:
    """The clock so many days after the lake's own."""
    now = NOW + timedelta(days=days)
    return Context(settings, Clock(now), f"run-{days}")


def keep(settings: Settings, people: list[Person], key: TokenKey) -> None:
    """What the stream keeps in the vault."""
    raw = [("email", p.email) for p in people] + [("phone", p.phone) for p in people]
    raw += [("user_id", p.account) for p in people if "@" in p.account]
    vault.store(settings, [(token(kind, value, key), normalise(kind, value)) for kind, value in raw])


def seen(settings: Settings, people: list[Person], when: str, name: str) -> Lake:
    """One event of each person, by all identifiers, under today's key; its body carries the e-mail's token too."""
    key, lake = load_token_key(settings), Lake(position=int(at(when).timestamp()) * 10)
    keep(settings, people, key)
    for person in people:
        ids = person.tokens(key)
        lake.event(
            "web",
            name,
            when,
            ids,
            {"email_token": ids["email"], "plan": "x"},
            event_id=f"{name}-{person.number}-{when}",
        )
    return lake


def resolve(settings: Settings, days: float = 0) -> dict[str, int]:
    return run(context_at(settings, days), Stage("identity.run"))


def profiles(settings: Settings) -> dict[str, str]:
    """Identifier value → profile id."""
    table = delta.read(settings, "profile_identifiers")
    return dict(zip(table["identifier_value"].to_pylist(), table["profile_id"].to_pylist(), strict=True))


def texts(settings: Settings) -> Iterator[tuple[str, str]]:
    """(table, value) of every text in the files that the current snapshots show."""
    for name, declared in TABLES.items():
        table = DeltaTable(str(declared.path(settings))).to_pyarrow_table()
        for column in table.column_names:
            for value in table.column(column).to_pylist():
                if isinstance(value, str):
                    yield name, value
