"""Patch rules: what each operation does, that it does nothing else, and that a malformed rule is refused by name."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from jobs.core.definitions import DefinitionError
from jobs.core.errors import UsageError
from jobs.core.settings import PROJECT_ROOT, Settings
from jobs.ingest.quarantine import patch_rules, paths, spans
from jobs.ingest.quarantine.operations import AnyOperation, MapValue, Operation, Rename, patched
from jobs.ingest.quarantine.replay import repair

ADAPTER: TypeAdapter[Operation] = TypeAdapter(AnyOperation)


def operation(do: str, **fields: object) -> Operation:
    return ADAPTER.validate_python({"do": do} | fields)


ORDER = '{ "messageId": "1", "n": 1.50, "é": "\\u00e9\\/",\t"products": [{"sku":"a","q":"2"}, {"sku":"b", "q":03e}] }'.replace(
    "03e", "1E2"
)
CASES = [
    ("rename", {"path": "products[].sku", "to": "product_id"}, ('"sku"', '"product_id"')),
    ("cast", {"path": "products[].q", "to": "integer"}, ('"q":"2"', '"q":2')),
    ("cast", {"path": "n", "to": "string"}, ("1.50", '"1.50"')),
    ("default", {"path": "products[].unit", "value": "kg"}, (('"q":"2"', '"q":"2","unit":"kg"'), ("1E2", '1E2, "unit":"kg"'))),
    ("drop_field", {"path": "products[].sku"}, (('"sku":"a",', ""), ('"sku":"b", ', ""))),
    ("drop_field", {"path": "products"}, (',\t"products": [{"sku":"a","q":"2"}, {"sku":"b", "q":1E2}]', "")),
    ("map_value", {"path": "é", "values": {"é/": "e"}}, ('"\\u00e9\\/"', '"e"')),
    ("map_value", {"path": "products[].q", "values": {100: Decimal("99.90")}}, ("1E2", "99.90")),
    ("map_value", {"path": "products[].q", "values": {"100": 1}}, ()),
    ("rename", {"path": "nothing.here", "to": "x"}, ()),
    ("default", {"path": "nothing.here", "value": 1}, ()),
    ("rename", {"path": "n", "to": "messageId"}, ()),
]  # fmt: skip


@pytest.mark.parametrize(("do", "fields", "swaps"), CASES)
def test_an_operation_changes_its_place_and_no_other_byte(
    do: str, fields: dict[str, Any], swaps: tuple[Any, ...]
) -> None:
    expected = ORDER
    for before, after in (swaps,) if swaps and isinstance(swaps[0], str) else swaps:
        assert before in expected
        expected = expected.replace(before, after)
    assert patched(ORDER, (operation(do, **fields),)) == expected


@pytest.mark.parametrize(
    ("to", "options", "before", "after"),
    [
        ("number", {}, '" +007.50 "', "7.50"),
        ("number", {"decimal": ","}, '"-2,5"', "-2.5"),
        ("number", {"decimal": ","}, '"1.234,5"', None),
        ("number", {}, '"12 pcs"', None),
        ("number", {}, '"٣"', None),
        ("number", {}, "true", None),
        ("integer", {}, '"2.0"', "2"),
        ("integer", {}, "2.5", None),
        ("integer", {}, '"1e3"', None),
        ("string", {}, "12345678901234567890", '"12345678901234567890"'),
        ("string", {}, "null", None),
        ("boolean", {}, '"TRUE"', "true"),
        ("boolean", {}, '"yes"', None),
        ("timestamp", {"format": "dd.MM.yyyy HH:mm"}, '"01.05.2017 10:00"', '"2017-05-01T10:00:00Z"'),
        ("timestamp", {"format": "yyyy-MM-ddTHH:mm:ssXXX"}, '"2017-05-01T10:00:00+0200"', '"2017-05-01T08:00:00Z"'),
        ("timestamp", {"format": "epoch_milliseconds"}, "1493632800123", '"2017-05-01T10:00:00.123000Z"'),
        ("timestamp", {"format": "epoch_seconds"}, '"1e999"', None),
        ("timestamp", {"format": "epoch_seconds"}, '"yesterday"', None),
        ("date", {"format": "MM/dd/yyyy"}, '"05/01/2017"', '"2017-05-01"'),
        ("date", {"format": "dd.MM.yyyy"}, '"05/01/2017"', None),
    ],
)
def test_casts(to: str, options: dict[str, str], before: str, after: str | None) -> None:
    found = patched(f'{{"v":{before}}}', (operation("cast", path="v", to=to, **options),))
    assert found == f'{{"v":{after or before}}}'


def test_a_key_named_twice_is_left_alone() -> None:
    text = '{"a":1,"a":2,"b":{"a":3}}'
    for do, more in (
        ("drop_field", {}),
        ("rename", {"to": "c"}),
        ("default", {"value": 9}),
        ("map_value", {"values": {1: 2}}),
    ):
        assert patched(text, (operation(do, path="a", **more),)) == text


def test_operations_see_what_those_before_them_did() -> None:
    steps = (
        operation("rename", path="qty", to="q"),
        operation("cast", path="q", to="number"),
        operation("drop_field", path="z"),
    )
    assert patched('{"qty":"1.10","z":0}', steps) == '{"q":1.10}'


@pytest.mark.parametrize(
    "text", ["", "{", '{"a":1', "[1,]", '{"a":1,}', "{}{}", '{"a" 1}', "{1:2}", "nul", "[" * 70 + "]" * 70]
)
def test_what_is_no_json_is_not_patched(text: str) -> None:
    with pytest.raises(spans.NotJsonError):
        patched(text, (operation("drop_field", path="a"),))


# ---- any message, any operation ---------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c", "é\n"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.decimals(-999, 999, places=2) | st.text(max_size=5) | st.just("1")
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
PATHS = st.sampled_from(["a", "b", "a.b", "a[].b", "b[].a[].c", "c.a"])
RULE_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3)
OPERATIONS = st.one_of(
    st.builds(lambda path, to: operation("rename", path=path, to=to), PATHS, st.sampled_from(["a", "b", "z"])),
    st.builds(
        lambda path, to: operation("cast", path=path, to=to), PATHS, st.sampled_from(["string", "number", "boolean"])
    ),
    st.builds(lambda path, value: operation("default", path=path, value=value), PATHS, RULE_SCALARS),
    st.builds(lambda path: operation("drop_field", path=path), PATHS),
    st.builds(
        lambda path, values: operation("map_value", path=path, values=values),
        PATHS,
        st.dictionaries(st.sampled_from(["1", "", 1, 0, None]), RULE_SCALARS, min_size=1),
    ),
)


def written(value: object, comma: str, colon: str, ascii_only: bool) -> str:
    """JSON in one of many hands; decimals keep their zeros."""
    if isinstance(value, dict):
        members = [
            written(k, comma, colon, ascii_only) + colon + written(v, comma, colon, ascii_only)
            for k, v in value.items()
        ]
        return "{" + comma.join(members) + "}"
    if isinstance(value, list):
        return "[" + comma.join(written(item, comma, colon, ascii_only) for item in value) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=ascii_only)


def scalars(text: str, value: spans.Value, place: str = "") -> Iterator[tuple[str, str]]:
    """(path, text as it stands there) of every value that is no object or array."""
    for member in value.members or ():
        yield from scalars(text, member.value, f"{place}.{member.key}" if place else member.key)
    for item in value.items or ():
        yield from scalars(text, item, f"{place}[]")
    if value.members is None and value.items is None:
        yield place, text[value.start : value.end]


def without(value: Any, steps: list[str], key: str) -> Any:
    """The message less what stands under the key, at every place that the path names."""
    if not steps:
        return {k: v for k, v in value.items() if k != key} if isinstance(value, dict) else value
    name, each = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    if not isinstance(value, dict) or name not in value or (each and not isinstance(value[name], list)):
        return value
    inner = value[name]
    less = [without(item, steps[1:], key) for item in inner] if each else without(inner, steps[1:], key)
    return value | {name: less}


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(KEYS, DOCUMENTS, max_size=4),
    OPERATIONS,
    st.sampled_from([",", ", ", " ,\n"]),
    st.sampled_from([":", ": "]),
    st.booleans(),
)
def test_no_operation_ever_touches_another_field(
    document: dict[str, object], step: Operation, comma: str, colon: str, ascii_only: bool
) -> None:
    before = written(document, comma, colon, ascii_only)
    after = patched(before, (step,))
    path: str = step.path
    *holder, key = path.split(".")
    own = {key, step.to} if isinstance(step, Rename) else {key}

    def rest(text: str) -> object:
        value = json.loads(text, parse_float=Decimal)
        for name in own:
            value = without(value, holder, name)
        return value

    assert rest(after) == rest(before)
    places = tuple(".".join([*holder, name]) for name in own)
    others = [
        [found for found in scalars(text, spans.parse(text)) if not found[0].startswith(places)]
        for text in (before, after)
    ]
    assert others[0] == others[1]  # digit by digit, escape by escape
    assert isinstance(step, MapValue) or patched(after, (step,)) == after


# ---- rules as files ---------------------------------------------------------------------------------------------------

RULE: dict[str, Any] = {
    "name": "mine",
    "version": 2,
    "description": "A rule of a test, long enough.",
    "match": {"source": "sim_web", "reasons": ["wrong_type"]},
    "operations": [{"do": "rename", "path": "a.b", "to": "c"}],
}


@pytest.fixture
def write(settings: Settings) -> Callable[..., Settings]:
    """Writes one rule of the company's own and returns the settings of its home."""

    def _write(content: dict[str, Any] | str, name: str = "mine") -> Settings:
        folder = patch_rules.own_folder(settings)
        folder.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
        return settings

    return _write


