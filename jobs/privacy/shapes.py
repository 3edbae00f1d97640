"""What personal and secret values look like, one value at a time. Pure text rules, no engine, no look-ups.

A shape answers with a `Match`: whether a value is a candidate (has the outline) and whether it is a hit (its check digits,
ranges or entropy fit too). The share of hits among the candidates tells a column of cards from a column of long numbers.
"""

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

MAX_LENGTH = 20_000  # of a value, longer ones are judged by their beginning
# Repeats are bounded (RFC 5321 has 64 letters before the @), so that no text takes long to refuse.
EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2}")


class Match(NamedTuple):
    """`hit` implies `candidate`."""

    candidate: bool
    hit: bool


NOTHING = Match(candidate=False, hit=False)
HIT = Match(candidate=True, hit=True)
Shape = Callable[[str], Match]


def _of(hits: Iterable[bool]) -> Match:
    found = list(hits)
    return Match(candidate=bool(found), hit=any(found))


def email(value: str) -> Match:
    """An e-mail address anywhere in the text."""
    return HIT if "@" in value and EMAIL.search(value) else NOTHING


# With a plus or with separators between the groups. Bare digits are no phone: product codes, order numbers and GTINs of 8 to
# 14 digits look the same; for those the name of the column must speak.
PHONES = tuple(
    re.compile(rf"(?<![\w.+/-])(?<!\d ){pattern}(?![\w/-]| \d)")
    for pattern in (
        r"\+[1-9](?:[ ()./-]{0,2}\d){7,14}",
        r"00[1-9]\d{0,2}[ /-](?:[ ()/-]{0,2}\d){6,12}",
        r"(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}",
        r"\(?0\d{1,4}\)?[ /-]\d{3,4}[ -]?\d{3,4}",
        r"0\d(?:[ .-]\d\d){4}",
    )
)


def phone(value: str) -> Match:
    """A phone number with country code or separators, anywhere in the text."""
    return HIT if any(pattern.search(value) for pattern in PHONES) else NOTHING


BARE_PHONE = re.compile(r"[+(]?\d(?:[ ()./-]{0,2}\d){6,14}")


def bare_phone(value: str) -> Match:
    """Seven to fifteen digits and nothing else: a phone only where the column is called one."""
    return HIT if BARE_PHONE.fullmatch(value.strip()) else NOTHING


def ip_address(value: str) -> Match:
    """A whole IPv4 or IPv6 address; one that ends in zeros was truncated and points at nobody."""
    text = value.strip()
    if not 2 < len(text) < 46 or ("." not in text and ":" not in text):
        return NOTHING
    try:
        packed = ipaddress.ip_address(text).packed
    except ValueError:
        return NOTHING
    host = packed[-1:] if len(packed) == 4 else packed[-10:]
    return HIT if any(host) else NOTHING


GROUPED_CARD = re.compile(r"(?<![\w.+-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}|3[47]\d{2}([ -])\d{6}\2\d{5})(?![\w-]|\.\d)")
PLAIN_CARD = re.compile(r"(?<![\w.+-])\d{14,16}(?![\w-]|\.\d)")
# Ranges of the networks (ISO/IEC 7812 issuer numbers) with the length they are issued in.
ISSUERS = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B: every second digit from the right doubled, the sum of all digits a multiple of ten."""
    doubled = (2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def card(value: str) -> Match:
    """A payment card number anywhere in the text: length and range of a network, and Luhn's check digit."""
    found = [m.group() for pattern in (GROUPED_CARD, PLAIN_CARD) for m in pattern.finditer(value)]
    numbers = [re.sub(r"[ -]", "", text) for text in found]
    return _of(bool(ISSUERS.fullmatch(number)) and luhn(number) and len(set(number)) > 1 for number in numbers)


IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
    22: "BG BH DE GB GE IE ME RS", 23: "AE GI IL IQ TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST",
    26: "IS TR", 27: "FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU",
    31: "MT SC", 32: "LC",
}  # fmt: skip
_LENGTH_OF = {country: length for length, names in IBAN_LENGTHS.items() for country in names.split()}


