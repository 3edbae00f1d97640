"""Definitions for the tests of the language: from YAML, by themselves or as files of a folder."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from jobs.core.definitions import DefinitionError, SegmentHeader, TraitHeader
from jobs.core.strict_yaml import read
from jobs.segments.language.catalogue import check, resolve
from jobs.segments.language.model import Catalogue
from jobs.segments.language.vocabulary import attributes, of_contracts

TOLD = "Somebody of whom the tests tell something."


def written(text: str) -> Any:
    """What a text of YAML says."""
    root, faults = read(dedent(text).encode())
    assert faults == []
    assert root is not None
    return root.value


def segment(name: str, rule: str, **header: Any) -> SegmentHeader:
    """A segment whose rule is YAML."""
    content = {"name": name, "description": TOLD, "rule": written(rule), **header}
    return SegmentHeader.model_validate(content)


def trait(name: str, value: str, **header: Any) -> TraitHeader:
    """A trait whose value is YAML."""
    return TraitHeader.model_validate({"name": name, "description": TOLD, "value": written(value), **header})


def catalogue(*headers: SegmentHeader | TraitHeader, known: Mapping[str, Any] | None = None) -> Catalogue:
    """The catalogue of headers, under the contracts of this repository."""
    traits = {one.name: one for one in headers if isinstance(one, TraitHeader)}
    segments = {one.name: one for one in headers if isinstance(one, SegmentHeader)}
    return resolve(traits, segments, attributes(), **(known or {"vocabulary": of_contracts()}))


def wrong(*headers: SegmentHeader | TraitHeader) -> list[str]:
    """The problems of headers, without the file's name where there is but one."""
    with pytest.raises(DefinitionError) as caught:
        catalogue(*headers)
    lines = str(caught.value).split("\n")
    return lines if len(headers) > 1 else [line.partition(".yml: ")[2] for line in lines]


class Folder:
    """A folder of definition files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, kind: str, name: str, text: str) -> Path:
        """One file; its text begins with the line after name and description, the third."""
        path = self.root / kind / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"name: {name}\ndescription: {TOLD}\n{dedent(text)}", encoding="utf-8")
        return path

    def problems(self) -> list[str]:
        """All problems of all files."""
        return [str(problem) for problem in check(self.root).problems]

    def remarks(self) -> list[str]:
        """What is remarkable in files that are right."""
        found = check(self.root)
        assert found.problems == []
        return [str(remark) for remark in found.remarks]
