"""Size and overlaps of a segment by the definitions as they stand now, over everybody or a sample."""

import logging
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import Any

from jobs.core.settings import Settings
from jobs.segments.compile.rules import segment_column
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.evaluate.published import load_events, load_profiles, open_evaluated
from jobs.segments.language.model import Catalogue

log = logging.getLogger(__name__)
SURE = 1.96  # standard errors to either side that hold 95 %
SIZES = """
select {counts}, count(*) filter ({name} and not people.is_simulated),
    count(*) filter ({name} and people.has_marketing_consent and not people.is_suppressed)
from answers inner join published.marts.dim_profiles as people using (profile_id)
"""


@dataclass(frozen=True)
class Overlap:
    """Another segment: how many members it has, and how many of them are in the one looked at."""

    name: str
    members: int
    both: int


@dataclass(frozen=True)
class Preview:
    """Counts among the profiles asked; `profiles`: how many there are in all. `is_sample`: only some of them were asked."""

    name: str
    as_of: datetime
    profiles: int
    asked: int
    is_sample: bool
    members: int
    real: int
    reachable: int
    overlaps: tuple[Overlap, ...]

    @property
    def between(self) -> tuple[float, float]:
        """Shares that hold the true one of all profiles between them, for 95 of 100 samples (Wilson's interval)."""
        n, share = self.asked, self.members / self.asked
        middle = share + SURE**2 / (2 * n)
        half = SURE * sqrt(share * (1 - share) / n + SURE**2 / (4 * n**2))
        whole = 1 + SURE**2 / n
        return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def preview(settings: Settings, catalogue: Catalogue, name: str, share: float | None = None) -> Preview:
    """Evaluates all segments over the published warehouse, or `share` of its profiles, the same ones each time.

    Percentiles of a sample are taken within the sample. Raises PermanentError when nothing is published.
    """
    evaluator = Evaluator(catalogue)
    with closing(open_evaluated(settings)) as connection:
        moment, profiles, asked = load_profiles(connection, evaluator.program.needs.attributes, share)
        log.info("reading the events of %s profiles", f"{asked:,}")
        events = load_events(settings, connection, evaluator.program.needs.event_names)
        log.info("asking %d segments of %s events", len(catalogue.segments), f"{events:,}")
        connection.register("answers", evaluator.evaluate(connection))
        members, real, reachable, overlaps = _counted(connection, catalogue, name)
    return Preview(name, moment, profiles, asked, asked < profiles, members, real, reachable, overlaps)


def _counted(connection: Any, catalogue: Catalogue, name: str) -> tuple[int, int, int, tuple[Overlap, ...]]:
    own, others = segment_column(name), [other for other in sorted(catalogue.segments) if other != name]
    counts = [f"count(*) filter ({own})"]
    for other in others:
        column = segment_column(other)
        counts += [f"count(*) filter ({column})", f"count(*) filter ({column} and {own})"]
    found = connection.execute(SIZES.format(counts=", ".join(counts), name=own)).fetchall()[0]
    pairs = zip(found[1:-2:2], found[2:-2:2], strict=True)
    overlaps = [Overlap(other, size, both) for other, (size, both) in zip(others, pairs, strict=True) if both]
    return found[0], found[-2], found[-1], tuple(sorted(overlaps, key=lambda one: (-one.both, one.name)))


def spoken(found: Preview, most: int = 10) -> str:
    """The preview in lines for a person; a sample's counts are scaled up and its error is said."""
    share, scale = found.members / found.asked, found.profiles / found.asked
    about = "about " if found.is_sample else ""
    lines = [
        f"{found.name}: {about}{found.members * scale:,.0f} of {found.profiles:,} profiles ({share:.1%}); "
        f"{about}{found.real * scale:,.0f} real, {found.reachable * scale:,.0f} may be contacted"
    ]
    if found.is_sample:
        low, high = found.between
        told = f"between {low:.1%} and {high:.1%} of all, in 95 of 100 samples"
        lines.append(f"  from a sample of {found.asked:,} profiles: {told}")
    lines.append(f"  as of {found.as_of:%Y-%m-%dT%H:%M:%S}Z, by the definitions as they stand now")
    if found.overlaps:
        lines.append(f"  {'also in':30} {'both':>9} {'of ' + found.name[:18]:>22} {'of the other':>14}")
    for one in found.overlaps[:most]:
        of_own, of_other = one.both / found.members, one.both / one.members
        lines.append(f"  {one.name:30} {one.both * scale:>9,.0f} {of_own:>22.1%} {of_other:>14.1%}")
    if (more := len(found.overlaps) - most) > 0:
        lines.append(f"  and {more} more")
    return "\n".join(lines)
