"""The command over simulated records: figures, columns, collapse, and errors that name their remedy."""

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from peoplekit import Record, people

from jobs.cli import cli
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.identity.linkage import evaluate as module
from jobs.identity.linkage.config import COLUMNS, load_linkage
from jobs.identity.linkage.evaluate import Evaluation, Request, evaluate, mapped
from jobs.identity.linkage.records import make_records
from jobs.identity.linkage.report import lines
from jobs.lake.duck import connect

SEED = 20180102


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return people(150, SEED)


@pytest.fixture(scope="module")
def file(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("people") / "people.csv", records)


@pytest.fixture
def found(settings: Settings, file: Path) -> Evaluation:
    return evaluate(settings, Request(file, "entity"))


def test_probabilities_find_what_exact_rules_miss(found: Evaluation, records: list[Record]) -> None:
    assert found.records == len(records)
    assert found.entities == len({record["entity"] for record in records})
    assert found.columns == [column for column in COLUMNS if column in records[0]]
    exact, likely = found.methods["deterministic"], found.methods["probabilistic"]
    assert exact["pairwise"]["precision"] == 1.0
    assert exact["pairwise"]["f1"] < 0.85
    assert likely["pairwise"]["f1"] >= 0.95
    assert likely["cluster"]["f1"] >= 0.8
    assert likely["largest_cluster"] <= 5
    assert any("probabilistic   pairs of records" in line for line in lines(found))


