"""The committed definitions and what is generated from them; the commands that keep both equal."""

import shutil
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from click.testing import CliRunner

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.definitions import SEGMENT_FOLDER, TRAIT_FOLDER, DefinitionError, load_syncs
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import PROJECT_ROOT
from jobs.segments.commands import group
from jobs.segments.language.catalogue import load
from jobs.segments.language.model import Catalogue, Trait
from jobs.segments.language.traits import Kind
from jobs.segments.language.walk import event_names
from jobs.segments.render.files import drift, render
from jobs.segments.render.models import INTERMEDIATE, PROFILES, RANKED, SEGMENTS

SCHEMA = SEGMENTS / "_segments.yml"
WIDE = INTERMEDIATE / f"{PROFILES}.sql"
NAMES, FUNCTIONS = (Path("dbt_project") / "macros" / name for name in ("segment_names.sql", "segments.sql"))

SYNC = """
name: to_files
description: Members of a segment as a file for the e-mail team.
destination: file_drop
relation: activation.sync_file_drop_profiles
segment: coupon_lovers
asset: segments
key: profile_id
columns: {external_id: profile_id, email: email_token}
"""


class Checkout:
    """A project folder with the real definitions, and the commands run on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (SEGMENT_FOLDER, TRAIT_FOLDER):
            shutil.copytree(PROJECT_ROOT / folder, root / folder)
        self.settings = type("Stub", (), {"project_root": root})()

    def call(self, *arguments: str) -> str:
        context = Context(self.settings, Clock(), "test")
        done = CliRunner().invoke(group, list(arguments), obj=context, catch_exceptions=False)
        return done.output

    def definition(self, name: str) -> Path:
        return self.root / SEGMENT_FOLDER / f"{name}.yml"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return load(PROJECT_ROOT)


def test_the_committed_files_match_the_definitions(shipped: Catalogue) -> None:
    assert drift(PROJECT_ROOT, render(shipped)) == []


def test_there_are_thirty_segments_and_more_that_say_who_uses_them(shipped: Catalogue) -> None:
    assert len(shipped.segments) >= 30
    for name, segment in shipped.segments.items():
        assert {"use", "uses", "sends"} & set(segment.header.description.split()), name


@pytest.mark.parametrize("kind", ["traits", "segments"])
def test_whatever_counts_simulated_events_says_so(shipped: Catalogue, kind: str) -> None:
    """Orders, sends and redemptions are the data package's; all else of the sample is invented."""
    real = {"Order Completed", "Campaign Sent", "Coupon Redeemed"}
    definitions = shipped.traits if kind == "traits" else shipped.segments
    for name, definition in definitions.items():
        shape = definition.value if isinstance(definition, Trait) else definition.rule
        if set(event_names(shape)) - real:
            assert "simulated" in definition.header.description.lower(), name


def test_compile_then_check_then_nothing_to_do(checkout: Checkout, shipped: Catalogue) -> None:
    count = len(render(shipped))
    assert checkout.call("compile") == f"{count} files changed, {count} in all\n"
    assert checkout.call("compile", "--check") == f"{count} files match\n"
    assert checkout.call("compile") == f"0 files changed, {count} in all\n"


def test_check_fails_on_edited_and_on_missing_files(checkout: Checkout) -> None:
    checkout.call("compile")
    paths = sorted([SEGMENTS / "seg_coupon_lovers.sql", WIDE, SCHEMA, NAMES, FUNCTIONS])
    named = f"differs from the definitions: {', '.join(path.as_posix() for path in paths)}; run"
    files = [checkout.root / path for path in paths]
    for file in files:
        file.write_text(file.read_text() + "-- edited\n")
    with pytest.raises(PermanentError, match=named):
        checkout.call("compile", "--check")
    assert all("-- edited" in file.read_text() for file in files), "--check writes nothing"
    for file in files:
        file.unlink()
    with pytest.raises(PermanentError, match=named):
        checkout.call("compile", "--check")
    checkout.call("compile")
    assert checkout.call("compile", "--check").endswith("files match\n")


def test_a_changed_rule_and_a_removed_segment_are_drift(checkout: Checkout) -> None:
    checkout.call("compile")
    file = checkout.definition("coupon_lovers")
    file.write_text(file.read_text().replace("gte: 3", "gte: 4"))
    checkout.definition("new_customers").unlink()
    with pytest.raises(PermanentError) as caught:
        checkout.call("compile", "--check")
    for path in (SEGMENTS / "seg_coupon_lovers.sql", SEGMENTS / "seg_new_customers.sql", WIDE, SCHEMA, NAMES):
        assert path.as_posix() in str(caught.value)
    assert "seg_email_engaged" not in str(caught.value)
    checkout.call("compile")
    assert not (checkout.root / SEGMENTS / "seg_new_customers.sql").exists()
    assert "coupons_redeemed >= 4" in (checkout.root / WIDE).read_text()


def test_a_time_zone_less_is_a_model_less(checkout: Checkout) -> None:
    file = checkout.definition("high_value")
    file.write_text(file.read_text() + "time_zone: Europe/Berlin\n")
    checkout.call("compile")
    values = checkout.root / INTERMEDIATE / "int_segments__values_europe_berlin.sql"
    measured = values.with_name("int_segments__measured_europe_berlin.sql")
    assert "segment_unit_start" in measured.read_text()
    assert measured.stem in values.read_text()
    assert "values_europe_berlin" in (checkout.root / INTERMEDIATE / f"{RANKED}.sql").read_text()
    file.write_text(file.read_text().replace("time_zone: Europe/Berlin\n", ""))
    with pytest.raises(PermanentError, match=values.name):
        checkout.call("compile", "--check")
    checkout.call("compile")
    assert not values.exists()
    assert not measured.exists()


