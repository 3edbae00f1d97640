"""SIMULATED web events for benchmarks: about 400 bytes each, seeded, as files in landing would hold them.

Of a million lines 3 % repeat an earlier one, 1 % are broken in a way that its contract names, 6 % deny analytics, and
1 % carry an e-mail address. Events lie on the days before `NOW`, so that the duplicate window has something to prune.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

NOW = datetime(2018, 1, 2, tzinfo=UTC)
SOURCE = "web"
REPEATED, BROKEN, DENIED, NAMED = 0.03, 0.01, 0.06, 0.01
PAGE = {"path": "/grocery/cheese", "title": "Cheese", "url": "https://shop.test/grocery/cheese?utm_source=mail"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
FAULTS = ("", '{"broken"', '{"type":"wave","messageId":"x"}')


def _properties(name: str, draw: random.Random) -> dict[str, object]:
    product = f"{draw.randrange(20_000):07d}"
    if name == "Product Viewed":
        return {"product_id": product, "price": draw.randrange(100, 9_000) / 100, "category": "GROCERY"}
    if name == "Product Added":
        return {"product_id": product, "cart_id": f"c{draw.randrange(10**6)}", "quantity": draw.randrange(1, 5)}
    if name == "Order Completed":
        items = [
            {
                "product_id": f"{draw.randrange(20_000):07d}",
                "quantity": 1,
                "sales_value": draw.randrange(100, 900) / 100,
            }
            for _ in range(3)
        ]
        return {"order_id": f"o{draw.randrange(10**9)}", "currency": "USD", "total": 12.5, "products": items}
    return PAGE | {"referrer": "https://search.test/"}


def _event(number: int, draw: random.Random, first: datetime, seconds: float) -> dict[str, object]:
    name = draw.choices(("page", "Product Viewed", "Product Added", "Order Completed"), (40, 45, 12, 3))[0]
    when = first + timedelta(seconds=number * seconds)
    is_page = name == "page"
    context: dict[str, object] = {"page": PAGE, "locale": "en-US", "userAgent": AGENT}
    if draw.random() < DENIED:
        context["consent"] = {"categoryPreferences": {"Analytics": False}}
    if draw.random() < NAMED:
        context["traits"] = {"email": f"person-{draw.randrange(50_000)}@example.com"}
    body = _properties(name, draw)
    if draw.random() < BROKEN:
        body = {"path": None, "product_id": None, "quantity": "many"}
    return {
        "type": "page" if is_page else "track",
        "messageId": f"bench-{number:012d}",
        "anonymousId": f"visitor-{draw.randrange(100_000):06d}",
        **({} if is_page else {"event": name}),
        "timestamp": when.isoformat(timespec="milliseconds"),
        "context": context,
        "properties": body,
    }


def lines(count: int, *, seed: int, start: int = 0, days: float = 10.0) -> Iterator[str]:
    """`count` lines, those numbered from `start`; repeats are exact copies of one of the last 10,000."""
    draw = random.Random(seed + start)
    recent: list[str] = []
    first = NOW - timedelta(days=days)
    for number in range(start, start + count):
        if recent and draw.random() < REPEATED:
            yield draw.choice(recent)
            continue
        line = json.dumps(_event(number, draw, first, days * 86_400 / max(start + count, 1)), separators=(",", ":"))
        if draw.random() < BROKEN:
            line = line[:40] + draw.choice(FAULTS)
        recent.append(line)
        if len(recent) > 10_000:
            recent = recent[5_000:]
        yield line


def messages(count: int, *, seed: int) -> Iterator[str]:
    """The first `count` of the lines that a client's own JSON encoder could have written: for posting in batches."""
    whole = (line for line in lines(2 * count, seed=seed) if line.endswith("}") and not line.endswith(FAULTS[1:]))
    return islice(whole, count)


def write_file(path: Path, count: int, *, seed: int, start: int = 0, days: float = 10.0) -> None:
    """One NDJSON file of `count` lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for line in lines(count, seed=seed, start=start, days=days):
            file.write(line + "\n")
