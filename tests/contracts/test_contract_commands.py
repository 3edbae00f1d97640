"""`c360 contracts …` as a person and as `make lint` call it: exit codes, the baseline that cannot be silenced, git."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from expectations.contracts import EventContract, SourceContract, sets
from expectations.contracts.sets import ContractSet
from jobs.cli import cli
from jobs.contracts import commands
from jobs.contracts.revision import read_revision
from jobs.core.errors import UsageError
from jobs.core.settings import PROJECT_ROOT, Settings

EVENT: dict[str, Any] = {"name": "Thing Done", "type": "track", "description": "D.", "properties": {"a": {}}}
SOURCE: dict[str, Any] = {
    "name": "app",
    "kind": "events",
    "format": "ndjson",
    "description": "D.",
    "events": ["Thing Done"],
}


def c360(tmp_path: Path, *arguments: object) -> Result:
    """As `main` calls it: a command returns its exit code."""
    words = ["--home", str(tmp_path / "home"), "contracts", *map(str, arguments)]
    return CliRunner().invoke(cli, words, standalone_mode=False)


def code(result: Result) -> int:
    return result.exit_code or int(result.return_value or 0)


def folder(path: Path, *documents: dict[str, Any]) -> Path:
    """Contracts as YAML files, events and sources apart."""
    for number, document in enumerate(documents):
        file = path / ("sources" if "kind" in document else "events") / f"{number}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def set_of(*documents: dict[str, Any]) -> ContractSet:
    events = [EventContract.model_validate(d) for d in documents if "kind" not in d]
    sources = [SourceContract.model_validate(d) for d in documents if "kind" in d]
    return ContractSet({e.name: e for e in events}, {s.name: s for s in sources})


@pytest.fixture
def promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A baseline of one event and one source, in place of the committed one."""
    file = tmp_path / "baseline.json"
    file.write_text(sets.to_baseline(set_of(EVENT, SOURCE)), encoding="utf-8")
    monkeypatch.setattr(commands, "baseline_file", lambda settings: file)
    return file


def stand(monkeypatch: pytest.MonkeyPatch, *documents: dict[str, Any]) -> None:
    """Makes these the contracts of the checkout."""
    monkeypatch.setattr(sets, "current", lambda: set_of(*documents))


def test_the_committed_baseline_is_what_stands(tmp_path: Path) -> None:
    done = c360(tmp_path, "check")
    assert code(done) == 0, done.output


def test_make_lint_asks() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
    lint = next(line for line in makefile.splitlines() if line.startswith("lint: "))
    assert "lint-contracts" in lint
    assert (
        "lint-contracts: ## no breaking change of a contract without a raised version\n\t@$(BIN)/c360 contracts check\n"
        in makefile
    )


@pytest.mark.parametrize(
    ("new", "expected", "says"),
    [
        (EVENT, 0, "0 changes"),
        (EVENT | {"properties": {"a": {}, "b": {}}}, 0, "1 compatible, 0 breaking"),
        (EVENT | {"properties": {"a": {"required": True}}}, 1, "raise the version of: event Thing Done"),
        (EVENT | {"properties": {"a": {"required": True}}, "version": 2}, 0, "1 compatible, 1 breaking"),
    ],
)
def test_folders_are_compared(tmp_path: Path, new: dict[str, Any], expected: int, says: str) -> None:
    old_folder, new_folder = folder(tmp_path / "old", EVENT, SOURCE), folder(tmp_path / "new", new, SOURCE)
    done = c360(tmp_path, "check", old_folder, new_folder)
    assert (code(done), says in done.stdout) == (expected, True), done.output
    files = [next((path / "events").iterdir()) for path in (old_folder, new_folder)]
    assert code(c360(tmp_path, "check", *files)) == expected


def test_changes_as_json(tmp_path: Path) -> None:
    new = folder(tmp_path / "new", EVENT | {"properties": {}})
    done = c360(tmp_path, "check", folder(tmp_path / "old", EVENT), new, "--json")
    assert code(done) == 1
    assert json.loads(done.stdout) == [
        {"contract": "event Thing Done", "place": "properties.a", "text": "removed", "is_breaking": True,
         "is_covered": False, "blocks": True}
    ]  # fmt: skip


