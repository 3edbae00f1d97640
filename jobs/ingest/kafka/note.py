"""What the collector notes beside a message on its own topic: one header, JSON. The two ends of it stand together here."""

import json

from jobs.ingest.landing.log import Received
from jobs.ingest.landing.text_check import text_error

HEADER = "c360"
SCHEMA = "source string, received_us long, endpoint string, receipt string, error string"


def headers_of(message: Received) -> list[tuple[str, bytes]]:
    """The header that travels with the message. The door's strict look at the text is taken here, as the landing log has it
    taken when it is sealed, so that the stream need not look again."""
    error = message.error or text_error(message.payload)
    fields = {
        "source": message.source,
        "received_us": message.received_us,
        "endpoint": message.endpoint,
        "receipt": json.dumps(message.receipt, ensure_ascii=True, separators=(",", ":")),
        "error": error,
    }
    return [(HEADER, json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode("ascii"))]


def value_of(message: Received) -> bytes:
    """The message's text as it came."""
    return message.payload.encode("utf-8", "surrogatepass")
