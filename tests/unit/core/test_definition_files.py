"""Definition files: every problem of all files, each in one line with file, line, place and what is wanted."""

from pathlib import Path

import pytest

from jobs.core.definitions import (
    PULL_FOLDER,
    SEGMENT_FOLDER,
    SYNC_FOLDER,
    DefinitionError,
    load_pulls,
    load_segments,
    load_syncs,
)

HEAD = "name: {name}\ndescription: Somebody of whom the tests tell something.\n"


def segment(root: Path, text: str, name: str = "tested") -> None:
    folder = root / SEGMENT_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yml").write_text(text, encoding="utf-8")


def problems(root: Path) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        load_segments(root)
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("rule: {a: 1}\nonwer: me", "4: onwer: unknown key. Did you mean 'owner'?"),
        ("rul: {a: 1}", "1: rule: missing"),
        ("rule: [1]", "3: rule: expected a mapping; found a list"),
        ("rule: {}", "3: rule: Dictionary should have at least 1 item after validation, not 0"),
        ("rule: {a: 1}\nowner: 12", "4: owner: expected text; found 12; quote it, if text is meant"),
        ("rule: {a: 1}\nowner: 2024-01-01", "4: owner: expected text; found 2024-01-01; quote it, if text is meant"),
        ("rule: {a: 1}\nowner: NO", '4: NO is not text in every YAML: quote it ("NO"), or write false'),
        ("rule: {a: 1}\nparent: null", "4: parent: null says nothing: leave the key out"),
        ("rule:\n  a: 1\n  b: null", "5: rule.b: null says nothing: leave the key out"),
        ('rule: {a: 1}\nallow_all: "yes"', "4: allow_all: expected true or false; found 'yes'"),
        ("rule: {a: 1}\nallow_all: 1", "4: allow_all: expected true or false; found 1"),
        ('rule: {a: 1}\nholdout: "0.1"', "4: holdout: expected a number; found '0.1'"),
        ("rule: {a: 1}\nholdout: 1e-1", '4: 1e-1 is not text in every YAML: quote it ("1e-1"), or write 0.1'),
        ("rule: {a: 1}\nholdout: 1", "4: holdout: Input should be less than 1"),
        (
            "rule: {a: 1}\ntime_zone: Europe/Berln",
            "4: time_zone: unknown time zone 'Europe/Berln'; expected UTC or a place such as Europe/Berlin",
        ),
        (
            "rule: {a: 1}\ntime_zone: EST",
            "4: time_zone: unknown time zone 'EST'; expected UTC or a place such as Europe/Berlin",
        ),
        (
            "rule: {a: 1}\ntime_zone: Etc/GMT+5",
            "4: time_zone: unknown time zone 'Etc/GMT+5'; expected UTC or a place such as Europe/Berlin",
        ),
    ],
)
def test_a_problem_has_file_line_place_and_remedy(tmp_path: Path, rest: str, expected: str) -> None:
    segment(tmp_path, HEAD.format(name="tested") + rest)
    found = problems(tmp_path)
    assert f"segments/tested.yml:{expected}" in found
    assert len(found) == (2 if rest.startswith("rul:") else 1)


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    segment(tmp_path, HEAD.format(name="tested") + "rule: {a: 1}\nonwer: me\nholdout: 2\nowner: NO\n")
    segment(tmp_path, "name: [\n", "broken")
    segment(tmp_path, HEAD.format(name="right") + "rule: {a: 1}\n", "right")
    assert [line.partition(": ")[0] for line in problems(tmp_path)] == [
        "segments/broken.yml:2",
        "segments/tested.yml:4",
        "segments/tested.yml:5",
        "segments/tested.yml:6",
    ]


@pytest.mark.parametrize(
    "name", ["../tested", "a" * 64, "Tested", "té", "😀", "1st", "tested;", "{{ x }}", "a b", "tested\\n", ""]
)
def test_names_are_small_letters_digits_and_underscores(tmp_path: Path, name: str) -> None:
    segment(tmp_path, HEAD.format(name=f'"{name}"') + "rule: {a: 1}\n")
    found = name.replace("\\n", "\n")
    assert problems(tmp_path) == [f"segments/tested.yml:1: name: {found!r} does not match ^[a-z][a-z0-9_]{{0,62}}$"]


