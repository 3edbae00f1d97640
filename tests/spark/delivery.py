"""One small delivery that meets every rule once, and what must become of it. Written by hand; all people invented."""

import json
from pathlib import Path

AT = "2017-05-01T10:00:00Z"
GRANT = {"consent": {"categoryPreferences": {"Analytics": True, "Advertising": True}}}
DENY_ADS = {"consent": {"categoryPreferences": {"Analytics": True, "Advertising": False}}}
DENY_ALL = {"consent": {"categoryPreferences": {"Analytics": False}}}
LINE = {"product_id": "10", "quantity": 1, "sales_value": 1.00}
RETURN = {"product_id": "11", "quantity": 0, "sales_value": -2.50}


def order(number: int, products: list[dict[str, object]] | None = None, **changes: object) -> dict[str, object]:
    """An `Order Completed` message."""
    properties = {"order_id": str(number), "total": -1.5, "currency": "USD", "store_id": "1", "week": 1}
    message: dict[str, object] = {
        "messageId": f"pos-{number}", "type": "track", "event": "Order Completed", "timestamp": AT,
        "receivedAt": "2017-05-01T10:05:00Z", "loyaltyId": "7",
        "properties": properties | {"products": products or [LINE, RETURN]},
    }  # fmt: skip
    return message | changes


def web(number: int, **fields: object) -> dict[str, object]:
    """A web message of an anonymous browser."""
    return {"messageId": f"w{number}", "timestamp": AT, "receivedAt": AT, "anonymousId": "an1"} | fields


TRAITS = {"email": " Ann@Example.com ", "phone": "+1 555 010 0000", "first_name": "Ann", "loyalty_id": "7"}
WEB = [
    web(1, type="page", context=DENY_ADS, properties={"path": "/"}),
    web(2, type="identify", userId="u-7", context=GRANT, traits=TRAITS),
    web(3, type="track", event="Product Viewed", anonymousId="an2", context=DENY_ALL, properties={"product_id": "10"}),
    web(4, type="track", event="No Such Event", properties={}),
    web(
        5,
        type="track",
        event="Products Searched",
        timestamp="yesterday",
        anonymousId=None,
        properties={"query": "ask a@b.com"},
    ),
    web(6, type="track", event="Product Added", properties={"product_id": "1", "quantity": 5000}),
    web(7, type="track", event="Product Added", properties={"product_id": "1", "quantity": "many"}),
    web(8, type="page", timestamp="2099-01-01T00:00:00Z", properties={"path": "/future"}),
    web(9, type="wave", properties={}),
    {"type": "page", "timestamp": AT, "anonymousId": "an1", "properties": {"path": "/"}},
    web(11, type="page", context={"page": {"url": "https://shop.test/?e=a%40b.com"}}, properties={"path": "/"}),
    web(12, type="page", anonymousId="a@b.com", properties={"path": "/"}),
    web(13, type="page", context={"consent": {"categoryPreferences": {"Analytics": "no"}}}, properties={"path": "/"}),
]
ALIASES = [
    {"messageId": "a1", "type": "page", "timestamp": AT, "anonymousId": "an9", "properties": {"path": "/"}},
    {"messageId": "a2", "type": "page", "timestamp": AT, "userId": "Jen@Example.com", "properties": {"path": "/"}},
    {"messageId": "a3", "type": "alias", "timestamp": AT, "previousId": "an9", "userId": "u-9"},
    {"messageId": "a4", "type": "alias", "timestamp": AT, "previousId": "jen@example.com", "userId": "u-9"},
    {"messageId": "a5", "type": "alias", "timestamp": AT, "userId": "u-9"},
    {"messageId": "a6", "type": "alias", "timestamp": AT, "previousId": "jen%40example.com", "userId": "u-9"},
    {"messageId": "a7", "type": "identify", "timestamp": AT, "anonymousId": "an10", "userId": "u-9"},
    {"messageId": "a4", "type": "alias", "timestamp": AT, "previousId": "somebody else", "userId": "u-9"},
]
EMAIL = [
    {"messageId": "e1", "type": "track", "event": "Email Opened", "timestamp": AT,
     "context": {"traits": {"email": "ann@example.com"}}, "properties": {"campaign_id": "1", "email_id": "1-7"}},
]  # fmt: skip
POS: list[object] = [
    order(1),
    order(2),
    order(2),
    order(3, products=[{"product_id": None, "quantity": "many", "sales_value": 1}]),
    '{"messageId":"dup","messageId":"key"}',
    order(5, products=[LINE | {"sales_value": 1e300}, LINE | {"sales_value": "5d"}]),
    '{"broken"',
    "[1,2] {",
]
CATALOG = (
    "product_id,manufacturer_id,department,brand,product_category,product_type,package_size\n"
    '10,1,GROCERY,National,"A, B",C,\n10,1\n'
)
PEOPLE = (
    "person_id,household_id,user_id,first_name,last_name,email,phone,marketing_consent,profiling_consent,sharing_consent\n"
    "crm-7,7,u-7,Ann,Other,ann@example.com,+15550100000,granted,denied,perhaps\n"
)
COUPONS = "coupon_upc,product_id,campaign_id\n1,2,3\n1,2,3\n,2,3\n"

