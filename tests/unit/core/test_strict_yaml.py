"""The strict YAML door: what it reads, what it refuses, on which line, and how soon."""

import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.core.strict_yaml import DEEPEST, LARGEST_BYTES, MOST_NODES, read

WORDS = (
    "NO no No yes on OFF y N True FALSE Null NULL 012 0x1F 0b11 0o17 1e3 1E3 1.5e3 1:30 22:00 01:30 1_000 +5 .5 5. .inf -.INF"
    " .nan ~ = << 089 99999999999999999999 1,000"
)
BOMB = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9) if n else 'lol'}]" for n in range(9))


def value(text: str) -> Any:
    root, faults = read(text.encode())
    assert faults == []
    assert root is not None
    return root.value


def faults(text: str | bytes) -> list[tuple[int, str]]:
    _, found = read(text if isinstance(text, bytes) else text.encode())
    return [(fault.line, fault.text) for fault in found]


def test_what_is_read() -> None:
    text = """
a: plain text, with 3 words
b: [1, -2, 2.50, true, false, null]
c: {d: 2024-01-31, e: 2024-01-31T10:00:00Z, "NO": "012"}
f: >
  yes
  on
g: 0 4 * * *
h: 3+
"""
    assert value(text) == {
        "a": "plain text, with 3 words",
        "b": [1, -2, 2.5, True, False, None],
        "c": {"d": date(2024, 1, 31), "e": datetime(2024, 1, 31, 10, tzinfo=UTC), "NO": "012"},
        "f": "yes on\n",
        "g": "0 4 * * *",
        "h": "3+",
    }


def test_it_reads_as_pyyaml_does_what_it_reads() -> None:
    for path in Path(__file__).parents[3].glob("dbt_project/definitions/*/*.yml"):
        text = path.read_text(encoding="utf-8")
        assert value(text) == yaml.safe_load(text), path


def test_lines_are_those_of_the_keys() -> None:
    root, _ = read(b"a: 1\nrule:\n  all:\n    - {trait: x}\n    -\n      trait: y\n      gte: 3\n")
    assert root is not None
    places = [
        ("a",),
        ("rule",),
        ("rule", "all"),
        ("rule", "all", 0, "trait"),
        ("rule", "all", 1, "gte"),
        ("rule", "none"),
    ]
    assert [root.line_of(place) for place in places] == [1, 2, 3, 4, 7, 2]


@pytest.mark.parametrize("word", WORDS.split())
def test_a_word_that_readers_of_yaml_differ_about_is_to_be_quoted(word: str) -> None:
    [(line, text)] = faults(f"a: 1\nb: [{word}]" if "," not in word else f"a: 1\nb: {word}")
    assert line == 2
    assert text.startswith(f'{word} is not text in every YAML: quote it ("{word}")')
    assert value(f'a: "{word}"') == {"a": word}
    assert len(faults(f"{word}: 1")) == 1, "as a key too"


def test_what_to_write_for_a_truth_or_a_number_is_said() -> None:
    assert faults("a: NO") == [(1, 'NO is not text in every YAML: quote it ("NO"), or write false')]
    assert faults("a: On") == [(1, 'On is not text in every YAML: quote it ("On"), or write true')]
    numbers = {"1e3": "1000", "012": "12", ".5": "0.5", "+5": "5", "1_000": "1000", "1.5e3": "1500"}
    for word, plain in numbers.items():
        assert faults(f"a: {word}") == [(1, f'{word} is not text in every YAML: quote it ("{word}"), or write {plain}')]
    assert faults("a: 1e999999999") == [(1, '1e999999999 is not text in every YAML: quote it ("1e999999999")')]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            "a: 1\nb: !!python/object/apply:os.system ['touch x']",
            2,
            "a tag ('tag:yaml.org,2002:python/object/apply:os.system')",
        ),
        ("a: !x%0Ay%1B 3", 1, "a tag ('!x\\ny\\x1b') is not read"),
        ("a: !x 3", 1, "a tag ('!x') is not read"),
        ("a: !!str 3", 1, "a tag ('tag:yaml.org,2002:str')"),
        ("a: 1\nb: &x [1]\nc: *x", 2, "anchors and aliases"),
        ("a: *x", 1, "anchors and aliases"),
        ("a: 1\n---\na: 2", 2, "a second document"),
        ("%YAML 1.1\n---\na: 1", 1, "a % directive"),
        ("a:\n\t- b", 2, "a tab"),
        ("a: 1\nb: x\ty", 2, "a tab"),
        ("a: 1\nb: 2\na: 3", 3, "'a' stands twice here, first on line 1"),
        ("x:\n  a: 1\n  'a': 3", 3, "'a' stands twice here, first on line 2"),
        ("a: 1\n2: b", 2, 'the key 2 is no text: quote it ("2")'),
        ("a: 1\nb: {{ x }}", 2, "a list or mapping stands where a key is wanted; quote"),
        ("? [a]\n: b", 1, "a list or mapping stands where a key is wanted"),
        ("a: 1\nb:\n", 2, "nothing is said here"),
        ("a: 1\nb: 2024-02-30", 2, "2024-02-30 is no day of the calendar"),
        ("a: 1\nb: [1, 2", 2, "not readable YAML"),
        ("a: 1\nb: c: d", 2, "not readable YAML"),
        ("a: 1\nb: \x00", 2, "the character U+0000"),
        ("a: 1\nb: \x1b[31m", 2, "the character U+001B"),
        (b"a: 1\nb: \xff", 2, "not UTF-8"),
        (b"a: \xed\xa0\x80", 1, "not UTF-8"),
        ("a: " + "[" * (DEEPEST + 1), 1, f"nested more than {DEEPEST} deep"),
        ("[" * 50_000, 1, "nested more than"),
        ("- " * 50_000, 1, "nested more than"),
        ("a: [" + "1, " * MOST_NODES + "1]", 1, f"more than {MOST_NODES:,} values"),
        ("a: " + "x" * LARGEST_BYTES, 1, f"at most {LARGEST_BYTES:,} are read"),
    ],
)
def test_what_is_refused_with_its_line(text: str | bytes, line: int, message: str) -> None:
    found = faults(text)
    assert [one[0] for one in found] == [line]
    assert message in found[0][1]
    assert "\n" not in found[0][1]


def test_as_deep_as_allowed_is_read() -> None:
    assert value("[" * DEEPEST + "]" * DEEPEST)


def test_faults_that_can_be_read_past_are_told_together() -> None:
    assert [line for line, _ in faults("a: NO\nb: 012\nb: 1\nc: 'unended")] == [1, 2, 3, 4]


def test_a_bomb_of_anchors_is_refused_at_its_first_line_and_at_once() -> None:
    assert BOMB.count("*") == 72
    started = time.process_time()
    assert [line for line, _ in faults(BOMB)] == [1]
    assert time.process_time() - started < 0.1
