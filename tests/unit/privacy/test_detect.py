"""Columns that look like personal or secret data: found where they are, and not where goods and orders are numbered."""

import csv
import gzip
import json
import random
import string
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from expectations import contracts
from expectations.contracts import FieldContract, PiiClass
from jobs.core.settings import Settings
from jobs.privacy import names, shapes
from jobs.privacy.detect import Finding, Looks, look_at, undeclared_pii
from jobs.sample.generate import generate

DIGITS = st.text("0123456789", min_size=1, max_size=24)
# Published test numbers of the networks; none is issued.
CARDS = ("4111 1111 1111 1111", "5555555555554444", "3782-822463-10005", "6011111111111117", "2223003122003222")
IBANS = ("DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "NL91ABNA0417164300")  # of the ISO 13616 registry
WORDS = ("delivered late", "call back", "asked for a refund", "ok", "left at the door")
KEY = "AKIA" + "".join(random.Random(1).choices(string.ascii_uppercase + "234567", k=16))


def looks(values: list[str | None], column: str = "notes") -> set[Looks]:
    return {finding.looks for finding in look_at(column, values)}


# ---- check digits


@given(DIGITS)
def test_one_check_digit_in_ten_fits_luhn(digits: str) -> None:
    assert sum(shapes.luhn(digits + str(check)) for check in range(10)) == 1


@given(DIGITS, st.data())
def test_luhn_sees_every_wrong_digit_and_most_swaps(digits: str, data: st.DataObject) -> None:
    number = next(digits + str(check) for check in range(10) if shapes.luhn(digits + str(check)))
    place = data.draw(st.integers(0, len(number) - 1))
    wrong = data.draw(st.sampled_from([d for d in "0123456789" if d != number[place]]))
    assert not shapes.luhn(number[:place] + wrong + number[place + 1 :])
    left, right = number[0], number[1]
    assume(left != right and {left, right} != {"0", "9"})
    assert not shapes.luhn(right + left + number[2:])


@given(st.sampled_from(IBANS), st.data())
def test_an_iban_with_one_wrong_letter_is_none(iban: str, data: st.DataObject) -> None:
    text = iban.replace(" ", "")
    assert shapes.iban_is_valid(text)
    place = data.draw(st.integers(2, len(text) - 1))
    kind = string.digits if text[place].isdigit() else string.ascii_uppercase
    wrong = data.draw(st.sampled_from([letter for letter in kind if letter != text[place]]))
    assert not shapes.iban_is_valid(text[:place] + wrong + text[place + 1 :])


@given(st.text(max_size=200))
def test_no_text_is_too_strange_to_look_at(text: str) -> None:
    for finding in look_at("notes", [text, None, ""]):
        assert 0 < finding.count <= finding.of


def test_hostile_text_is_refused_quickly() -> None:
    """Patterns that look back and forth would take minutes here; bounded ones take some hundredths of a second."""
    pieces = ("a.", "x@a-", "a@", "password:", "1 ", "0(", "AB12 ", "eyJ", "x://", "-a", "4111 ", "00 1")
    started = time.perf_counter()
    for piece in pieces:
        look_at("notes", [piece * shapes.MAX_LENGTH])
    assert time.perf_counter() - started < 4


# ---- found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(card, Looks.CARD) for card in CARDS],
        *[(f"paid with {card}, exp 12/29", Looks.CARD) for card in CARDS],
        *[(iban, Looks.BANK_ACCOUNT) for iban in IBANS],
        ("refund to DE89 3704 0044 0532 0130 00 please", Looks.BANK_ACCOUNT),
        ("Ann.Example+shop@mail.example.com", Looks.EMAIL),
        ("+1 555 010 0000", Looks.PHONE),
        ("+15550100000", Looks.PHONE),
        ("(555) 010-0000", Looks.PHONE),
        ("555-010-0000", Looks.PHONE),
        ("0049 30 1234567", Looks.PHONE),
        ("030 1234567", Looks.PHONE),
        ("01 23 45 67 89", Looks.PHONE),
        ("123-45-6789", Looks.NATIONAL_ID),
        ("AB 12 34 56 C", Looks.NATIONAL_ID),
        ("12345678Z", Looks.NATIONAL_ID),
        ("X1234567L", Looks.NATIONAL_ID),
        ("529.982.247-25", Looks.NATIONAL_ID),
        ("203.0.113.77", Looks.IP),
        ("2001:db8::8a2e:370:7334", Looks.IP),
        (KEY, Looks.SECRET),
        ("ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz1A2", Looks.SECRET),
        ("-----BEGIN RSA PRIVATE KEY-----", Looks.SECRET),
        ("$2b$12$" + "abcdefghij" * 5 + "klm", Looks.SECRET),
        ("her password: hunter2", Looks.SECRET),
        ("postgres://shop:s3cret@db/orders", Looks.SECRET),
    ],
)
def test_a_value_is_recognised(value: str, expected: Looks) -> None:
    assert looks([value]) == {expected}