def test_a_looser_threshold_fuses_nobody_and_without_support_it_would(
    settings: Settings, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and a city: most pairs of namesakes are strangers."""
    vague = [{k: record[k] for k in ("entity", "given_name", "surname", "city", "birth_date")} for record in records]
    loose = Request(write_csv(tmp_path / "vague.csv", vague), "entity", link=0.01)
    guarded = evaluate(settings, loose).methods["probabilistic"]
    config = load_linkage().model_copy(update={"support": 0.0})
    monkeypatch.setattr(module, "load_linkage", lambda: config)
    bare = evaluate(settings, loose).methods["probabilistic"]
    assert guarded["pairwise"]["precision"] >= 0.95
    assert guarded["largest_cluster"] <= 5
    assert guarded["pairs_refused"] > 0
    assert bare["pairwise"]["precision"] < 0.8
    assert bare["largest_cluster"] > 2 * guarded["largest_cluster"]


def test_names_of_columns_order_of_rows_and_format_make_no_difference(
    settings: Settings, found: Evaluation, records: list[Record], tmp_path: Path
) -> None:
    renamed = [{f" {'dob' if k == 'birth_date' else k}": v for k, v in record.items()} for record in records[::-1]]
    pq.write_table(pa.Table.from_pylist(renamed), tmp_path / "people.parquet")
    again = evaluate(settings, Request(tmp_path / "people.parquet", "entity", {"birth_date": "dob"}))
    for method in ("deterministic", "probabilistic"):
        for view in ("pairwise", "cluster"):
            assert again.methods[method][view] == pytest.approx(found.methods[method][view], abs=0.02)


def test_labelled_pairs_and_a_pattern_of_the_entity(settings: Settings, records: list[Record], tmp_path: Path) -> None:
    known = [record | {"entity": f"rec-{str(record['entity'])[1:]}-{n}"} for n, record in enumerate(records)]
    by_entity: dict[Any, list[Record]] = {}
    for record in records:
        by_entity.setdefault(record["entity"], []).append(record)
    same = [(group[0], group[1]) for group in by_entity.values() if len(group) > 1]
    other = list(zip(records[::2], records[1::2], strict=False))
    labels = [
        {"id_l": a["id"], "id_r": b["id"], "clerical_match_score": float(a["entity"] == b["entity"])}
        for a, b in (*same, *other)
    ]
    request = Request(
        write_csv(tmp_path / "p.csv", known), "entity", {}, r"rec-(\d+)-", write_csv(tmp_path / "l.csv", labels)
    )
    found = evaluate(settings, request)
    assert found.entities == len(by_entity)
    assert found.methods["probabilistic"]["label_pairs"]["pairs"] == len(labels)
    assert found.methods["probabilistic"]["label_pairs"]["f1"] >= 0.9
    assert found.methods["deterministic"]["label_pairs"]["precision"] == 1.0


def test_records_without_an_entity_are_linked_and_not_counted(
    settings: Settings, records: list[Record], tmp_path: Path
) -> None:
    some = [record | {"entity": None if n % 5 == 0 else record["entity"]} for n, record in enumerate(records)]
    found = evaluate(settings, Request(write_csv(tmp_path / "p.csv", some), "entity"))
    assert found.records == len(records)
    assert found.methods["probabilistic"]["pairwise"]["f1"] >= 0.95


def test_the_command_prints_one_json_object(settings: Settings, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("C360_HOME", str(settings.home))
    arguments = [
        "identity",
        "evaluate",
        "--records",
        str(file),
        "--entity-column",
        "entity",
        "--map",
        "surname=surname",
    ]
    done = CliRunner().invoke(cli, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["deterministic"]["rules"]
    assert set(told["probabilistic"]["pairwise"]) == {"precision", "recall", "f1"}
    assert "example.com" not in done.output


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(Path("nowhere.csv"), "entity"), "no file nowhere.csv"),
        (
            Request(Path("FILE"), "entitty"),
            r"--entity-column: no column 'entitty' in the file. Did you mean 'entity'\?",
        ),
        (Request(Path("FILE"), "entity", {"sirname": "surname"}), r"--map: no column 'sirname'.*'surname'\?"),
        (Request(Path("FILE"), "entity", {"surname": "nome"}), "--map: no column 'nome' in the file"),
        (Request(Path("FILE"), "entity", {}, "("), "--entity-pattern: "),
        (Request(Path("FILE"), "entity", {}, "nothing like it"), "names no entity"),
        (Request(Path("FILE"), "entity", {}, "", Path("FILE")), "--label-pairs: .* needs the columns <column>_l"),
    ],
)
def test_wrong_use_is_told_in_one_line(request_: Request, said: str, settings: Settings, file: Path) -> None:
    fields = {name: file for name in ("records", "label_pairs") if getattr(request_, name) == Path("FILE")}
    with pytest.raises(UsageError, match=said):
        evaluate(settings, Request(**(vars(request_) | fields)))


def test_two_columns_are_needed_and_unreadable_files_are_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least two columns"):
        mapped({"email": "email", "x": "x"}, {})
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match=r"cannot be read as \.parquet"):
        evaluate(settings, Request(broken, "entity"))


def test_labels_may_be_true_and_false_and_nothing_else(
    settings: Settings, records: list[Record], tmp_path: Path
) -> None:
    pairs = [(a, b) for a, b in combinations(records[:60], 2) if a["entity"] == b["entity"] or a["entity"] == "e1"]
    labels = [{"id_l": a["id"], "id_r": b["id"], "is_match": str(a["entity"] == b["entity"])} for a, b in pairs]
    request = Request(
        write_csv(tmp_path / "p.csv", records), "entity", label_pairs=write_csv(tmp_path / "l.csv", labels)
    )
    found = evaluate(settings, request).methods["probabilistic"]["label_pairs"]
    assert found["precision"] > 0.9
    assert found["recall"] > 0.8
    write_csv(tmp_path / "l.csv", [labels[0] | {"is_match": "perhaps"}])
    with pytest.raises(UsageError, match="neither a number nor true or false in 1 rows"):
        evaluate(settings, request)


def test_columns_that_bring_nobody_together_are_refused(
    settings: Settings, records: list[Record], tmp_path: Path
) -> None:
    vague = [{"entity": record["entity"], "city": record["city"], "state": "x"} for record in records]
    with pytest.raises(
        UsageError, match="nothing brings few enough pairs together by city, state; map one of these too"
    ):
        evaluate(settings, Request(write_csv(tmp_path / "p.csv", vague), "entity"))


@pytest.mark.parametrize("written", ["1980-12-31", "1980-12-31T00:00:00Z", "31/12/1980", "19801231", " 31.12.1980 "])
def test_a_date_is_one_however_it_is_written(settings: Settings, written: str) -> None:
    with closing(connect(settings)) as connection:
        connection.execute("create table given as select ? as dob", [written])
        make_records(connection, "given", {"birth_date": "dob"})
        assert connection.execute("select birth_date from linkage_records").fetchall() == [("19801231",)]


def test_two_columns_are_enough(settings: Settings, records: list[Record], tmp_path: Path) -> None:
    few = [{k: record[k] for k in ("entity", "email", "phone")} for record in records]
    found = evaluate(settings, Request(write_csv(tmp_path / "p.csv", few), "entity"))
    assert found.columns == ["email", "phone"]
    assert found.methods["probabilistic"]["pairwise"]["precision"] >= 0.9
