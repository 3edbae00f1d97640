"""What is written for people to read holds no address and no number: messages, tracebacks, the last words of a command."""

import logging
import sys
from collections.abc import Iterator

import pytest

from jobs import cli as cli_module
from jobs.cli import main
from jobs.core.errors import C360Error, ExitCode, GateError
from jobs.core.logging import configure_logging

ADDRESS = "ann@example.com"
NUMBER = "+1 555 010 0000"


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Puts the logging of the test run back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def choke(error: Exception) -> None:
    """Raises it out of another error, as engines do."""
    try:
        raise KeyError(ADDRESS)
    except KeyError as cause:
        raise error from cause


@pytest.mark.usefixtures("root_logger")
def test_a_logged_traceback_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    log = logging.getLogger("jobs.test")
    try:
        choke(ValueError(f"cannot read {ADDRESS}, {NUMBER}"))
    except ValueError:
        log.exception("row of %s", ADDRESS)
    shown = capsys.readouterr().err
    assert "row of [email]" in shown
    assert "ValueError: cannot read [email], [phone]" in shown
    assert "KeyError: '[email]'" in shown
    assert ADDRESS not in shown
    assert NUMBER not in shown


def ended(error: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of the command line when a command raises the error."""
    monkeypatch.setattr(cli_module.cli, "main", lambda **_: choke(error))
    monkeypatch.setattr(sys, "argv", ["c360"])
    with pytest.raises(SystemExit) as raised:
        main()
    return int(raised.value.code or 0)


@pytest.mark.parametrize("error", [C360Error(f"no profile {ADDRESS}"), GateError(f"no profile {ADDRESS}")])
def test_an_expected_error_is_redacted(
    error: C360Error, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error, monkeypatch) == error.exit_code
    assert capsys.readouterr().err == "c360: no profile [email]\n"


def test_an_unexpected_error_is_a_redacted_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(ValueError(f"cannot read {ADDRESS}"), monkeypatch) == ExitCode.FAILED
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):")
    assert shown.endswith("ValueError: cannot read [email]\n")
    assert ADDRESS not in shown
