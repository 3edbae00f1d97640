"""Scenario C (SIMULATED) at 200,000 events: attacks join nobody beyond the limits; and 200 merges of which some are undone."""

import collections
from pathlib import Path

import pytest
import undo_worlds
from scenario_c import CALL_CENTRE, CALLED, NOTHING, World, email, make_world, user
from scenario_c_score import Findings, examine, mapping
from settingskit import make_settings

from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity import edges
from jobs.identity.components import resolve
from jobs.identity.rules import load_rules
from jobs.identity.runner import run
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.runs import Stage

SEED = 20180102


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, World]:
    world = make_world(200_000, SEED)
    settings = make_settings(tmp_path_factory.mktemp("scenario") / "home")
    delta.append(settings, "silver_identifiers", world.sightings)
    run(Context.from_settings(settings), Stage("identity.run"))
    return settings, world


@pytest.fixture(scope="module")
def findings(resolved: tuple[Settings, World]) -> Findings:
    return examine(*resolved)


def test_no_profile_is_over_a_limit(findings: Findings) -> None:
    assert findings.over_limit == 0
    assert findings.biggest < 30


def test_people_are_told_apart_and_put_together(findings: Findings) -> None:
    """Seven of a hundred people are under an attack that may join two of them; see docs/identity.md for the figures."""
    assert findings.score.precision > 0.9
    assert findings.score.recall > 0.87


def test_an_address_of_a_call_centre_joins_nobody(resolved: tuple[Settings, World], findings: Findings) -> None:
    assert findings.alone["call centre's e-mail"] == (1, 1)
    links = delta.read(resolved[0], "identity_edges", ["weaker_value", "cut_reason"]).to_pylist()
    cut = collections.Counter(row["cut_reason"] for row in links if row["weaker_value"] == email(CALL_CENTRE))
    assert cut == {"shared": CALLED}


def test_ids_that_say_nothing_are_in_no_profile(resolved: tuple[Settings, World]) -> None:
    found = mapping(resolved[0])
    assert not [value for value in NOTHING if ("anonymous_id", value) in found]
    assert ("user_id", user(0)) in found


def test_without_limits_the_call_centre_would_be_one_person(resolved: tuple[Settings, World]) -> None:
    """The attack is one: the limits are what holds it."""
    connection = lake_connection(resolved[0], ("silver_identifiers",))
    nodes = edges.read_nodes(connection, load_rules())
    links = edges.read_edges(connection)
    connection.close()
    found = resolve(nodes, links, [len(nodes)] * len(load_rules().limits))
    [(_, biggest)] = collections.Counter(found.label.tolist()).most_common(1)
    assert biggest > CALLED


def test_undone_merges_of_two_hundred_are_as_if_they_had_never_happened(tmp_path: Path) -> None:
    """By what the marts read of identity; `make bench-identity PART=undo` compares the marts themselves."""
    first, second = (make_settings(tmp_path / name, identity_changes=1_000) for name in ("with", "without"))
    merges = undo_worlds.with_undoing(first, SEED, undone=50)
    undo_worlds.without_them(second, first, SEED)
    assert len(merges) == 2 * undo_worlds.GROUPS
    told = [delta.read(first, "profile_identifiers").to_pylist(), undo_worlds.redirects(first)]
    assert told == [delta.read(second, "profile_identifiers").to_pylist(), undo_worlds.redirects(second)]
    assert len(undo_worlds.redirects(first)) == 2 * undo_worlds.GROUPS - 50
