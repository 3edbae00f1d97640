"""Segments and traits as dbt has built them: equal to the program that answers anywhere else, and to figures found by hand."""

import shutil
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lakekit import profile
from warehousekit import Warehouse

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.settings import PROJECT_ROOT
from jobs.segments.commands import group
from jobs.segments.compile.rules import segment_column, trait_column
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.evaluate.published import load_events, load_profiles, open_evaluated
from jobs.segments.language.catalogue import DEFINITIONS, load
from jobs.segments.language.model import Catalogue
from jobs.segments.preview.size import Preview, preview, spoken

ONE, TWO, THREE = profile(1), profile(2), profile(3)


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return load(PROJECT_ROOT)


def test_dbt_and_the_evaluator_say_the_same(warehouse: Warehouse, shipped: Catalogue) -> None:
    """Two ways to one program: models with their CTEs and macros, and one query over the published tables."""
    evaluator = Evaluator(shipped)
    with closing(open_evaluated(warehouse.settings)) as connection:
        load_profiles(connection, evaluator.program.needs.attributes)
        load_events(warehouse.settings, connection, evaluator.program.needs.event_names)
        connection.register("answers", evaluator.evaluate(connection))
        members: list[tuple[Any, ...]] = []
        values: list[tuple[Any, ...]] = []
        for name in shipped.segments:
            column = segment_column(name)
            members += connection.execute(f"select '{name}', profile_id from answers where {column}").fetchall()
        for name in shipped.traits:
            column = trait_column(name)
            shown = f"cast({column} as varchar)"
            query = f"select '{name}', profile_id, {shown} from answers where {column} is not null"
            values += connection.execute(query).fetchall()
    built = warehouse.rows("select segment_name, profile_id from marts.fct_segment_memberships")
    assert (len(built) > 20, sorted(built)) == (True, sorted(members))
    built = warehouse.rows("select trait_name, profile_id, trait_value from marts.fct_profile_traits")
    assert sorted(built) == sorted(values)
    assert {row[0] for row in built} == set(shipped.traits) - {
        "last_category_viewed",
        "longest_look_30d",
        "time_zone",
    }  # none there


def test_traits_have_text_and_number(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select trait_name, trait_value, trait_number from marts.fct_profile_traits "
        f"where profile_id = '{ONE}' and trait_name in ('orders_365d', 'spend_365d', 'last_order', 'lifecycle') order by 1"
    )
    assert found == [
        ("last_order", "2017-12-30 12:00:00", None),
        ("lifecycle", "active", None),
        ("orders_365d", "3", 3.0),
        ("spend_365d", "42.000000", 42.0),
    ]


def test_members_found_by_hand(warehouse: Warehouse) -> None:
    """1 bought three times, yesterday last; 2 twice a year ago, once in euros; 3 eleven days ago, and its till sent that order
    again as another event; a browser bought in euros nine days ago; 4 never.
    """
    found: dict[str, list[str]] = {}
    for name, member in warehouse.rows("select segment_name, profile_id from marts.fct_segment_memberships order by 2"):
        found.setdefault(name, []).append(member)
    [browser] = set(found["lifecycle_new"]) - {THREE}
    assert found["lifecycle_lapsed"] == [TWO]
    # Dollars: 3 has 0.30 and, sent again, 99.99; 1 has 42.00; 2 has 4.10. The top tenth of three is one.
    assert found["high_value"] == [THREE]
    # Orders: 3, 2, 2 and 1; the top two fifths of four are two, and whoever is equal to the second. None is in both top fifths.
    assert found["rfm_loyal"] == [ONE, THREE]
    assert "rfm_champions" not in found
    assert found["rfm_promising"] == [browser]
    assert ONE in found["email_engaged"]
    assert "email_unengaged" not in found
    assert found["likely_churners"] == [TWO]  # 0.75; 3 was scored and has not allowed it


def test_moments_are_told(warehouse: Warehouse) -> None:
    found = warehouse.rows("select distinct as_of from segments.seg_high_value")
    assert found == [(datetime.fromisoformat("2018-01-02T00:00:00"),)]


def test_preview_counts_on_the_published_warehouse(warehouse: Warehouse) -> None:
    context = Context(warehouse.settings, Clock(), "test")
    done = CliRunner().invoke(group, ["preview", "email_engaged"], obj=context, catch_exceptions=False)
    lines = done.output.splitlines()
    assert lines[0].startswith("email_engaged: 1 of ")
    assert lines[0].endswith("1 real, 1 may be contacted")
    assert "as of 2018-01-02T00:00:00Z" in lines[1]
    also = {line.split()[0]: line.split()[1:] for line in lines[3:]}
    assert also["rfm_loyal"] == ["1", "100.0%", "50.0%"]


def test_a_sample_is_the_same_each_time_and_says_its_error(warehouse: Warehouse, shipped: Catalogue) -> None:
    everybody = preview(warehouse.settings, shipped, "email_engaged")
    half = preview(warehouse.settings, shipped, "email_engaged", 0.5)
    assert half == preview(warehouse.settings, shipped, "email_engaged", 0.5)
    assert 0 < half.asked < everybody.asked == half.profiles == everybody.profiles
    assert "95 of 100" in spoken(half)
    assert "95 of 100" not in spoken(everybody)
    with pytest.raises(PermanentError, match="the sample holds none of"):
        preview(warehouse.settings, shipped, "email_engaged", 1e-9)


def test_the_interval_of_a_sample() -> None:
    """Of 20 in 100, worked out by hand: (0.2192 ± 0.0807) / 1.0384."""
    found = Preview("x", datetime(2018, 1, 2), 1000, 100, True, 20, 0, 0, ())
    assert [round(bound, 3) for bound in found.between] == [0.133, 0.289]
    nobody = Preview("x", datetime(2018, 1, 2), 1000, 100, True, 0, 0, 0, ())
    assert nobody.between[0] == 0.0
    assert 0.03 < nobody.between[1] < 0.04


def test_membership_is_explained_and_a_change_is_told(warehouse: Warehouse, tmp_path: Path) -> None:
    context = Context(warehouse.settings, Clock(), "test")
    [(member,), *_] = warehouse.rows("select profile_id from segments.seg_email_engaged order by 1")
    done = CliRunner().invoke(group, ["explain", member, "email_engaged"], obj=context, catch_exceptions=False)
    assert done.output.startswith("- yes: member of email_engaged\n  - yes: all of\n")
    done = CliRunner().invoke(group, ["explain", "p_nobody", "email_engaged"], obj=context)
    assert "no profile 'p_nobody'" in str(done.exception)

    shutil.copytree(PROJECT_ROOT / DEFINITIONS, tmp_path / "before")
    changed = tmp_path / "before" / "segments" / "email_engaged.yml"
    changed.write_text(changed.read_text(encoding="utf-8").replace("[medium, high]", "[low]"), encoding="utf-8")
    out = tmp_path / "diff.md"
    arguments = ["diff", str(tmp_path / "before"), "--out", str(out)]
    done = CliRunner().invoke(group, arguments, obj=context, catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, f"written to {out}\n")
    told = out.read_text(encoding="utf-8")
    assert "| `email_engaged` |" in told
    assert f"- `{member}` enters `email_engaged`:" in told
