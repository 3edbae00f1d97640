"""The contract files: all load, names agree between them, closed lists are closed."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from expectations import contracts
from expectations.contracts import PiiClass, TableContract
from jobs.core.catalog import TABLES
from jobs.core.settings import PROJECT_ROOT

FOLDERS = {
    "tables": contracts.tables,
    "marts": contracts.marts,
    "events": contracts.events,
    "sources": contracts.sources,
}
ROOT = PROJECT_ROOT / "expectations" / "contracts"
DBT_MARTS = PROJECT_ROOT / "dbt_project" / "models" / "marts"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_loaded(folder: str) -> None:
    files = sorted((ROOT / folder).glob("*.yml"))
    assert files
    assert len(FOLDERS[folder]()) == len(files)


@pytest.mark.parametrize("folder", ["tables", "marts"])
def test_tables_are_named_like_their_files_and_say_their_grain(folder: str) -> None:
    for path in (ROOT / folder).glob("*.yml"):
        contract = FOLDERS[folder]()[path.stem]
        assert isinstance(contract, TableContract)
        assert contract.grain.startswith("One row per "), path.name
        assert len(set(contract.column_names)) == len(contract.columns), f"{path.name}: a column twice"
        for column in contract.columns:
            assert column.description, f"{path.name}: {column.name}"
            if column.pattern:
                re.compile(column.pattern)


def test_every_lake_table_has_a_contract_and_the_other_way_round() -> None:
    assert set(contracts.tables()) == set(TABLES)
    for name, table in TABLES.items():
        assert set(table.partition_by) <= set(contracts.table(name).column_names), name


def test_sources_name_events_that_exist() -> None:
    for name, source in contracts.sources().items():
        unknown = set(source.events) - set(contracts.events())
        assert not unknown, f"{name} names events without a contract: {sorted(unknown)}"
        assert (source.kind == "events") == bool(source.events), name


def test_every_event_is_sent_by_some_source() -> None:
    sent = {event for source in contracts.sources().values() for event in source.events}
    missing = set(contracts.events()) - sent
    assert missing <= {"Consent Updated", "Product Removed"}, f"declared, delivered by no source: {sorted(missing)}"


def test_what_a_source_calls_an_identifier_is_one() -> None:
    kinds = set(next(c.allowed for c in contracts.table("silver_identifiers").columns if c.name == "identifier_type"))
    purposes = set(next(c.allowed for c in contracts.table("consents").columns if c.name == "purpose"))
    for name, source in contracts.sources().items():
        assert set(source.identifiers) <= kinds, name
        assert set(source.consents) <= purposes, name
        for kind, column in source.identifiers.items():
            if kind in ("email", "phone"):
                assert source.columns[column].pii == PiiClass(kind), f"{name}: {column} must be classed {kind}"


def test_simulated_sources_are_those_named_sim() -> None:
    for name, source in contracts.sources().items():
        assert source.is_simulated == ("SIMULATED" in source.description.upper()), name


def test_a_simulated_row_can_be_told_in_every_table() -> None:
    """The ops tables are excepted, as docs/data.md says: they tell of runs, files and figures. No other table is."""
    for contract in (*contracts.tables().values(), *contracts.marts().values()):
        if contract.name.startswith("ops_"):
            continue
        telling = [c for c in contract.columns if c.name in ("source", "is_simulated")]
        assert any(c.required for c in telling), f"{contract.name}: neither a source nor is_simulated, never NULL"


@pytest.mark.parametrize(
    "change",
    [
        {"columns": [{"name": "a", "type": "text", "description": "wrong type"}]},
        {"key": ["absent"]},
        {"surprise": 1},
    ],
)
def test_a_malformed_contract_is_refused(change: dict[str, object]) -> None:
    good: dict[str, object] = {
        "name": "t",
        "grain": "One row per test.",
        "key": ["a"],
        "columns": [{"name": "a", "type": "string", "description": "key"}],
    }
    TableContract.model_validate(good)
    with pytest.raises(ValidationError):
        TableContract.model_validate(good | change)


def _dbt_columns() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(Path(DBT_MARTS).glob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            found[model["name"]] = [column["name"] for column in model.get("columns", [])]
    return found


def test_the_gate_and_dbt_promise_the_same_columns() -> None:
    declared = _dbt_columns()
    for name, contract in contracts.marts().items():
        assert set(declared.get(name, [])) == set(contract.column_names), name
    assert set(declared) == set(contracts.marts()), "a public mart that no gate judges, or the other way round"
