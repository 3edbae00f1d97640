"""Scenario files: the shipped ones hold and leave out nothing that is shipped; one that does not hold says what, and why."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner
from settingskit import make_settings

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.definitions import DefinitionError
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import PROJECT_ROOT
from jobs.segments.commands import group
from jobs.segments.language.catalogue import load as load_catalogue
from jobs.segments.language.journeys import Send
from jobs.segments.language.scenarios import Expect, Scenario
from jobs.segments.scenarios import files
from jobs.segments.scenarios.files import World
from jobs.segments.scenarios.play import Played, play
from jobs.segments.triggers.files import load as load_book

SHIPPED = sorted((PROJECT_ROOT / files.SCENARIOS).glob("*.yml"))


@pytest.fixture(scope="module")
def world() -> World:
    catalogue = load_catalogue(PROJECT_ROOT)
    return World(catalogue, load_book(PROJECT_ROOT, catalogue))


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Any, Any]]:
    pair = duckdb.connect(config={"threads": 1}), duckdb.connect(config={"threads": 1})
    for connection in pair:
        connection.execute("set TimeZone = 'UTC'")
    yield pair
    for connection in pair:
        connection.close()


@pytest.fixture(scope="module")
def shipped(world: World) -> list[Scenario]:
    return [file.item for file in files.load(SHIPPED, world)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_scenarios_hold(path: Path, world: World, engines: tuple[Any, Any]) -> None:
    [file] = files.load([path], world)
    played = play(file, world, engines)
    assert [str(failure) for failure in played.failures] == []
    assert played.expectations == sum(isinstance(step, Expect) for step in file.item.story)


def expectations(shipped: list[Scenario], name: str) -> list[tuple[Scenario, Any]]:
    return [
        (one, step.expect) for one in shipped if name in one.about for step in one.story if isinstance(step, Expect)
    ]


def test_every_segment_has_a_member_and_somebody_who_is_none(world: World, shipped: list[Scenario]) -> None:
    for name in world.catalogue.segments:
        told = [
            (one.people, found.members[name]) for one, found in expectations(shipped, name) if name in found.members
        ]
        assert any(members for _, members in told), f"no scenario expects a member of {name}"
        assert any(set(people) - set(members) for people, members in told), (
            f"in every scenario all are members of {name}"
        )


def test_every_trigger_fires_and_keeps_quiet(world: World, shipped: list[Scenario]) -> None:
    for name in world.book.triggers:
        fired = [
            (one.people, {told.who for told in found.decisions if told.fire == name})
            for one, found in expectations(shipped, name)
            if found.decisions is not None
        ]
        assert any(who for _, who in fired), f"{name} fires in no scenario"
        assert any(set(people) - who for people, who in fired), f"{name} fires for everybody in every scenario"


def test_every_message_and_end_of_a_journey_is_reached(world: World, shipped: list[Scenario]) -> None:
    for name, journey in world.book.journeys.items():
        sends = {step.send for step in journey.steps.values() if isinstance(step, Send)}
        told = expectations(shipped, name)
        fired = {one.fire for _, found in told for one in found.decisions or ()}
        assert sends <= fired, f"no scenario of {name} expects {sends - fired}"
        ends = {state for _, found in told for state in found.journeys.get(name, {}).values()} - set(journey.steps)
        assert {"finished", "exit_on"} <= ends


TALE = """name: tale
description: Used by the tests of scenarios.
about: [coupon_lovers, cart_abandonment]
people:
  ann: {coupons_redeemed: 3, has_marketing_consent: true}
  bob: {coupons_redeemed: 2}
story:
  - expect:
      members: {coupon_lovers: [ann]}
      entries: {coupon_lovers: [ann]}
  - {change: bob, to: {coupons_redeemed: 5}}
  - {event: Product Added, who: ann, with: {product_id: a}}
  - wait: 62 minutes
  - expect:
      members: {coupon_lovers: [ann, bob]}
      entries: {coupon_lovers: [bob]}
      exits: {coupon_lovers: []}
      decisions: [{fire: cart_abandonment, who: ann}]
