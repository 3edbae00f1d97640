"""The seeded generator: messages whose place is known before they are sent. The same seed gives the same messages.

Each client has a stream of its own, so that the order in which the first of an id and what repeats it are sent is fixed:
a client sends one request at a time and repeats it until it is acknowledged.
"""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

SOURCE = "web"
START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 29  # between the first message and the last, by the simulated clock of the collector
ODD_TIMES = ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2099-06-01T12:00:00Z", "9999-12-31T23:59:59Z")
PLAIN_TYPES = ("page", "track", "identify")


class Outcome(StrEnum):
    """Where a message belongs."""

    SILVER = "silver"
    QUARANTINE = "quarantine"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of what is sent; the rest are plain valid events."""

    invalid: float = 0.08
    repeats: float = 0.10
    conflicts: float = 0.01
    suppressed: float = 0.04
    odd_times: float = 0.02
    shuffled: float = 0.10  # by up to 30 days either way
    timeless: float = 0.05  # no timestamp: it happened when it came in
    identifies: float = 0.02


@dataclass(frozen=True, slots=True)
class Message:
    """One text and what must become of it. `seq` names the text; `event_id` is shared with what claims the same id."""

    seq: int
    event_id: str
    text: str
    endpoint: str | None  # the URL for it alone; None when only a batch carries it unchanged
    outcome: Outcome
    reason: str | None
    imprint: str  # what silver must say of it
    is_conflict: bool = False

    @property
    def payload_hash(self) -> str:
        """Of the text as it is sent."""
        return text_hash(self.text)


def text_hash(text: str) -> str:
    """sha256 of a payload, short."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def canonical(properties: dict[str, Any]) -> str:
    """One spelling of a JSON object."""
    return json.dumps(properties, sort_keys=True, separators=(",", ":"))


def imprint(
    event_id: str, name: str, anonymous_id: str | None, occurred_us: int | None, properties: dict[str, Any] | None
) -> str:
    """Hash of what silver keeps of an event; properties None where tokens stand in their place."""
    body = None if properties is None else canonical(properties)
    return text_hash(json.dumps([event_id, name, anonymous_id, occurred_us, body]))


