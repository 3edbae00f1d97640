"""Scenario C, SIMULATED: a year of events of people whose identities are under attack, and the truth beside it.

Everybody has an account, most a card, an e-mail address, a phone, one to three browsers. Planted are: browsers that a family
shares, one e-mail address of a call centre on 5,000 people, ids that say nothing ("null"), e-mail addresses typed wrongly so
that they are somebody else's, phones that went to another person, accounts that were logged into on somebody else's browser.
Rows are those of silver_identifiers. Deterministic for a seed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.core.catalog import lake_table
from jobs.lake.schema import arrow_schema

Ints = NDArray[np.int64]
Identifier = tuple[str, str]
SOURCE = "sim_c"
START, YEAR = int(datetime(2017, 1, 1, tzinfo=UTC).timestamp() * 1e6), 365 * 86_400_000_000
EVENTS_PER_PERSON = 20
CALL_CENTRE, CALLED = "call centre", 5_000
NOTHING = ("null", "undefined", "00000000-0000-0000-0000-000000000000", "Anonymous")
NO_ONE = -1


@dataclass
class World:
    """`owner[identifier]` is the one person that it belongs to; what several people share has none. `pairs[attack]` are the
    people that an attack could join wrongly; `shared[attack]` the identifiers that it planted."""

    sightings: pa.Table
    people: int
    owner: Mapping[Identifier, int]
    pairs: dict[str, list[tuple[int, int]]]
    shared: dict[str, list[Identifier]]


@dataclass
class _Events:
    """Rows in the making: (person's number for the event, identifier type, text) by event."""

    number: list[Ints] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    values: list[list[str]] = field(default_factory=list)
    at: list[Ints] = field(default_factory=list)
    count: int = 0

    def add(self, at: Ints, **columns: Iterable[str | None]) -> None:
        """Events at these moments, each with the identifiers that are not None."""
        events = np.arange(self.count, self.count + len(at))
        self.count += len(at)
        for kind, texts in columns.items():
            named = list(texts)
            has = np.asarray([text is not None for text in named], dtype=np.bool_)
            self.number.append(events[has])
            self.at.append(at[has])
            self.kinds += [kind] * int(has.sum())
            self.values.append([text for text in named if text is not None])


def user(person: int) -> str:
    """Account id."""
    return f"u{person}"


def email(person: int | str) -> str:
    """A token in the shape of those in silver; not keyed."""
    return f"email_v1_{person:0>64}".replace(" ", "-")


def browser(person: int, which: int) -> str:
    """Anonymous id of one of a person's browsers."""
    return f"b{person}-{which}"


def phone(person: int) -> str:
    """A token in the shape of those in silver; not keyed."""
    return f"phone_v1_{person:0>64}"


class _Cast:
    """Who has what, and who is under which attack: disjoint sets of people."""

    def __init__(self, draw: np.random.Generator, people: int) -> None:
        self.people = people
        self.has_card = draw.random(people) < 0.6
        self.has_email = draw.random(people) < 0.8
        self.has_phone = draw.random(people) < 0.5
        self.browsers = draw.integers(1, 4, people)
        order = draw.permutation(people)
        hundredth = max(people // 100, 2)
        self.called, order = order[:CALLED], order[CALLED:]
        groups = np.split(order[: 20 * hundredth], 10)
        self.families = groups[0].reshape(-1, 2)
        self.typists = np.stack(groups[1:3], axis=1)  # (who typed, whose address it is)
        self.phones = np.stack(groups[3:5], axis=1)  # (who had it, who got it)
        self.switched = np.stack(groups[5:7], axis=1)  # (whose browser, whose account)
        self.has_email[self.typists[:, 1]] = True
        self.has_phone[self.phones[:, 0]] = True
        self.has_phone[self.phones[:, 1]] = False

    def attacked(self) -> dict[str, list[tuple[int, int]]]:
        """The pairs of people that each attack could join."""
        named = {"family browser": self.families, "typed e-mail": self.typists, "recycled phone": self.phones,
                 "login switch": self.switched}  # fmt: skip
        return {name: [(int(a), int(b)) for a, b in pairs] for name, pairs in named.items()}


def make_world(events: int, seed: int) -> World:
    """So many events, seen in 2017; needs 140,000 at least, that there are enough people for the call centre."""
    draw = np.random.default_rng(seed)
    cast = _Cast(draw, events // EVENTS_PER_PERSON)
    made = _Events()
    _plant(made, draw, cast)
    _ordinary(made, draw, cast, events - made.count)
    shared = {
        "family browser": [("anonymous_id", f"family-{a}") for a in cast.families[:, 0]],
        "call centre's e-mail": [("email", email(CALL_CENTRE))],
        "recycled phone": [("phone", phone(int(a))) for a in cast.phones[:, 0]],
        "ids that say nothing": [("anonymous_id", text) for text in NOTHING],
    }
    return World(_rows(made), cast.people, _owners(cast, shared), cast.attacked(), shared)


def _moments(draw: np.random.Generator, count: int, begin: float = 0.0, end: float = 1.0) -> Ints:
    return START + (draw.uniform(begin, end, count) * YEAR).astype(np.int64)


def _plant(made: _Events, draw: np.random.Generator, cast: _Cast) -> None:
    """The events of the attacks; what they join falls in the second half of the year."""

    def late(pairs: Ints) -> Ints:
        return _moments(draw, len(pairs), 0.5)

    for side in (0, 1):
        who = cast.families[:, side]
        made.add(late(who), anonymous_id=[f"family-{a}" for a in cast.families[:, 0]], user_id=map(user, who))
    made.add(late(cast.called), user_id=map(user, cast.called), email=[email(CALL_CENTRE)] * len(cast.called))
    typist, victim = cast.typists.T
    made.add(late(typist), user_id=map(user, typist), email=map(email, victim))
    had, got = cast.phones.T
    made.add(_moments(draw, len(had), 0.0, 0.5), user_id=map(user, had), phone=map(phone, had))
    made.add(late(got), user_id=map(user, got), phone=map(phone, had))
    owner, guest = cast.switched.T
    made.add(late(owner), anonymous_id=[browser(a, 0) for a in owner], user_id=map(user, guest))


def _ordinary(made: _Events, draw: np.random.Generator, cast: _Cast, count: int) -> None:
    """Page views, logins, orders by card, and people who say who they are. Two of a hundred page views say nothing."""
    who = draw.integers(0, cast.people, count)
    kind = draw.choice(4, count, p=(0.5, 0.2, 0.2, 0.1))
    which = draw.integers(0, 3, count) % cast.browsers[who]
    says_nothing = (kind < 2) & (draw.random(count) < 0.02)
    nothing = draw.integers(0, len(NOTHING), count)
    recycled = set(cast.phones[:, 0].tolist())

    def texts(test: NDArray[np.bool_], make: Any) -> list[str | None]:
        return [make(i) if is_there else None for i, is_there in enumerate(test.tolist())]

    made.add(
        _moments(draw, count),
        anonymous_id=texts(
            kind != 2, lambda i: NOTHING[nothing[i]] if says_nothing[i] else browser(int(who[i]), int(which[i]))
        ),
        user_id=texts((kind == 1) | (kind == 3) | ((kind == 2) & ~cast.has_card[who]), lambda i: user(int(who[i]))),
        loyalty_id=texts(((kind == 2) | (kind == 3)) & cast.has_card[who], lambda i: f"c{who[i]}"),
        email=texts((kind == 3) & cast.has_email[who], lambda i: email(int(who[i]))),
        phone=texts(
            (kind == 3) & cast.has_phone[who],
            lambda i: None if int(who[i]) in recycled else phone(int(who[i])),
        ),
    )


def _owners(cast: _Cast, shared: Mapping[str, list[Identifier]]) -> dict[Identifier, int]:
    owner: dict[Identifier, int] = {}
    for person in range(cast.people):
        owner["user_id", user(person)] = owner["loyalty_id", f"c{person}"] = person
        owner["email", email(person)] = owner["phone", phone(person)] = person
        owner |= {("anonymous_id", browser(person, which)): person for which in range(3)}
    for identifier in (identifier for planted in shared.values() for identifier in planted):
        owner.pop(identifier, None)
    return owner


def _rows(made: _Events) -> pa.Table:
    """Rows of silver_identifiers, in the order of the events."""
    number, at = np.concatenate(made.number), np.concatenate(made.at)
    count = len(number)
    moments = pa.array(at).cast(pa.timestamp("us", tz="UTC"))
    columns = {
        "source": pa.repeat(SOURCE, count),
        "event_id": pa.array([f"e{n}" for n in number.tolist()]),
        "identifier_type": pa.array(made.kinds),
        "identifier_value": pa.array([text for texts in made.values for text in texts]),
        "effective_at": moments,
        "received_at": moments,
        "receive_position": pa.array(number),
        "is_simulated": pa.array(np.ones(count, dtype=np.bool_)),
        "event_date": moments.cast(pa.timestamp("us")).cast(pa.date32()),
        "ingest_batch": pa.repeat("scenario-c", count),
    }
    schema = arrow_schema(lake_table("silver_identifiers").contract)
    return pa.table([columns[name] for name in schema.names], schema=schema)
