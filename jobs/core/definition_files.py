"""Definition files of a folder: read strictly, typed, every problem of all files with its file and line."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from jobs.core import strict_yaml
from jobs.core.explained import Found, Place, explained
from jobs.core.strict_yaml import Node

Item = TypeVar("Item", bound=BaseModel)


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a file, on a line (the first is 1). Spelled in one line that editors can jump to."""

    label: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.label}:{self.line}: {self.text}"


@dataclass(frozen=True)
class DefinitionFile(Generic[Item]):
    """A definition with the text it came from. `label`: folder and file, as messages name it."""

    label: str
    root: Node
    item: Item

    def problem(self, place: Place, text: str) -> Problem:
        """A problem of what stands at the place."""
        return Problem(self.label, self.root.line_of(place), spoken(place, text))


def spoken(place: Place, text: str) -> str:
    """The text with its place in front: `rule.all.0.gte: …`."""
    return f"{'.'.join(_shown(str(step)) for step in place)}: {text}" if place else text


def _shown(name: str) -> str:
    """A name that breaks no line and no terminal."""
    return name if name.isprintable() else ascii(name)


def label_of(path: Path) -> str:
    """Folder and file."""
    return f"{_shown(path.parent.name)}/{_shown(path.name)}"


Judge = Callable[[Mapping[str, Any]], Iterable[Found]]


def read_folder(
    folder: Path, shape: type[Item], *, free: Iterable[str | int] = (), judge: Judge | None = None
) -> tuple[dict[str, DefinitionFile[Item]], list[Problem]]:
    """The definitions that are right, by the file's name, sorted; and every problem of the others. As `read_file`."""
    files: dict[str, DefinitionFile[Item]] = {}
    problems = [_strange(path) for path in sorted(folder.glob("*")) if path.suffix == ".yaml" or _is_nested(path)]
    for path in sorted(folder.glob("*.yml")):
        found, wrong = read_file(path, shape, free=free, judge=judge)
        problems += wrong
        if found:
            files[path.stem] = found
    return files, problems


def _is_nested(path: Path) -> bool:
    return path.is_dir() and any(path.rglob("*.y*ml"))


def _strange(path: Path) -> Problem:
    text = (
        "folders are not searched: move its files up"
        if path.is_dir()
        else "not read: the file of a definition ends in .yml"
    )
    return Problem(label_of(path), 1, text)


def read_file(
    path: Path, shape: type[Item], *, free: Iterable[str | int] = (), judge: Judge | None = None
) -> tuple[DefinitionFile[Item] | None, list[Problem]]:
    """The definition, or every problem of it.

    Null may stand only below the keys of `free`. `judge` says what else is wrong with the content, whether the shape fits or
    not. Of a line that is no clear YAML nothing else is told, as it may only follow from that.
    """
    label = label_of(path)
    root, faults = strict_yaml.read(path.read_bytes())
    problems = [Problem(label, fault.line, fault.text) for fault in faults]
    if root is None or not isinstance(root.value, dict):
        return None, problems or [
            Problem(label, root.line if root else 1, "expected a mapping with name, description, …")
        ]
    item, found = _typed(root.value, shape)
    found += [Found(at, "null says nothing: leave the key out") for at in root.nulls() if at[0] not in free]
    found += judge(root.value) if judge else ()
    name = root.value.get("name")
    if name != path.stem and not any(one.path == ("name",) for one in found):
        text = f"name is {name!r}, expected the file's name {path.stem!r}; rename one of them"
        found.append(Found(("name",), text))
    wrong_lines = {problem.line for problem in problems}
    told = [Problem(label, root.line_of(one.path), spoken(one.path, one.text)) for one in found]
    problems += [problem for problem in told if problem.line not in wrong_lines]
    return (DefinitionFile(label, root, item), []) if item and not problems else (None, problems)


def _typed(content: Mapping[str, Any], shape: type[Item]) -> tuple[Item | None, list[Found]]:
    try:
        return shape.model_validate(content, strict=True), []
    except ValidationError as error:
        return None, explained(error, shape)
