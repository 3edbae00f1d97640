"""Logging: one format, to standard error, in which nothing looks like an e-mail address or a phone number."""

import logging
import re
import sys

EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
PHONE = re.compile(r"(?<![\w.:-])\+\d[\d ()-]{7,}\d")


class RedactingFormatter(logging.Formatter):
    """Replaces e-mail addresses and phone numbers in all that is written of a record, whoever logged it."""

    def format(self, record: logging.LogRecord) -> str:
        """The finished text: message, traceback and stack, redacted together."""
        return redact(super().format(record))


def redact(text: str) -> str:
    """The text without e-mail addresses and international phone numbers."""
    return PHONE.sub("[phone]", EMAIL.sub("[email]", text))


def configure_logging(level: str) -> None:
    """Sets up the root logger once; noisy libraries speak from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("jobs", "models", "expectations"):
        logging.getLogger(name).setLevel(level)
