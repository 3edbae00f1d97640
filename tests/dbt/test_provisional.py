"""Between two identity runs: who has come since has a provisional profile in the warehouse, and the next run adopts it."""

from datetime import timedelta

from lakekit import Lake, at, token, write_lake
from warehousekit import built

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.profile_ids import founded_profile_id
from jobs.core.settings import Settings
from jobs.identity import runner
from jobs.identity.explain import explain_lines
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.runs import Stage
from jobs.segments.live import owners as live_owners
from jobs.sync.consent import permitted
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


def live_events(settings: Settings) -> dict[str, str]:
    """Whose each event is, as the real-time evaluator sees it."""
    columns = ", ".join((*live_owners.KINDS.values(), "effective_at", "received_at", "is_simulated"))
    events = f"(select source || '|' || event_id as event_key, {columns} from silver_events where received_at <= $1)"
    with lake_connection(settings) as connection:
        live_owners.read_map(connection)
        connection.execute(f"create temp table known as from {events}", [settings.now])
        live_owners.sight(connection, "known")
        return dict(connection.execute(f"select event_key, profile_id from ({live_owners.owned('known')})").fetchall())


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
    assert live_events(spare) == events
    provisional = {value: before[value] for value in ("new", "first", "other browser", "U9")}
    assert provisional == {
        value: founded_profile_id("user_id" if value == "U9" else "anonymous_id", value) for value in provisional
    }
    assert (events["web|n1"], events["web|n3"], events["web|n5"]) == (before["new"], before["U9"], known["U1"])
    assert (events["web|n6"], "NULL" in before) == (None, False)
    resolve(spare, 1)
    built(spare, select=MODELS)
    after = owners(spare, "int_identity__identifiers", "identifier_value", "profile_id")
    assert live_events(spare) == owners(spare, "int_identity__event_profiles", "event_key", "profile_id")
    leads = owners(spare, "int_identity__redirects", "from_profile_id", "to_profile_id")
    assert {value: leads.get(was, was) for value, was in provisional.items()} == {v: after[v] for v in provisional}
    assert (after["new"], after["first"]) == (provisional["new"], provisional["first"])
    assert after["other browser"] == known["U1"]
    assert next(explain_lines(spare, provisional["U9"], 5)).startswith(f"{provisional['U9']} was provisional")


def may_be_sent(settings: Settings, purpose: str) -> set[str]:
    """The profiles that a sync of this purpose may send, by the flags that a build shows now."""
    connection = open_build(settings)
    try:
        return permitted(connection, [purpose])
    finally:
        connection.close()


def test_consent_of_a_provisional_profile_counts_from_the_next_identity_run_on(spare: Settings) -> None:
    """Nobody knows yet whose it is: here it comes with an account whose card denies, and with one that is suppressed."""
    new = Lake(position=2_000_000_000)
    beside = {"denied": "U70", "suppressed": "U71", "free": "U72"}
    for number, account in enumerate(beside.values()):
        new.event("web", "page", "2017-12-01", {"user_id": account, "loyalty_id": f"70{number}"})
    new.consent("loyalty_id", "700", "marketing", "denied", "2017-12-01")
    new.add("suppressions", identifier_type="loyalty_id", identifier_value="701", reason="unsubscribed", source="web",
            effective_at=at("2017-12-01"))  # fmt: skip
    write_lake(spare, new)
    resolve(spare, 0)
    later = Lake(position=3_000_000_000)
    emails = {who: token("email", who) for who in beside}
    for who, email in emails.items():
        later.event("web", "identify", "2017-12-30", {"user_id": beside[who], "email": email})
        later.consent("email", email, "all", "granted", "2017-12-30")
    write_lake(spare, later)
    built(spare, select="+dim_profiles")
    before = owners(spare, "int_identity__identifiers", "identifier_value", "profile_id")
    assert [before[email] for email in emails.values()] == [founded_profile_id("email", e) for e in emails.values()]
    for purpose in ("marketing", "profiling", "sharing"):
        assert not may_be_sent(spare, purpose) & {before[email] for email in emails.values()}
    resolve(spare, 1)
    built(spare, select="+dim_profiles")
    after = owners(spare, "int_identity__identifiers", "identifier_value", "profile_id")
    assert may_be_sent(spare, "marketing") & {after[email] for email in emails.values()} == {after[emails["free"]]}
