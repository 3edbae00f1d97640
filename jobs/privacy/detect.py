"""Finds columns that hold personal or secret values which no contract declares, from a sample of their values.

Used before a source's first load and when its first contract is written. It would rather pass over a rare value than
hold a file of product codes: the thresholds below say from when on a column counts.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from expectations.contracts import PiiClass
from jobs.privacy import names, shapes


class Looks(StrEnum):
    """What a column looks like; all but `card` and `secret` are classes that a contract can declare."""

    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    ADDRESS = "address"
    DEVICE = "device_id"
    IP = "ip"
    BIRTH_DATE = "birth_date"
    NATIONAL_ID = "national_id"
    BANK_ACCOUNT = "bank_account"
    CARD = "card"
    SECRET = "secret"  # noqa: S105 - a class of values, not one of them


WORDS = {
    Looks.EMAIL: "e-mail addresses",
    Looks.PHONE: "phone numbers",
    Looks.NAME: "names of persons",
    Looks.ADDRESS: "postal addresses",
    Looks.DEVICE: "device ids",
    Looks.IP: "IP addresses",
    Looks.BIRTH_DATE: "dates of birth",
    Looks.NATIONAL_ID: "national ids",
    Looks.BANK_ACCOUNT: "bank accounts",
    Looks.CARD: "payment cards",
    Looks.SECRET: "passwords or keys",
}
SENSITIVE = frozenset((Looks.CARD, Looks.SECRET))


@dataclass(frozen=True)
class Threshold:
    """From when on a column counts: the share of its values that are hits, and the share of the candidates that are.

    The second tells check digits that fit from those that fit by chance: one number in ten passes Luhn.
    """

    min_share: float
    min_hit_rate: float = 0.0


# A single card or key in a column of notes is enough; a phone may be one order number in twenty.
SHAPES: dict[Looks, tuple[shapes.Shape, Threshold]] = {
    Looks.EMAIL: (shapes.email, Threshold(min_share=0.01)),
    Looks.PHONE: (shapes.phone, Threshold(min_share=0.05)),
    Looks.IP: (shapes.ip_address, Threshold(min_share=0.5)),
    Looks.CARD: (shapes.card, Threshold(min_share=0.0, min_hit_rate=0.4)),
    Looks.BANK_ACCOUNT: (shapes.iban, Threshold(min_share=0.0, min_hit_rate=0.4)),
    Looks.NATIONAL_ID: (shapes.national_id, Threshold(min_share=0.02, min_hit_rate=0.4)),
    Looks.SECRET: (shapes.secret, Threshold(min_share=0.0)),
}
MIN_FITTING_SHARE = 0.5  # of the values, for a class that only the name of the column suggests


@dataclass(frozen=True)
class Finding:
    """One column that looks like something: `count` of its `of` values that are not empty. Holds no value."""

    column: str
    looks: Looks
    count: int
    of: int

    @property
    def share(self) -> float:
        """Share of the values that look like it."""
        return self.count / self.of if self.of else 0.0

    @property
    def is_sensitive(self) -> bool:
        """Whether it must not be sent at all, declared or not."""
        return self.looks in SENSITIVE

    @property
    def pii(self) -> PiiClass:
        """The class to declare; `none` for what is sensitive."""
        return PiiClass.NONE if self.is_sensitive else PiiClass(self.looks.value)

    def __str__(self) -> str:
        return f"column {self.column}: {self.count} of {self.of} values look like {WORDS[self.looks]}"


def look_at(column: str, values: Sequence[str | None]) -> list[Finding]:
    """Everything that one column looks like, by its values and by its name, strongest share first."""
    filled = [value[: shapes.MAX_LENGTH] for value in values if value is not None and value.strip()]
    found = {finding.looks: finding for finding in _by_name(column, filled)}
    for looks, (shape, threshold) in SHAPES.items():
        matches = [shape(value) for value in filled]
        hits, candidates = sum(m.hit for m in matches), sum(m.candidate for m in matches)
        if hits and hits >= threshold.min_share * len(filled) and hits >= threshold.min_hit_rate * candidates:
            found[looks] = Finding(column, looks, hits, len(filled))
    return sorted(found.values(), key=lambda finding: (-finding.share, list(Looks).index(finding.looks)))


def _by_name(column: str, filled: list[str]) -> list[Finding]:
    """A class that the name suggests and at least half of the values bear out."""
    if not filled:
        return []
    if names.is_secret(column):
        return [Finding(column, Looks.SECRET, len(filled), len(filled))]
    pii = names.class_by_name(column)
    count = names.fitting(pii, filled)
    if pii is PiiClass.NONE or count < MIN_FITTING_SHARE * len(filled):
        return []
    return [Finding(column, Looks(pii.value), count, len(filled))]


def undeclared_pii(columns: Mapping[str, Sequence[str | None]], declared: AbstractSet[str]) -> list[Finding]:
    """Findings that no contract answers for, in the order of the columns. Empty means: nothing speaks against loading.

    `declared` are the columns whose contract states a class, `pii: none` included: somebody has looked at them. Cards and
    secrets are reported all the same.
    """
    findings = [finding for column, values in columns.items() for finding in look_at(column, values)]
    return [finding for finding in findings if finding.is_sensitive or finding.column not in declared]
