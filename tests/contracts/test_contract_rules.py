"""What a contract may say at all: rules that fit their type, a dialect that fits its format, consent words that are words."""

from typing import Any

import pytest
from pydantic import ValidationError

from expectations.contracts import ConsentValues, FieldContract, OutlierRule, SourceContract

CSV: dict[str, Any] = {
    "name": "crm", "kind": "records", "format": "csv", "description": "People.", "object": "person", "key": ["id"],
    "columns": {"id": {"required": True}, "email": {"pii": "email"}, "born": {"type": "date"}},
}  # fmt: skip
NDJSON = CSV | {"format": "ndjson"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"type": "string", "min": 1}, "min, max and outlier need type number or integer"),
        ({"type": "timestamp", "max": 1}, "min, max and outlier need type number or integer"),
        ({"type": "boolean", "outlier": {}}, "min, max and outlier need type number or integer"),
        ({"type": "number", "pattern": "^1"}, "pattern and max_length need type string"),
        ({"type": "integer", "max_length": 3}, "pattern and max_length need type string"),
        ({"type": "date", "allowed": ["2020-01-01"]}, "allowed needs type string or integer"),
        ({"type": "integer", "allowed": ["1", "two"]}, "whole numbers"),
        ({"type": "number", "min": 2, "max": 1}, "min is greater than max"),
        ({"type": "array"}, "an array declares what its objects hold"),
        ({"type": "object", "items": {"a": {}}}, "items belong to type array"),
        ({"type": "array", "items": {"a": {"type": "array", "items": {"b": {}}}}}, "array inside an array"),
        ({"type": "array", "items": {"email": {"pii": "email"}}}, "not tokenised"),
        ({"pattern": "("}, "no regular expression"),
        ({"max_length": 0}, "greater than or equal to 1"),
        ({"type": "number", "outlier": {"threshold": 0}}, "greater than 0"),
        ({"type": "number", "outlier": {"min_count": 1}}, "greater than or equal to 10"),
    ],
)
def test_a_rule_that_cannot_be_judged_is_refused(rules: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        FieldContract.model_validate(rules)


def test_rules_that_fit_are_kept() -> None:
    field = FieldContract.model_validate({"type": "integer", "min": 0, "max": 5, "allowed": ["1", "-2"], "outlier": {}})
    assert field.outlier == OutlierRule(threshold=6.0, window_days=30, min_count=100)
    assert FieldContract(pattern="^[A-Z]{3}$", max_length=3, allowed=("USD",)).max_length == 3


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (NDJSON | {"delimiter": ";"}, "delimiter belong to format csv"),
        (NDJSON | {"decimal": ",", "header": "strict"}, "decimal, header belong to format csv"),
        (CSV | {"format": "parquet", "encoding": "cp1252"}, "no encoding to declare"),
        (CSV | {"date_format": "dd.MM.yy"}, "unknown date format"),
        (CSV | {"date_format": "dd.dd.yyyy"}, "unknown date format"),
        (CSV | {"date_format": "%d.%m.%Y"}, "unknown date format"),
        (CSV | {"key": ["absent"]}, "undeclared columns"),
        (CSV | {"valid_from": "absent"}, "undeclared columns"),
        (CSV | {"columns": CSV["columns"] | {"tags": {"type": "array", "items": {"a": {}}}}}, "columns hold no arrays"),
        (CSV | {"identifiers": {"email": "id"}}, "declare it `pii: email`"),
        (CSV | {"name": "Not A Folder"}, "string should match"),
        (CSV | {"version": 0}, "greater than or equal to 1"),
        (CSV | {"consent_values": {"granted": [True]}}, "valid string"),
        (CSV | {"consent_values": {"granted": ["Yes"]}}, "lower case"),
        (CSV | {"consent_values": {"granted": []}}, "at least 1 item"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused(source: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=f"(?i){expected}"):
        SourceContract.model_validate(source)


def test_a_full_dialect_is_kept() -> None:
    dialect = {"encoding": "cp1252", "delimiter": ";", "decimal": ",", "date_format": "dd.MM.yyyy", "header": "strict"}
    policies = {"key_case": "insensitive", "consent_values": {"granted": ["ja", "1"]}}
    source = SourceContract.model_validate(CSV | dialect | policies)
    assert (source.date_format, source.decimal, source.key_case) == ("dd.MM.yyyy", ",", "insensitive")
    assert source.consent_values.granted == ("ja", "1")
    assert SourceContract.model_validate(CSV).consent_values == ConsentValues(granted=("granted",))
