"""Rows of the tables that triggers keep, and the objects that they stand for."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.segments.triggers.model import Decided, Decision, Message, Reason, Standing

TIME, TEXT, TEXTS = pa.timestamp("us"), pa.string(), pa.list_(pa.string())


def _schema(texts: str, times: str, *more: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*((name, TEXT) for name in texts.split()), *((name, TIME) for name in times.split()), *more])


TABLES = {
    "decisions": _schema(
        "occasion_id decision trigger_name profile_id message journey_name step_name entry_id purpose time_zone",
        "occasion_at decided_at known_at not_before expires_at undone_at",
        ("reasons", TEXTS),
        ("event_keys", TEXTS),
    ),
    "standings": _schema(
        "entry_id journey_name profile_id step_name reason trigger_name",
        "entered_at state_at due_at known_at",
        ("sequence", pa.int64()),
        ("event_keys", TEXTS),
    ),
    "turns": _schema("trigger_name profile_id told_of", "occasion_at decided_at", ("event_keys", TEXTS)),
    "deliveries": _schema("occasion_id", "sent_at"),
    "trigger_dues": _schema("profile_id", "due_at"),
}


def decided_of(row: dict[str, Any]) -> Decided:
    """The decision that a row stands for; what its trigger says of re-entry is not in it."""
    expires = (row["expires_at"] or row["decided_at"]) - row["decided_at"]
    message = Message(
        occasion_id=row["occasion_id"],
        trigger=row["trigger_name"],
        profile_id=row["profile_id"],
        message=row["message"],
        purpose=row["purpose"],
        occasion_at=row["occasion_at"],
        decided_at=row["decided_at"],
        expires=expires,
        zone=row["time_zone"],
        re_entry="always",
        event_keys=tuple(row["event_keys"]),
        journey=row["journey_name"],
        step=row["step_name"],
        entry_id=row["entry_id"],
    )
    reasons = tuple(Reason(reason) for reason in row["reasons"])
    decision = Decision(row["decision"])
    return Decided(
        decision, message, reasons, row["not_before"], row["expires_at"], row["time_zone"], row["decided_at"]
    )


def decision_rows(decided: Iterable[Decided], known_at: datetime) -> pa.Table:
    """Rows of `decisions`, known at that moment."""
    return pa.Table.from_pylist([_decision_row(one, known_at) for one in decided], schema=TABLES["decisions"])


def _decision_row(one: Decided, known_at: datetime) -> dict[str, Any]:
    message = one.message
    return {
        "occasion_id": message.occasion_id,
        "decision": one.decision.value,
        "trigger_name": message.trigger,
        "profile_id": message.profile_id,
        "message": message.message,
        "journey_name": message.journey,
        "step_name": message.step,
        "entry_id": message.entry_id,
        "purpose": message.purpose,
        "reasons": [reason.value for reason in one.reasons],
        "occasion_at": message.occasion_at,
        "decided_at": one.decided_at,
        "known_at": known_at,
        "not_before": one.not_before,
        "expires_at": one.expires_at,
        "undone_at": one.undone_at,
        "time_zone": one.zone,
        "event_keys": list(message.event_keys),
    }


def standing_of(row: dict[str, Any]) -> Standing:
    """The standing that a row stands for."""
    return Standing(
        entry_id=row["entry_id"],
        journey=row["journey_name"],
        profile_id=row["profile_id"],
        sequence=row["sequence"],
        entered_at=row["entered_at"],
        at=row["state_at"],
        step=row["step_name"],
        due_at=row["due_at"],
        reason=row["reason"],
        event_keys=tuple(row["event_keys"]),
        trigger=row["trigger_name"],
    )


def standing_rows(standings: Iterable[Standing], known_at: datetime) -> pa.Table:
    """Rows of `standings`, known at that moment."""
    rows = [
        {
            "entry_id": one.entry_id,
            "sequence": one.sequence,
            "journey_name": one.journey,
            "profile_id": one.profile_id,
            "step_name": one.step,
            "reason": one.reason,
            "entered_at": one.entered_at,
            "state_at": one.at,
            "due_at": one.due_at,
            "known_at": known_at,
            "trigger_name": one.trigger,
            "event_keys": list(one.event_keys),
        }
        for one in standings
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["standings"])
