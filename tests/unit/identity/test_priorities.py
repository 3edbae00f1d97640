"""Which identifier counts most stands in rules.yml; where SQL and the evaluator say it again, they say the same."""

import re

from jobs.core.settings import PROJECT_ROOT
from jobs.identity.rules import load_rules
from jobs.segments.live.owners import KINDS

PROJECT = PROJECT_ROOT / "dbt_project"
# Those that events and records carry in columns: device_id is nowhere yet, previous_id founds and decides nothing.
CARRIED = [kind for kind in load_rules().type_names if kind not in ("device_id", "previous_id")]


def test_the_macro_of_events_and_the_evaluator_have_the_order_of_the_rules() -> None:
    text = (PROJECT / "macros" / "identity.sql").read_text(encoding="utf-8")
    columns = re.findall(r"\('(\w+)', '(\w+)'\)", text.partition("identifier_columns()")[2].partition("endmacro")[0])
    assert [kind for kind, _ in columns] == CARRIED
    assert list(KINDS.items()) == columns


def test_the_model_of_records_has_the_order_of_the_rules() -> None:
    text = (PROJECT / "models" / "intermediate" / "int_identity__record_profiles.sql").read_text(encoding="utf-8")
    ranked = re.findall(r"when '(\w+)' then (\d+)\s+", text)
    assert ranked == [(kind, str(rank)) for rank, kind in enumerate(CARRIED[:-1], 1)]
    assert f"else {len(CARRIED)}" in text
