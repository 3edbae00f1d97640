"""Releasing a held file: a person has looked at it and takes it as it is."""

from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.ingest.landing.manifest import Manifest


def release(context: Context, source: str, name: str, *, why: str) -> int:
    """Records that the very bytes of a held file may be loaded; the next run does. Returns the number of the decision.

    Raises UsageError when the file is not held.
    """
    manifest = Manifest.open(context.settings)
    last = manifest.decided.get((source, name))
    if last is None or last["status"] != "held":
        held = sorted("/".join(key) for key, row in manifest.decided.items() if row["status"] == "held")
        raise UsageError(f"{source}/{name} is not held; held files: {', '.join(held) or 'none'}")
    number = manifest.next_number()
    manifest.record(
        [
            last
            | {
                "file_number": number,
                "status": "released",
                "details": why,
                "run_id": context.run_id,
                "recorded_at": context.clock.now(),
            }
        ]
    )
    return number
