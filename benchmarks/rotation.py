"""A token key is changed between two deliveries of everybody's messages; then the tokens are attacked with a dictionary.

    make drill-rotation                                 about five minutes
    python benchmarks/rotation.py --people 1000 --guesses 10000

People are simulated. Each says his e-mail address as one browser before the rotation and as another after it. At the end
both browsers belong to one profile, no table holds an old token, the old key is gone, and whoever has the tokens, a
million addresses and any hash, but not the key, has found nobody. The same search with the key finds everybody.
"""

import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click
from ingest import a_home, environment
from shop_events import NOW, SOURCE

from jobs.core.catalog import TABLES
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import C360Error
from jobs.core.settings import Settings, bin_path, load_settings
from jobs.lake.duck import lake_connection
from jobs.privacy import vault
from jobs.privacy.key_files import key_path
from jobs.privacy.keys import load_token_key

OLD, NEW = "email_v1_", "email_v2_"
HASHES: dict[str, Callable[[bytes], str]] = {
    "md5": lambda text: hashlib.md5(text, usedforsecurity=False).hexdigest(),
    "sha1": lambda text: hashlib.sha1(text, usedforsecurity=False).hexdigest(),
    "sha256": lambda text: hashlib.sha256(text).hexdigest(),
    "hmac-sha256, no key": lambda text: hmac.new(b"", text, hashlib.sha256).hexdigest(),
    "hmac-sha256, a key of zeros": lambda text: hmac.new(bytes(32), text, hashlib.sha256).hexdigest(),
}


def address(number: int) -> str:
    """The e-mail address of a simulated person."""
    return f"person-{number}@example.com"


def deliver(home: Path, people: int, day: int) -> None:
    """One identify of each person, as the browser of that day."""
    path = home / "landing" / SOURCE / f"day-{day}.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    when = (NOW + timedelta(days=day)).isoformat()
    with path.open("w", encoding="utf-8") as file:
        for number in range(people):
            said = {"type": "identify", "messageId": f"d{day}-{number}", "timestamp": when,
                    "anonymousId": f"browser-{day}-{number}", "traits": {"email": address(number)}}  # fmt: skip
            file.write(json.dumps(said) + "\n")


def c360(home: Path, day: int, *arguments: str) -> None:
    """One command, on that day; the drill ends when it fails."""
    started = time.perf_counter()
    clock = {"C360_NOW": (NOW + timedelta(days=day)).isoformat()}
    done = subprocess.run(
        [bin_path("c360"), *arguments], env=environment(home) | clock, capture_output=True, text=True, check=False
    )
    click.echo(f"  day {day}: c360 {' '.join(arguments)}: {time.perf_counter() - started:.1f} s")
    if done.returncode != 0:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])


def joined(settings: Settings, people: int) -> int:
    """How many people have the browsers of both days in one profile."""
    with lake_connection(settings, ("profile_identifiers",)) as connection:
        found = connection.execute(
            "select identifier_value, profile_id from profile_identifiers where identifier_type = 'anonymous_id'"
        ).fetchall()
    owner = dict(found)
    return sum(owner.get(f"browser-0-{n}", 0) == owner.get(f"browser-1-{n}", 1) for n in range(people))


def rows_with(settings: Settings, text: str) -> dict[str, int]:
    """How many rows of each lake table hold the text anywhere."""
    found = {}
    with lake_connection(settings) as connection:
        for name in TABLES:
            count = f"select count(*) from {name} where contains(cast({name} as varchar), ?)"
            row = connection.execute(count, [text]).fetchone()
            if row and row[0]:
                found[name] = int(row[0])
    return found


def matches(settings: Settings, guesses: int) -> dict[str, int]:
    """How many of the tokens in silver each way of hashing the dictionary finds; the last has the key."""
    with lake_connection(settings, ("silver_events",)) as connection:
        tokens = connection.execute("select distinct email_token from silver_events").fetchall()
    hidden = {str(token).rpartition("_")[2] for (token,) in tokens}
    key = load_token_key(settings).secret
    ways = HASHES | {"WITH the key": lambda text: hmac.new(key, text, hashlib.sha256).hexdigest()}
    return {name: sum(way(address(n).encode()) in hidden for n in range(guesses)) for name, way in ways.items()}


def is_usable(settings: Settings, old_tokens: list[str]) -> bool:
    """Whether the old key or the vault still translates an old token."""
    if key_path(settings, "tokens_v1").exists():
        return True
    try:
        return bool(vault.reveal(Context(settings, Clock(NOW), "drill"), old_tokens, purpose="drill"))
    except C360Error:
        return False


@click.command()
@click.option("--people", default=100_000, show_default=True)
@click.option("--guesses", default=1_000_000, show_default=True, help="Addresses in the dictionary, people's first.")
def main(people: int, guesses: int) -> None:
    """Rotates and attacks; exit code 1 when a promise is broken."""
    with a_home() as home:
        settings = load_settings(home=str(home), now=NOW)
        click.echo(f"rotation: {people:,} simulated people, two browsers each")
        deliver(home, people, 0)
        c360(home, 0, "ingest", "run")
        c360(home, 0, "identity", "run")
        with lake_connection(settings, ("silver_events",)) as connection:
            some = [t for (t,) in connection.execute("select email_token from silver_events limit 10").fetchall()]
        c360(home, 1, "privacy", "keys", "rotate", "--window-days", "1")
        deliver(home, people, 1)
        c360(home, 1, "ingest", "run")
        c360(home, 1, "identity", "run")
        within = joined(settings, people)
        c360(home, 3, "privacy", "keys", "retire")
        c360(home, 3, "identity", "run")
        after, left = joined(settings, people), rows_with(settings, OLD)
        new, usable, found = rows_with(settings, NEW), is_usable(settings, some), matches(settings, guesses)
    click.echo(f"people with both browsers in one profile: {within:,} in the window, {after:,} after it")
    click.echo(f"rows with an old token after the window: {left or 0}; with a new one: {new}")
    click.echo(f"the old key or an old token still opens something: {'YES' if usable else 'no'}")
    for name, count in found.items():
        click.echo(f"dictionary of {guesses:,}, {name}: {count:,} matches")
    with_key = found.pop("WITH the key")
    kept = within == after == people and with_key == min(people, guesses)
    sys.exit(0 if kept and new and not left and not usable and not any(found.values()) else 1)


if __name__ == "__main__":
    main()
