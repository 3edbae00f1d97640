"""Stops a run that would change who is who for many people at once: a changed rule, a value that suddenly everybody has."""

from jobs.core.errors import GateError
from jobs.core.settings import Settings
from jobs.identity.profiles import Resolution


def allowed(settings: Settings, profiles: int) -> int:
    """Merges and splits that a run over so many known profiles may make unasked."""
    return max(settings.identity_changes, int(profiles * settings.identity_changes_share))


def require_few(settings: Settings, profiles: int, resolution: Resolution, approved: int, command: str) -> None:
    """`profiles`: how many there were before. Nothing is asked of the first run. `command` is what was called.
    Raises GateError."""
    merges = len(resolution.merges)
    splits = sum(change.action == "split" for change in resolution.changes)
    limit = allowed(settings, profiles)
    if not profiles or merges + splits <= max(limit, approved):
        return
    raise GateError(
        f"identity would merge {merges:,} and split {splits:,} of {profiles:,} profiles, unasked it may change {limit:,}; "
        f"nothing was written. If that is meant: {command} --approve {merges + splits}"
    )
