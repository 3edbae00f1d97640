"""A tiny Delta lake from plain Python rows, for every lane that needs one without a JVM.

    lake = tiny_lake()                       # the rows, by table name; change them as the test needs
    build_tiny_lake(settings)                # writes them with delta-rs below settings.lake
    build_tiny_lake(settings, Lake().order("7", "B1", "2017-06-01", [line("P1")]))    # or a lake of your own

The cast of `tiny_lake`, on the sample's clock (2018-01-02T00:00Z), is told in its docstring. All rows keep the contracts.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema

Row = dict[str, Any]
NOW = datetime(2018, 1, 2, tzinfo=UTC)
CONSENT_PURPOSES = ("marketing", "profiling", "sharing", "analytics")
PRICE_FIELDS = ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")


def at(text: str) -> datetime:
    """UTC time of ISO text; a date alone is its noon, so that lags never change the day."""
    found = datetime.fromisoformat(text)
    return (found if len(text) > 10 else found + timedelta(hours=12)).replace(tzinfo=UTC)


def profile(number: int) -> str:
    """Profile id number `number`, in the shape that identity gives: p_ and 24 hex digits."""
    return f"p_{number:024x}"


def token(kind: str, value: str) -> str:
    """A token in the shape of the HMAC ones (`email_v1_<64 hex>`); not keyed."""
    return f"{kind}_v1_{hash_parts([kind, value])}"


def line(product_id: str, quantity: int = 1, sales_value: str = "1.00", **discounts: str) -> Row:
    """One product of an order; money as text with two decimals, as in the JSON of silver."""
    money = dict.fromkeys(PRICE_FIELDS[1:], "0.00") | discounts
    return {"product_id": product_id, "quantity": quantity, "sales_value": sales_value} | money


def order_properties(order_id: str, products: list[Row], currency: str | None = "USD") -> str:
    """JSON text of an order; amounts as JSON numbers with two decimals, which json.dumps alone would shorten."""
    total = sum((Decimal(p["sales_value"]) for p in products), Decimal("0.00"))
    head = {"order_id": order_id, "store_id": "367", "week": 1, "currency": currency, "total": f"@{total}@"}
    amounts = [{k: f"@{v}@" if k in PRICE_FIELDS else v for k, v in product.items()} for product in products]
    return json.dumps(head | {"products": amounts}).replace('"@', "").replace('@"', "")


@dataclass
class Lake:
    """Rows by table name; every method adds one thing and returns the lake, receive positions count up by themselves."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    position: int = 1_000_000_000

    def add(self, table: str, **values: Any) -> "Lake":
        """One row of any table, missing columns NULL."""
        self.rows.setdefault(table, []).append(dict.fromkeys(lake_table(table).contract.column_names) | values)
        return self

    def _next(self) -> int:
        self.position += 1
        return self.position

    def _identify(self, source: str, event_id: str, time: datetime, received: datetime, ids: dict[str, str]) -> None:
        for kind, value in ids.items():
            self.add(
                "silver_identifiers",
                source=source,
                event_id=event_id,
                identifier_type=kind,
                identifier_value=value,
                effective_at=time,
                received_at=received,
                receive_position=self.position,
                is_simulated=source.startswith("sim_"),
                event_date=time.date(),
                ingest_batch="test:0",
            )

    def event(
        self,
        source: str,
        name: str,
        when: str,
        ids: dict[str, str],
        properties: Row | str | None = None,
        *,
        context: Row | None = None,
        flags: tuple[str, ...] = (),
        event_id: str | None = None,
        received_at: str | None = None,
    ) -> "Lake":
        """One event and its identifiers. `ids` maps identifier types (loyalty_id, user_id, email, …) to values."""
        occurred, position = at(when), self._next()
        received = at(received_at) if received_at else occurred + timedelta(minutes=1)
        key = event_id or f"e{position}"
        effective = min(occurred, received)
        self._identify(source, key, effective, received, ids)
        columns = {{"email": "email_token", "phone": "phone_token"}.get(k, k): v for k, v in ids.items()}
        return self.add(
            "silver_events",
            event_id=key,
            source=source,
            is_simulated=source.startswith("sim_"),
            type=name if name in ("page", "identify") else "track",
            name=name,
            occurred_at=occurred,
            received_at=received,
            effective_at=effective,
            is_time_suspect=occurred > received + timedelta(minutes=5),
            receive_position=position,
            properties=properties if isinstance(properties, str) else json.dumps(properties or {}),
            flags=list(flags),
            context=json.dumps(context) if context else None,
            body_hash=hash_parts([source, position])[:32],
            contract_version=1,
            message_id=hash_parts([source, position]),
            event_date=effective.date(),
            ingest_batch="test:0",
            **columns,
        )

    def order(
        self,
        household: str,
        order_id: str,
        when: str,
        products: list[Row],
        *,
        currency: str | None = "USD",
        **more: Any,
    ) -> "Lake":
        """One real till order of a household."""
        said = order_properties(order_id, products, currency)
        return self.event("pos", "Order Completed", when, {"loyalty_id": household}, said, **more)

    def refund(
        self, order_id: str, when: str, *, household: str | None = None, received_at: str | None = None, **said: Any
    ) -> "Lake":
        """One refund at the till; without a household it names nobody."""
        ids = {"loyalty_id": household} if household else {}
        return self.event("pos", "Order Refunded", when, ids, {"order_id": order_id} | said, received_at=received_at)

    def record(
        self,
        source: str,
        kind: str,
        key: str,
        properties: Row,
        *,
        valid_from: str = "2017-01-01",
        received_at: str | None = None,
    ) -> "Lake":
        """One version of a record: product (catalog), household, campaign, coupon (crm_*), person (sim_crm_people)."""
        position, since = self._next(), at(valid_from)
        received = at(received_at) if received_at else since
        record_id = hash_parts([source, key, since, json.dumps(properties)])
        ids = {
            "loyalty_id": properties.get("household_id"),
            "user_id": properties.get("user_id"),
            "email": properties.get("email_token"),
            "phone": properties.get("phone_token"),
        }
        self._identify(source, record_id, since, received, {k: str(v) for k, v in ids.items() if v})
        return self.add(
            "silver_records",
            record_id=record_id,
            source=source,
            is_simulated=source.startswith("sim_"),
            object=kind,
            record_key=key,
            valid_from=since,
            received_at=received,
            receive_position=position,
            properties=json.dumps(properties),
            contract_version=1,
            message_id=hash_parts([source, position]),
            ingest_batch="test:0",
        )

    def product(self, product_id: str, department: str = "GROCERY", **more: Any) -> "Lake":
        """One catalog entry."""
        values = {
            "product_id": product_id,
            "manufacturer_id": "69",
            "department": department,
            "brand": "National",
            "product_category": f"{department} THINGS",
            "product_type": f"TYPE {product_id}",
            "package_size": "8 OZ",
        }
        return self.record("catalog", "product", product_id, values | more)

    def consent(self, kind: str, value: str, purpose: str, status: str = "granted", when: str = "2017-01-01") -> "Lake":
        """One statement of consent for an identifier; purpose `all` states all four."""
        for name in CONSENT_PURPOSES if purpose == "all" else (purpose,):
            position = self._next()
            self.add(
                "consents",
                consent_id=hash_parts([kind, value, name, position]),
                source="sim_crm_people",
                is_simulated=True,
                event_id=f"c{position}",
                identifier_type=kind,
                identifier_value=value,
                purpose=name,
                status=status,
                effective_at=at(when),
                received_at=at(when),
                receive_position=position,
                ingest_batch="test:0",
            )
        return self

    def belongs(self, profile_id: str, **identifiers: str) -> "Lake":
        """Says which profile these identifiers belong to, as the identity run would; dates follow the events."""
        for kind, value in identifiers.items():
            sightings = [
                r
                for r in self.rows.get("silver_identifiers", [])
                if (r["identifier_type"], r["identifier_value"]) == (kind, value)
            ]
            seen = [r["effective_at"] for r in sightings] or [at("2017-01-01")]
            self.add(
                "profile_identifiers",
                profile_id=profile_id,
                identifier_type=kind,
                identifier_value=value,
                valid_from=min(seen),
                last_seen_at=max(seen),
                event_count=len(seen),
                is_simulated=bool(sightings) and all(r["is_simulated"] for r in sightings),
            )
        return self

    def recommendation(self, profile_id: str, rank: int, item_id: str, **more: Any) -> "Lake":
        """One personal recommendation of a product type."""
        values: Row = {
            "model_name": "als_recommender",
            "model_version": "1",
            "run_id": "test",
            "item_kind": "product_type",
            "product_id": "P1",
            "score": 1.0 / rank,
            "tier": "personal",
            "is_fallback": False,
            "is_simulated": False,
            "scored_at": NOW,
        }
        return self.add(
            "gold_recommendations", **(values | {"profile_id": profile_id, "rank": rank, "item_id": item_id} | more)
        )

    def cluster(self, profile_id: str, cluster_id: int = 0, cluster_name: str = "frequent buyers") -> "Lake":
        """One cluster membership."""
        return self.add(
            "gold_profile_clusters",
            model_name="profile_clusters",
            model_version="1",
            run_id="test",
            profile_id=profile_id,
            cluster_id=cluster_id,
            cluster_name=cluster_name,
            distinguishing_traits=json.dumps({"order_count": 1.5}),
            distance=0.5,
            is_simulated=False,
            scored_at=NOW,
        )

    def score(self, profile_id: str, score_name: str, score: float) -> "Lake":
        """One score."""
        return self.add(
            "gold_profile_scores",
            model_name="profile_scores",
            model_version="1",
            run_id="test",
            profile_id=profile_id,
            score_name=score_name,
            score=score,
            is_simulated=False,
            scored_at=NOW,
        )


def write_lake(settings: Settings, lake: Lake) -> None:
    """Creates every lake table and appends the rows of `lake` to them."""
    delta.ensure_all(settings)
    for name, rows in lake.rows.items():
        delta.append(settings, name, pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(name).contract)))


def build_tiny_lake(settings: Settings, lake: Lake | None = None) -> Lake:
    """Writes `lake` (by default `tiny_lake()`) below settings.lake and returns it."""
    from tinylake import tiny_lake

    built = lake or tiny_lake()
    write_lake(settings, built)
    return built
