"""An HTTP answer, read whole under limits, and its JSON read strictly: numbers as they were written, no key twice."""

import json
import time
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

import requests

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings

BLOCK = 65_536
EXACT_DIGITS = 18  # beyond, an integer is kept as a decimal: some engines would round it
UNREAD = object()


class Answer(requests.Response):
    """A response whose body is in memory."""

    _parsed: Any = UNREAD

    @classmethod
    def read(cls, response: requests.Response, settings: Settings) -> "Answer":
        """Takes over an open response. Raises PermanentError when it is too large, OSError and the like when it breaks off."""
        deadline = time.monotonic() + settings.http_total_seconds
        blocks, size = [], 0
        # read1 returns what is there: one byte a minute must not keep us for ever.
        while block := response.raw.read1(BLOCK, decode_content=True):
            blocks.append(block)
            size += len(block)
            if size > settings.http_response_bytes:
                raise PermanentError(
                    f"{_host(response)} answered more than {settings.http_response_bytes} bytes; "
                    "ask for smaller pages, or raise C360_HTTP_RESPONSE_BYTES"
                )
            if time.monotonic() > deadline:
                raise TimeoutError("the answer took too long")
        answer = cls()
        answer.__dict__.update(response.__dict__)
        answer._content = b"".join(blocks)
        answer._content_consumed = True
        return answer

    def json(self, **_: Any) -> Any:
        """The body as JSON, parsed once. Raises PermanentError when it is none."""
        if self._parsed is UNREAD:
            try:
                self._parsed = parse(self.content)
            except (ValueError, RecursionError) as error:
                kind = self.headers.get("Content-Type", "no type")[:50]
                raise PermanentError(
                    f"{_host(self)} answered something other than strict JSON ({kind}); is the address right?"
                ) from error
        return self._parsed


def parse(data: bytes) -> Any:
    """JSON text as Python values: fractions and huge integers as Decimal, NaN and what no Decimal holds as text.

    Raises ValueError when it is no JSON or has a key twice, RecursionError when it is nested too deep.
    """
    return json.loads(
        data, object_pairs_hook=_once, parse_float=_number, parse_int=_integer, parse_constant=lambda text: text
    )


def _integer(text: str) -> int | Decimal | str:
    return int(text) if len(text) <= EXACT_DIGITS else _number(text)


def _number(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        return text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _host(response: requests.Response) -> str:
    return urlsplit(str(response.url)).hostname or "the server"
