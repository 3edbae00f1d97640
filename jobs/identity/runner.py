"""Reads silver and what is known, resolves, and writes what changed. What lies between is pure, in the modules beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.identity import (
    aliases,
    assignments,
    blocked,
    components,
    edges,
    evidence,
    guard,
    joining,
    ledger,
    matches,
    profiles,
    separations,
    spark_components,
)
from jobs.identity.linkage.matching import Matched, match_people, train
from jobs.identity.linkage.weights import Weights
from jobs.identity.reconcile import reconciled
from jobs.identity.rules import Rules, load_rules
from jobs.identity.separations import Separation
from jobs.identity.state import State, read_state
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.runs import Stage
from jobs.lake.schema import arrow_schema
from jobs.lake.swap import replace_if_changed
from jobs.privacy.keys import load_token_key
from jobs.privacy.tokens import token

ACTIONS = ("create", "merge", "split", "undo")


@dataclass(frozen=True)
class Graph:
    """Everything seen in silver: identifiers, links, and the components that the rules make of them; `blocked` is what
    points at nobody."""

    nodes: edges.Nodes
    edges: edges.Edges
    components: components.Components
    rows: int
    separated: Sequence[separations.Apart]
    blocked: pa.Table


def read_graph(
    settings: Settings, rules: Rules, undone: Sequence[Separation] = (), matched: pa.Table | None = None
) -> Graph:
    """The identifier graph of `silver_identifiers`, with the matches given, or those of the last run; `rows` counts its rows,
    blocked ones included."""
    delta.ensure_table(settings, "silver_identifiers")
    blocked_of_type = rules.blocked_of_type(_tokens(settings, rules))
    connection = lake_connection(settings, ("silver_identifiers", aliases.TABLE))
    try:
        aliases.see_through(connection)
        rows = connection.execute("select count(*) from silver_identifiers").fetchall()[0][0]
        nodes = edges.read_nodes(connection, rules, blocked_of_type)
        links = edges.read_edges(connection)
        nobody = blocked.rows(rules, blocked_of_type, blocked.found_tokens(connection, blocked_of_type))
    finally:
        connection.close()
    separated = separations.apart(nodes, undone)
    connect = spark_components.connect_for(settings, len(links))
    found = components.resolve(nodes, links, rules.limits, separated, connect=connect)
    told = delta.read(settings, matches.TABLE) if matched is None else matched
    if len(by_match := matches.links_of(told, aliases.read_aliases(settings), nodes, links)):
        links = matches.with_links(links, by_match)
        found = joining.join(nodes, found, by_match, rules.limits, separated)
    return Graph(nodes, links, found, int(rows), separated, nobody)


def match(context: Context) -> Matched:
    """Compares the records of people anew, for a `run`; writes no more than the weights that it had to learn."""
    rules = load_rules()
    return match_people(context, rules, rules.blocked_of_type(_tokens(context.settings, rules)))


def learn(context: Context) -> tuple[Weights, bool]:
    """Learns the weights of the comparison anew; see `matching.train`."""
    rules = load_rules()
    return train(context, rules, rules.blocked_of_type(_tokens(context.settings, rules)))


def _tokens(settings: Settings, rules: Rules) -> Callable[[str, str], str]:
    """Tokens under today's key, under which the graph is resolved also within the window of a rotation."""
    if not rules.blocks_tokens:
        return lambda _kind, value: value
    key = load_token_key(settings)
    return lambda kind, value: token(kind, value, key)


def run(
    context: Context,
    stage: Stage,
    *,
    approved: int = 0,
    from_ledger: bool = False,
    undo: Sequence[ledger.Row] = (),
    matched: pa.Table | None = None,
    command: str = "c360 identity run",
) -> dict[str, int]:
    """Resolves all identifiers and writes the identity tables; returns the figures it also sets on the stage.
    `from_ledger` as in `read_state`; `undo`: rows for `identity_separations`, of a merge to undo; `matched`: new rows for
    `identity_matches`, otherwise those of the last run count; `command`: what was called.

    Raises GateError, and has written nothing, when it would merge and split more profiles than `guard` allows and
    `approved` names.

    The map is written last: a run that dies before is repeated whole, and finds the ledger entries it had already written.
    """
    settings = context.settings
    state = read_state(settings, from_ledger=from_ledger).with_undo(undo)
    graph = read_graph(settings, load_rules(), state.separations, matched)
    if state.known and not len(graph.nodes):
        raise PermanentError(
            f"silver_identifiers holds no identifier but {len(state.known)} are mapped to profiles; "
            "nothing was changed: load the events again with c360 ingest run"
        )
    state = state.aged(graph.nodes)
    resolution = resolved(settings, graph, state)
    guard.require_few(settings, state.profiles, resolution, approved, command)
    if matched is not None:
        replace_if_changed(settings, matches.TABLE, matched)
    if undo:
        delta.append(settings, "identity_separations", _table("identity_separations", list(undo)))
    _write(context, graph, state, resolution)
    figures = _figures(graph, resolution)
    stage.rows_in, stage.rows_out = graph.rows, len(graph.nodes)
    stage.details |= figures | {"silver_identifiers_version": delta.version(settings, "silver_identifiers")}
    return figures


def resolved(settings: Settings, graph: Graph, state: State) -> profiles.Resolution:
    """The id of each component; merges undone since the last run give back the ids that they took."""
    nodes, label, merges = graph.nodes, graph.components.label, ledger.merges_in_force(state.ledger)
    undone = state.undone
    known = state.known
    if undone:  # from before all that were ever undone, lest one brings back what another has ended
        history = separations.history_of(assignments.read(settings, state.renamed), state.ledger)
        known = separations.restored(known, state.separations, history)
    retired = frozenset(merges) - {entry.profile_id for entry in known.values()}
    found = profiles.assign(nodes, label, known, retired)
    return reconciled(nodes, label, found, known=state.known, merges=merges, undone=undone)


def _figures(graph: Graph, resolution: profiles.Resolution) -> dict[str, int]:
    actions = [change.action for change in resolution.changes]
    return {
        "profiles": len(resolution.profile_ids),
        "identifiers": len(graph.nodes),
        "links": len(graph.edges),
        "links_by_match": int((~np.isnan(graph.edges.match_weight)).sum()),
        "links_cut": int((~graph.components.kept).sum()),
        "shared_identifiers": len(graph.components.shared),
    } | {f"{action}s": actions.count(action) for action in ACTIONS}


def _write(context: Context, graph: Graph, state: State, resolution: profiles.Resolution) -> None:
    settings, at, version = context.settings, context.clock.now(), state.version + 1
    nodes, label = graph.nodes, graph.components.label
    rows = ledger.ledger_rows(nodes, graph.edges, graph.components, resolution, occurred_at=at, version=version)
    fresh = ledger.unwritten(rows, state.ledger)
    if fresh:
        delta.append(settings, "identity_ledger", _table("identity_ledger", fresh))
    rows = assignments.rows(nodes, label, resolution, state.known, is_first=not state.has_assignments)
    assignments.append(context, rows, version)
    redirects = ledger.redirect_rows([*state.ledger, *fresh])
    replace_if_changed(settings, "profile_redirects", _table("profile_redirects", redirects))
    replace_if_changed(settings, blocked.TABLE, graph.blocked)
    replace_if_changed(settings, evidence.TABLE, evidence.rows(nodes, graph.edges, graph.components))
    identifiers = ledger.identifier_rows(nodes, label, resolution)
    replace_if_changed(settings, "profile_identifiers", aliases.with_twins(identifiers, state.renamed))


def _table(name: str, rows: list[ledger.Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(name).contract))
