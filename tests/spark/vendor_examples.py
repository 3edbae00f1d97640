"""Examples of what e-mail vendors post, written after the shapes they document; addresses of example.com, nobody real."""

from dataclasses import dataclass, field
from typing import Any

AT_S, AT_MS = 1_493_632_800, 1_493_632_800_000  # 2017-05-01T10:00:00Z
AT_TEXT = "2017-05-01 10:00:00"
ANN = "Ann@Example.com"
DENIED = ("Email Unsubscribed", "Email Marked as Spam")


@dataclass(frozen=True)
class Example:
    """One event; `expected` is the name that comes out of it, or the error; `properties` are some that must be there."""

    source: str
    payload: dict[str, Any]
    expected: str
    properties: dict[str, Any] = field(default_factory=dict)


def sendgrid(event: str, **fields: Any) -> dict[str, Any]:
    return {
        "email": ANN, "timestamp": AT_S, "smtp-id": "<1@example.com>", "event": event, "category": ["spring"],
        "sg_event_id": f"volatile-{event}", "sg_message_id": "m1.filter.0", "ip": "198.51.100.7", "useragent": "Mail/1.0",
    } | fields  # fmt: skip


def mailchimp(kind: str, **data: Any) -> dict[str, Any]:
    return {
        "type": kind, "fired_at": AT_TEXT,
        "data": {"list_id": "a6b5", "email": ANN, "merges": {"FNAME": "Ann", "EMAIL": ANN}} | data,
    }  # fmt: skip


def hubspot(kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"hs-{kind}", "created": AT_MS, "type": kind, "recipient": ANN, "portalId": 1, "appName": "Batch",
        "emailCampaignId": 4711, "sentBy": {"id": "sent-1", "created": AT_MS - 60_000},
    } | fields  # fmt: skip


def customerio(object_type: str, metric: str, **data: Any) -> dict[str, Any]:
    return {
        "metric": metric, "object_type": object_type, "event_id": f"cio-{object_type}-{metric}", "timestamp": AT_S,
        "data": {
            "customer_id": "u-7", "identifiers": {"id": "u-7", "email": ANN, "cio_id": "d9c1"}, "recipient": ANN,
            "delivery_id": "D1", "campaign_id": 12, "subject": "Hello Ann",
        } | data,
    }  # fmt: skip


LINK = "https://shop.example.com/spring"
UNKNOWN = "unknown_event:event"
EXAMPLES = [
    Example("sendgrid", sendgrid("delivered", marketing_campaign_id=9, marketing_campaign_name="Spring"),
            "Email Delivered", {"email_id": "m1.filter.0", "campaign_id": "9", "campaign_name": "Spring"}),
    Example("sendgrid", sendgrid("open", singlesend_id="s-1"), "Email Opened", {"campaign_id": "s-1"}),
    Example("sendgrid", sendgrid("click", url=LINK), "Email Link Clicked", {"link_url": LINK}),
    Example("sendgrid", sendgrid("bounce", type="blocked", reason=f"550 no {ANN}", sg_message_id=None),
            "Email Bounced", {"bounce_type": "blocked"}),
    Example("sendgrid", sendgrid("spamreport"), "Email Marked as Spam"),
    Example("sendgrid", sendgrid("unsubscribe"), "Email Unsubscribed"),
    Example("sendgrid", sendgrid("group_unsubscribe", asm_group_id=10), "Email Unsubscribed", {"list_id": "10"}),
    Example("sendgrid", sendgrid("processed"), UNKNOWN),
    Example("sendgrid", sendgrid("click", url=f"https://shop.example.com/?mail={ANN}"), "undeclared_pii:properties"),
    Example("sendgrid", sendgrid("open", sg_message_id=None), "missing_property:email_id"),
    Example("sendgrid", sendgrid("open", timestamp="soon"), "bad_timestamp:timestamp"),
    Example("sendgrid", sendgrid("open", timestamp=10**15), "bad_timestamp:timestamp"),
    Example("sendgrid", sendgrid("open", email={"address": ANN}), "missing_identifier:userId"),
    Example("mailchimp", mailchimp("unsubscribe", action="unsub", reason="manual", campaign_id="c-1"),
            "Email Unsubscribed", {"campaign_id": "c-1", "list_id": "a6b5"}),
    Example("mailchimp", mailchimp("unsubscribe", action="delete", reason="a reason of tomorrow"), "Email Unsubscribed"),
    Example("mailchimp", mailchimp("unsubscribe", action="unsub", reason="abuse"), "Email Marked as Spam"),
    Example("mailchimp", mailchimp("cleaned", reason="hard", campaign_id=""), "Email Bounced", {"list_id": "a6b5"}),
    Example("mailchimp", mailchimp("cleaned", reason="abuse"), "Email Marked as Spam"),
    Example("mailchimp", mailchimp("subscribe"), UNKNOWN),
    Example("hubspot_email", hubspot("DELIVERED"), "Email Delivered", {"email_id": "sent-1", "campaign_id": "4711"}),
    Example("hubspot_email", hubspot("OPEN", sentBy=None, hmid="h-1"), "Email Opened", {"email_id": "h-1"}),
    Example("hubspot_email", hubspot("CLICK", url=LINK), "Email Link Clicked", {"link_url": LINK}),
    Example("hubspot_email", hubspot("BOUNCE", category="MAILBOX_FULL"), "Email Bounced", {"bounce_type": "MAILBOX_FULL"}),
    Example("hubspot_email", hubspot("SPAMREPORT"), "Email Marked as Spam"),
    Example("hubspot_email", hubspot("STATUSCHANGE", portalSubscriptionStatus="UNSUBSCRIBED"), "Email Unsubscribed"),
    Example("hubspot_email", hubspot("STATUSCHANGE", id="hs-2", subscriptions=[{"id": 7, "status": "UNSUBSCRIBED"}]),
            "Email Unsubscribed", {"list_id": "7"}),
    Example("hubspot_email", hubspot("STATUSCHANGE", id="hs-3", portalSubscriptionStatus="SUBSCRIBED"), UNKNOWN),
    Example("hubspot_email", hubspot("DEFERRED"), UNKNOWN),
    Example("customerio", customerio("email", "delivered"), "Email Delivered", {"email_id": "D1", "campaign_id": "12"}),
    Example("customerio", customerio("email", "opened", campaign_id=None, broadcast_id=5), "Email Opened", {"campaign_id": "5"}),
    Example("customerio", customerio("email", "clicked", href=LINK), "Email Link Clicked", {"link_url": LINK}),
    Example("customerio", customerio("email", "bounced"), "Email Bounced"),
    Example("customerio", customerio("email", "spammed"), "Email Marked as Spam"),
    Example("customerio", customerio("email", "unsubscribed"), "Email Unsubscribed"),
    Example("customerio", customerio("customer", "unsubscribed", recipient=None), "Email Unsubscribed"),
    Example("customerio", customerio("push", "delivered"), UNKNOWN),
    Example("customerio", customerio("email", "drafted"), UNKNOWN),
]  # fmt: skip