@pytest.mark.parametrize(
    "value",
    [
        "4111111111111112", "4111-1111-1111-1112", "0000000000000000", "4111111111111111.00", "x4111111111111111",
        "10000089064", "5978961700156", "0012345678905", "2017-05-01", "2017-05-01T10:00:00+0200", "01/02/2003",
        "20170501100000", "1493632800000000", "9.99", "1.23457E+11", "+0.5", "-1234567", "10-20-30", "pos-40000123456",
        "123e4567-e89b-12d3-a456-426614174000", "d41d8cd98f00b204e9800998ecf8427e", "978-3-16-148410-0", "12:30:45",
        "12345678A", "000-12-3456", "GB12345678A", "192.0.2.0", "1.2.3", "10.300.1.1", "::", "user@host", "a @ b.com",
        "AKIAAAAAAAAAAAAAAAAA", "password: required", "https://shop.example.com/?a=b:c", "DE00 3704 0044 0532 0130 00",
        "web-100-10", "cart-7", "1 1/4 LB", "35-44", "$50-74K",
    ],
)  # fmt: skip
def test_a_harmless_value_is_left_alone(value: str) -> None:
    assert looks([value]) == set()


def test_a_card_in_one_note_of_a_thousand_is_enough() -> None:
    notes: list[str | None] = [*(WORDS * 200)[:999], f"cust paid {CARDS[0]}"]
    (finding,) = undeclared_pii({"notes": notes}, set())
    assert (finding.looks, finding.count, finding.of, finding.is_sensitive) == (Looks.CARD, 1, 1000, True)
    assert str(finding) == "column notes: 1 of 1000 values look like payment cards"


def test_cards_and_secrets_are_found_where_something_else_is_declared() -> None:
    columns = {"mail": ["a@example.com", KEY], "note": ["a@example.com"], "card": [CARDS[1]]}
    assert [(f.column, f.looks) for f in undeclared_pii(columns, {"mail", "card"})] == [
        ("mail", Looks.SECRET),
        ("note", Looks.EMAIL),
        ("card", Looks.CARD),
    ]


def test_findings_hold_no_value() -> None:
    findings = look_at("notes", ["ann@example.com", CARDS[0], "+1 555 010 0000"])
    assert len(findings) == 3
    for finding in findings:
        assert not {"ann", "4111", "555"} & set(repr(finding).replace("@", " ").split())
        assert "example.com" not in f"{finding!r} {finding}"


# ---- not found: numbers of goods and orders


def codes(seed: int, length: int, count: int) -> list[str | None]:
    draw = random.Random(seed)
    return [str(draw.randrange(10 ** (length - 1), 10**length)) for _ in range(count)]


@pytest.mark.parametrize("length", range(6, 20))
def test_columns_of_plain_numbers_are_no_pii(length: int) -> None:
    """Product ids, order ids and GTINs of every length; seeds printed by pytest on failure."""
    for seed in range(15):
        assert undeclared_pii({"upc": codes(seed, length, 60)}, set()) == [], f"seed {seed}"


@given(st.lists(st.from_regex(r"[1-9]\d{9,12}", fullmatch=True), min_size=1, max_size=30))
def test_no_list_of_10_to_13_digits_looks_like_anything(values: list[str | None]) -> None:
    assert undeclared_pii({"product_id": values, "order_id": values}, set()) == []


def test_a_number_of_no_network_is_no_card_though_its_check_digit_fits() -> None:
    for start in ("1", "7", "8", "9", "0", "2721", "56"):
        digits = start + "1".rjust(15 - len(start), "0")
        number = next(digits + str(check) for check in range(10) if shapes.luhn(digits + str(check)))
        assert looks([number]) == set(), number


