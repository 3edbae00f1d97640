"""What was tried and what was acknowledged: one file per client, a line before each request and one after, on disk.

Lines: `attempt <request> <seq>…`, then `ack <request>` after a 2xx was read whole; `refused <request>` when nothing was
sent (no connection) or a status says that nothing was taken; `cut <request>` when it was sent and no answer came.
An attempt without a second line counts as cut.
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


class Ledger:
    """The file of one client. A conclusion is synced with the attempt after it, so that each request costs one fsync."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="ascii")
        self._requests = 0

    def attempt(self, seqs: Iterable[int]) -> int:
        """Called before sending; on disk when it returns. Returns the request's number."""
        self._requests += 1
        self._file.write(f"attempt {self._requests} {' '.join(map(str, seqs))}\n")
        self._sync()
        return self._requests

    def conclude(self, request: int, word: str) -> None:
        """`ack`, `refused` or `cut`."""
        self._file.write(f"{word} {request}\n")

    def close(self) -> None:
        """All on disk."""
        self._sync()
        self._file.close()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


@dataclass
class Tally:
    """Per seq: how often it was acknowledged, and how often it was on its way when the line went dead."""

    attempted: Counter[int] = field(default_factory=Counter)
    acked: Counter[int] = field(default_factory=Counter)
    cut: Counter[int] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)  # by conclusion

    @property
    def retries(self) -> int:
        """Messages sent again because no answer came."""
        return self.attempted.total() - self.acked.total()


def tally(folder: Path) -> Tally:
    """Adds up the files of all clients."""
    found = Tally()
    for path in sorted(folder.glob("*.ledger")):
        waiting: dict[str, list[int]] = {}
        for line in path.read_text(encoding="ascii").splitlines():
            word, request, *seqs = line.split()
            if word == "attempt":
                waiting[request] = [int(seq) for seq in seqs]
                found.attempted.update(waiting[request])
                continue
            _conclude(found, word, waiting.pop(request))
        for open_ended in waiting.values():
            _conclude(found, "cut", open_ended)
    return found


def _conclude(found: Tally, word: str, seqs: list[int]) -> None:
    found.requests[word] += 1
    if word == "ack":
        found.acked.update(seqs)
    elif word == "cut":
        found.cut.update(seqs)
