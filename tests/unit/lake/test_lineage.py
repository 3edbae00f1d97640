"""OpenLineage events of stages: their shape by the rules of the spec, their pairs, and that no stage is forgotten."""

import ast
import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from jobs.core.context import Context
from jobs.core.errors import GateError
from jobs.core.settings import PROJECT_ROOT, Settings
from jobs.lake.lineage import STAGES, datasets, lineage_file
from jobs.lake.runs import stage

URI = {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:"}
NAMED = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {"namespace": {"type": "string", "minLength": 1}, "name": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
ID = {"type": "object", "required": ["runId"], "properties": {"runId": {"type": "string", "format": "uuid"}}}
# What the spec 2-0-2 asks of a RunEvent and of the facet `parent`, in words of our own.
EVENT = {
    "type": "object",
    "required": ["eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"],
    "additionalProperties": False,
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
        "producer": URI,
        "schemaURL": {"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
        "job": NAMED,
        "inputs": {"type": "array", "items": NAMED},
        "outputs": {"type": "array", "items": NAMED},
        "run": ID
        | {
            "properties": ID["properties"]
            | {
                "facets": {
                    "type": "object",
                    "required": ["parent"],
                    "properties": {
                        "parent": {
                            "required": ["_producer", "_schemaURL", "run", "job"],
                            "properties": {"_producer": URI, "_schemaURL": URI, "run": ID, "job": NAMED},
                        }
                    },
                }
            }
        },
    },
}
# Stages that move no data between datasets, or that only a person runs.
ASIDE = {
    "identity.undo", "identity.rebuild", "ingest.doctor", "lake.migrate", "maintain.compact", "maintain.retain",
    "maintain.vacuum", "quarantine.replay", "sample.generate", "warehouse.repair", "warehouse.rollback",
}  # fmt: skip


def events(settings: Settings) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in lineage_file(settings).read_text().splitlines()]
    for event in found:
        Draft202012Validator(EVENT, format_checker=FormatChecker()).validate(event)
    return found


def run(settings: Settings, name: str, act: Callable[[], None] = lambda: None) -> None:
    with stage(Context.from_settings(settings), name):
        act()


def test_a_stage_is_a_start_and_a_complete_of_one_run_below_its_dag_run(settings: Settings) -> None:
    scheduled = settings.model_copy(update={"run_id": "build_profiles.manual__2018-01-02"})
    run(scheduled, "warehouse.publish")
    run(scheduled, "warehouse.publish")
    found = events(settings)
    assert [event["eventType"] for event in found] == ["START", "COMPLETE"] * 2
    ids = [event["run"]["runId"] for event in found]
    assert ids[0] == ids[1] != ids[2] == ids[3], "a second try is a run of its own"
    parents = {json.dumps(event["run"]["facets"]["parent"], sort_keys=True) for event in found}
    assert len(parents) == 1
    parent = json.loads(parents.pop())
    assert parent["job"] == {"namespace": "c360", "name": "build_profiles"}
    uuid.UUID(parent["run"]["runId"])
    assert {"namespace": "c360://warehouse", "name": "marts/dim_profiles"} in found[1]["outputs"]
    times = [datetime.fromisoformat(event["eventTime"]) for event in found]
    assert timedelta(0) < times[1] - times[0] < timedelta(minutes=5), "also on a clock that stands still"


@pytest.mark.parametrize(
    "error", [GateError("jane@example.com"), RuntimeError("jane@example.com"), KeyboardInterrupt()]
)
def test_a_stage_that_raises_has_failed_and_its_words_stay_out(settings: Settings, error: BaseException) -> None:
    def act() -> None:
        raise error

    with pytest.raises(type(error)):
        run(settings, "quality.gate_marts", act)
    assert [event["eventType"] for event in events(settings)] == ["START", "FAIL"]
    assert "jane" not in lineage_file(settings).read_text()


def test_a_stage_named_by_a_source_or_a_sync_has_it_in_its_datasets() -> None:
    assert datasets("ingest.pull_hubspot") == ((("c360://pulls", "hubspot"),), (("c360://landing", "hubspot"),))
    assert ("c360://destinations", "file_drop") in datasets("sync.run_file_drop")[1]
    assert datasets("somebody.else") == ((), ())


def named_stages() -> set[str]:
    """First part of every name given to `stage(context, …)`; the rest of an f-string is a `*`."""
    found = set()
    for path in [*(PROJECT_ROOT / "jobs").rglob("*.py"), *(PROJECT_ROOT / "models").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "stage" and len(node.args) == 2):
                continue
            name = node.args[1]
            if isinstance(name, ast.Constant):
                found.add(str(name.value))
            elif isinstance(name, ast.JoinedStr) and isinstance(name.values[0], ast.Constant):
                found.add(f"{name.values[0].value}*")
    return found


def test_every_stage_says_what_it_reads_or_is_known_to_stand_aside() -> None:
    told = {"quality.gate_*" if name.startswith("quality.gate_") else name for name in STAGES}
    assert named_stages() == told | ASIDE, "name its datasets in jobs/lake/lineage.py, or list it in ASIDE"
