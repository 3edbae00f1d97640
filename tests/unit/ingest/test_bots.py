"""The look that clears ordinary browsers clears no bot of the list's own examples, and the list no ordinary browser."""

import re

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from jobs.ingest.stream.bots import ORDINARY, listed

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
BROWSERS = (
    CHROME,
    f"{CHROME} Edg/131.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 "
    "Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
)


def test_no_example_of_the_list_passes_for_an_ordinary_browser() -> None:
    examples = [text for entry in CRAWLER_USER_AGENTS_DATA for text in entry.get("instances", ())]
    assert len(examples) > 1_000
    names = re.compile(listed())
    assert [text for text in examples if re.search(ORDINARY, text)] == []
    assert [text for text in examples if not names.search(text)] == []


@pytest.mark.parametrize("agent", BROWSERS)
def test_ordinary_browsers_are_cleared_at_the_first_look_and_by_the_list(agent: str) -> None:
    assert re.search(ORDINARY, agent)
    assert not re.search(listed(), agent)


def test_the_list_is_one_pattern_that_needs_no_backtracking() -> None:
    assert not re.search(r"\(\?[=!<]|\\[1-9]", listed())
