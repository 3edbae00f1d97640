"""Why identifiers belong together: the links of one profile with their evidence, and what the ledger says of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.core.errors import UsageError
from jobs.core.profile_ids import founded_profile_id
from jobs.core.settings import Settings
from jobs.identity.components import Cut
from jobs.identity.evidence import TABLE
from jobs.lake import delta
from jobs.lake.duck import lake_connection

REASONS = {
    Cut.SEPARATION: "a person has undone the merge of the two",
    Cut.SHARED: "this identifier is shared by more people than jobs/identity/rules.yml allows",
    Cut.LIMIT: "one identifier too many for jobs/identity/rules.yml",
}
LINKS = f"""
select * from {TABLE} as links
where exists (
    select 1 from members
    where (members.identifier_type, members.identifier_value) in (
        (links.stronger_type, links.stronger_value), (links.weaker_type, links.weaker_value)
    )
)
order by first_seen_at, stronger_type, stronger_value, weaker_type, weaker_value
"""


def explain_lines(settings: Settings, subject: str, limit: int) -> Iterator[str]:
    """Lines for a reader, about a profile id or an identifier (`value` or `type:value`); unknown is a UsageError."""
    identifiers = delta.read(settings, "profile_identifiers")
    profile_id, note = find_profile(identifiers, delta.read(settings, "profile_redirects"), subject)
    if note:
        yield note
    mine = identifiers.filter(pc.equal(identifiers["profile_id"], profile_id)).to_pylist()
    yield f"profile {profile_id}: {len(mine)} identifiers"
    for row in mine:
        seen = f"{row['valid_from']:%Y-%m-%d %H:%M} to {row['last_seen_at']:%Y-%m-%d %H:%M}"
        yield f"  {row['identifier_type']:13} {row['identifier_value']}  {row['event_count']:,} events, {seen}"
    yield from _link_lines(links_of(settings, profile_id), limit)
    yield from _ledger_lines(delta.read(settings, "identity_ledger"), profile_id, limit)


def find_profile(identifiers: pa.Table, redirects: pa.Table, subject: str) -> tuple[str, str | None]:
    """The living profile id that the subject stands for, and a note when it was reached through a redirect."""
    for row in redirects.filter(pc.equal(redirects["from_profile_id"], subject)).to_pylist():
        when = f"{row['merged_at']:%Y-%m-%d}"
        return str(row["to_profile_id"]), f"{subject} was merged into {row['to_profile_id']} on {when}"
    if subject.startswith("p_") and (adopted := _adopted_by(identifiers, subject)):
        return adopted, f"{subject} was provisional, and is part of {adopted}"
    kind, _, value = subject.partition(":")
    wanted = pc.equal(identifiers["profile_id"], subject)
    plain = pc.equal(identifiers["identifier_value"], subject)
    typed = pc.and_(pc.equal(identifiers["identifier_type"], kind), pc.equal(identifiers["identifier_value"], value))
    found = identifiers.filter(pc.or_(wanted, pc.or_(plain, typed))).to_pylist()
    owners = sorted({row["profile_id"] for row in found})
    if len(owners) == 1:
        return str(owners[0]), None
    if owners:
        choices = ", ".join(sorted(f"{row['identifier_type']}:{row['identifier_value']}" for row in found))
        raise UsageError(f"{subject!r} is ambiguous; say which: {choices}")
    raise UsageError(
        f"no profile or identifier {subject!r}; see: c360 identity explain --help, or run: c360 identity run"
    )


def _adopted_by(identifiers: pa.Table, subject: str) -> str | None:
    """The profile of the identifier that had this provisional id; None where the id lives, or is no such one."""
    if pc.any(pc.equal(identifiers["profile_id"], subject)).as_py():
        return None
    named = zip(
        *(identifiers[c].to_pylist() for c in ("identifier_type", "identifier_value", "profile_id")), strict=True
    )
    return next((str(owner) for kind, value, owner in named if founded_profile_id(kind, value) == subject), None)


def links_of(settings: Settings, profile_id: str) -> list[dict[str, Any]]:
    """Rows of `identity_edges` with an end in the profile, oldest first."""
    delta.ensure_table(settings, TABLE)
    connection = lake_connection(settings, (TABLE, "profile_identifiers"))
    try:
        members = "select identifier_type, identifier_value from profile_identifiers where profile_id = $profile"
        found = connection.execute(f"with members as ({members}) {LINKS}", {"profile": profile_id})
        rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
        return rows
    finally:
        connection.close()


def _link_lines(links: list[dict[str, Any]], limit: int) -> Iterator[str]:
    yield f"{len(links)} links, by first sight" + _shown(links, limit)
    for link in links[:limit]:
        ends = " with ".join(f"{link[f'{end}_type']}:{link[f'{end}_value']}" for end in ("stronger", "weaker"))
        seen = f"{link['first_seen_at']:%Y-%m-%d %H:%M} to {link['last_seen_at']:%Y-%m-%d %H:%M}"
        events = ", ".join(link["events"])
        more = f" and {more:,} between" if (more := link["event_count"] - len(link["events"])) else ""
        cut = "" if link["is_kept"] else f"  CUT: {REASONS[Cut(link['cut_reason'])]}"
        count = (
            f"{link['event_count']:,} events"
            if link["match_weight"] is None
            else f"matched, {link['match_weight']:.1f} bits"
        )
        yield f"  {ends}  {count}, {seen}: {events}{more}{cut}"


def _ledger_lines(ledger: pa.Table, profile_id: str, limit: int) -> Iterator[str]:
    mask = pc.or_(
        pc.equal(ledger["profile_id"], profile_id),
        pc.fill_null(pc.equal(ledger["other_profile_id"], profile_id), False),
    )
    order = [("ledger_version", "ascending"), ("entry_id", "ascending")]
    rows = ledger.filter(mask).sort_by(order).to_pylist()
    yield f"{len(rows)} ledger entries" + _shown(rows, limit)
    for row in rows[:limit]:
        other = f" {row['other_profile_id']}" if row["other_profile_id"] else ""
        cause = f"{row['identifier_type']}:{row['identifier_value']}"
        entry = f"{row['action']} {str(row['entry_id'])[:12]}" if row["action"] == "merge" else row["action"]
        yield f"  {row['occurred_at']:%Y-%m-%d %H:%M} {entry}{other} by {cause}  {row['evidence']}"


def _shown(items: Sequence[object], limit: int) -> str:
    return f" (the first {limit})" if len(items) > limit else ""
