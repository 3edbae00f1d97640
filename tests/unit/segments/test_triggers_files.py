"""Files of triggers, journeys and the policy: every problem with its line; the shipped ones are right."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.definitions import DefinitionError
from jobs.core.settings import PROJECT_ROOT
from jobs.segments.commands import group
from jobs.segments.language.catalogue import load as load_catalogue
from jobs.segments.language.model import Catalogue
from jobs.segments.language.reads import all_reads
from jobs.segments.triggers import ledger
from jobs.segments.triggers.files import DEFINITIONS, check, load

CART = """name: tested
description: Used by the tests of triggers.
occasion:
  event: Product Added
  not_followed_by: {event: Order Completed}
  within: 1 hour
"""
TRIP = """name: trip
description: Used by the tests of journeys.
start: first_purchase
expires: 2 days
steps:
  hello: {send: hello}
"""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(PROJECT_ROOT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("triggers", "journeys"):
        (tmp_path / name).mkdir()
    for name in ("policy.yml", "triggers/first_purchase.yml", "journeys/welcome.yml"):
        shutil.copy(PROJECT_ROOT / DEFINITIONS / name, tmp_path / name)
    return tmp_path


def test_the_shipped_ones_are_right(catalogue: Catalogue) -> None:
    book = load(PROJECT_ROOT, catalogue)
    assert {"cart_abandonment", "viewed_not_bought_24h", "viewed_not_bought_48h", "long_dwell"} <= set(book.triggers)
    assert {"search_without_purchase", "lapse"} <= set(book.triggers)
    assert set(book.journeys) == {"welcome"}
    assert check(PROJECT_ROOT, catalogue).remarks == []


def zone_is_known(folder: Path) -> None:
    (folder / "traits").mkdir()
    shutil.copy(PROJECT_ROOT / DEFINITIONS / "traits" / "time_zone.yml", folder / "traits")


def test_what_triggers_and_journeys_read(folder: Path) -> None:
    described = "description: Read by the tests of the list.\n"
    zone_is_known(folder)
    (folder / "segments").mkdir()
    (folder / "segments" / "buyers.yml").write_text(f"name: buyers\n{described}rule: {{trait: order_count, gte: 3}}\n")
    for name, rule in (("bought", "{enters: buyers}"), ("tested", "{crosses: {event: Product Viewed, gte: 2}}")):
        text = f"name: {name}\n{described}occasion: {rule}\nif: {{trait: is_suppressed, is_true: true}}\n"
        (folder / "triggers" / f"{name}.yml").write_text(text)
    trip = TRIP.replace("first_purchase", "bought") + "exit_on: {event: Order Completed}\n"
    (folder / "journeys" / "trip.yml").write_text(trip)
    book = load(folder, load_catalogue(folder))
    found = {one.name: one for one in all_reads(load_catalogue(folder), book.triggers, book.journeys)}
    assert list(found) == ["time_zone", "buyers", "bought", "first_purchase", "tested", "trip", "welcome"]
    told = [(found[name].kind, found[name].speed, found[name].everything) for name in ("bought", "tested", "trip")]
    assert told == [
        ("trigger", "build", "attributes: is_suppressed; segments: buyers"),
        ("trigger", "live and build", "events: Product Viewed; attributes: is_suppressed"),
        ("journey", "live and build", "triggers: bought; events: Order Completed"),
    ]


def test_the_list_names_them(folder: Path) -> None:
    zone_is_known(folder)
    context = Context(type("Stub", (), {"project_root": folder})(), Clock(), "test")
    done = CliRunner().invoke(group, ["list", "--kind", "journey"], obj=context)
    assert done.output.split(maxsplit=3)[:3] == ["journey", "welcome", "live"]
    assert "triggers: first_purchase; events: Order Completed, Order Refunded" in done.output
    (folder / "triggers" / "tested.yml").write_text(CART.replace("Added", "Addd"))
    failed = CliRunner().invoke(group, ["list"], obj=context)
    assert isinstance(failed.exception, DefinitionError)


@pytest.mark.parametrize("kind", ["trigger", "journey", "scenario", "policy"])
def test_the_shipped_ones_match_the_schema_that_editors_use(kind: str) -> None:
    root = PROJECT_ROOT / DEFINITIONS
    schema = json.loads((root / "schemas" / f"{kind}.schema.json").read_text(encoding="utf-8"))
    paths = [root / "policy.yml"] if kind == "policy" else sorted((root / f"{kind}s").glob("*.yml"))
    assert paths
    for path in paths:
        text = path.read_text(encoding="utf-8")
        up = "" if kind == "policy" else "../"
        assert text.startswith(f"# yaml-language-server: $schema={up}schemas/{kind}.schema.json\n"), path
        if kind != "scenario":  # whose times are times to YAML
            jsonschema.validate(yaml.safe_load(text), schema)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("Order Completed", "Order Complete"),
            "tested.yml:5: occasion.not_followed_by.event: no contract has an event",
        ),
        (
            ("within: 1 hour", "within: 1 hours and a half"),
            "triggers/tested.yml:6: occasion.within: expected a duration",
        ),
        (("  within: 1 hour\n", ""), "triggers/tested.yml:3: occasion.within: missing"),
        (("within:", "wthin:"), "triggers/tested.yml:6: occasion.wthin: unknown key. Did you mean 'within'?"),
        (
            ("1 hour\n", "1 hour\nif: {trait: ordr_count, gte: 1}\n"),
            "tested.yml:7: if.trait: unknown trait 'ordr_count'",
        ),
        (
            ("1 hour\n", "1 hour\nif: {segment: coupn_lovers}\n"),
            "tested.yml:7: if.segment: unknown segment 'coupn_lovers'",
        ),
        (
            ("1 hour\n", "1 hour\nif: {trait: phone_token, eq: phone_v1_ab}\n"),
            "tested.yml:7: if.eq: phone_token identifies a person",
        ),
        (("1 hour\n", "1 hour\nsends: false\n"), "tested.yml:7: sends: it sends nothing and no journey starts with it"),
        (("1 hour\n", "1 hour\npurpose: service\n"), "tested.yml:7: purpose: the policy has no purpose service"),
        (("1 hour\n", "1 hour\nre_entry: sometimes\n"), "tested.yml:7: re_entry"),
        (("1 hour\n", "1 hour\ntime_zone: Berlin\n"), "tested.yml:7: time_zone"),
        (("  within: 1 hour\n", "  within: 1 hour\n  same: price\n"), "tested.yml:7: occasion.same: price is a number"),
        (("occasion:", "on:"), "tested.yml:3"),
    ],
)
def test_what_is_wrong_with_a_trigger(
    folder: Path, catalogue: Catalogue, change: tuple[str, str], message: str
) -> None:
    policy = folder / "policy.yml"
    policy.write_text(policy.read_text().replace("  service:\n    is_quiet: false\n", ""))
    (folder / "triggers" / "tested.yml").write_text(CART.replace(*change))
    with pytest.raises(DefinitionError) as caught:
        load(folder, catalogue)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("occasion", "message"),
    [
        ("{enters: coupn_lovers}", "occasion.enters: unknown segment 'coupn_lovers'. Did you mean 'coupon_lovers'?"),
        ("{leaves: nobody_knows}", "occasion.leaves: unknown segment 'nobody_knows'"),
        ("{crosses: {trait: order_count, gte: many}}", "occasion.crosses.gte: trait order_count is a whole number"),
        (
            "{evnt: Order Completed}",
            "occasion: an occasion is a mapping with one of: event, not_followed_by, enters, leaves, crosses",
        ),
    ],
)
def test_what_is_wrong_with_an_occasion(folder: Path, catalogue: Catalogue, occasion: str, message: str) -> None:
    text = f"name: tested\ndescription: Used by the tests of triggers.\noccasion: {occasion}\n"
    (folder / "triggers" / "tested.yml").write_text(text)
    with pytest.raises(DefinitionError) as caught:
        load(folder, catalogue)
    assert f"triggers/tested.yml:3: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("first_purchase", "fist_order"),
            "journeys/trip.yml:3: start: unknown trigger 'fist_order'. Did you mean 'first_purchase'?",
        ),
        (
            ("{send: hello}", "{send: hello, then: hello}"),
            "journeys/trip.yml:6: steps.hello: it never ends: hello → hello",
        ),
        (("{send: hello}", "{send: hello, then: helo}"), "trip.yml:6: steps.hello.then: unknown step 'helo'"),
        (
            ("{send: hello}", "{send: hello, then: end}\n  more: {send: more}"),
            "trip.yml:7: steps.more: nobody reaches step more",
        ),
        (("{send: hello}", "{wait: 1 day}"), "trip.yml:5: steps: it sends nothing"),
        (
            ("{send: hello}", "{sned: hello}"),
            "a step is a mapping with one of: send, wait, branch, exit; did you mean 'send'?",
        ),
        (
            ("expires:", "exit_on: {event: Order Complete}\nexpires:"),
            "trip.yml:4: exit_on.event: no contract has an event",
        ),
        (("expires: 2 days\n", ""), "journeys/trip.yml:1: expires: missing"),
        (("expires:", "purpose: service\nexpires:"), "trip.yml:4: purpose: the policy has no purpose service"),
    ],
)
def test_what_is_wrong_with_a_journey(
    folder: Path, catalogue: Catalogue, change: tuple[str, str], message: str
) -> None:
    policy = folder / "policy.yml"
    policy.write_text(policy.read_text().replace("  service:\n    is_quiet: false\n", ""))
    (folder / "journeys" / "trip.yml").write_text(TRIP.replace(*change))
    with pytest.raises(DefinitionError) as caught:
        load(folder, catalogue)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"21:00"', "21:00"), "policy.yml:10"),
        (('"21:00"', '"25:00"'), 'policy.yml:10: quiet_hours.start: expected a time of day such as "21:00"'),
        (('end: "08:00"', 'end: "21:00"'), "policy.yml:10: quiet_hours: start and end are the same"),
        (
            ("has_marketing_consent", "has_marketing_consnt"),
            "no yes-or-no attribute 'has_marketing_consnt'. Did you mean",
        ),
        (("is_suppressed", "order_count"), "suppressed: no yes-or-no attribute 'order_count'"),
        (
            ("zone_trait: time_zone", "zone_trait: time_zne"),
            "zone_trait: no trait of text 'time_zne'. Did you mean 'time_zone'?",
        ),
        (("at_most: 2", "at_most: 0"), "policy.yml:15: purposes.marketing.caps.0.at_most"),
    ],
)
def test_what_is_wrong_with_the_policy(
    folder: Path, catalogue: Catalogue, change: tuple[str, str], message: str
) -> None:
    policy = folder / "policy.yml"
    policy.write_text(policy.read_text().replace(*change))
    with pytest.raises(DefinitionError) as caught:
        load(folder, catalogue)
    assert message in str(caught.value)


def test_without_a_policy_nothing_is_decided(folder: Path, catalogue: Catalogue) -> None:
    (folder / "policy.yml").unlink()
    with pytest.raises(DefinitionError, match=r"policy.yml:1: missing"):
        load(folder, catalogue)


def test_a_version_changes_with_what_decides_and_with_nothing_else(catalogue: Catalogue, tmp_path: Path) -> None:
    def versions(name: str, change: tuple[str, str]) -> dict[str, str]:
        shutil.copytree(PROJECT_ROOT / DEFINITIONS, tmp_path, dirs_exist_ok=True)
        file = tmp_path / name
        assert change[0] in file.read_text()
        file.write_text(file.read_text().replace(*change))
        return ledger.versions(load(tmp_path, catalogue))

    before = ledger.versions(load(PROJECT_ROOT, catalogue))
    assert versions("triggers/cart_abandonment.yml", ("owner: email", "owner: shop")) == before
    after = versions("triggers/cart_abandonment.yml", ("within: 1 hour", "within: 2 hours"))
    assert {name for name in before if before[name] != after[name]} == {"cart_abandonment"}
    after = versions("policy.yml", ("at_most: 2", "at_most: 3"))
    assert all(before[name] != after[name] for name in before)
