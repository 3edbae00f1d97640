"""What must hold before a stream may start; asked by every ingest run, before it writes anything."""

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.ingest.doctor.examine import examine, examine_all
from jobs.ingest.doctor.findings import Finding, Kind
from jobs.ingest.doctor.fingerprint import remember
from jobs.lake.checkpoints import STREAMS
from jobs.lake.migrate import require_migrated


def require_ready(settings: Settings) -> None:
    """Raises PermanentError with the first thing that is in the way and its remedy; nothing has been written then."""
    require_migrated(settings)
    blocking = [finding for finding in examine_all(settings) if finding.blocks]
    if blocking:
        more = f" (and {len(blocking) - 1} more: c360 ingest doctor)" if len(blocking) > 1 else ""
        raise PermanentError(f"{blocking[0]}{more}")
    for stream in STREAMS:
        remember(settings, stream)


def repair(settings: Settings) -> list[Finding]:
    """Drops the newest unfinished entry of each checkpoint that has a torn one; returns what was repaired.

    The caller holds the ingest lock. What remains is for `examine` to say.
    """
    done: list[Finding] = []
    for stream in STREAMS:
        for finding in examine(settings, stream):
            if finding.kind is Kind.REPAIR:
                for path in finding.drop:
                    path.unlink(missing_ok=True)
                done.append(finding)
    return done
