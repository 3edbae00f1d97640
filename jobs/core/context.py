"""What a command is handed: the settings, the clock and the id of the run. Built once, by the CLI."""

import uuid
from dataclasses import dataclass

from jobs.core.clock import Clock
from jobs.core.settings import Settings


@dataclass(frozen=True)
class Context:
    """Everything a job may know about the world besides its tables."""

    settings: Settings
    clock: Clock
    run_id: str

    @classmethod
    def from_settings(cls, settings: Settings) -> "Context":
        """Fixed clock if the settings name one; run id of the DAG run if one is set, a fresh one otherwise."""
        run_id = settings.run_id or f"manual-{uuid.uuid4().hex[:12]}"
        return cls(settings=settings, clock=Clock(settings.now), run_id=run_id)
