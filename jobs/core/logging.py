"""Logging: one format, to standard error, and a filter that redacts what looks like an e-mail or a phone number."""

import logging
import re
import sys

EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
PHONE = re.compile(r"(?<![\w.:-])\+\d[\d ()-]{7,}\d")


class RedactingFilter(logging.Filter):
    """Replaces e-mail addresses and phone numbers in the finished message, whoever logged it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record in place; always lets it pass."""
        record.msg = redact(record.getMessage())
        record.args = ()
        return True


def redact(text: str) -> str:
    """The text without e-mail addresses and international phone numbers."""
    return PHONE.sub("[phone]", EMAIL.sub("[email]", text))


def configure_logging(level: str) -> None:
    """Sets up the root logger once; noisy libraries speak from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S"))
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("jobs", "models", "expectations"):
        logging.getLogger(name).setLevel(level)
