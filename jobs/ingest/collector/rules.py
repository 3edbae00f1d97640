"""What a write key may send. The rule, in full:

* A message's type, as the URL names it and as the message states it, must be one of the key's types.
* An event name on the key's server-only list is refused.
* A **browser** key is public, so what it says counts for nobody but the visitor at hand:
  - `track`, `page`, `screen` and `identify` only; no `alias`, no `group`, nothing through `/v1/import`;
  - every message carries an anonymousId. An identify may tell who that visitor is (userId, traits);
  - a grant of consent (`Consent Preference Updated`) names no other id than the anonymousId: no userId, loyaltyId,
    e-mail or phone. A denial may, for it can only lead to less being done.

What is refused is answered 403 `not_allowed_for_key` (in a batch: the message alone, named in the answer) and not kept.
Whether a message is allowed is asked of what a strict parser reads; what does not parse is quarantined by the stream.
The receipt says which kind of key it was (`key_kind`), so that later steps can trust a browser no further than that.
"""

import json
from typing import Any, NamedTuple

import msgspec

from jobs.ingest.collector.keys import TYPES, KeyKind, WriteKey
from jobs.ingest.collector.split import fields_of, text_of

CONSENT_EVENT = "Consent Preference Updated"
KNOWN_TYPES = frozenset(TYPES[KeyKind.SERVER])  # any other is the stream's to quarantine
OTHER_IDS = ("userId", "user_id", "loyaltyId")
ABSENT = (b"", b"null")


class _Stated(NamedTuple):
    """What a message says of itself, as far as the rule asks."""

    type: str | None
    event: str | None
    anonymous_id: str | None
    names_another: bool
    context: dict[str, Any]


def is_allowed(key: WriteKey, endpoint: str | None, payload: str, batch_context: str | None) -> bool:
    """Whether the key may send this message; `endpoint` is the type that the URL names, if it names one."""
    if key.is_unrestricted:
        return True
    stated = _read(payload) or _read_loosely(payload)
    types = {endpoint, stated.type if stated else None} & KNOWN_TYPES
    if not types <= set(key.types):
        return False
    if stated is None:
        return True
    if stated.event in key.server_only:
        return False
    return not key.is_browser or _is_own(stated, batch_context)


def _is_own(stated: _Stated, batch_context: str | None) -> bool:
    """Whether a browser's message speaks for its own visitor only."""
    if not (stated.anonymous_id or "").strip():
        return False
    if stated.event != CONSENT_EVENT:
        return True
    inherited = {} if batch_context is None else _object(batch_context)
    context = inherited | stated.context
    return not (_grants(context) and (stated.names_another or bool(context.get("traits"))))


def _read(payload: str) -> _Stated | None:
    found = fields_of(payload)
    if found is None:
        return None
    event = text_of(found.event)
    return _Stated(
        text_of(found.type),
        event,
        text_of(found.anonymousId) or text_of(found.anonymous_id),
        any(bytes(raw) not in ABSENT for raw in (found.userId, found.user_id, found.loyaltyId)),
        _object(bytes(found.context)) if event == CONSENT_EVENT else {},
    )


def _read_loosely(payload: str) -> _Stated | None:
    """The same from text that is no strict JSON (NaN, control characters, lone surrogates); None if that fails too."""
    try:
        found = json.loads(payload, strict=False, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    context = found.get("context")
    return _Stated(
        texts.get("type"),
        texts.get("event"),
        texts.get("anonymousId") or texts.get("anonymous_id"),
        any(found.get(name) is not None for name in OTHER_IDS),
        context if isinstance(context, dict) else {},
    )


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _grants(context: dict[str, Any]) -> bool:
    """Whether a consent object in the context grants anything."""
    consent = context.get("consent")
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    values = preferences.values() if isinstance(preferences, dict) else ()
    return any(str(value).strip().lower() == "true" for value in values)
