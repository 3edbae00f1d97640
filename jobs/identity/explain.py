"""Why identifiers belong together: the links of one profile with their evidence, and what the ledger says of it."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.identity.ledger import iso
from jobs.identity.rules import load_rules
from jobs.identity.runner import Graph, read_graph
from jobs.identity.state import read_state
from jobs.lake import delta


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
    graph = read_graph(settings, load_rules(), read_state(settings).separations)
    members = {(row["identifier_type"], row["identifier_value"]) for row in mine}
    yield from _link_lines(graph, members, limit)
    yield from _ledger_lines(delta.read(settings, "identity_ledger"), profile_id, limit)


def find_profile(identifiers: pa.Table, redirects: pa.Table, subject: str) -> tuple[str, str | None]:
    """The living profile id that the subject stands for, and a note when it was reached through a redirect."""
    for row in redirects.filter(pc.equal(redirects["from_profile_id"], subject)).to_pylist():
        when = f"{row['merged_at']:%Y-%m-%d}"
        return str(row["to_profile_id"]), f"{subject} was merged into {row['to_profile_id']} on {when}"
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


def _link_lines(graph: Graph, members: set[tuple[str, str]], limit: int) -> Iterator[str]:
    nodes, edges = graph.nodes, graph.edges
    inside = [pair in members for pair in zip(nodes.types, nodes.values, strict=True)]
    ends = zip(edges.a.tolist(), edges.b.tolist(), strict=True)
    mine = [number for number, (a, b) in enumerate(ends) if inside[a] or inside[b]]
    mine.sort(key=lambda edge: (int(edges.first_seen[edge]), edge))
    yield f"{len(mine)} links, by first sight" + _shown(mine, limit)
    for edge in mine[:limit]:
        a, b = int(edges.a[edge]), int(edges.b[edge])
        first = f"first {edges.first_event[edge]} at {iso(int(edges.first_seen[edge]))}"
        cut = "" if graph.components.kept[edge] else "  CUT: " + _reason(graph, a, b)
        yield (
            f"  {nodes.types[a]}:{nodes.values[a]} with {nodes.types[b]}:{nodes.values[b]}  "
            f"{edges.event_count[edge]:,} events, {first}{cut}"
        )


def _reason(graph: Graph, stronger: int, weaker: int) -> str:
    if any({stronger, weaker} & s.kept and {stronger, weaker} & s.parted for s in graph.separated):
        return "a person has undone the merge of the two"
    if weaker in graph.components.shared:
        return "this identifier is shared by more people than jobs/identity/rules.yml allows"
    return "one identifier too many for jobs/identity/rules.yml"


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
