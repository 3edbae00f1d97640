"""What was scored for a merged profile is shown for neither side once the merge is undone, until it is scored anew."""

from lakekit import NOW, Lake, write_lake
from warehousekit import built

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity import runner
from jobs.identity.undo import undo
from jobs.lake import delta
from jobs.lake.runs import Stage
from jobs.warehouse.reader import open_build
from models.dataset import read_ledger_version

MODELS = "+fct_recommendations +fct_profile_scores +fct_profile_clusters +dim_profiles"


def scored(lake: Lake, profile_id: str, ledger_version: int, model_name: str) -> None:
    """One row of each gold table, by a warehouse that knew of the ledger so far. All is scored at one moment."""
    same = {"ledger_version": ledger_version, "model_name": model_name}
    lake.recommendation(profile_id, 1, "TYPE P1", **same)
    lake.score(profile_id, "churn", 0.5)
    lake.cluster(profile_id)
    for table in ("gold_profile_scores", "gold_profile_clusters"):
        lake.rows[table][-1] |= same


def test_scores_of_two_people_are_shown_for_neither(spare: Settings) -> None:
    """The clock stands still, as it does with the sample: the ledger tells what came before what."""
    context = Context(spare, Clock(NOW), "test")
    lake = Lake(position=2_000_000_000)
    for name in ("ann", "bob", "eve"):
        lake.event("web", "page", "2017-12-24", {"user_id": name, "anonymous_id": f"b-{name}"})
        lake.consent("user_id", name, "all")
    write_lake(spare, lake)
    runner.run(context, Stage("identity.run"))
    before = {
        row["identifier_value"]: row["profile_id"] for row in delta.read(spare, "profile_identifiers").to_pylist()
    }
    wrong = {"user_id": "ann", "anonymous_id": "b-bob"}
    write_lake(spare, Lake(position=3_000_000_000).event("web", "page", "2017-12-25", wrong))
    runner.run(context, Stage("identity.run"))
    [merge] = [row for row in delta.read(spare, "identity_ledger").to_pylist() if row["action"] == "merge"]
    undo(context, Stage("identity.undo"), merge["entry_id"])
    gold, sides = Lake(), (merge["profile_id"], merge["other_profile_id"])
    for profile_id in (*sides, before["eve"]):
        scored(gold, profile_id, merge["ledger_version"], "before")
        scored(gold, profile_id, merge["ledger_version"] + 1, "anew")
    write_lake(spare, gold)
    built(spare, select=MODELS)
    connection = open_build(spare)
    try:
        known = read_ledger_version(connection)
        for mart in ("fct_recommendations", "fct_profile_scores", "fct_profile_clusters"):
            query = f"select model_name, profile_id from marts.{mart} where model_name in ('before', 'anew')"
            expected = {("anew", profile_id) for profile_id in (*sides, before["eve"])} | {("before", before["eve"])}
            assert set(connection.execute(query).fetchall()) == expected, mart
    finally:
        connection.close()
    assert set(sides) == {before["ann"], before["bob"]}
    assert known == merge["ledger_version"] + 1, "what the next scoring goes by"
