"""The one clock. Nothing below the CLI reads the wall clock; whoever needs the time is handed a Clock."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """Gives "now" in UTC: a fixed instant when one is set (simulations, as-of builds), the wall clock otherwise."""

    fixed: datetime | None = None

    def now(self) -> datetime:
        """Timezone-aware UTC time of the run."""
        if self.fixed is not None:
            return self.fixed.astimezone(UTC)
        return datetime.now(UTC)  # noqa: TID251 - the one place that may
