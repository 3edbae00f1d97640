"""Reads silver and what is known, resolves, and writes what changed. What lies between is pure, in the modules beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.identity import aliases, assignments, components, edges, guard, ledger, profiles, separations
from jobs.identity.rules import Rules, load_rules
from jobs.identity.separations import Separation
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.runs import Stage
from jobs.lake.schema import arrow_schema, conform
from jobs.privacy.keys import load_token_key
from jobs.privacy.tokens import token

ACTIONS = ("create", "merge", "split", "undo")


@dataclass(frozen=True)
class Graph:
    """Everything seen in silver: identifiers, links, and the components that the rules make of them."""

    nodes: edges.Nodes
    edges: edges.Edges
    components: components.Components
    rows: int
    separated: Sequence[separations.Apart] = ()


@dataclass(frozen=True)
class State:
    """What earlier runs have left: the identifier map, where its identifiers belonged, the ledger, the undone merges."""

    renamed: Mapping[str, str]
    known: Mapping[profiles.Identifier, profiles.Known]
    ledger: list[ledger.Row]
    separations: list[Separation]
    has_assignments: bool

    @property
    def profiles(self) -> int:
        """How many there were."""
        return len({entry.profile_id for entry in self.known.values()})

    @property
    def redirects(self) -> dict[str, str]:
        """Id merged away → id that lives on."""
        return {str(row["from_profile_id"]): str(row["to_profile_id"]) for row in ledger.redirect_rows(self.ledger)}

    @property
    def version(self) -> int:
        """Of the newest run that changed something; 0 before the first."""
        return max((int(row["ledger_version"]) for row in self.ledger), default=0)


def read_state(settings: Settings, *, from_ledger: bool = False) -> State:
    """The tables of identity, under the tokens of today. `from_ledger`: who is known is taken from the assignments beside the
    ledger, not from `profile_identifiers`, which may be lost or wrong."""
    renamed = aliases.read_aliases(settings)
    known = (
        assignments.known_of(assignments.read(settings), renamed)
        if from_ledger
        else known_identifiers(delta.read(settings, "profile_identifiers"), renamed)
    )
    return State(
        renamed=renamed,
        known=known,
        ledger=delta.read(settings, "identity_ledger").to_pylist(),
        separations=separations.separations_of(delta.read(settings, "identity_separations").to_pylist(), renamed),
        has_assignments=delta.row_count(settings, "identity_assignments") > 0,
    )


def read_graph(settings: Settings, rules: Rules, undone: Sequence[Separation] = ()) -> Graph:
    """The identifier graph of `silver_identifiers`; `rows` counts its rows, blocked ones included."""
    delta.ensure_table(settings, "silver_identifiers")
    blocked = rules.blocked_of_type(_tokens(settings, rules))
    connection = lake_connection(settings, ("silver_identifiers", aliases.TABLE))
    try:
        aliases.see_through(connection)
        rows = connection.execute("select count(*) from silver_identifiers").fetchall()[0][0]
        nodes = edges.read_nodes(connection, rules, blocked)
        links = edges.read_edges(connection)
    finally:
        connection.close()
    separated = separations.apart(nodes, undone)
    return Graph(nodes, links, components.resolve(nodes, links, rules.limits, separated), int(rows), separated)


def _tokens(settings: Settings, rules: Rules) -> Callable[[str, str], str]:
    """Tokens under today's key, under which the graph is resolved also within the window of a rotation."""
    if not rules.blocks_tokens:
        return lambda _kind, value: value
    key = load_token_key(settings)
    return lambda kind, value: token(kind, value, key)


