"""Between two identity runs: who has come since has a provisional profile in the warehouse, and the next run adopts it."""

from datetime import timedelta

from lakekit import Lake, write_lake
from warehousekit import built

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.profile_ids import founded_profile_id
from jobs.core.settings import Settings
from jobs.identity import runner
from jobs.identity.explain import explain_lines
from jobs.lake import delta
from jobs.lake.runs import Stage
from jobs.warehouse.reader import open_build

MODELS = "+int_identity__event_profiles +int_identity__redirects"


def resolve(settings: Settings, days: int) -> None:
    assert settings.now is not None
    runner.run(Context(settings, Clock(settings.now + timedelta(days=days)), "test"), Stage("identity.run"))


def owners(settings: Settings, table: str, key: str, value: str) -> dict[str, str]:
    """One column of an intermediate table by another, as a build shows it now."""
    connection = open_build(settings)
    try:
        return dict(connection.execute(f"select {key}, {value} from intermediate.{table}").fetchall())
    finally:
        connection.close()


def test_the_next_identity_run_adopts_the_provisional_profiles(spare: Settings) -> None:
    resolve(spare, 0)
    new = Lake(position=2_000_000_000).event("web", "page", "2017-12-24", {"anonymous_id": "new"}, event_id="n1")
    new.event("web", "page", "2017-12-24", {"anonymous_id": "first"}, event_id="n2")
    new.event("web", "identify", "2017-12-25", {"anonymous_id": "first", "user_id": "U9"}, event_id="n3")
    new.event("web", "page", "2017-12-25", {"anonymous_id": "other browser"}, event_id="n4")
    new.event("web", "identify", "2017-12-26", {"anonymous_id": "other browser", "user_id": "U1"}, event_id="n5")
    write_lake(spare, new.event("web", "page", "2017-12-26", {"anonymous_id": "NULL"}, event_id="n6"))
    built(spare, select=MODELS)
    known = {row["identifier_value"]: row["profile_id"] for row in delta.read(spare, "profile_identifiers").to_pylist()}
    before = owners(spare, "int_identity__identifiers", "identifier_value", "profile_id")
    events = owners(spare, "int_identity__event_profiles", "event_key", "profile_id")
    provisional = {value: before[value] for value in ("new", "first", "other browser", "U9")}
    assert provisional == {
        value: founded_profile_id("user_id" if value == "U9" else "anonymous_id", value) for value in provisional
    }
    assert (events["web|n1"], events["web|n3"], events["web|n5"]) == (before["new"], before["U9"], known["U1"])
    assert (events["web|n6"], "NULL" in before) == (None, False)
    resolve(spare, 1)
    built(spare, select=MODELS)
    after = owners(spare, "int_identity__identifiers", "identifier_value", "profile_id")
    leads = owners(spare, "int_identity__redirects", "from_profile_id", "to_profile_id")
    assert {value: leads.get(was, was) for value, was in provisional.items()} == {v: after[v] for v in provisional}
    assert (after["new"], after["first"]) == (provisional["new"], provisional["first"])
    assert after["other browser"] == known["U1"]
    assert next(explain_lines(spare, provisional["U9"], 5)).startswith(f"{provisional['U9']} was provisional")
