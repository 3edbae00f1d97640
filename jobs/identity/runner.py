"""Reads silver, resolves, and writes what changed. What lies between is pure, in the modules beside this one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.identity import aliases, components, edges, guard, ledger, profiles
from jobs.identity.rules import Rules, load_rules
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.runs import Stage
from jobs.lake.schema import arrow_schema, conform
from jobs.privacy.keys import load_token_key
from jobs.privacy.tokens import token

ACTIONS = ("create", "merge", "split")


@dataclass(frozen=True)
class Graph:
    """Everything seen in silver: identifiers, links, and the components that the rules make of them."""

    nodes: edges.Nodes
    edges: edges.Edges
    components: components.Components
    rows: int


def read_graph(settings: Settings, rules: Rules) -> Graph:
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
    return Graph(nodes, links, components.resolve(nodes, links, rules.limits), int(rows))


def _tokens(settings: Settings, rules: Rules) -> Callable[[str, str], str]:
    """Tokens under today's key, under which the graph is resolved also within the window of a rotation."""
    if not rules.blocks_tokens:
        return lambda _kind, value: value
    key = load_token_key(settings)
    return lambda kind, value: token(kind, value, key)


def run(context: Context, stage: Stage, *, approved: int = 0) -> dict[str, int]:
    """Resolves all identifiers and writes the three identity tables; returns the figures it also sets on the stage.

    Raises GateError, and has written nothing, when it would merge and split more profiles than `guard` allows and
    `approved` names.

    The ledger is written first and the identifier map last: a run that dies in between is repeated whole, and finds the
    ledger entries it had already written.
    """
    settings = context.settings
    renamed = aliases.read_aliases(settings)
    graph = read_graph(settings, load_rules())
    before = delta.read(settings, "profile_identifiers")
    if before.num_rows and not len(graph.nodes):
        raise PermanentError(
            f"silver_identifiers holds no identifier but {before.num_rows} are mapped to profiles; "
            "nothing was changed: load the events again with c360 ingest run"
        )
    redirects = delta.read(settings, "profile_redirects")
    retired = frozenset(redirects["from_profile_id"].to_pylist())
    resolution = profiles.assign(graph.nodes, graph.components.label, known_identifiers(before, renamed), retired)
    guard.require_few(settings, len(set(before["profile_id"].to_pylist())), resolution, approved)
    _write_ledger(context, graph, resolution)
    rows = ledger.redirect_rows(redirects.to_pylist(), graph.nodes, resolution, context.clock.now())
    _replace_if_changed(settings, "profile_redirects", _table("profile_redirects", rows))
    identifiers = ledger.identifier_rows(graph.nodes, graph.components.label, resolution)
    _replace_if_changed(settings, "profile_identifiers", aliases.with_twins(identifiers, renamed))
    figures = _figures(graph, resolution)
    stage.rows_in, stage.rows_out = graph.rows, len(graph.nodes)
    stage.details |= figures | {"silver_identifiers_version": delta.version(settings, "silver_identifiers")}
    return figures


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
    } | {f"{action}s" if action != "merge" else "merges": actions.count(action) for action in ACTIONS}


def _write_ledger(context: Context, graph: Graph, resolution: profiles.Resolution) -> None:
    written = delta.read(context.settings, "identity_ledger", ["entry_id", "ledger_version"])
    version = max(written["ledger_version"].to_pylist(), default=0) + 1
    rows = ledger.ledger_rows(
        graph.nodes, graph.edges, graph.components, resolution, occurred_at=context.clock.now(), version=version
    )
    there = set(written["entry_id"].to_pylist())
    fresh = [row for row in rows if row["entry_id"] not in there]
    if fresh:
        delta.append(context.settings, "identity_ledger", _table("identity_ledger", fresh))


def _table(name: str, rows: list[ledger.Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(name).contract))


def _replace_if_changed(settings: Settings, name: str, table: pa.Table) -> None:
    """Swaps the table unless it holds exactly these rows already: unchanged input makes no new Delta version."""
    contract = lake_table(name).contract
    wanted = conform(table, contract)
    order = [(column, "ascending") for column in contract.key]
    if not conform(delta.read(settings, name), contract).sort_by(order).equals(wanted):
        delta.replace(settings, name, wanted)
