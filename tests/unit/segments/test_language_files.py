"""Files of traits and segments: every problem of all files with its line; the nastiest inputs; the schemas for editors."""

import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from languagekit import TOLD, Folder

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.definition_files import spoken
from jobs.core.definitions import DefinitionError
from jobs.core.errors import PermanentError
from jobs.core.settings import PROJECT_ROOT
from jobs.core.strict_yaml import read
from jobs.segments.commands import group
from jobs.segments.language.catalogue import DEFINITIONS, check, load
from jobs.segments.language.drafts import rule_findings, value_findings
from jobs.segments.language.schema import FOLDER, render

BOMB = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9) if n else 'lol'}]" for n in range(9))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def run(root: Path, *arguments: str) -> Any:
    context = Context(type("Stub", (), {"project_root": root})(), Clock(), "test")
    return CliRunner().invoke(group, list(arguments), obj=context)


RULES = [
    ("rule: {trait: order_count, gte: NO}", 3, 'NO is not text in every YAML: quote it ("NO"), or write false'),
    ("rule:\n  trait: kids_count\n  in: [on]", 5, 'on is not text in every YAML: quote it ("on"), or write true'),
    ("rule: {trait: favourite_department, eq: ~}", 3, '~ is not text in every YAML: quote it ("~")'),
    (
        "rule:\n  trait: favourite_department\n  eq: 1e3",
        5,
        '1e3 is not text in every YAML: quote it ("1e3"), or write 1000',
    ),
    (
        "rule:\n  trait: favourite_department\n  eq: 2024-01-01",
        5,
        "rule.eq: trait favourite_department is text; found 2024-01-01; quote it",
    ),
    (
        "rule:\n  trait: email_token\n  eq: email_v1_ab",
        5,
        "rule.eq: email_token identifies a person, and a rule is about",
    ),
    ("rule:\n  trait: 12\n  eq: 3", 4, "rule.trait: expected text; found 12; quote it, if text is meant"),
    ("rule:\n  trait: order_count\n  gte: 3\n  trait: order_count", 6, "'trait' stands twice here, first on line 4"),
    ("rule:\n\ttrait: order_count", 4, "a tab; write blanks"),
    ("rule: {trait: order_count, gte: 3}\n---\nname: other", 4, "a second document begins here"),
    ("rule: &a {trait: order_count, gte: 3}", 3, "anchors and aliases (& and *) are not read"),
    ("rule:\n  trait: order_count\n  gte: !!int 3", 5, "a tag ('tag:yaml.org,2002:int') is not read"),
    ("rule:\n  trait: order_count\n  get: 3", 5, "rule.get: unknown key. Did you mean 'gt'?"),
    ("rule:\n  all:\n    - event: page\n      whree: []", 6, "rule.all.0.whree: unknown key. Did you mean 'where'?"),
    (
        "rule:\n  sequence:\n    - event: page\n    - event: page\n      witin: 1 day",
        7,
        "rule.sequence.1.witin: unknown key. Did you mean 'within'?",
    ),
    ("rule:\n  in_: [1]\n  trait: order_count", 4, "rule.in_: unknown key. Did you mean 'in'?"),
    ("rule:\n  all:\n    - every: []", 5, "rule.all.0: a rule is a mapping with one of: all, any, none, not, trait"),
    ("rule:\n  all:\n    - evnt: page", 5, "did you mean 'event'?"),
    ("rule:\n  all:\n    - 1=1); DROP TABLE x", 5, "rule.all.0: a rule is a mapping with one of"),
    ("rule: order_count > 3 or 1=1 --", 3, "rule: expected a mapping; found 'order_count > 3 or 1=1 --'"),
    ("rule:\n  trait: favourite_department\n  matches: (a+)+$", 5, "rule.matches: unknown key."),
    ("rule:\n  trait: order_count\n  gte: 3\n  lt: 5", 3, "rule: exactly one of eq, ne, gt"),
    (
        "rule:\n  trait: order_count\n  gte: 1000000000000",
        5,
        "rule.gte: Input should be less than or equal to 100000000000",
    ),
    (
        "rule:\n  trait: order_count\n  gte: [3]",
        5,
        "rule.gte: expected true or false, a whole number, a number, text, a time, a date; found a list",
    ),
    ("rule:\n  trait: order_count\n  top_percent: '10'", 5, "rule.top_percent: expected a number; found '10'"),
    ("rule:\n  event: page\n  last: 30", 5, "rule.last: expected a duration such as '30 days'"),
    ("rule:\n  event: page\n  last: 5 months", 5, "rule.last: expected a duration such as '30 days'"),
    (
        "rule:\n  event: page\n  this: fortnight",
        5,
        "rule.this: unknown 'fortnight'. Known: day, week, month, quarter, year.",
    ),
    ("rule:\n  event: page\n  since: 5", 5, "rule.since: expected a date or time such as 2024-01-31"),
    (
        "rule:\n  event: page\n  where:\n    - property: path\n      eq: '{{ x }}'",
        7,
        "rule.where.0.eq: text '{{ x }}' contains {{, }}",
    ),
    (
        "rule:\n  event: page\n  where:\n    - property: $.path\n      eq: a",
        6,
        "rule.where.0.property: '$.path' does not match",
    ),
    ("rule:\n  any:\n    - segment: tested", 5, "rule.any.0.segment: a circle: tested → tested"),
    ("rule: {everyone: true}", 3, "rule: holds for every profile: narrow it, or say allow_all: true"),
    ("rule: {trait: order_count, gte: 3}\nparent: other", 4, "parent: unknown segment 'other'."),
]
VALUES = [
    (
        "value: {evnt: page}",
        3,
        "value: a trait's value is a mapping with one of: event, score, choose, priority, ratio; did you mean 'event'?",
    ),
    ("value:\n  event: Order Completed\n  sun: total", 5, "value.sun: unknown key. Did you mean 'sum'?"),
    (
        "value:\n  score:\n    - when: {event: page}\n      ponts: 3",
        6,
        "value.score.0.ponts: unknown key. Did you mean 'points'?",
    ),
    (
        "value:\n  score:\n    - each: {event: page}\n      points: 3\n      at_mots: 3",
        7,
        "value.score.0.at_mots: unknown key. Did you mean 'at_most'?",
    ),
    (
        "value:\n  choose:\n    - when: {event: page}\n      then: 12",
        6,
        "value.choose.0.then: expected text; found 12; quote it",
    ),
    (
        "value:\n  choose:\n    - when: {event: pag}\n      then: a",
        5,
        "value.choose.0.when.event: no contract has an event 'pag'. Did you mean 'page'?",
    ),
]


