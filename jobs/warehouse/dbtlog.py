"""What dbt says while it works: lines of a log, the end of each model for whoever watches; and nothing for what nobody hears.

dbt tells its loggers some thirty things about each node, nearly all of them for debugging. It makes a text of each, with all
secrets of the environment looked for in it, before it looks at the level: a sixth of the time that it takes.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

log = logging.getLogger(__name__)


@contextmanager
def listening(log_file: Path | None) -> Iterator[list[Any]]:
    """Callbacks for `dbtRunner`, while the file (of this run alone) is open."""
    _hush()
    if log_file is None:
        yield [_log_progress]
        return
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("w", encoding="utf-8") as file:
        yield [_log_progress, partial(_write_line, file)]


def _hush() -> None:
    """From now on dbt's events for debugging go nowhere."""
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager
    from dbt_common.events.event_manager_client import ctx_set_event_manager

    class Hushed(EventManager):
        def fire_event(self, e: Any, level: EventLevel | None = None, *given: Any, **named: Any) -> None:
            if (level or e.level_tag()) != EventLevel.DEBUG:
                super().fire_event(e, level, *given, **named)

    ctx_set_event_manager(Hushed())


def _log_progress(event: Any) -> None:
    """dbt's own console is off; the end of each model is news for whoever watches a build."""
    if event.info.name == "LogModelResult":
        log.info("dbt %s: %.1f s", event.data.description, event.data.execution_time)


def _write_line(file: TextIO, event: Any) -> None:
    at = event.info.ts.ToDatetime().isoformat(sep=" ", timespec="milliseconds")
    file.write(f"{at} [{event.info.level}] {event.info.msg}\n")
    file.flush()
