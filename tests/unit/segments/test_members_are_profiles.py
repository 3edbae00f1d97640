"""The data test that judges the table of all segments: what it passes, and each thing that it must not."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from settingskit import make_settings

from jobs.core.settings import PROJECT_ROOT
from jobs.lake.duck import connect

FILE = PROJECT_ROOT / "dbt_project" / "tests" / "generic" / "members_are_profiles.sql"
GOOD = "('p1', false, timestamp '2018-01-02'), ('p2', true, timestamp '2018-01-02')"


def query() -> str:
    found = re.search(r"{% test .*?%}(.*){% endtest %}", FILE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1].replace("{{ model }}", "members").replace("{{ ref('dim_profiles') }}", "dim_profiles")


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    opened = connect(make_settings(tmp_path_factory.mktemp("members")))
    opened.execute("create table dim_profiles as select unnest(['p1', 'p2', 'p3']) as profile_id")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        (GOOD, 0),
        (f"{GOOD}, ('p1', false, timestamp '2018-01-02')", 1),
        (f"{GOOD}, ('p4', false, timestamp '2018-01-02')", 1),
        (f"{GOOD}, (null, false, timestamp '2018-01-02')", 1),
        (f"{GOOD}, ('p3', null, timestamp '2018-01-02')", 1),
        (f"{GOOD}, ('p3', false, null)", 1),
    ],
    ids=["right", "twice", "unknown", "nobody", "real or simulated", "when"],
)
def test_it_finds(connection: Any, rows: str, wrong: int) -> None:
    made = f"create or replace view members as select * from (values {rows}) as t (profile_id, is_simulated, as_of)"
    connection.execute(made)
    assert len(connection.execute(query()).fetchall()) == wrong