@pytest.mark.parametrize(("text", "line", "message"), RULES)
def test_segments_tell_the_line(folder: Folder, text: str, line: int, message: str) -> None:
    folder.add("segments", "tested", text)
    told = folder.problems()
    assert f"segments/tested.yml:{line}: " in told[0]
    assert message in told[0]
    assert {one.split(":")[1] for one in told} == {str(line)}, "nothing that only follows from it"
    assert not any("\n" in one for one in told)


@pytest.mark.parametrize(("text", "line", "message"), VALUES)
def test_traits_tell_the_line(folder: Folder, text: str, line: int, message: str) -> None:
    folder.add("traits", "tested", text)
    told = [one for one in folder.problems() if not one.endswith(": missing")]
    assert len(told) == 1
    assert told[0].startswith(f"traits/tested.yml:{line}: ")
    assert message in told[0]


def test_all_problems_of_all_files_are_told_in_their_order(folder: Folder) -> None:
    folder.add("segments", "first", "rule:\n  all:\n    - {trait: order_cuont, gte: 5}\n    - {event: pag}\n")
    folder.add("segments", "second", "rule:\n  all:\n    - {segment: fist}\n    - {segment: broken}\n")
    folder.add("segments", "broken", "rule: [\n")
    folder.add("traits", "third", "value: {event: page, last: 3}\nowner: NO\n")
    assert [one.partition(": ")[0] for one in folder.problems()] == [
        "segments/broken.yml:4",
        "segments/first.yml:5",
        "segments/first.yml:6",
        "segments/second.yml:5",
        "traits/third.yml:3",
        "traits/third.yml:4",
    ]
    with pytest.raises(DefinitionError) as caught:
        load(folder.root)
    assert str(caught.value).split("\n") == folder.problems()


def test_a_circle_of_three_files_is_told_once_with_its_line(folder: Folder) -> None:
    for name, other in (("aa", "bb"), ("bb", "cc"), ("cc", "aa")):
        folder.add("segments", name, f"rule:\n  any:\n    - {{event: page}}\n    - segment: {other}\n")
    assert folder.problems() == ["segments/aa.yml:6: rule.any.1.segment: a circle: aa → bb → cc → aa"]


