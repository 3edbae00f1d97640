"""The guard: an empty relation, a mass removal, a mass change and an unapproved first run stop the sync with exit code 3."""

import pytest
from synckit import header

from jobs.core.errors import ExitCode, GateError, PermanentError
from jobs.sync.guard import check_header, check_plan
from jobs.sync.plan import make_plan


def state(count: int, text: str = "h", *, start: int = 0) -> dict[str, str]:
    return {f"p{n}": text for n in range(start, start + count)}


def judge(desired: dict[str, str], acknowledged: dict[str, str], *, approved: bool = False, **changes: object) -> None:
    plan = make_plan(desired, acknowledged)
    check_plan(header(**changes), plan, acknowledged=len(acknowledged), is_first=not acknowledged, approved=approved)


def test_an_empty_relation_is_stopped() -> None:
    with pytest.raises(GateError, match="0 rows desired, at least 1") as caught:
        judge({}, state(3))
    assert caught.value.exit_code == ExitCode.GATED


def test_a_mass_removal_is_stopped() -> None:
    with pytest.raises(GateError, match="would remove 250 of 1000 rows"):
        judge(state(750), state(1000))


@pytest.mark.parametrize(("desired", "acknowledged"), [(800, 1000), (1, 101), (10, 10)])
def test_removals_within_the_share_or_of_few_rows_pass(desired: int, acknowledged: int) -> None:
    judge(state(desired), state(acknowledged))


def test_101_removals_over_the_share_are_stopped_and_100_are_not() -> None:
    judge(state(100), state(200))
    with pytest.raises(GateError, match="101 of 201"):
        judge(state(100), state(201))


def test_a_mass_change_is_stopped() -> None:
    guard = {"max_change_share": 0.5}
    judge(state(500, "new") | state(500, start=500), state(1000), guard=guard)
    with pytest.raises(GateError, match="would change 501 of 1000 rows"):
        judge(state(501, "new") | state(499, start=501), state(1000), guard=guard)


def test_a_first_run_is_held_until_approved() -> None:
    with pytest.raises(GateError, match="first run is held with 3 rows"):
        judge(state(3), {}, first_run="hold")
    judge(state(3), {}, first_run="hold", approved=True)
    judge(state(3), {}, first_run="deliver")
    judge(state(3), state(2), first_run="hold")


def test_an_unattended_first_delivery_is_for_local_drops_only() -> None:
    check_header(header(first_run="deliver"), is_local=True)
    check_header(header(first_run="hold"), is_local=False)
    with pytest.raises(PermanentError, match="under C360_HOME only"):
        check_header(header(first_run="deliver"), is_local=False)
