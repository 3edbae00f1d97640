"""What the name of a column says about the person behind its values; the values must not contradict it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from expectations.contracts import PiiClass
from jobs.privacy import shapes

_WORDS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "names.yml").read_text("utf-8"))
CLASSES = {PiiClass(name): frozenset(words) for name, words in _WORDS["classes"].items()}
SECRETS = frozenset(_WORDS["secrets"])
NOT_OF_A_PERSON = frozenset(_WORDS["not_of_a_person"])
LETTERS = re.compile(r"[^\W\d_]{2,}")
DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{8}$")
FITS: dict[PiiClass, Callable[[str], bool]] = {
    PiiClass.EMAIL: lambda value: shapes.email(value).hit,
    PiiClass.PHONE: lambda value: shapes.bare_phone(value).hit or shapes.phone(value).hit,
    PiiClass.NAME: lambda value: bool(LETTERS.search(value)) and not any(letter.isdigit() for letter in value),
    PiiClass.ADDRESS: lambda value: bool(LETTERS.search(value)),
    PiiClass.BIRTH_DATE: lambda value: bool(DATE.match(value.strip())),
}


def words(column: str) -> tuple[str, ...]:
    """The words of a column's last part: `traits.firstName` → first, name."""
    last = re.split(r"[./\[\]]", column.rstrip("[]"))[-1]
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", last)
    return tuple(word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word)


def class_by_name(column: str) -> PiiClass:
    """What the name alone says, by its last words; `none` when it says nothing, or (`email_count`) tells about a value."""
    found = words(column)
    endings = {" ".join(found[start:]) for start in range(len(found))}
    for pii, named in CLASSES.items():
        said = endings & named
        if not said:
            continue
        # `phone_number` is one, `billing_email` too; `store_address` belongs to nobody.
        if " ".join(found) in said or not NOT_OF_A_PERSON & set(found):
            return pii
    return PiiClass.NONE


def is_secret(column: str) -> bool:
    """Whether the name says that nobody should send this at all."""
    return " ".join(words(column)) in SECRETS


def fitting(pii: PiiClass, values: Sequence[str]) -> int:
    """How many values do not contradict the class; for a class without a rule of its own, all of them."""
    rule = FITS.get(pii)
    return len(values) if rule is None else sum(rule(value) for value in values)