def test_a_name_with_nul_is_refused(tmp_path: Path) -> None:
    segment(tmp_path, HEAD.format(name='"a\\0b"') + "rule: {a: 1}\n")
    assert problems(tmp_path) == ["segments/tested.yml:1: name: 'a\\x00b' does not match ^[a-z][a-z0-9_]{0,62}$"]


def test_two_files_cannot_have_one_name_and_none_is_passed_over(tmp_path: Path) -> None:
    text = HEAD.format(name="tested") + "rule: {a: 1}\n"
    segment(tmp_path, text)
    segment(tmp_path, text, "copied")
    (tmp_path / SEGMENT_FOLDER / "tested.yaml").write_text(text)
    (tmp_path / SEGMENT_FOLDER / "retail").mkdir()
    (tmp_path / SEGMENT_FOLDER / "retail" / "tested.yml").write_text(text)
    assert problems(tmp_path) == [
        "segments/copied.yml:1: name: name is 'tested', expected the file's name 'copied'; rename one of them",
        "segments/retail:1: folders are not searched: move its files up",
        "segments/tested.yaml:1: not read: the file of a definition ends in .yml",
    ]


def test_what_is_told_breaks_no_line_and_no_terminal(tmp_path: Path) -> None:
    segment(tmp_path, HEAD.format(name="tested") + 'rule: {a: 1}\n"own\\ner\\e[31m": 3\n')
    segment(tmp_path, HEAD.format(name="tested") + "rule: {a: 1}\n", "a\nb")
    assert [line.partition(" ")[0] for line in problems(tmp_path)] == [
        "segments/'a\\nb.yml':1:",
        "segments/tested.yml:4:",
    ]
    assert "'own\\ner\\x1b[31m': unknown key. Did you mean 'owner'?" in problems(tmp_path)[1]


def test_python_in_a_tag_is_never_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    segment(tmp_path, f"name: !!python/object/apply:os.system ['touch {canary}']\n")
    assert "a tag" in problems(tmp_path)[0]
    assert not canary.exists()


def test_text_that_other_tools_expand_stays_as_it_is(tmp_path: Path) -> None:
    texts = ["{{ env_var('HOME') }}", "${HOME}", "$(id)", "%HOME%", "1=1); DROP TABLE x; --", "/* */"]
    segment(tmp_path, HEAD.format(name="tested") + "rule:\n" + "".join(f'  k{i}: "{t}"\n' for i, t in enumerate(texts)))
    assert list(load_segments(tmp_path)["tested"].rule.values()) == texts


def test_limits_of_a_sync_are_numbers(tmp_path: Path) -> None:
    folder = tmp_path / SYNC_FOLDER
    folder.mkdir(parents=True)
    (folder / "tested.yml").write_text(
        HEAD.format(name="tested")
        + "destination: file_drop\nrelation: activation.x\nasset: segment\nkey: profile_id\ncolumns: {a: b}\n"
        + 'guard: {min_rows: "5",\n  max_removal_shar: 0.1}\n'
    )
    with pytest.raises(DefinitionError) as caught:
        load_syncs(tmp_path)
    assert str(caught.value).split("\n") == [
        "syncs/tested.yml:5: asset: unknown 'segment'. Did you mean 'segments'?",
        "syncs/tested.yml:8: guard.min_rows: expected a whole number; found '5'",
        "syncs/tested.yml:9: guard.max_removal_shar: unknown key. Did you mean 'max_removal_share'?",
    ]


def test_a_pull_may_send_null(tmp_path: Path) -> None:
    folder = tmp_path / PULL_FOLDER
    folder.mkdir(parents=True)
    text = HEAD.format(name="tested") + "kind: rest\nsource: pos\noptions: {body: {after: null}}\n"
    (folder / "tested.yml").write_text(text)
    assert load_pulls(tmp_path)["tested"].options == {"body": {"after": None}}
    (folder / "tested.yml").write_text(text + "schedule: null\n")
    with pytest.raises(DefinitionError, match=r"pulls/tested\.yml:6: schedule: null says nothing"):
        load_pulls(tmp_path)