def iban_is_valid(text: str) -> bool:
    """ISO 13616: length of the country, and the rearranged number leaves 1 when divided by 97."""
    if _LENGTH_OF.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def iban(value: str) -> Match:
    """An IBAN anywhere in the text, in one piece or in groups of four."""
    return _of(iban_is_valid(found.group().replace(" ", "")) for found in IBAN.finditer(value))


US_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
BRITISH_NINO = re.compile(r"(?<!\w)([A-Z]{2}) ?\d\d ?\d\d ?\d\d ?([A-Z])(?!\w)")
UNUSED_PREFIXES = ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")
SPANISH_ID = re.compile(r"(?<!\w)([XYZ]\d{7}|\d{8})-?([A-Z])(?!\w)")
BRAZILIAN_CPF = re.compile(r"(?<!\w)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)")


def national_id(value: str) -> Match:
    """US social security, UK national insurance, Spanish DNI/NIE and Brazilian CPF numbers, as people write them.

    Other countries' are not known here: without letters or separators they cannot be told from order numbers.
    """
    if US_SSN.search(value):
        return HIT
    british = (_nino_is_valid(found.group(1), found.group(2)) for found in BRITISH_NINO.finditer(value))
    spanish = (_spanish_is_valid(found.group(1), found.group(2)) for found in SPANISH_ID.finditer(value))
    brazilian = (_cpf_is_valid(re.sub(r"\D", "", found.group())) for found in BRAZILIAN_CPF.finditer(value))
    return _of([*british, *spanish, *brazilian])


def _nino_is_valid(prefix: str, suffix: str) -> bool:
    is_issued = re.fullmatch("[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]", prefix) and prefix not in UNUSED_PREFIXES
    return bool(is_issued) and suffix in "ABCD"


def _spanish_is_valid(number: str, letter: str) -> bool:
    digits = number.translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == letter


def _cpf_is_valid(digits: str) -> bool:
    for length in (9, 10):
        total = sum(int(digit) * weight for digit, weight in zip(digits, range(length + 1, 1, -1), strict=False))
        if int(digits[length]) != total * 10 % 11 % 10:
            return False
    return len(set(digits)) > 1


# Prefixes that vendors put before their keys so that they can be found; the group is what must look random.
TOKENS = tuple(
    re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])")
    for pattern in (
        r"A(?:KI|SI)A([A-Z2-7]{16})",  # AWS access key ids
        r"gh[pousr]_([A-Za-z0-9]{36,})",  # GitHub
        r"github_pat_([A-Za-z0-9_]{40,})",
        r"glpat-([A-Za-z0-9_-]{20,})",  # GitLab
        r"xox[abeprs]-([A-Za-z0-9-]{20,})",  # Slack
        r"[sr]k_(?:live|test)_([A-Za-z0-9]{20,})",  # Stripe
        r"AIza([A-Za-z0-9_-]{35})",  # Google
        r"SG\.([A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,})",  # SendGrid
        r"pat-(?:na|eu)\d-([0-9a-f-]{36})",  # HubSpot
        r"eyJ([A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})",  # JSON Web Tokens
    )
)
MIN_ENTROPY = 3.0  # bits per character; words and repeated letters stay below, random base64 has 4 and more
PLAIN_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$|\{SSHA\d*\}"),  # password hashes
    re.compile(r"(?i)\b(?:password|passwd|passphrase|passwort|pwd)\s*[:=]\s*(?=[^\s,;]{0,63}\d)[^\s,;]{6}"),
    re.compile(r"\b[a-z][a-z0-9+]{1,15}://[^\s/:@]{1,64}:[^\s/:@]{3,64}@"),  # a password inside a URL
)


def entropy(text: str) -> float:
    """Shannon entropy of the characters, in bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def secret(value: str) -> Match:
    """A password, private key or API token anywhere in the text."""
    if any(pattern.search(value) for pattern in PLAIN_SECRETS):
        return HIT
    return _of(entropy(found.group(1)) >= MIN_ENTROPY for pattern in TOKENS for found in pattern.finditer(value))
