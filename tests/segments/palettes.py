"""The few values of one world, and what its rules compare with: the same values, as numbers, texts and parts of texts."""

import json
from dataclasses import dataclass
from functools import cache

from segments import values

REFUSED = ("{{", "}}", "{%", "%}", "{#", "#}", "\\")


@dataclass(frozen=True)
class Palette:
    """JSON texts that properties have; numbers and texts that rules name."""

    properties: tuple[str, ...]
    numbers: tuple[float | int, ...]
    texts: tuple[str, ...]
    pieces: tuple[str, ...]


def palette(properties: tuple[str, ...]) -> Palette:
    """What rules compare with, out of what properties are; 0, 1, `a` and the wildcards of SQL besides."""
    numbers = [number for raw in properties for number in _numbers(raw)]
    texts = [text for raw in properties for text in _texts(raw)]
    pieces = [piece for text in texts for piece in (text[:1], text[-1:], text[1:], text) if piece]
    return Palette(properties, (1, *numbers, 0), (*texts, "a", ""), (*pieces, "a", "%", "_"))


@cache
def _numbers(raw: str) -> list[float | int]:
    found = values.number(f'{{"p": {raw}}}', "p")
    if found is None:
        return []
    written = json.loads(raw)
    same = [written] if isinstance(written, float | int) else []
    return [*same, int(found) if found == int(found) else float(found)]


@cache
def _texts(raw: str) -> list[str]:
    text = values.text(f'{{"p": {raw}}}', "p")
    known = text is not None and text.isprintable() and not any(part in text for part in REFUSED)
    return [text] if known and text is not None else []
