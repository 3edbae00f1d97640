"""The history of traits, and what was true at a moment (see `_traits` in tests/tinylake.py for the rows)."""

from datetime import datetime

from lakekit import profile
from warehousekit import Warehouse

from jobs.core.profile_ids import founded_profile_id

TWO = profile(2)
AT = """
    select value_then.trait_name, value_then.trait_value
    from marts.fct_trait_changes as value_then
    where profile_id = '{profile}' and valid_from <= '{moment}' and (valid_to is null or valid_to > '{moment}')
      and trait_value is not null and known_at <= '{moment}'
    order by 1
"""


def noon(month: int, day: int) -> datetime:
    return datetime(2017, month, day, 12)


def changes(warehouse: Warehouse, trait: str) -> list[tuple[object, ...]]:
    return warehouse.rows(
        "select trait_value, previous_value, valid_from, valid_to from marts.fct_trait_changes "
        f"where profile_id = '{TWO}' and trait_name = '{trait}' order by valid_from"
    )


def test_each_change_takes_its_place_by_when_it_happened(warehouse: Warehouse) -> None:
    assert changes(warehouse, "plan") == [
        ('"free"', None, noon(3, 1), noon(4, 1)),
        ('"silver"', '"free"', noon(4, 1), noon(5, 1)),
        ('"platinum"', '"silver"', noon(5, 1), noon(7, 1)),
        ('"lead"', '"platinum"', noon(7, 1), None),
    ]


def test_the_same_value_again_is_no_change_and_null_takes_away(warehouse: Warehouse) -> None:
    assert changes(warehouse, "seats") == [("2", None, noon(3, 1), noon(6, 1)), (None, "2", noon(6, 1), None)]
    assert changes(warehouse, "never") == []
    assert changes(warehouse, "beta") == [("true", None, noon(5, 1), None)]
    assert changes(warehouse, "city") == [('"Zürich \\"old\\" town"', None, noon(3, 1), None)]


def test_records_of_the_crm_are_statements_of_traits(warehouse: Warehouse) -> None:
    assert changes(warehouse, "lifecycle_stage") == [
        ('"lead"', None, noon(2, 1), noon(2, 10)),
        ('"customer"', '"lead"', noon(2, 10), None),
    ]
    unseen = warehouse.rows("select profile_id from marts.fct_trait_changes where trait_value like '%nobody%'")
    assert unseen == [(founded_profile_id("user_id", "nobody"),)]  # an account that no identity run has seen yet


def test_what_was_true_at_a_moment_and_known_by_then(warehouse: Warehouse) -> None:
    found = dict(warehouse.rows(AT.format(profile=TWO, moment="2017-03-15")))
    assert (found["plan"], found["seats"], found["lifecycle_stage"]) == ('"free"', "2", '"customer"')
    assert "plan" not in dict(warehouse.rows(AT.format(profile=TWO, moment="2017-04-15"))), "silver was not known yet"
    assert dict(warehouse.rows(AT.format(profile=TWO, moment="2017-06-15")))["plan"] == '"platinum"'
