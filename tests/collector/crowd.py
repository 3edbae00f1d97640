"""Many senders at once, and the ledger of what they tried and what was acknowledged."""

import http.client
import json
import threading
import time
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field

from doorkit import Speaker, event

from jobs.ingest.landing.files import log_segments
from jobs.ingest.landing.log import Received, Torn, read_segment


@dataclass
class Ledger:
    """Payload texts; `acked` only after a 200 has been read whole."""

    attempted: set[str] = field(default_factory=set)
    acked: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, text: str, status: int | None) -> None:
        """`status` None before sending."""
        with self._lock:
            if status is None:
                self.attempted.add(text)
                return
            self.statuses[status] += 1
            if status == 200:
                self.acked.add(text)


@dataclass
class Verdict:
    """What the log holds of what was tried."""

    lost: int
    unexpected: int
    duplicated: int
    torn: int

    @property
    def is_clean(self) -> bool:
        return (self.lost, self.unexpected, self.duplicated) == (0, 0, 0)


def judge(ledger: Ledger, found: list[Received | Torn]) -> Verdict:
    """Acknowledged must be there, what is there must have been tried (character by character), once."""
    texts = Counter(item.payload for item in found if isinstance(item, Received))
    return Verdict(
        lost=len(ledger.acked - set(texts)),
        unexpected=len(set(texts) - ledger.attempted),
        duplicated=sum(count - 1 for count in texts.values()),
        torn=sum(isinstance(item, Torn) for item in found),
    )


def in_log(speaker: Speaker) -> list[Received | Torn]:
    """The whole log as the sealer finds it; segments of the dead are sealed by that."""
    return [item for _, path in log_segments(speaker.settings) for _, item in read_segment(path)]


class Crowd:
    """Senders in threads: each sends the next event when the last one is answered, until told to stop or cut off."""

    def __init__(self, speaker: Speaker, ledger: Ledger, *, senders: int = 8, first: int = 0) -> None:
        self._speaker, self._ledger, self._first = speaker, ledger, first
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(senders)]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def run(self, seconds: float) -> None:
        """Lets them send for a while, or until all are cut off."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.005)

    def _send(self, sender: int) -> None:
        headers = {"authorization": "Basic " + b64encode(f"{self._speaker.key}:".encode()).decode()}
        connection = http.client.HTTPConnection("127.0.0.1", self._speaker.port, timeout=10)
        number = 0
        while not self._stop.is_set():
            text = json.dumps(event(self._first + sender * 1_000_000 + number))
            number += 1
            self._ledger.note(text, None)
            try:
                connection.request("POST", "/v1/track", text.encode(), headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                break
            self._ledger.note(text, answer.status)
        connection.close()
