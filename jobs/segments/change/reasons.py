"""A difference found over the published warehouse, with the reasons of some whom it moves."""

import logging
from contextlib import closing
from datetime import datetime
from typing import Any

from jobs.core.definitions import load_syncs
from jobs.core.settings import Settings
from jobs.segments.change.compare import Difference, compare
from jobs.segments.change.markdown import report
from jobs.segments.compile.program import compiled
from jobs.segments.evaluate.explain import Reason, explain
from jobs.segments.evaluate.published import load_events, load_profiles, open_evaluated
from jobs.segments.language.model import Catalogue

log = logging.getLogger(__name__)
MOST_REASONS = 12


def difference(settings: Settings, base: Catalogue, head: Catalogue, share: float | None) -> str:
    """The report (Markdown) of what `head` would change against `base`, for all profiles or a share of them."""
    needs = [compiled(catalogue).needs for catalogue in (base, head)]
    names = sorted({name for one in needs for name in one.event_names})
    with closing(open_evaluated(settings)) as connection:
        attributes = {name for one in needs for name in one.attributes}
        moment, profiles, asked = load_profiles(connection, attributes, share)
        log.info("reading the events of %s profiles", f"{asked:,}")
        load_events(settings, connection, names)
        log.info("comparing %d segments with %d", len(head.segments), len(base.segments))
        syncs = [(name, sync.segment) for name, sync in load_syncs(settings.project_root).items()]
        found = compare(connection, base, head, syncs)
        reasons = _reasons(connection, base, head, found, moment)
    return report(found, reasons, asked / profiles if profiles else 1.0)


def _reasons(
    connection: Any, base: Catalogue, head: Catalogue, found: Difference, moment: datetime
) -> dict[tuple[str, str], Reason]:
    """Why they are where they are by the new definition, or, when it is gone, were by the old; of a dozen at most."""
    wanted = [
        (change.name, profile_id)
        for change in found.changed
        for profile_id in (*change.entering_sample[:1], *change.leaving_sample[:1])
    ]
    reasons: dict[tuple[str, str], Reason] = {}
    for name, profile_id in wanted[:MOST_REASONS]:
        side = head if name in head.segments else base
        reasons[name, profile_id] = explain(connection, side, name, profile_id, moment)
    return reasons


def explained(settings: Settings, catalogue: Catalogue, name: str, profile_id: str) -> Reason | None:
    """Why a profile is in a segment, or not, as of the published build; None when there is no such profile."""
    needs = compiled(catalogue).needs
    with closing(open_evaluated(settings)) as connection:
        moment, _, _ = load_profiles(connection, needs.attributes)
        known = "select count(*) from attributes where profile_id = ?"
        if not connection.execute(known, [profile_id]).fetchall()[0][0]:
            return None
        load_events(settings, connection, needs.event_names)
        return explain(connection, catalogue, name, profile_id, moment)