def test_python_in_a_tag_is_not_run_and_a_bomb_does_not_go_off(folder: Folder) -> None:
    canary = folder.root / "canary"
    folder.add("segments", "tested", f"rule: !!python/object/apply:os.system ['touch {canary}']\n")
    folder.add("segments", "bomb", BOMB + "\nrule: {trait: order_count, eq: *l8}\n")
    load(PROJECT_ROOT)  # contracts are read once
    started = time.process_time()
    told = folder.problems()
    assert time.process_time() - started < 0.1
    assert [one.partition(" (")[0] for one in told] == [
        "segments/bomb.yml:3: anchors and aliases",
        "segments/tested.yml:3: a tag",
    ]
    assert not canary.exists()


def test_what_is_remarkable_is_no_problem(folder: Folder) -> None:
    folder.add("segments", "nobody", "rule: {event: page, lt: 0}\n")
    folder.add(
        "segments", "mixed", "rule:\n  event: [page, Page Left]\n  where:\n    - {property: dwell_seconds, gt: 9}\n"
    )
    assert folder.remarks() == [
        "segments/mixed.yml:6: rule.where.0.property: page has no property 'dwell_seconds': unknown there",
        "segments/nobody.yml:3: rule: holds for nobody",
    ]


KEYS = st.sampled_from(
    [
        "rule",
        "all",
        "any",
        "not",
        "trait",
        "event",
        "where",
        "property",
        "sequence",
        "score",
        "when",
        "eq",
        "in",
        "last",
    ]
)
ATOMS = (
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["page", "30 days"])
    | st.none()
)
ANYTHING = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(content=st.dictionaries(KEYS, ANYTHING, min_size=1, max_size=3))
def test_whatever_is_written_is_answered_in_lines(content: dict[str, Any]) -> None:
    for found in (*rule_findings({"rule": content}), *value_findings({"value": content})):
        assert spoken(found.path, found.text).isprintable()


@given(
    content=st.binary() | st.text().map(str.encode) | st.text(alphabet=" \n:-[]{}\"'&*!|>#%@`?,~ab01.").map(str.encode)
)
def test_whatever_stands_in_a_file_is_answered_in_lines(content: bytes) -> None:
    root, faults = read(content)
    assert all(fault.text.isprintable() and fault.line >= 1 for fault in faults)
    assert root is not None or faults or yaml.safe_load(content) is None


def test_two_folders_cannot_define_one_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Folder(tmp_path / name).add("segments", "same", "rule: {event: page}\n")
    found = check([tmp_path / "one", tmp_path / "two"])
    assert [str(one) for one in found.problems] == [
        "segments/same.yml:1: name: same is defined in another folder too; rename one of them"
    ]


