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
from jobs.core.definitions import SEGMENT_FOLDER, DefinitionError, load_segments, load_syncs
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import PROJECT_ROOT, Settings
from jobs.lake.duck import connect
from jobs.segments.commands import group
from jobs.segments.render import MACRO, MODELS, SCHEMA, drift, render
from jobs.segments.traits import TraitError

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
        shutil.copytree(PROJECT_ROOT / SEGMENT_FOLDER, root / SEGMENT_FOLDER)
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


def test_the_committed_files_match_the_definitions() -> None:
    assert drift(PROJECT_ROOT, render(load_segments(PROJECT_ROOT))) == []


def test_there_are_six_segments_that_say_who_uses_them() -> None:
    segments = load_segments(PROJECT_ROOT)
    assert list(segments) == sorted(segments)
    assert len(segments) == 6
    assert all(" use" in header.description or " sends" in header.description for header in segments.values())
    assert "simulated" in segments["email_engaged"].description


def test_compile_then_check_then_nothing_to_do(checkout: Checkout) -> None:
    assert checkout.call("compile") == "8 files changed, 8 in all\n"
    assert checkout.call("compile", "--check") == "8 files match\n"
    assert checkout.call("compile") == "0 files changed, 8 in all\n"


@pytest.mark.parametrize("path", [MODELS / "seg_coupon_lovers.sql", SCHEMA, MACRO])
def test_check_fails_on_an_edited_and_on_a_missing_file(checkout: Checkout, path: Path) -> None:
    checkout.call("compile")
    file = checkout.root / path
    file.write_text(file.read_text() + "-- edited\n")
    with pytest.raises(PermanentError, match=f"differs from the definitions: {path.as_posix()}; run"):
        checkout.call("compile", "--check")
    assert "-- edited" in file.read_text(), "--check writes nothing"
    file.unlink()
    with pytest.raises(PermanentError, match=path.as_posix()):
        checkout.call("compile", "--check")
    checkout.call("compile")
    assert checkout.call("compile", "--check") == "8 files match\n"


def test_a_changed_rule_and_a_removed_segment_are_drift(checkout: Checkout) -> None:
    checkout.call("compile")
    file = checkout.definition("coupon_lovers")
    file.write_text(file.read_text().replace("gte: 3", "gte: 4"))
    checkout.definition("new_customers").unlink()
    with pytest.raises(PermanentError) as caught:
        checkout.call("compile", "--check")
    for path in (MODELS / "seg_coupon_lovers.sql", MODELS / "seg_new_customers.sql", SCHEMA, MACRO):
        assert path.as_posix() in str(caught.value)
    assert "seg_email_engaged" not in str(caught.value)
    checkout.call("compile")
    assert not (checkout.root / MODELS / "seg_new_customers.sql").exists()
    assert "coupons_redeemed >= 4" in (checkout.root / MODELS / "seg_coupon_lovers.sql").read_text()


def test_the_schema_states_grain_and_tests() -> None:
    models: list[dict[str, Any]] = yaml.safe_load((PROJECT_ROOT / SCHEMA).read_text())["models"]
    assert [model["name"] for model in models] == [f"seg_{name}" for name in load_segments(PROJECT_ROOT)]
    for model in models:
        assert model["description"].startswith("One row per profile in ")
        key = model["columns"][0]
        assert key["name"] == "profile_id"
        assert key["data_tests"][:2] == ["unique", "not_null"]
        assert key["data_tests"][2]["relationships"]["arguments"]["to"] == "ref('dim_profiles')"
        assert (model["columns"][1]["name"], model["columns"][1]["data_tests"]) == ("is_simulated", ["not_null"])


def test_the_macro_returns_the_names() -> None:
    names: list[str] = []
    source = (PROJECT_ROOT / MACRO).read_text()
    environment = jinja2.Environment(autoescape=False)
    environment.from_string(source + "{{ segment_names() }}").render({"return": names.extend})
    assert names == list(load_segments(PROJECT_ROOT))


def test_a_model_is_one_query_on_profiles() -> None:
    text = (PROJECT_ROOT / MODELS / "seg_families_with_kids.sql").read_text()
    assert text == (
        "-- Generated by c360 segments compile. To change it, edit\n-- definitions/segments/families_with_kids.yml\n"
        "select\n    profile_id,\n    is_simulated,\n    as_of\nfrom {{ ref('dim_profiles') }}\nwhere\n"
        "    kids_count in ('1', '2', '3+')\n    and order_count >= 1\n"
        "    and not coalesce(lifecycle_stage = 'lapsed', false)\n"
    )


def test_a_description_with_jinja_is_refused(checkout: Checkout) -> None:
    file = checkout.definition("coupon_lovers")
    file.write_text(file.read_text().replace("Customers who", "{{ run_query('x') }} who"))
    with pytest.raises(TraitError, match="contains"):
        checkout.call("compile")


def test_list_and_an_unknown_name(checkout: Checkout) -> None:
    lines = checkout.call("list").splitlines()
    assert [line.split()[1] for line in lines] == list(load_segments(PROJECT_ROOT))
    with pytest.raises(UsageError, match=r"no segment 'cupon_lovers'. Did you mean 'coupon_lovers'\?"):
        checkout.call("preview", "cupon_lovers")


def test_preview_counts_members_on_the_published_warehouse(settings: Settings) -> None:
    settings.warehouse_file.parent.mkdir(parents=True)
    with connect(settings, settings.warehouse_file) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.dim_profiles as select * from (values ('p1', 3, false, true, false), "
            "('p2', 4, true, true, true), ('p3', 2, false, true, false), ('p4', null, false, false, false)) "
            "as t (profile_id, coupons_redeemed, is_simulated, has_marketing_consent, is_suppressed), "
            "(select timestamp '2018-01-02' as as_of)"
        )
    context = Context(settings, Clock(), "test")
    done = CliRunner().invoke(group, ["preview", "coupon_lovers"], obj=context, catch_exceptions=False)
    assert done.output == "coupon_lovers: 2 of 4 profiles (50.0%); 1 real, 1 may be contacted\n"


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