"""


def played(text: str, folder: Path, world: World, engines: tuple[Any, Any]) -> Played:
    path = folder / "tale.yml"
    path.write_text(text)
    [file] = files.load([path], world)
    return play(file, world, engines)


def test_a_story_that_holds(tmp_path: Path, world: World, engines: tuple[Any, Any]) -> None:
    assert played(TALE, tmp_path, world, engines).failures == ()


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        (
            ("lovers: [ann, bob]", "lovers: [ann]"),
            (15, "members of coupon_lovers (stream): expected ann; found ann, bob"),
        ),
        (
            ("lovers: [ann, bob]", "lovers: [ann]"),
            (15, "members of coupon_lovers (warehouse): expected ann; found ann, bob"),
        ),
        (
            ("exits: {coupon_lovers: []}", "exits: {coupon_lovers: [bob]}"),
            (17, "exits of coupon_lovers: expected bob; found nob"),
        ),
        (("lovers: [bob]", "lovers: [ann]"), (16, "entries of coupon_lovers: expected ann; found bob")),
        (
            ("{fire: cart_abandonment, who: ann}", "{hold: cart_abandonment, who: ann, because: [consent]}"),
            (18, "decisions: expected hold cart_abandonment for ann consent; found fire cart_abandonment for ann"),
        ),
        (("62 minutes", "61 minutes"), (18, "decisions: expected fire cart_abandonment for ann; found none")),
    ],
)
def test_what_does_not_hold_says_so(
    tmp_path: Path, world: World, engines: tuple[Any, Any], change: tuple[str, str], missed: tuple[int, str]
) -> None:
    failures = played(TALE.replace(*change), tmp_path, world, engines).failures
    line, text = missed
    assert any(failure.line == line and failure.text.startswith(text) for failure in failures)


def test_a_failure_says_why(tmp_path: Path, world: World, engines: tuple[Any, Any]) -> None:
    [first, *_] = played(TALE.replace("lovers: [ann, bob]", "lovers: [ann]"), tmp_path, world, engines).failures
    assert "bob: entered at 2018-01-02 12:00:00 by profile; coupons_redeemed is 5" in first.why
    changed = TALE.replace("fire: cart_abandonment, who: ann", "fire: cart_abandonment, who: bob")
    [second] = played(changed, tmp_path, world, engines).failures
    assert (
        "fire of cart_abandonment for ann: occasion at 2018-01-02 13:00:00, decided at 2018-01-02 13:02:00, by"
        in second.why
    )


def test_engines_that_differ_are_told(
    tmp_path: Path, world: World, engines: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.segments.live.core import Live

    monkeypatch.setattr(Live, "members", lambda self, segment: ["ann"])
    texts = [failure.text for failure in played(TALE, tmp_path, world, engines).failures]
    assert "the engines differ on coupon_lovers: stream ann; warehouse ann, bob" in texts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("who: ann, with", "who: anne, with"),
            "story.2.who: nobody is named 'anne' in people. Did you mean 'ann'?",
        ),
        (
            ("about: [coupon_lovers,", "about: [coupon_lover,"),
            "tale.yml:3: about.0: nothing is named 'coupon_lover'.",
        ),
        (
            ("members: {coupon_lovers: [ann, bob]}", "members: {coupon_lover: [ann]}"),
            "story.4.expect.members.coupon_lover",
        ),
        (
            ("{coupons_redeemed: 2}", "{coupon_redeemed: 2}"),
            "tale.yml:6: people.bob.coupon_redeemed: no attr",
        ),
        (("{fire: cart_abandonment", "{fire: lapse"), "about no message 'lapse'"),
        (("{fire: cart_abandonment", "{fire: a, hold: b"), "exactly one of fire, hold, cancel, regret is wanted"),
        (("- wait: 62 minutes", "- wat: 62 minutes"), "a step of a story is a mapping with one of"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, world: World, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "tale.yml"
    path.write_text(TALE.replace(*change))
    with pytest.raises(DefinitionError) as caught:
        files.load([path], world)
    assert message in str(caught.value)


def test_the_command(tmp_path: Path) -> None:
    context = Context(make_settings(tmp_path), Clock(), "test")
    path = tmp_path / "tale.yml"

    def call(*arguments: str) -> str:
        return CliRunner().invoke(group, ["test", *arguments], obj=context, catch_exceptions=False).output

    path.write_text(TALE)
    assert call(str(path)).endswith("1 scenarios, 2 expectations, both engines\n")
    path.write_text(TALE.replace("62 minutes", "61 minutes"))
    with pytest.raises(PermanentError, match="1 statements of 1 scenarios were not met"):
        call(str(path))
    with pytest.raises(UsageError, match="c360 segments test --all"):
        call()


def test_two_decisions_of_the_same_words_have_a_time_each(
    tmp_path: Path, world: World, engines: tuple[Any, Any]
) -> None:
    head = TALE[: TALE.index("story:")].replace("  bob: {coupons_redeemed: 2}\n", "")
    story = "story:\n" + "".join(
        f"  - {{event: Product Added, who: ann, with: {{product_id: a}}}}\n  - wait: {wait}\n"
        for wait in ("26 hours", "62 minutes")
    )
    decided = [
        f"{{fire: cart_abandonment, who: ann, not_before: 2018-01-0{day}}}" for day in ("2T13:02:00Z", "3T15:02:00Z")
    ]
    right = head + story + f"  - expect: {{decisions: [{', '.join(decided)}]}}\n"
    assert played(right, tmp_path, world, engines).failures == ()
    wrong = right.replace("3T15:02", "2T13:02")
    assert [failure.text for failure in played(wrong, tmp_path, world, engines).failures] == [
        "fire cart_abandonment for ann: expected not before 2018-01-02 13:02:00+00:00; found 2018-01-03 15:02:00 UTC"
    ]
