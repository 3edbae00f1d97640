"""The lane `collector`: servers on loopback with a free port each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from doorkit import Door
from settingskit import make_settings
from snippetkit import browser, fake, shop, visitor

from jobs.core.clock import Clock
from jobs.core.context import Context

__all__ = ["browser", "fake", "shop", "visitor"]  # fixtures of the tests in a browser


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--payloads", type=int, default=300, help="fuzzed payloads to send through the HTTP door")


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    """Starts a collector in this process; settings by keyword, `disk` and `clock` for a stand-in."""
    with ExitStack() as stack:
        counter = iter(range(100))

        def start(*, disk: Any = None, clock: Any = None, **settings: Any) -> Door:
            made = make_settings(tmp_path / f"home{next(counter)}", collector_rotate_seconds=60.0, now=None)
            context = Context(made.model_copy(update=settings), clock or Clock(), "test")
            return stack.enter_context(Door(context, disk=disk))

        yield start


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One collector for all tests of a module that change none of its settings."""
    settings = make_settings(tmp_path_factory.mktemp("door") / "home", collector_rotate_seconds=60.0, now=None)
    with Door(Context(settings, Clock(), "test")) as started:
        yield started