ACCEPTED = {
    ("pos", "pos-1"),
    ("pos", "pos-2"),
    ("sim_web", "w1"),
    ("sim_web", "w2"),
    ("sim_web", "w8"),
    ("sim_email", "e1"),
    *(("web", f"a{number}") for number in (1, 2, 3, 4, 7)),
}
QUARANTINED = {
    ("pos", 4): ["missing_property:products.product_id", "wrong_type:products.quantity"],
    ("pos", 5): ["duplicate_key:payload"],
    ("pos", 6): ["bad_number:payload"],
    ("pos", 7): ["malformed_json:payload"],
    ("pos", 8): ["not_an_object:payload"],
    ("sim_web", 4): ["unknown_event:event"],
    ("sim_web", 5): ["bad_timestamp:timestamp", "missing_identifier:userId", "undeclared_pii:properties"],
    ("sim_web", 6): ["out_of_range:quantity"],
    ("sim_web", 7): ["wrong_type:quantity"],
    ("sim_web", 9): ["unknown_type:type"],
    ("sim_web", 10): ["missing_event_id:messageId"],
    ("sim_web", 11): ["undeclared_pii:context"],
    ("sim_web", 12): ["undeclared_pii:anonymousId"],
    ("web", 5): ["missing_identifier:previousId"],
    ("web", 6): ["undeclared_pii:previousId"],
    ("web", 8): ["id_conflict:messageId"],
    ("catalog", 3): ["wrong_width:payload"],
    ("crm_coupons", 4): ["missing_property:coupon_upc"],
}
DROPPED = {
    ("pos", 3): "duplicate",
    ("sim_web", 3): "suppressed",
    ("sim_web", 13): "suppressed",
    ("crm_coupons", 3): "duplicate",
}


def lines(messages: list[object]) -> str:
    """NDJSON text; a string is a line as it is."""
    return "".join((m if isinstance(m, str) else json.dumps(m)) + "\n" for m in messages)


def deliver(landing: Path) -> None:
    """Writes the delivery into the landing folder."""
    files = {
        "pos/orders.ndjson": lines(POS), "sim_web/web.ndjson": lines(list(WEB)), "sim_email/mail.ndjson": lines(list(EMAIL)),
        "web/aliases.ndjson": lines(list(ALIASES)),
        "catalog/products.csv": CATALOG, "sim_crm_people/people.csv": PEOPLE, "crm_coupons/coupons.csv": COUPONS,
    }  # fmt: skip
    for name, text in files.items():
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_text(text, encoding="utf-8")