def test_a_column_of_card_numbers_is_told_from_one_of_long_numbers() -> None:
    cards: list[str | None] = []
    for text in codes(7, 15, 2000):
        numbers = (f"4{str(text)[1:]}{check}" for check in range(10))
        cards.append(next(number for number in numbers if shapes.luhn(number)))
    assert looks(cards[:500]) == {Looks.CARD}
    assert looks(codes(7, 16, 2000)) == set()


def sample_columns(path: Path) -> dict[str, list[str | None]]:
    columns: dict[str, list[str | None]] = {}
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        rows = csv.DictReader(file) if ".csv" in path.name else (parsed(line) for line in file)
        for row in islice(rows, 1000):
            for name, value in leaves(row):
                columns.setdefault(name, []).append(value)
    return columns


def parsed(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    elif value is not None:
        yield path, str(value)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings(home=tmp_path_factory.mktemp("detect"))
    generate(settings, 15)
    return settings.landing


def test_the_retail_sample_holds_what_its_contracts_declare_and_nothing_else(landing: Path) -> None:
    seen: set[str] = set()
    for path in (path for source in landing.iterdir() for path in sorted(source.glob("*.*"))[:3]):
        source = contracts.sources()[path.parent.name]
        fields = dict(source.columns)
        for event in (contracts.events()[name] for name in source.events):
            body = "traits" if event.type == "identify" else "properties"
            fields |= {f"{body}.{name}": field for name, field in event.properties.items()}
        declared = {name for name, field in fields.items() if field.is_classed} | {"context.traits.email"}
        found = undeclared_pii(sample_columns(path), set())
        assert [f for f in found if f.column not in declared] == [], path.name
        seen |= {f"{source.name}.{finding.column}" for finding in found}
    assert {"sim_crm_people.email", "sim_crm_people.phone", "sim_crm_people.last_name", "sim_web.traits.phone"} <= seen


# ---- names of columns


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("email", "email"), ("E-Mail", "email"), ("customerEmail", "email"), ("billing_email", "email"),
        ("email_count", "none"), ("email_id", "none"), ("email_opt_in", "none"), ("email_token", "none"),
        ("phone", "phone"), ("Mobile Number", "phone"), ("traits.phone", "phone"), ("phone_verified", "none"),
        ("FIRST_NAME", "name"), ("lastName", "name"), ("product_name", "none"), ("name", "none"), ("brand", "none"),
        ("shipping_address_address_1", "address"), ("store_address", "none"), ("ip_address", "none"),
        ("date_of_birth", "birth_date"), ("dob", "birth_date"), ("ssn", "national_id"), ("iban", "bank_account"),
        ("device_id", "device_id"), ("", "none"), ("...", "none"),
    ],
)  # fmt: skip
def test_what_a_name_says(column: str, expected: str) -> None:
    assert names.class_by_name(column) == PiiClass(expected)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("phone", ["5550100000", "5550100001"], {Looks.PHONE}),
        ("upc", ["5550100000", "5550100001"], set()),
        ("phone", ["yes", "no"], set()),
        ("first_name", ["Ann", "Ben"], {Looks.NAME}),
        ("first_name", ["1", "2"], set()),
        ("dob", ["1970-01-01"], {Looks.BIRTH_DATE}),
        ("password", ["anything"], {Looks.SECRET}),
        ("email", [None, ""], set()),
    ],
)
def test_a_name_counts_when_the_values_bear_it_out(column: str, values: list[str | None], expected: set[Looks]) -> None:
    assert looks(values, column) == expected


def test_a_written_none_says_that_somebody_looked() -> None:
    assert FieldContract.model_validate({"pii": "none"}).is_classed
    assert not FieldContract.model_validate({"required": True}).is_classed


def test_every_look_is_a_class_or_sensitive() -> None:
    for look in Looks:
        finding = Finding("c", look, 1, 2)
        assert finding.is_sensitive == (finding.pii is PiiClass.NONE)
        assert finding.share == 0.5
    assert {PiiClass(look.value) for look in Looks if look not in (Looks.CARD, Looks.SECRET)} == set(PiiClass) - {
        PiiClass.NONE
    }