def micros(text: str) -> int:
    """Microseconds since the epoch of a timestamp as the generator writes it."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class Client:
    """The stream of one client: `count` messages, repeats among them."""

    def __init__(self, seed: int, run: str, client: int, *, clients: int, count: int, mix: Mix | None = None) -> None:
        self.seed, self.run, self.client, self.clients, self.count = seed, run, client, clients, count
        self.mix = mix or Mix()
        self._chance = random.Random(f"{seed}/{client}")
        self._next = client
        self._kept: list[Message] = []

    def again(self) -> "Client":
        """The same stream from its start."""
        return Client(self.seed, self.run, self.client, clients=self.clients, count=self.count, mix=self.mix)

    def messages(self) -> Iterator[Message]:
        """What to send, in order; a repeat is a message that was there before."""
        for number in range(self.count):
            yield self._one(number / self.count)

    def _one(self, progress: float) -> Message:
        draw, mix = self._chance.random(), self.mix
        if self._kept and draw < mix.repeats:
            return self._earlier()
        if self._kept and draw < mix.repeats + mix.conflicts:
            return self._conflict(progress)
        if draw < mix.repeats + mix.conflicts + mix.invalid:
            return self._invalid(progress)
        if draw < mix.repeats + mix.conflicts + mix.invalid + mix.suppressed:
            return self._suppressed(progress)
        found = self._valid(progress)
        self._kept.append(found)
        return found

    def _earlier(self) -> Message:
        """From at once to the length of the run ago."""
        back = self._chance.choice((1, 1, 20, 500, len(self._kept)))
        return self._kept[-self._chance.randint(1, min(back, len(self._kept)))]

    def _conflict(self, progress: float) -> Message:
        fields = self._fields(progress)
        fields["messageId"] = self._earlier().event_id
        return self._made(fields, Outcome.QUARANTINE, reason="id_conflict", is_conflict=True)

    def _suppressed(self, progress: float) -> Message:
        refusal = self._chance.choice((False, "no", None))
        fields = self._fields(progress)
        fields["context"] = {"consent": {"categoryPreferences": {"Analytics": refusal}}}
        return self._made(fields, Outcome.SUPPRESSED)

    def _valid(self, progress: float) -> Message:
        fields = self._fields(progress)
        draw, mix = self._chance.random(), self.mix
        if draw < mix.odd_times:
            fields["timestamp"] = self._chance.choice(ODD_TIMES)
        elif draw < mix.odd_times + mix.timeless:
            del fields["timestamp"]
        elif draw < mix.odd_times + mix.timeless + mix.identifies:
            number = self._chance.randrange(10**6)
            del fields["properties"], fields["event"]
            fields |= {"type": "identify", "userId": f"u{number}", "traits": {"email": f"p{number}@example.org"}}
        return self._made(fields, Outcome.SILVER)

    def _invalid(self, progress: float) -> Message:
        """A message with one fault, of a kind that the text itself or one rule of the contracts finds."""
        fields = self._fields(progress)
        properties = fields["properties"]
        reason = self._chance.choice(list(FAULTS))
        fields |= {"type": "track", "event": "Product Added"}
        properties |= {"product_id": "1", "quantity": 1}
        FAULTS[reason](fields)
        fields["properties"] = {k: v for k, v in properties.items() if v is not None}
        found = self._made(fields, Outcome.QUARANTINE, reason=reason)
        spoil = SPOILED.get(reason)
        return found if spoil is None else _with_text(found, spoil(found.text))

    def _fields(self, progress: float) -> dict[str, Any]:
        """A plain valid event. Its seq is taken here."""
        chance = self._chance
        seq, self._next = self._next, self._next + self.clients
        moment = START + timedelta(days=DAYS * progress, milliseconds=chance.randrange(10**6))
        if chance.random() < self.mix.shuffled:
            moment += timedelta(seconds=chance.randint(-30 * 86_400, 30 * 86_400))
        kind, name, properties = self._event()
        properties |= {"seq": seq, "run": self.run}
        properties["hash"] = text_hash(canonical(properties))
        return {
            "messageId": f"{self.run}-{seq}",
            "type": kind,
            "event": name,
            "anonymousId": f"a{chance.randrange(20_000)}",
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "properties": properties,
        }

    def _event(self) -> tuple[str, str, dict[str, Any]]:
        chance = self._chance
        product, price = str(chance.randrange(5_000)), round(chance.uniform(0.5, 200), 2)
        kind = chance.choice(("page", "view", "add", "left", "order"))
        if kind == "page":
            return "page", "page", {"path": f"/p/{product}", "title": 'Ünï «quoted» "text" \\ and\ttabs'}
        if kind == "view":
            return "track", "Product Viewed", {"product_id": product, "price": price}
        if kind == "add":
            return "track", "Product Added", {"product_id": product, "quantity": chance.randint(1, 9), "price": price}
        if kind == "left":
            return "track", "Page Left", {"path": f"/p/{product}", "dwell_seconds": price}
        lines = [
            {"product_id": str(chance.randrange(5_000)), "quantity": chance.randint(1, 5), "sales_value": price}
            for _ in range(chance.randint(1, 3))
        ]
        return "track", "Order Completed", {"order_id": product, "total": price, "currency": "EUR", "products": lines}

    def _made(
        self, fields: dict[str, Any], outcome: Outcome, *, reason: str | None = None, is_conflict: bool = False
    ) -> Message:
        if fields["type"] in ("page", "identify"):
            fields.pop("event", None)
        kind, stated = fields["type"], fields.get("timestamp")
        properties = fields.get("properties") or {}
        seq = properties.get("seq", self._next - self.clients)
        is_plain = outcome is Outcome.SILVER and kind in PLAIN_TYPES
        mark = imprint(
            fields["messageId"], fields.get("event", kind), fields.get("anonymousId"),
            micros(stated) if stated and is_plain else None, None if kind == "identify" else properties,
        ) if is_plain else ""  # fmt: skip
        text = json.dumps(fields, ensure_ascii=False)
        endpoint = kind if kind in PLAIN_TYPES else None
        return Message(seq, fields["messageId"], text, endpoint, outcome, reason, mark, is_conflict)


def _with_text(found: Message, text: str) -> Message:
    return Message(found.seq, found.event_id, text, found.endpoint, found.outcome, found.reason, found.imprint)


# reason → what makes the fields of a `Product Added` break exactly that rule
FAULTS: dict[str, Any] = {
    "missing_property": lambda fields: fields["properties"].update(product_id=None),
    "wrong_type": lambda fields: fields["properties"].update(quantity="many"),
    "out_of_range": lambda fields: fields["properties"].update(quantity=5_000),
    "unknown_event": lambda fields: fields.update(event="No Such Event"),
    "bad_timestamp": lambda fields: fields.update(timestamp="yesterday"),
    "missing_identifier": lambda fields: fields.pop("anonymousId"),
    "unknown_type": lambda fields: fields.update(type="wave"),
    "undeclared_pii": lambda fields: fields["properties"].update(note="write to someone@example.org"),
    "bad_number": lambda fields: None,
    "duplicate_key": lambda fields: None,
}
# reason → what is done to the finished text
SPOILED: dict[str, Any] = {
    "bad_number": lambda text: text.replace('"quantity": 1', '"quantity": NaN', 1),
    "duplicate_key": lambda text: text.replace('"quantity": 1', '"quantity": 1, "quantity": 2', 1),
}


def crowd(seed: int, run: str, clients: int, events: int, mix: Mix | None = None) -> list[Client]:
    """All clients; together they send `events` messages."""
    each, rest = divmod(events, clients)
    return [Client(seed, run, n, clients=clients, count=each + (n < rest), mix=mix) for n in range(clients)]