def run(context: Context, stage: Stage, *, approved: int = 0, from_ledger: bool = False) -> dict[str, int]:
    """Resolves all identifiers and writes the identity tables; returns the figures it also sets on the stage.
    `from_ledger` as in `read_state`.

    Raises GateError, and has written nothing, when it would merge and split more profiles than `guard` allows and
    `approved` names.

    The ledger is written first and the identifier map last: a run that dies in between is repeated whole, and finds the
    ledger entries it had already written.
    """
    settings = context.settings
    state = read_state(settings, from_ledger=from_ledger)
    graph = read_graph(settings, load_rules(), state.separations)
    if state.known and not len(graph.nodes):
        raise PermanentError(
            f"silver_identifiers holds no identifier but {len(state.known)} are mapped to profiles; "
            "nothing was changed: load the events again with c360 ingest run"
        )
    resolution = resolved(settings, graph, state)
    guard.require_few(settings, state.profiles, resolution, approved)
    _write(context, graph, state, resolution)
    figures = _figures(graph, resolution)
    stage.rows_in, stage.rows_out = graph.rows, len(graph.nodes)
    stage.details |= figures | {"silver_identifiers_version": delta.version(settings, "silver_identifiers")}
    return figures


def resolved(settings: Settings, graph: Graph, state: State) -> profiles.Resolution:
    """The id of each component; merges undone since the last run give back the ids that they took."""
    redirects = state.redirects
    undone = [s for s in state.separations if separations.joined(s, state.known)]
    if not undone:
        return profiles.assign(graph.nodes, graph.components.label, state.known, frozenset(redirects))
    history = separations.history_of(assignments.read_all(settings), state.ledger, state.renamed)
    known = separations.restored(state.known, state.separations, history)  # also what earlier ones had undone
    retired = frozenset(redirects) - {entry.profile_id for entry in known.values()}
    found = profiles.assign(graph.nodes, graph.components.label, known, retired)
    merges = ledger.merges_in_force(state.ledger)
    told = separations.undo_changes(graph.nodes, graph.components.label, found.profile_ids, undone, merges)
    return replace(found, changes=[*found.changes, *told])


def known_identifiers(table: pa.Table, renamed: Mapping[str, str]) -> dict[profiles.Identifier, profiles.Known]:
    """The identifier map of the last run, by (type, value); old tokens of a rotated key under their new name."""
    since = table["valid_from"].cast(pa.int64()).to_pylist()
    values = [renamed.get(value, value) for value in table["identifier_value"].to_pylist()]
    pairs = zip(table["identifier_type"].to_pylist(), values, strict=True)
    owners = zip(table["profile_id"].to_pylist(), since, strict=True)
    return {pair: profiles.Known(owner, at) for pair, (owner, at) in zip(pairs, owners, strict=True)}


def _figures(graph: Graph, resolution: profiles.Resolution) -> dict[str, int]:
    actions = [change.action for change in resolution.changes]
    return {
        "profiles": len(resolution.profile_ids),
        "identifiers": len(graph.nodes),
        "links": len(graph.edges),
        "links_cut": int((~graph.components.kept).sum()),
        "shared_identifiers": len(graph.components.shared),
    } | {f"{action}s": actions.count(action) for action in ACTIONS}


def _write(context: Context, graph: Graph, state: State, resolution: profiles.Resolution) -> None:
    settings, at, version = context.settings, context.clock.now(), state.version + 1
    nodes, label = graph.nodes, graph.components.label
    rows = ledger.ledger_rows(nodes, graph.edges, graph.components, resolution, occurred_at=at, version=version)
    there = {row["entry_id"] for row in state.ledger}
    fresh = [row for row in rows if row["entry_id"] not in there]
    if fresh:
        delta.append(settings, "identity_ledger", _table("identity_ledger", fresh))
    rows = assignments.rows(nodes, label, resolution, state.known, is_first=not state.has_assignments)
    assignments.append(context, rows, version)
    redirects = ledger.redirect_rows([*state.ledger, *fresh])
    _replace_if_changed(settings, "profile_redirects", _table("profile_redirects", redirects))
    identifiers = ledger.identifier_rows(nodes, label, resolution)
    _replace_if_changed(settings, "profile_identifiers", aliases.with_twins(identifiers, state.renamed))


def _table(name: str, rows: list[ledger.Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(name).contract))


def _replace_if_changed(settings: Settings, name: str, table: pa.Table) -> None:
    """Swaps the table unless it holds exactly these rows already: unchanged input makes no new Delta version."""
    contract = lake_table(name).contract
    wanted = conform(table, contract)
    order = [(column, "ascending") for column in contract.key]
    if not conform(delta.read(settings, name), contract).sort_by(order).equals(wanted):
        delta.replace(settings, name, wanted)