def test_a_breaking_change_fails_the_check_and_cannot_be_silenced(
    promised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = promised.read_text()
    stand(monkeypatch, EVENT | {"properties": {"a": {"type": "number"}}}, SOURCE)
    assert code(c360(tmp_path, "check")) == 1
    written = c360(tmp_path, "baseline")
    assert (code(written), promised.read_text()) == (1, before), "the baseline was written in spite of it"
    stand(monkeypatch, EVENT | {"properties": {"a": {"type": "number"}}, "version": 2}, SOURCE)
    behind = c360(tmp_path, "check")
    assert code(behind) == 1
    assert "run: c360 contracts baseline" in behind.stderr
    assert code(c360(tmp_path, "baseline")) == 0
    assert code(c360(tmp_path, "check")) == 0


def test_a_compatible_change_is_promised_too(promised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the next change could take back what this one gave, unseen."""
    stand(monkeypatch, EVENT | {"properties": {"a": {}, "b": {}}}, SOURCE)
    assert code(c360(tmp_path, "check")) == 1
    assert code(c360(tmp_path, "baseline")) == 0
    stand(monkeypatch, EVENT, SOURCE)
    assert "BREAKING" in c360(tmp_path, "check").stdout


def test_a_source_is_given_up_by_name_only(promised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand(monkeypatch)
    assert code(c360(tmp_path, "baseline")) == 1
    assert code(c360(tmp_path, "baseline", "--retire", "another")) == 1
    assert code(c360(tmp_path, "baseline", "--retire", "app")) == 0
    assert json.loads(promised.read_text())["sources"] == {}


def test_a_source_that_still_stands_is_not_retired(
    promised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand(monkeypatch, EVENT, SOURCE | {"unknown_events": "accept"})
    assert code(c360(tmp_path, "baseline")) == 0
    stand(monkeypatch, EVENT, SOURCE)
    assert code(c360(tmp_path, "baseline", "--retire", "app")) == 1


def test_a_missing_baseline_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "baseline_file", lambda settings: tmp_path / "absent.json")
    result = c360(tmp_path, "check")
    assert result.exit_code == 1
    assert "c360 contracts baseline" in str(result.exception)


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    subprocess.run(["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True, timeout=60)


class Elsewhere(Settings):
    """Settings whose checkout is another one."""

    root: Path

    @property
    def project_root(self) -> Path:
        return self.root


def test_a_revision_is_read_from_git(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    contracts = folder(root / "expectations" / "contracts", EVENT, SOURCE)
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    folder(contracts, EVENT | {"version": 2}, SOURCE)
    settings = Elsewhere(home=tmp_path / "home", root=root)
    assert read_revision(settings, "HEAD") == set_of(EVENT, SOURCE)
    for revision in ("nope", "--output=x", "HEAD:expectations"):
        with pytest.raises(UsageError):
            read_revision(settings, revision)
    assert not (root / "x").exists()


def test_schemas_are_written_a_file_each(tmp_path: Path) -> None:
    out = tmp_path / "schemas"
    assert code(c360(tmp_path, "export", "--out", out)) == 0
    files = sorted(out.rglob("*.schema.json"))
    assert len(files) == len(sets.current().events) + len(sets.current().sources)
    for file in files:
        Draft202012Validator.check_schema(json.loads(file.read_text(encoding="utf-8")))
    one = c360(tmp_path, "export", "--event", "Order Completed")
    assert json.loads(one.stdout) == json.loads((out / "events" / "order_completed.schema.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("export",),
        ("export", "--source", "pos", "--event", "page"),
        ("export", "--event", "Order Complete"),
        ("show", "pso"),
        ("check", "--against-git", "no-such-revision"),
        ("check", "tests"),
    ],
)
def test_wrong_use_exits_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = c360(tmp_path, *arguments)
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2


def test_show_and_list_name_what_there_is(tmp_path: Path) -> None:
    listed = c360(tmp_path, "list").stdout
    for name in (*sets.current().events, *sets.current().sources):
        assert name in listed
    assert "PII: email" in c360(tmp_path, "show", "sim_crm_people").stdout
    assert "matches ^[A-Z]{3}$" in c360(tmp_path, "show", "Order Completed").stdout