def test_the_rules_of_the_house_are_sound_and_do_what_they_say(settings: Settings) -> None:
    rules = patch_rules.load_rules(settings)
    names, words = rules["sim_web_event_names"], rules["sim_web_quantity_words"]
    assert (
        repair('{"type":"track","event":"page_left","n":1.0}', names) == '{"type":"track","event":"Page Left","n":1.0}'
    )
    assert repair('{"type":"page","event":"page_left"}', names) is None
    assert (
        repair('{"properties":{"quantity":"many","price":1.10}}', words) == '{"properties":{"quantity":1,"price":1.10}}'
    )
    assert repair('{"cut off', names) is None


def test_own_rules_stand_beside_those_of_the_house(write: Callable[..., Settings]) -> None:
    settings = write(RULE)
    assert patch_rules.find_rule(settings, "mine").label == "mine@2"
    with pytest.raises(UsageError, match="Did you mean 'mine'"):
        patch_rules.find_rule(settings, "mime")
    write(RULE | {"name": "sim_web_event_names"}, "sim_web_event_names")
    with pytest.raises(DefinitionError, match="comes with c360 already"):
        patch_rules.load_rules(settings)


def test_the_rule_of_the_handbook_works(write: Callable[..., Settings]) -> None:
    page = (PROJECT_ROOT / "docs" / "quarantine.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    rule = patch_rules.find_rule(write(text, "till_exports"), "till_exports")
    order = (
        '{"event":"order_done","properties":{"store_id":"17","debug":1,"products":[{"sku":"1","sales_value":"1,50"}]}}'
    )
    mended = (
        '{"event":"Order Completed","properties":{"store_id":"17","products":[{"product_id":"1","sales_value":1.50}]'
    )
    assert repair(order, rule) == mended + ',"currency":"USD"}}'
    assert repair(order.replace('"17"', "17"), rule) is None


def changed(**changes: Any) -> dict[str, Any]:
    return RULE | changes


def with_operation(**fields: Any) -> dict[str, Any]:
    return RULE | {"operations": [fields]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(verison=3), r"verison: unknown key. Did you mean 'version'"),
        (
            changed(match={"sourc": "pos", "source": "pos", "reasons": "empty"}),
            "match.sourc: unknown key. Did you mean 'source'",
        ),
        (with_operation(do="rename", path="a", to="b", form="x"), r"operations.0.rename.form: unknown key"),
        (with_operation(do="renam", path="a", to="b"), "no operation 'renam'. Did you mean 'rename'"),
        (with_operation(do="eval", path="a"), "no operation 'eval'"),
        (changed(match={"source": "pos", "reasons": "wrong_typ"}), "no reason 'wrong_typ'. Did you mean 'wrong_type'"),
        (changed(match={"source": "poss", "reasons": "empty"}), "no source 'poss'. Did you mean 'pos'"),
        (changed(match={"reasons": "empty"}), "match.source: Field required"),
        (changed(operations=[]), "operations: Tuple should have at least 1 item"),
        (changed(name="other"), "expected the file's name"),
        (with_operation(do="drop_field", path="$.a"), "is no path"),
        (with_operation(do="drop_field", path="a[]"), "needs a key at its end"),
        (with_operation(do="rename", path="a", to="b.c"), "is no key"),
        (with_operation(do="cast", path="a", to="date"), "format is needed"),
        (with_operation(do="cast", path="a", to="number", format="yyyy"), "format is needed"),
        (with_operation(do="cast", path="a", to="date", format="YYYY-mm"), "format 'YYYY-mm' is not known"),
        (with_operation(do="default", path="a", value=[1]), "operations.0.default.value"),
        ("name: [", "not readable YAML"),
        ("- a list", "mine.yml: file"),
        ("!!python/object/apply:os.getcwd []", "not readable YAML"),
    ],
)
def test_a_malformed_rule_is_refused_by_name(content: Any, message: str, write: Callable[..., Settings]) -> None:
    with pytest.raises(DefinitionError, match=re.escape(message) if "." not in message else message):
        patch_rules.load_rules(write(content))


