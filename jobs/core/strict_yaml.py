"""The one door for YAML that people write: a small part of YAML, in which nothing means what its writer did not mean.

Texts, true, false, whole numbers, decimal numbers, dates, times, lists and mappings. No anchors, no tags, no second document, no
tabs, no key twice. A word that one version of YAML takes for text and another for something else (`NO`, `on`, `012`, `1e3`,
`1:30`, `~`) is refused: quoted, it is text. Everything keeps the line that it stands on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

LARGEST_BYTES = 128 * 1024
MOST_NODES = 10_000
DEEPEST = 48
LONGEST_NUMBER = 15

ANCHORS = "anchors and aliases (& and *) are not read: write it out; quote it if text is meant"
TRUTHS = {"true": True, "false": False}
WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
# What PyYAML takes for text and other readers take for a number, a time of day or a truth.
ELSEWHERE = re.compile(
    r"[yYnN]|[-+]?(0[xob])?[0-9][0-9_.,]*([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+([eE][-+]?[0-9]+)?|[0-9]+(:[0-9.]+)+"
)


@dataclass(frozen=True)
class Fault:
    """Something wrong, on a line (the first is 1)."""

    line: int
    text: str


@dataclass(frozen=True)
class Node:
    """A value with its line; that of a mapping's value is the line of its key. `items`: what it holds, by key or index."""

    value: Any
    line: int
    items: dict[str | int, "Node"] = field(default_factory=dict)

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """The line of what stands at the path, or of the last thing on the way to it that is there."""
        node, line = self, self.line
        for step in path:
            if step not in node.items:
                break
            node = node.items[step]
            line = node.line
        return line

    def nulls(self, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
        """Paths of the values that are null."""
        if self.value is None:
            yield path
        for step, child in self.items.items():
            yield from child.nulls((*path, step))


class StrictYamlError(ValueError):
    """The text cannot be read on; `fault` says where and why."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(line, text)


class DoubtfulError(ValueError):
    """A bare word that is not clearly a text or a number; the message says what to write."""


def read(content: bytes) -> tuple[Node | None, list[Fault]]:
    """The document's root and every fault found; None for the root when the text could not be read to its end."""
    builder = _Builder()
    try:
        for event in yaml.parse(_decoded(content), Loader=yaml.SafeLoader):
            builder.take(event)
    except StrictYamlError as error:
        return None, [*builder.faults, error.fault]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        return None, [*builder.faults, Fault(mark.line + 1 if mark else 1, f"not readable YAML: {said}")]
    return builder.root, builder.faults


def _decoded(content: bytes) -> str:
    if len(content) > LARGEST_BYTES:
        raise StrictYamlError(1, f"the file has {len(content):,} bytes; at most {LARGEST_BYTES:,} are read")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictYamlError(content.count(b"\n", 0, error.start) + 1, "not readable YAML: not UTF-8") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if "\t" in line:
            raise StrictYamlError(number, "a tab; write blanks")
        if odd := yaml.reader.Reader.NON_PRINTABLE.search(line):
            raise StrictYamlError(number, f"not readable YAML: the character U+{ord(odd[0]):04X}")
    return text


def plain(text: str) -> Any:
    """What a bare word means. Raises DoubtfulError when readers of YAML do not agree about it."""
    if text in TRUTHS:
        return TRUTHS[text]
    if text == "null":
        return None
    if WHOLE.fullmatch(text):
        return int(text)
    if DECIMAL.fullmatch(text):
        return float(text)
    if DATE.fullmatch(text) or TIME.fullmatch(text):
        return _moment(text)
    if text in ("", "~"):
        raise DoubtfulError("nothing is said here: write a value, or leave the key out" if not text else _quote(text))
    if _is_text_to_pyyaml(text) and not ELSEWHERE.fullmatch(text):
        return text
    raise DoubtfulError(_quote(text))


def _is_text_to_pyyaml(text: str) -> bool:
    rules = yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], [])
    return not any(rule.match(text) for _, rule in rules)


def _quote(text: str) -> str:
    known = {"yes": "true", "on": "true", "y": "true", "true": "true"} | dict.fromkeys(
        ("no", "off", "n", "false"), "false"
    )
    meant = known.get(text.lower()) or _number(text)
    also = f", or write {meant}" if meant else ""
    return f'{text} is not text in every YAML: quote it ("{text}"){also}'


def _number(text: str) -> str:
    """The plain spelling of a number, empty when it is none or a very long one."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return ""
    is_short = number.is_finite() and -LONGEST_NUMBER < number.adjusted() < LONGEST_NUMBER
    return format(number, "f") if is_short else ""


def _moment(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text) if DATE.fullmatch(text) else datetime.fromisoformat(text)
    except ValueError as error:
        raise DoubtfulError(f'{text} is no day of the calendar; if text is meant, quote it ("{text}")') from error


class _Open:
    """A list or mapping that is being read. `key`: the key that waits for its value, with its line."""

    def __init__(self, line: int, *, is_mapping: bool) -> None:
        self.line, self.is_mapping = line, is_mapping
        self.key: tuple[str, int] | None = None
        self.items: dict[str | int, Node] = {}

    @property
    def wants_key(self) -> bool:
        return self.is_mapping and self.key is None

    def closed(self) -> Node:
        values = [child.value for child in self.items.values()]
        value = dict(zip(self.items, values, strict=True)) if self.is_mapping else values
        return Node(value, self.line, self.items)


class _Builder:
    """Makes the tree of the parser's events, without recursion: what comes in is not trusted to be shallow."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._open: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """One event. Raises StrictYamlError when there is no reading on."""
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._begin(event, line)
        elif isinstance(event, yaml.AliasEvent):
            raise StrictYamlError(line, ANCHORS)
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            self._node(event, line)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._add(self._open.pop().closed())

    def _begin(self, event: yaml.DocumentStartEvent, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            raise StrictYamlError(line, "a second document begins here; a file holds one definition")
        if event.version or event.tags:
            raise StrictYamlError(line, "a % directive; leave it out")

    def _node(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> None:
        if event.anchor is not None:
            raise StrictYamlError(line, ANCHORS)
        if event.tag is not None:
            raise StrictYamlError(line, f"a tag ({event.tag!r}) is not read: leave it out; quote it if text is meant")
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise StrictYamlError(line, f"more than {MOST_NODES:,} values; split the definition")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
            return
        if self._open and self._open[-1].wants_key:
            raise StrictYamlError(
                line, "a list or mapping stands where a key is wanted; quote text that begins with { or ["
            )
        if len(self._open) == DEEPEST:
            raise StrictYamlError(line, f"nested more than {DEEPEST} deep")
        self._open.append(_Open(line, is_mapping=isinstance(event, yaml.MappingStartEvent)))

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        value: Any = event.value
        if event.style is None:
            try:
                value = plain(event.value)
            except DoubtfulError as error:
                self.faults.append(Fault(line, str(error)))
        if self._open and self._open[-1].wants_key:
            self._key(event.value, value, line)
        else:
            self._add(Node(value, line))

    def _key(self, text: str, value: Any, line: int) -> None:
        if not isinstance(value, str):
            self.faults.append(Fault(line, f'the key {text} is no text: quote it ("{text}")'))
        if text in self._open[-1].items:
            first = self._open[-1].items[text].line
            self.faults.append(Fault(line, f"{text!r} stands twice here, first on line {first}"))
        self._open[-1].key = (text, line)

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if top.key is None:
            top.items[len(top.items)] = node
        else:
            top.items[top.key[0]] = replace(node, line=top.key[1])
            top.key = None
