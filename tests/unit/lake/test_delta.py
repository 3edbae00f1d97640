"""Lake tables through delta-rs: created from contracts, appended once, shape differences reported all at once."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from jobs.core.catalog import TABLES
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.schema import SchemaMismatchError, arrow_schema

AT = datetime(2018, 1, 1, tzinfo=UTC)


def redirects(*pairs: tuple[str, str]) -> pa.Table:
    rows = [{"from_profile_id": a, "to_profile_id": b, "merged_at": AT, "is_simulated": False} for a, b in pairs]
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["profile_redirects"].contract))


def test_every_declared_table_can_be_created_and_read_empty(settings: Settings) -> None:
    assert set(delta.ensure_all(settings)) == set(TABLES)
    assert delta.ensure_all(settings) == []
    connection = lake_connection(settings)
    for name, table in TABLES.items():
        columns = [row[0] for row in connection.execute(f"describe {name}").fetchall()]
        assert tuple(columns) == table.contract.column_names


def test_raw_tables_are_closed_to_others_and_keep_no_statistics(settings: Settings) -> None:
    delta.ensure_all(settings)
    for table in (t for t in TABLES.values() if t.raw_pii):
        path = table.path(settings)
        assert path.stat().st_mode & 0o077 == 0
        first = (path / "_delta_log" / "00000000000000000000.json").read_text()
        assert '"delta.dataSkippingNumIndexedCols":"0"' in first


def test_a_repeated_transaction_is_skipped_per_table(settings: Settings) -> None:
    assert delta.append(settings, "profile_redirects", redirects(("a", "b")), app_id="t", app_version=1)
    assert not delta.append(settings, "profile_redirects", redirects(("a", "b")), app_id="t", app_version=1)
    assert delta.append(settings, "profile_redirects", redirects(("c", "d")), app_id="t", app_version=2)
    assert delta.row_count(settings, "profile_redirects") == 2


def test_all_differences_are_named_at_once(settings: Settings) -> None:
    wrong = pa.table({"from_profile_id": ["a"], "to_profile": ["b"]})
    with pytest.raises(SchemaMismatchError) as caught:
        delta.append(settings, "profile_redirects", wrong)
    for part in ("missing column to_profile_id", "missing column merged_at", "unexpected column to_profile"):
        assert part in str(caught.value)


def test_replace_swaps_only_what_the_predicate_names(settings: Settings) -> None:
    delta.append(settings, "profile_redirects", redirects(("a", "b"), ("c", "d")))
    delta.replace(settings, "profile_redirects", redirects(("a", "x")), predicate="from_profile_id = 'a'")
    rows = delta.read(settings, "profile_redirects").to_pylist()
    assert sorted((r["from_profile_id"], r["to_profile_id"]) for r in rows) == [("a", "x"), ("c", "d")]
