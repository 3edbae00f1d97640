"""What one pull did: counts for the record, and what went wrong with single things."""

from dataclasses import dataclass, field

from jobs.core.errors import ExitCode


@dataclass
class PullReport:
    """`received` objects listed or rows answered · `landed` of them handed on · `known` from before · `problems` by name."""

    name: str
    received: int = 0
    landed: int = 0
    known: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """OK, or REFUSED_INPUT when something that was offered could not be taken."""
        return ExitCode.REFUSED_INPUT if self.problems else ExitCode.OK

    @property
    def details(self) -> dict[str, object]:
        """For `ops_runs`; counts only."""
        return {"files": self.files, "known": self.known, "problems": len(self.problems)}

    @property
    def line(self) -> str:
        """For a person."""
        rest = f", {len(self.problems)} could not be taken" if self.problems else ""
        return f"{self.name}: {self.received} found, {self.landed} new in {self.files} files, {self.known} known{rest}"