def test_the_shipped_definitions_are_right_and_say_where_their_schema_is() -> None:
    found = check(PROJECT_ROOT)
    assert (found.problems, found.remarks) == ([], [])
    for kind, names in (("segment", found.catalogue.segments), ("trait", found.catalogue.traits)):
        schema = json.loads((PROJECT_ROOT / FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        for name in names:
            text = (PROJECT_ROOT / DEFINITIONS / f"{kind}s" / f"{name}.yml").read_text(encoding="utf-8")
            assert text.startswith(f"# yaml-language-server: $schema=../schemas/{kind}.schema.json\n"), name
            jsonschema.validate(yaml.safe_load(text), schema)


@pytest.mark.parametrize(
    ("rule", "is_right"),
    [
        ("{event: page, last: 30 days, gte: 3}", True),
        ("{event: page, since: '2024-01-31'}", True),
        ("{trait: x, in: [1, a, 2.5]}", True),
        ("{sequence: [{event: a}, {event: b, within: 2 hours}], same: p}", True),
        ("{event: a, not_followed_by: {event: b}, within: 1 day}", True),
        ("{all: [{none: [{segment: a}]}, {everyone: true}]}", True),
        ("{event: page, lsat: 30 days}", False),
        ("{event: page, last: 30}", False),
        ("{event: page, last: 3 moons}", False),
        ("{trait: x, eq: null}", False),
        ("{all: []}", False),
        ("{in_: [1], trait: x}", False),
    ],
)
def test_the_schema_tells_editors_what_the_language_takes(rule: str, is_right: bool) -> None:
    schema = json.loads(render()[FOLDER / "segment.schema.json"])
    content = {"name": "tested", "description": TOLD, "rule": yaml.safe_load(rule)}
    assert jsonschema.Draft202012Validator(schema).is_valid(content) is is_right


class TestCommands:
    @pytest.fixture(autouse=True)
    def _project(self, tmp_path: Path) -> None:
        self.root = tmp_path / "project"
        self.folder = Folder(self.root / DEFINITIONS)
        self.folder.add("segments", "right", "rule: {trait: visits, gte: 3}\n")
        self.folder.add("traits", "visits", "value: {event: page, last: 7 days}\n")

    def test_check_tells_problems_and_exits_1(self) -> None:
        assert run(self.root, "check").output == "2 definitions are right\n"
        self.folder.add("segments", "wrong", "rule: {trait: vists, gte: 3}\n")
        done = run(self.root, "check")
        assert isinstance(done.exception, DefinitionError)
        assert str(done.exception) == "segments/wrong.yml:3: rule.trait: unknown trait 'vists'. Did you mean 'visits'?"
        assert done.exception.exit_code == 1

    def test_check_of_named_files_counts_what_is_elsewhere(self) -> None:
        right = self.root / DEFINITIONS / "segments" / "right.yml"
        assert run(self.root, "check", str(right)).output == "1 definitions are right\n"
        self.folder.add("segments", "wrong", "rule: {trait: vists, gte: 3}\n")
        done = run(self.root, "check", str(right))
        assert str(done.exception) == "problems in other files: 1; to see them: c360 segments check"

    def test_check_of_a_draft_judges_it_among_the_others(self, tmp_path: Path) -> None:
        draft = Folder(tmp_path / "drafts").add("segments", "visitors", "rule:\n  trait: vists\n  gte: 3\n")
        done = run(self.root, "check", str(draft))
        assert (
            str(done.exception) == "segments/visitors.yml:4: rule.trait: unknown trait 'vists'. Did you mean 'visits'?"
        )
        draft.write_text(draft.read_text(encoding="utf-8").replace("vists", "visits"), encoding="utf-8")
        assert run(self.root, "check", str(draft)).output == "1 definitions are right\n"
        mended = Folder(tmp_path / "drafts").add("traits", "visits", "value: {event: pag}\n")
        assert "traits/visits.yml:3: value.event: no contract" in str(run(self.root, "check", str(mended)).exception)

    def test_remarks_do_not_fail(self) -> None:
        self.folder.add("segments", "nobody", "rule: {event: page, lt: 0}\n")
        done = run(self.root, "check")
        assert done.exit_code == 0
        assert "remark: segments/nobody.yml:3: rule: holds for nobody\n" in done.stderr

    def test_list_says_when_and_of_what(self) -> None:
        self.folder.add("segments", "buyers", "rule: {trait: order_count, gte: 3}\n")
        self.folder.add("segments", "mixed", "rule: {all: [{segment: buyers}, {segment: right}]}\n")
        self.folder.add("segments", "late", "rule: {trait: last_order_at, older_than: 30 days}\nparent: right\n")
        assert [line.split(maxsplit=2) for line in run(self.root, "list").output.splitlines()] == [
            ["trait", "visits", "live            events: page"],
            ["segment", "buyers", "build           attributes: order_count"],
            ["segment", "late", "live and build  attributes: last_order_at; segments: right"],
            ["segment", "mixed", "live and build  segments: buyers, right"],
            ["segment", "right", "live            traits: visits"],
        ]
        found = json.loads(run(self.root, "list", "--json").output)
        assert found[0] == {
            "kind": "trait",
            "name": "visits",
            "speed": "live",
            "events": ["page"],
            "attributes": [],
            "traits": [],
            "segments": [],
            "triggers": [],
        }
        assert [one["name"] for one in json.loads(run(self.root, "list", "--json", "--kind", "trait").output)] == [
            "visits"
        ]

    def test_schemas_that_differ_are_drift(self) -> None:
        done = run(self.root, "schema")
        assert isinstance(done.exception, PermanentError)
        assert "segment.schema.json" in str(done.exception)
        assert run(self.root, "schema", "--write").output == "6 files changed, 6 in all\n"
        assert run(self.root, "schema").output == "6 files match\n"
        (self.root / FOLDER / "trait.schema.json").write_text("{}", encoding="utf-8")
        assert "trait.schema.json" in str(run(self.root, "schema").exception)


def test_the_committed_schemas_match_the_language() -> None:
    assert run(PROJECT_ROOT, "schema").output == "6 files match\n"