def test_numbers_of_a_rule_keep_their_digits(write: Callable[..., Settings]) -> None:
    text = yaml.safe_dump(RULE | {"operations": []}).replace(
        "operations: []",
        "operations: [{do: default, path: price, value: 1.50}, {do: map_value, path: n, values: {2.0: 7}}]",
    )
    rule = patch_rules.find_rule(write(text), "mine")
    assert repair('{"n":2}', rule) == '{"n":7,"price":1.50}'


@pytest.mark.parametrize("value", [".inf", ".nan"])
def test_what_json_cannot_say_a_rule_cannot(value: str, write: Callable[..., Settings]) -> None:
    text = yaml.safe_dump(RULE).replace("do: rename", "do: default").replace("to: c", f"value: {value}")
    with pytest.raises(DefinitionError):
        patch_rules.load_rules(write(text))


def test_fields_of_the_match_are_compared_by_type(write: Callable[..., Settings]) -> None:
    match = {"source": "pos", "reasons": "empty", "fields": {"a[].b": 1, "t": "x"}}
    rule = patch_rules.find_rule(write(RULE | {"match": match}), "mine").match
    assert rule.has_fields('{"t":"x","a":[{"b":2},{"b":1.0}]}')
    assert not rule.has_fields('{"t":"x","a":[{"b":"1"}]}')
    assert not rule.has_fields('{"t":"y","a":[{"b":1}]}')
    assert not rule.has_fields('{"a":[{"b":1}]}')


def test_paths_reach_objects_and_items_alone() -> None:
    text = '{"a":{"b":[[{"c":1}],{"c":2},3]},"c":"x"}'
    root = spans.parse(text)
    assert [text[v.start : v.end] for v in paths.values(root, "a.b[].c")] == ["2"]
    assert [text[v.start : v.end] for v in paths.values(root, "a.b[]")] == ['[{"c":1}]', '{"c":2}', "3"]
    assert list(paths.values(root, "c.d")) == []


def test_a_rule_needs_no_code() -> None:
    """Nothing of a rule is ever called, evaluated or formatted into code."""
    with pytest.raises(ValidationError):
        operation("map_value", path="a", values={"x": {"nested": "object"}})
    source = "".join(p.read_text(encoding="utf-8") for p in Path(patch_rules.__file__).parent.glob("*.py"))
    assert not re.search(r"\b(eval|exec|compile)\(", source.replace("re.compile(", ""))
