"""Two SIMULATED worlds with the same events: in one 200 merges happen and some of them are undone, in the other those never
happened, because it was told beforehand which identifiers stay apart."""

import random
from datetime import timedelta
from typing import Any

from lakekit import Lake, write_lake

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity.runner import run
from jobs.identity.undo import undo
from jobs.lake import delta
from jobs.lake.runs import Stage

GROUPS = 100  # of three people each, joined by two wrong links


def context(settings: Settings, day: int) -> Context:
    """That day's clock."""
    assert settings.now is not None
    return Context(settings, Clock(settings.now + timedelta(days=day)), "undo-worlds")


def steps(seed: int) -> list[Lake]:
    """What comes in, step by step: people with an account, a browser and an address each; b's browser seen with a's account;
    c's with b's; a new browser of everybody."""
    draw = random.Random(seed)
    lakes = [Lake(position=1_000_000 * (step + 1)) for step in range(4)]
    page = {"path": "/", "title": "Home", "url": "https://shop.example/"}
    for group in range(GROUPS):
        names = draw.sample([f"{letter}{group}" for letter in "abc"], 3)
        for name in names:
            day = f"2017-{draw.randint(1, 5):02}-{draw.randint(1, 28):02}"
            ids = {"user_id": f"u-{name}", "anonymous_id": f"b-{name}"}
            lakes[0].event("sim_web", "page", day, ids, page)
            lakes[0].event("sim_web", "identify", day, {"user_id": f"u-{name}", "email": f"email_v1_{name:0>64}"}, {})
            lakes[3].event(
                "sim_web", "page", "2017-11-01", {"user_id": f"u-{name}", "anonymous_id": f"new-{name}"}, page
            )
        for step in (1, 2):
            wrong = {"user_id": f"u-{names[step - 1]}", "anonymous_id": f"b-{names[step]}"}
            lakes[step].event("sim_web", "page", f"2017-{7 + step:02}-01", wrong, page)
    return lakes


def with_undoing(settings: Settings, seed: int, undone: int) -> list[dict[str, Any]]:
    """Everything comes in, every step resolved; then so many merges are undone. Returns all merges."""
    for day, lake in enumerate(steps(seed)):
        write_lake(settings, lake)
        run(context(settings, day), Stage("identity.run"))
    ledger = delta.read(settings, "identity_ledger").to_pylist()
    merges = sorted((row for row in ledger if row["action"] == "merge"), key=lambda row: str(row["entry_id"]))
    for number, merge in enumerate(random.Random(seed).sample(merges, undone)):
        undo(context(settings, 10 + number), Stage("identity.undo"), str(merge["entry_id"]))
    return merges


def without_them(settings: Settings, other: Settings, seed: int) -> None:
    """The same steps; after the first, what stays apart in the `other` world is told."""
    for day, lake in enumerate(steps(seed)):
        write_lake(settings, lake)
        run(context(settings, day), Stage("identity.run"))
        if day == 0:
            delta.append(settings, "identity_separations", delta.read(other, "identity_separations"))


def redirects(settings: Settings) -> dict[str, str]:
    """Id merged away → the id that lives."""
    table = delta.read(settings, "profile_redirects")
    return dict(zip(table["from_profile_id"].to_pylist(), table["to_profile_id"].to_pylist(), strict=True))
