"""An event of a history."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Event:
    """One event of a profile; `properties` is JSON text."""

    profile_id: str
    event_key: str
    name: str
    effective_at: datetime
    received_at: datetime
    receive_position: int
    properties: str
