"""The error classes of c360, and the exit code that each one ends a command with."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; Airflow's retry rule reads them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    GATED = 3
    REFUSED_INPUT = 4


class C360Error(Exception):
    """Base of all expected errors. The message is one line: what happened, what was expected, what to do."""

    exit_code = ExitCode.FAILED


class RetryableError(C360Error):
    """Trying again later may help: a lock is held, a service is away."""


class PermanentError(C360Error):
    """Trying again will not help: configuration or data must change first."""


class AuthError(PermanentError):
    """A credential was refused."""


class GateError(C360Error):
    """A gate or guard stopped the flow on purpose; nothing downstream was published."""

    exit_code = ExitCode.GATED


class UsageError(C360Error):
    """The command was called wrongly."""

    exit_code = ExitCode.USAGE