def test_without_any_definition_there_is_still_a_project() -> None:
    files = render(Catalogue())
    assert "where false" in files[INTERMEDIATE / f"{RANKED}.sql"]
    assert {path.parent.name for path in files} == {"intermediate", "macros", "segments"}


def test_the_schema_states_grain_and_key(shipped: Catalogue) -> None:
    models: list[dict[str, Any]] = yaml.safe_load((PROJECT_ROOT / SCHEMA).read_text())["models"]
    assert [model["name"] for model in models] == [f"seg_{name}" for name in sorted(shipped.segments)]
    assert all(model["description"].startswith("One row per profile in ") for model in models)
    wide = yaml.safe_load((PROJECT_ROOT / INTERMEDIATE / "_int_segments.yml").read_text())["models"][-1]
    assert (wide["name"], wide["data_tests"]) == (PROFILES, ["members_are_profiles"])
    assert wide["columns"][0]["data_tests"] == ["key"]
    described = {column["name"] for column in wide["columns"]}
    assert {f"in_{name}" for name in shipped.segments} | {f"trait_{name}" for name in shipped.traits} < described


def test_the_macros_return_the_names(shipped: Catalogue) -> None:
    found: list[Any] = []
    source = (PROJECT_ROOT / NAMES).read_text()
    environment = jinja2.Environment(autoescape=False)
    environment.from_string(source + "{{ segment_names() }}").render({"return": found.extend})
    assert found == sorted(shipped.segments)
    found.clear()
    environment.from_string(source + "{{ segment_traits() }}").render({"return": found.extend})
    numbers = (Kind.WHOLE, Kind.NUMBER)
    assert found == [(name, trait.kind in numbers) for name, trait in sorted(shipped.traits.items())]


def test_a_model_says_its_rule_in_words_and_the_wide_one_in_sql() -> None:
    text = (PROJECT_ROOT / SEGMENTS / "seg_families_with_kids.sql").read_text()
    assert text == (
        "-- Generated by c360 segments compile. To change it, edit\n-- definitions/segments/families_with_kids.yml\n--\n"
        "-- all of\n-- . kids_count is one of 1, 2, 3+\n-- . order_count at least 1\n-- . not\n"
        "-- . . lifecycle_stage is lapsed\n"
        "select\n    profile_id,\n    is_simulated,\n    as_of\nfrom {{ ref('int_segments__profiles') }}\n"
        "where in_families_with_kids\n"
    )
    wide = " ".join((PROJECT_ROOT / WIDE).read_text().split())
    assert "-- segment families_with_kids coalesce( " in wide
    assert "kids_count in ('1', '2', '3+') and order_count >= 1" in wide


def test_a_description_with_jinja_is_refused(checkout: Checkout) -> None:
    file = checkout.definition("coupon_lovers")
    file.write_text(file.read_text().replace("Customers who", "{{ run_query('x') }} who"))
    with pytest.raises(DefinitionError, match="contains"):
        checkout.call("compile")


def test_preview_of_an_unknown_name(checkout: Checkout) -> None:
    with pytest.raises(UsageError, match=r"no segment 'cupon_lovers'. Did you mean 'coupon_lovers'\?"):
        checkout.call("preview", "cupon_lovers")


def test_a_file_must_bear_the_name_of_its_segment(checkout: Checkout) -> None:
    checkout.definition("coupon_lovers").rename(checkout.definition("others"))
    with pytest.raises(
        DefinitionError, match=r"segments/others.yml:2: name: name is 'coupon_lovers', expected the file's name"
    ):
        checkout.call("list")


def test_syncs_are_read_with_their_defaults(tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "sync" / "syncs"
    folder.mkdir(parents=True)
    (folder / "to_files.yml").write_text(SYNC)
    sync = load_syncs(tmp_path)["to_files"]
    assert (sync.first_run, sync.purpose, sync.guard.max_removal_share) == ("hold", "marketing", 0.2)
    assert list(sync.columns) == ["external_id", "email"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("asset: segments", "asset: segments\nschedule: '@daily'", "exactly one of asset and schedule"),
        ("asset: segments", "", "exactly one of asset and schedule"),
        ("activation.sync", "sync", "relation: 'sync_file_drop_profiles' does not match "),
        ("key:", "guard: {max_removal_share: 20}\nkey:", "guard.max_removal_share: Input should be less than"),
        ("key: profile_id", "key: profile_id\nretries: 3", "retries: unknown key. Did you mean 'relation'"),
        ("name: to_files", "- a list", "not readable YAML"),
    ],
)
def test_a_malformed_sync_names_file_field_and_remedy(tmp_path: Path, old: str, new: str, message: str) -> None:
    folder = tmp_path / "jobs" / "sync" / "syncs"
    folder.mkdir(parents=True)
    (folder / "to_files.yml").write_text(SYNC.replace(old, new, 1))
    with pytest.raises(DefinitionError, match=message) as caught:
        load_syncs(tmp_path)
    assert str(caught.value).startswith("syncs/to_files.yml")
    assert "\n" not in str(caught.value)
