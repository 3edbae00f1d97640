"""docs/segments.md: every YAML example in it is read and judged as a definition of this repository would be."""

import re
from typing import Any

import pytest

from jobs.core.definitions import SegmentHeader, TraitHeader, load_segments
from jobs.core.settings import PROJECT_ROOT
from jobs.core.strict_yaml import read
from jobs.segments.compile.program import compiled
from jobs.segments.language.catalogue import load, resolve
from jobs.segments.language.rules import KINDS
from jobs.segments.language.traits import VALUES
from jobs.segments.language.vocabulary import attributes, of_contracts

PAGE = PROJECT_ROOT / "docs" / "segments.md"
TOLD = "An example of the page about segments."


def examples() -> list[Any]:
    """A definition is one example, a list as many as it has items."""
    found: list[Any] = []
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        root, faults = read(block.encode())
        assert (faults, root is None) == ([], False), block
        assert root is not None
        found += root.value if isinstance(root.value, list) else [root.value]
    return found


EXAMPLES = examples()


def headers(example: dict[str, Any]) -> tuple[dict[str, TraitHeader], dict[str, SegmentHeader]]:
    """A rule or a value alone is given a name; what is either, a measure, is taken for a trait."""
    if "name" in example:
        return {}, {example["name"]: SegmentHeader.model_validate(example)}
    if set(example) & {"score", "choose", "priority", "ratio"} or example == EXAMPLES[FIRST_VALUE]:
        return {"example": TraitHeader(name="example", description=TOLD, value=example)}, {}
    return {}, {"example": SegmentHeader(name="example", description=TOLD, rule=example)}


FIRST_VALUE = next(place for place, example in enumerate(EXAMPLES) if "score" in example) - 1


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"example {place}" for place in range(len(EXAMPLES))])
def test_an_example_is_right(example: dict[str, Any]) -> None:
    traits, segments = headers(example)
    shipped = load(PROJECT_ROOT)
    traits = {name: trait.header for name, trait in shipped.traits.items()} | traits
    segments = {name: segment.header for name, segment in shipped.segments.items()} | segments
    compiled(resolve(traits, segments, attributes(), vocabulary=of_contracts()))


def test_every_kind_of_rule_and_value_is_shown() -> None:
    written = " ".join(map(str, EXAMPLES))
    page = PAGE.read_text(encoding="utf-8")
    assert [kind for kind in (*KINDS, *VALUES) if f"'{kind}'" not in written and f"{kind}: true" not in page] == []


def test_what_is_said_to_be_shipped_is() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## What is shipped")[2].partition("##")[0]
    named = set(re.findall(r"`([a-z0-9_]+)`", table))
    shipped = set(load_segments(PROJECT_ROOT))
    short = {name for name in shipped if name.startswith("lifecycle_")}
    assert shipped - named - short == set()
    assert {name for name in named if name.startswith("_")} == {name.removeprefix("lifecycle") for name in short} - {
        "_new"
    }
