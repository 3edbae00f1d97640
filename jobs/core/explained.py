"""What pydantic found wrong with a definition, in the words of who wrote it: where, what is wanted, the nearest name."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from jobs.core.command import hint

Place = tuple[str | int, ...]
LONGEST_SHOWN = 80
WANTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "date_type": "a date",
    "datetime_type": "a time",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


@dataclass(frozen=True)
class Found:
    """One thing wrong, at its path in the text."""

    path: Place
    text: str


@dataclass(frozen=True)
class _Placed:
    """An error whose place is told apart into keys of the text and pydantic's labels of the branches it took.

    `holder` is the shape of what holds the last key.
    """

    error: ErrorDetails
    path: Place
    branches: tuple[tuple[Place, str], ...]
    holder: Any


def explained(error: ValidationError, shape: Any) -> list[Found]:
    """Every problem, in the order found. `shape` is the model or annotated type that was wanted.

    Of a choice between several shapes only the one is spoken of that comes nearest, which has the fewest problems.
    """
    placed = [_place(details, shape) for details in error.errors(include_url=False)]
    return [Found(one.path, text) for one, text in _fitting(placed)]


def _place(error: ErrorDetails, shape: Any) -> _Placed:
    path: Place = ()
    branches: list[tuple[Place, str]] = []
    at, holder = shape, shape
    for step in error["loc"]:
        choices = _choices(at)
        if len(choices) > 1:
            branches.append((path, str(step)))
            at = next((choice for choice in choices if _is_called(choice, str(step))), Any)
            continue
        holder = choices[0]
        at = _inside(holder, step)
        path = (*path, step)
    return _Placed(error, path, tuple(branches), holder)


def _choices(shape: Any) -> list[Any]:
    """The shapes that a value may have; those of an optional one are counted without None."""
    while get_origin(shape) is Annotated:
        shape = get_args(shape)[0]
    if get_origin(shape) not in (Union, UnionType):
        return [shape]
    members = [member for member in get_args(shape) if member is not NoneType]
    return members if len(members) > 1 else _choices(members[0])


def _is_called(choice: Any, label: str) -> bool:
    """Whether pydantic's label of a branch means the choice; a model with a check it calls `function-after[check(), Model]`."""
    tags = {mark.tag for mark in getattr(choice, "__metadata__", ()) if isinstance(mark, Tag)}
    inner = get_args(choice)[0] if get_origin(choice) is Annotated else choice
    name = getattr(inner, "__name__", str(inner))
    return label in tags or label == name or label.endswith(f", {name}]")


def _inside(shape: Any, step: str | int) -> Any:
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return next((at.annotation for name, at in shape.model_fields.items() if step in (name, at.alias)), Any)
    arguments = get_args(shape)
    return arguments[-1 if isinstance(step, str) else 0] if arguments else Any


def _fitting(placed: list[_Placed]) -> Iterator[tuple[_Placed, str]]:
    taken = _taken(placed)
    shown: set[Place] = set()
    for one in placed:
        wrong = next((at for at, label in one.branches if taken[at] != label), None)
        if wrong is None:
            yield one, _said(one)
        elif taken[wrong] is None and wrong not in shown:
            shown.add(wrong)
            yield one, _any_of([other for other in placed if other.path == wrong])


def _taken(placed: list[_Placed]) -> dict[Place, str | None]:
    """Place of each choice → the branch with the fewest problems; None where each has one, about the value as a whole."""
    counts: dict[Place, dict[str, int]] = {}
    deeper: set[Place] = set()
    for one in placed:
        for at, label in one.branches:
            branch = counts.setdefault(at, {})
            branch[label] = branch.get(label, 0) + 1
            if one.path != at:
                deeper.add(at)
    return {
        at: None if len(found) > 1 and at not in deeper else min(found, key=found.__getitem__)
        for at, found in counts.items()
    }


def _any_of(placed: list[_Placed]) -> str:
    """A value that fits none of several plain types; one of the right type that is out of range says so alone."""
    wanted = [WANTED[one.error["type"]] for one in placed if one.error["type"] in WANTED]
    other = [one for one in placed if one.error["type"] not in WANTED and not one.error["type"].startswith("date")]
    if other or not wanted:
        return _said((other or placed)[0])
    return f"expected {', '.join(dict.fromkeys(wanted))}; found {_spelled(placed[0].error['input'])}"


def _said(one: _Placed) -> str:
    error, kind = one.error, one.error["type"]
    if kind == "extra_forbidden":
        return f"unknown key.{hint(str(one.path[-1]), keys_of(one.holder))}"
    if kind in ("literal_error", "enum"):
        known = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
        return f"unknown {_spelled(error['input'])}.{hint(str(error['input']), known)}"
    if kind in WANTED:
        quote = "; quote it, if text is meant" if kind == "string_type" and _is_plain(error["input"]) else ""
        return f"expected {WANTED[kind]}; found {_spelled(error['input'])}{quote}"
    if kind == "string_pattern_mismatch":
        return f"{_spelled(error['input'])} does not match {error['ctx']['pattern']}"
    message = "missing" if kind == "missing" else error["msg"].removeprefix("Value error, ")
    return message + (_meant(error) if kind.endswith("_kind") else "")


def _meant(error: ErrorDetails) -> str:
    """The nearest of the telling keys that the message lists."""
    known = error["msg"].partition(": ")[2].split(", ")
    given = error["input"] if isinstance(error["input"], Mapping) else ()
    near = (difflib.get_close_matches(str(key), known, n=1) for key in given)
    return next((f"; did you mean {found[0]!r}?" for found in near if found), "")


def keys_of(shape: Any) -> list[str]:
    """The keys that a model may have, as they are written."""
    fields = shape.model_fields if isinstance(shape, type) and issubclass(shape, BaseModel) else {}
    return [at.alias or name for name, at in fields.items()]


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, Mapping | list)


def _spelled(value: Any) -> str:
    """The value as a definition writes it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = value.isoformat() if isinstance(value, date) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
