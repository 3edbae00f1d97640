"""JSON Schemas of the definition files, for editors: they complete and underline while one types; `check` judges in full."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from jobs.core.definitions import SEGMENT_FOLDER, SegmentHeader, TraitHeader
from jobs.segments.language.journeys import Journey
from jobs.segments.language.policy import Policy
from jobs.segments.language.rules import RULE
from jobs.segments.language.scenarios import Scenario
from jobs.segments.language.traits import VALUE
from jobs.segments.language.triggers import Trigger
from jobs.segments.language.units import spoken

FOLDER = SEGMENT_FOLDER.parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _WithoutNull(GenerateJsonSchema):
    """Optional means that a key may be left out; null is refused in the files, and so are keys that default to it."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """The schema of what is there when it is."""
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: object) -> bool:
        """A key is its own title."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """No `default: null`."""
        found = super().default_schema(schema)
        return {key: value for key, value in found.items() if key != "default" or value is not None}


def render() -> dict[Path, str]:
    """Path below the project → content, of the schema of each kind of file."""
    whole: dict[str, tuple[type[BaseModel], str]] = {
        "trigger": (Trigger, "One trigger: what sets a message off."),
        "journey": (Journey, "One journey: messages with pauses and ways."),
        "policy": (Policy, "The policy that all messages obey."),
        "scenario": (Scenario, "One scenario: a story on a simulated clock."),
    }
    return {
        **{FOLDER / f"{name}.schema.json": _text(_whole(shape, what)) for name, (shape, what) in whole.items()},
        FOLDER / "segment.schema.json": _text(_schema(SegmentHeader, "rule", RULE, "One segment: who is in it.")),
        FOLDER / "trait.schema.json": _text(_schema(TraitHeader, "value", VALUE, "One trait: a value per profile.")),
    }


def drift(project_root: Path, files: Mapping[Path, str]) -> list[Path]:
    """Schemas that are missing or differ; sorted."""
    found = {path: project_root / path for path in files}
    return sorted(p for p, at in found.items() if not at.exists() or at.read_text(encoding="utf-8") != files[p])


def _whole(shape: type[BaseModel], what: str) -> dict[str, Any]:
    """The schema of a file that is typed as a whole."""
    schema = shape.model_json_schema(schema_generator=_WithoutNull)
    schema |= {"title": what, "description": f"{what} c360 segments check judges it in full."}
    for name, info in shape.model_fields.items():
        if isinstance(info.default, timedelta):
            schema["properties"][name]["default"] = spoken(info.default)
    return {"$schema": DIALECT, **schema}


def _schema(header: type[BaseModel], key: str, adapter: TypeAdapter[Any], what: str) -> dict[str, Any]:
    """The header's schema, in which the rule or value has its own."""
    schema = header.model_json_schema(schema_generator=_WithoutNull)
    typed = adapter.json_schema(schema_generator=_WithoutNull)
    shapes = typed.pop("$defs")
    schema["properties"][key] = typed
    schema |= {"title": what, "description": f"{what} c360 segments check FILE judges it in full."}
    return {"$schema": DIALECT, **schema, "$defs": {**schema.get("$defs", {}), **shapes}}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
