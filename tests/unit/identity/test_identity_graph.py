"""Nodes, edges, components and limits, on rows handed to an in-memory DuckDB."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import networkx as nx
import pyarrow as pa
import pytest
from settingskit import make_settings

from jobs.identity import components, edges, profiles
from jobs.identity.rules import Rules, load_rules
from jobs.lake.duck import connect

START = datetime(2017, 1, 1, tzinfo=UTC)
WIDE = Rules.model_validate(
    {
        "types": {kind: {"limit": 10_000} for kind in load_rules().type_names},
        "blocked_values": load_rules().blocked_values,
        "blocked_pattern": load_rules().blocked_pattern,
    }
)
Event = dict[str, str]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home: Path = tmp_path_factory.mktemp("identity")
    opened = connect(make_settings(home))
    yield opened
    opened.close()


def rows_of(events: list[Event]) -> list[dict[str, Any]]:
    return [
        {"source": "s", "event_id": f"e{i}", "identifier_type": kind, "identifier_value": value, "effective_at": when}
        for i, event in enumerate(events)
        for when in [START + timedelta(minutes=i)]
        for kind, value in event.items()
    ]


def graph(
    connection: Any, rows: list[dict[str, Any]], rules: Rules = WIDE
) -> tuple[edges.Nodes, edges.Edges, components.Components]:
    fields = [(name, pa.string()) for name in ("source", "event_id", "identifier_type", "identifier_value")]
    schema = pa.schema([*fields, ("effective_at", pa.timestamp("us", tz="UTC")), ("is_simulated", pa.bool_())])
    sightings = [{"is_simulated": False} | row for row in rows]
    connection.register("silver_identifiers", pa.Table.from_pylist(sightings, schema=schema))
    nodes = edges.read_nodes(connection, rules)
    links = edges.read_edges(connection)
    return nodes, links, components.resolve(nodes, links, rules.limits)


def groups(nodes: edges.Nodes, found: components.Components) -> set[frozenset[str]]:
    sets: dict[int, set[str]] = {}
    for kind, value, label in zip(nodes.types, nodes.values, found.label.tolist(), strict=True):
        sets.setdefault(label, set()).add(f"{kind}:{value}")
    return {frozenset(members) for members in sets.values()}


def random_events(seed: int) -> list[Event]:
    dice = random.Random(seed)
    kinds = WIDE.type_names
    people = dice.randint(3, 60)
    return [
        {kind: f"{kind[0]}{dice.randint(0, people)}" for kind in dice.sample(kinds, dice.randint(1, 3))}
        for _ in range(dice.randint(1, 80))
    ]


@pytest.mark.parametrize("seed", range(12))
def test_components_equal_those_of_networkx(connection: Any, seed: int) -> None:
    events = random_events(seed)
    oracle = nx.Graph()
    for event in events:
        names = [f"{kind}:{value}" for kind, value in event.items()]
        oracle.add_nodes_from(names)
        oracle.add_edges_from((one, other) for one in names for other in names if one != other)
    nodes, _, found = graph(connection, rows_of(events))
    assert groups(nodes, found) == {frozenset(c) for c in nx.connected_components(oracle)}
    assert found.kept.all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("limited", [False, True])
def test_order_of_rows_does_not_matter(connection: Any, seed: int, limited: bool) -> None:
    rules = load_rules() if limited else WIDE
    rows = rows_of(random_events(seed))
    first_nodes, first_edges, first = graph(connection, rows, rules)
    ids = profiles.assign(first_nodes, first.label, {}, frozenset()).profile_ids
    random.Random(seed + 1).shuffle(rows)
    nodes, links, again = graph(connection, rows, rules)
    assert (nodes.values, nodes.first_event) == (first_nodes.values, first_nodes.first_event)
    assert (links.a.tolist(), links.b.tolist()) == (first_edges.a.tolist(), first_edges.b.tolist())
    assert groups(nodes, again) == groups(first_nodes, first)
    assert profiles.assign(nodes, again.label, {}, frozenset()).profile_ids == ids


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("limited", [False, True])
def test_no_id_is_lost_doubled_or_revived_as_events_arrive(connection: Any, seed: int, limited: bool) -> None:
    rules = load_rules() if limited else WIDE
    events = random_events(seed)
    known: dict[profiles.Identifier, profiles.Known] = {}
    retired: frozenset[str] = frozenset()
    for upto in (len(events) // 3, len(events) // 2, len(events)):
        nodes, _, found = graph(connection, rows_of(events[:upto]), rules)
        done = profiles.assign(nodes, found.label, known, retired)
        alive = set(done.profile_ids)
        assert len(alive) == len(done.profile_ids) == found.count
        assert {entry.profile_id for entry in known.values()} <= alive | set(done.merges)
        assert set(done.merges.values()) <= alive
        retired |= set(done.merges)
        assert not alive & retired
        pairs = zip(nodes.types, nodes.values, strict=True)
        places = zip(found.label.tolist(), nodes.first_seen.tolist(), strict=True)
        known = {
            pair: profiles.Known(done.profile_ids[label], seen)
            for pair, (label, seen) in zip(pairs, places, strict=True)
        }
        again = profiles.assign(nodes, found.label, known, retired)
        assert (again.changes, again.profile_ids) == ([], done.profile_ids)


@pytest.mark.parametrize("seed", range(8))
def test_limits_hold_and_never_join_more(connection: Any, seed: int) -> None:
    rows = rows_of(random_events(seed))
    rules = load_rules()
    nodes, _, found = graph(connection, rows, rules)
    for members in groups(nodes, found):
        for kind, rule in rules.types.items():
            assert sum(name.startswith(f"{kind}:") for name in members) <= rule.limit
    _, _, free = graph(connection, rows)
    wide = groups(nodes, free)
    assert all(any(members <= other for other in wide) for members in groups(nodes, found))


def test_a_shared_browser_stands_alone(connection: Any) -> None:
    events = [
        {"user_id": "u1", "loyalty_id": "1"},
        {"user_id": "u2", "loyalty_id": "2"},
        {"user_id": "u1", "anonymous_id": "kiosk"},
        {"user_id": "u2", "anonymous_id": "kiosk"},
    ]
    nodes, _, found = graph(connection, rows_of(events), load_rules())
    assert groups(nodes, found) == {
        frozenset({"user_id:u1", "loyalty_id:1"}),
        frozenset({"user_id:u2", "loyalty_id:2"}),
        frozenset({"anonymous_id:kiosk"}),
    }
    assert [nodes.values[node] for node in found.shared] == ["kiosk"]
    assert (~found.kept).sum() == 2


def test_one_identifier_too_many_costs_only_its_own_link(connection: Any) -> None:
    tight = load_rules().model_dump()
    tight["types"]["anonymous_id"]["limit"] = 2
    events = [{"user_id": "u1", "anonymous_id": f"a{i}"} for i in range(4)]
    nodes, _, found = graph(connection, rows_of(events), Rules.model_validate(tight))
    assert groups(nodes, found) == {
        frozenset({"user_id:u1", "anonymous_id:a0", "anonymous_id:a1"}),
        frozenset({"anonymous_id:a2"}),
        frozenset({"anonymous_id:a3"}),
    }
    assert found.shared == frozenset()


@pytest.mark.parametrize(
    "value", ["null", " NULL ", "undefined", "Anonymous", "0", "none", "", "000-000", "unknown", "  "]
)
def test_blocked_values_make_no_link_and_no_profile(connection: Any, value: str) -> None:
    events = [{"user_id": "u1", "anonymous_id": value}, {"user_id": "u2", "anonymous_id": value}]
    nodes, links, found = graph(connection, rows_of(events))
    assert groups(nodes, found) == {frozenset({"user_id:u1"}), frozenset({"user_id:u2"})}
    assert len(links) == 0


def test_a_value_that_only_looks_like_zero_is_kept(connection: Any) -> None:
    nodes, _, _ = graph(connection, rows_of([{"loyalty_id": "100"}, {"loyalty_id": "00a"}]))
    assert sorted(nodes.values) == ["00a", "100"]


def test_equal_values_of_different_types_are_different_people(connection: Any) -> None:
    nodes, _, found = graph(connection, rows_of([{"user_id": "7"}, {"loyalty_id": "7"}]))
    assert found.count == len(nodes) == 2


def test_evidence_counts_events_and_names_the_first(connection: Any) -> None:
    events = [{"anonymous_id": "a"}, {"anonymous_id": "a", "user_id": "u"}, {"user_id": "u", "anonymous_id": "a"}]
    nodes, links, _ = graph(connection, rows_of(events))
    assert nodes.values == ["u", "a"]
    assert nodes.event_count.tolist() == [2, 3]
    assert links.event_count.tolist() == [2]
    assert links.first_event(0) == "s|e1"
    assert links.events.to_pylist() == [["s|e1", "s|e2"]]


def test_a_larger_event_links_each_identifier_to_the_strongest_once(connection: Any) -> None:
    events = [{"email": "m", "anonymous_id": "a", "user_id": "u"}, {"user_id": "u", "anonymous_id": "a"}]
    rows = rows_of(events)
    nodes, links, _ = graph(connection, [*rows, rows[0]])  # a repeated row counts in no link
    pairs = [(nodes.values[a], nodes.values[b]) for a, b in zip(links.a.tolist(), links.b.tolist(), strict=True)]
    counts = dict(zip(pairs, links.event_count.tolist(), strict=True))
    assert counts == {("u", "m"): 1, ("u", "a"): 2}
    assert [links.first_event(edge) for edge in (0, 1)] == ["s|e0", "s|e0"]


def test_no_rows_make_no_profiles(connection: Any) -> None:
    nodes, links, found = graph(connection, [])
    assert (len(nodes), len(links), found.count) == (0, 0, 0)
    assert profiles.assign(nodes, found.label, {}, frozenset()).profile_ids == []


def test_a_former_id_joins_what_has_its_value_and_nothing_else(connection: Any) -> None:
    events = [
        {"anonymous_id": "x"},
        {"user_id": "old"},
        {"user_id": "u", "previous_id": "x"},
        {"user_id": "u", "previous_id": "old"},
        {"user_id": "u", "previous_id": "never seen"},
        {"loyalty_id": "x"},
        {"previous_id": "null", "user_id": "v"},
    ]
    nodes, links, found = graph(connection, rows_of(events), load_rules())
    assert groups(nodes, found) == {
        frozenset({"user_id:u", "user_id:old", "anonymous_id:x"} | {f"previous_id:{v}" for v in ("x", "old", "never seen")}),
        frozenset({"loyalty_id:x"}),
        frozenset({"user_id:v"}),
    }  # fmt: skip
    named = {
        (nodes.types[a], nodes.types[b], nodes.values[b]): n
        for n, (a, b) in enumerate(zip(links.a, links.b, strict=True))
    }
    assert links.first_event(named["anonymous_id", "previous_id", "x"]) == "s|e2"


def test_a_browser_that_is_the_former_id_of_two_people_joins_nobody(connection: Any) -> None:
    people = [{"user_id": f"u{n}", "loyalty_id": str(n)} for n in (1, 2)]
    aliases = [{"user_id": f"u{n}", "previous_id": "kiosk"} for n in (1, 2)]
    nodes, _, found = graph(connection, rows_of([{"anonymous_id": "kiosk"}, *people, *aliases]), load_rules())
    assert groups(nodes, found) == {
        frozenset({"user_id:u1", "loyalty_id:1"}),
        frozenset({"user_id:u2", "loyalty_id:2"}),
        frozenset({"anonymous_id:kiosk"}),
        frozenset({"previous_id:kiosk"}),
    }
