"""`c360 sources new`: what a sample gives, what is said to be unsure, and that what is written holds for the sample itself."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from expectations.contracts import EventContract, SourceContract, json_schema, sets
from jobs.cli import cli
from jobs.contracts import infer
from jobs.core.errors import PermanentError, UsageError

AT = "2017-05-01T10:00:00Z"
PEOPLE = (
    "person_id,first_name,email,phone,visits,spent,joined,seen_at,is_vip,zip,newsletter_opt_in,account_no\n"
    + "".join(
        f"p-{n},Ann,ann{n}@example.com,+1555010{n:04},{n},{n}.50,2017-05-{n % 28 + 1:02},{AT},true,0{n:04},yes,{n:08}\n"
        for n in range(120)
    )
)
GERMAN = (
    "Nr;Kunde;Betrag;Datum\n" + "".join(f'{n};"Käufer; {n}";{n},50;{n % 28 + 1:02}.12.2020\n' for n in range(30))
).encode("cp1252")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: unpacking DuckDB's extension takes longer than a sample."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def new(tmp_path: Path, home: Path) -> Any:
    """Runs `c360 sources new crm --from <content in a file>` and returns the result and the contract of the source."""

    def run(content: str | bytes, *arguments: str, name: str = "sample.txt") -> tuple[Result, SourceContract]:
        sample = tmp_path / name
        sample.write_bytes(content.encode() if isinstance(content, str) else content)
        words = ["--home", str(home), "sources", "new", "crm", "--from", str(sample), "--out", str(tmp_path / "out")]
        result = CliRunner().invoke(cli, [*words, *arguments], standalone_mode=False)
        if result.exception:
            raise result.exception
        return result, sets.read_set(tmp_path / "out").sources["crm"]

    return run


def rules(contract: SourceContract | EventContract) -> dict[str, dict[str, Any]]:
    """What the contract says of each column, defaults left out."""
    fields = contract.columns if isinstance(contract, SourceContract) else contract.properties
    return {name: field.model_dump(mode="json", exclude_defaults=True) for name, field in fields.items()}


def test_a_csv_of_people(new: Any, tmp_path: Path) -> None:
    result, contract = new(PEOPLE, "--object", "person")
    assert (contract.kind, contract.format, contract.object, contract.key) == (
        "records",
        "csv",
        "person",
        ("person_id",),
    )
    required = {"required": True}
    assert rules(contract) == {
        "person_id": required, "first_name": required | {"pii": "name"}, "email": required | {"pii": "email"},
        "phone": required | {"pii": "phone"}, "visits": required | {"type": "integer"}, "spent": required | {"type": "number"},
        "joined": required | {"type": "date"}, "seen_at": required | {"type": "timestamp"},
        "is_vip": required | {"type": "boolean"}, "zip": required, "newsletter_opt_in": required, "account_no": required,
    }  # fmt: skip
    assert contract.identifiers == contract.consents == {}, "links and leave are never switched on by a guess"
    text = (tmp_path / "out" / "sources" / "crm.yml").read_text("utf-8")
    assert "# identifiers: {email: email, phone: phone}" in text
    assert "# consents: {marketing: newsletter_opt_in}" in text
    for expected in (
        "key person_id: unique in the sample",
        "classed email, so silver holds a token",
        "c360 contracts baseline",
    ):
        assert expected in result.stdout
    assert "@example.com" not in result.stdout + text, "a value of the sample was repeated"


def test_a_dialect_is_declared(new: Any) -> None:
    result, contract = new(GERMAN)
    assert (contract.encoding, contract.delimiter, contract.decimal) == ("cp1252", ";", ",")
    assert contract.date_format == "dd.MM.yyyy"
    assert rules(contract)["Betrag"] == {"type": "number", "required": True}
    assert rules(contract)["Datum"] == {"type": "date", "required": True}
    assert contract.key == ("Nr",)
    assert "taken for Windows-1252" in result.stdout


@pytest.mark.parametrize("content", [PEOPLE.encode(), GERMAN, gzip.compress(PEOPLE.encode()), PEOPLE.encode("utf-16")])
def test_every_row_of_the_sample_fits_what_was_inferred(new: Any, content: bytes) -> None:
    _, contract = new(content)
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    text = plain.decode(contract.encoding)
    judge = Draft202012Validator(json_schema.source_schema(contract, {}))
    rows = list(csv.DictReader(io.StringIO(text), delimiter=contract.delimiter))
    assert len(rows) >= 30
    assert [row for row in rows if not judge.is_valid(row)] == []


def test_records_in_ndjson_take_the_types_of_json(new: Any) -> None:
    rows = [{"sku": "10", "price": 1, "at": AT, "meta": {"a": 1}, "tags": ["x"], "n": 10**16, "code": 5, "ok": True, "mix": 1},
            {"sku": "11", "price": 1.5, "at": AT, "ok": False, "n": 2, "mix": "x"}]  # fmt: skip
    result, contract = new("\n".join(map(json.dumps, rows)) + '\n{"torn')
    kinds = {name: field.get("type", "string") for name, field in rules(contract).items()}
    assert kinds == {"sku": "string", "price": "number", "at": "timestamp", "meta": "object", "n": "string",
                     "code": "integer", "ok": "boolean", "mix": "string"}  # fmt: skip
    assert contract.format == "ndjson"
    for expected in ("column tags: a list", "more than 15 digits", "1 lines hold no JSON object"):
        assert expected in result.stdout


def test_parquet_states_its_types(new: Any) -> None:
    table = pa.table(
        {
            "order_id": pa.array(["a", "b"]), "n": pa.array([1, None], pa.int32()), "day": pa.array([0, 1], pa.date32()),
            "at": pa.array([0, 1], pa.timestamp("us", tz="UTC")), "price": pa.array(["1.50", "2"]).cast(pa.decimal128(9, 2)),
            "lines": pa.array([[1], [2]]), "upc": pa.array([12345678905, 12345678912]),
        }
    )  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink)
    _, contract = new(sink.getvalue())
    assert {name: field.get("type", "string") for name, field in rules(contract).items()} == {
        "order_id": "string", "n": "integer", "day": "date", "at": "timestamp", "price": "number", "upc": "integer",
    }  # fmt: skip
    assert rules(contract)["n"] == {"type": "integer"}, "a column with a gap is not required"


def message(number: int, event: str, **properties: Any) -> dict[str, Any]:
    return {
        "messageId": str(number),
        "type": "track",
        "event": event,
        "timestamp": AT,
        "userId": "u1",
        "properties": properties,
    }


def test_segment_messages_give_a_source_and_its_new_events(new: Any, tmp_path: Path) -> None:
    lines = [{"sku": "a", "amount": 1.5, "tags": ["x"], "gift_for": "b@example.com"}, {"sku": "b", "amount": 2}]
    messages = [message(n, "Basket Scanned", basket_id=str(n), total=n + 0.5, email="a@example.com", lines=lines, when=AT,
                        labels=["x"]) for n in range(3)]  # fmt: skip
    messages += [message(4, "Product Viewed", product_id="1"), message(5, "product_viewed", product_id="1")]
    messages += [{"messageId": "6", "type": "page", "timestamp": AT, "anonymousId": "a", "properties": {"path": "/"}}]
    result, contract = new("\n".join(map(json.dumps, messages)))
    assert (contract.kind, contract.events) == ("events", ("Basket Scanned", "Product Viewed", "page"))
    written = sets.read_set(tmp_path / "out").events
    assert set(written) == {"Basket Scanned"}, "events with a contract keep it"
    assert rules(written["Basket Scanned"]) == {
        "basket_id": {"required": True}, "total": {"type": "number", "required": True},
        "email": {"required": True, "pii": "email"}, "when": {"type": "timestamp", "required": True},
        "lines": {"type": "array", "required": True,
                  "items": {"sku": {"required": True}, "amount": {"type": "number", "required": True}, "gift_for": {}}},
    }  # fmt: skip
    assert "property lines.gift_for: PII inside a list is not tokenised" in result.stdout
    assert "a misspelling of 'Product Viewed'?" in result.stdout
    assert "property labels: a list of plain values" in result.stdout
    judge = Draft202012Validator(json_schema.event_schema(written["Basket Scanned"]))
    assert all(judge.is_valid(item) for item in messages[:3])
    assert "b@example.com" not in result.stdout


def test_one_event_of_the_sample(new: Any) -> None:
    messages = [message(1, "Product Viewed", product_id="1"), message(2, "Basket Scanned")]
    text = "\n".join(map(json.dumps, messages))
    assert new(text, "--event", "Product Viewed")[1].events == ("Product Viewed",)
    with pytest.raises(UsageError, match="not in the sample"):
        new(text, "--event", "Else")


@pytest.mark.parametrize(
    ("content", "arguments", "error", "says"),
    [
        ("", (), PermanentError, "empty"),
        ("a,b\n", (), PermanentError, "header and no rows"),
        ("a,,b\n1,2,3\n", (), PermanentError, "empty or a repeated name"),
        ("a,A\n1,2\n", (), PermanentError, "empty or a repeated name"),
        ("1,2\n3,4\n", (), PermanentError, "looks like data"),
        ("sep=;\na;b\n1;2\n", (), PermanentError, "sep="),
        ('[{"a": 1}]', (), PermanentError, "a JSON array"),
        ("<html>", (), PermanentError, "HTML"),
        ("PK\x03\x04x", (), PermanentError, "zip"),
        (b"PAR1 and no footer", (), PermanentError, "Parquet"),
        (gzip.compress(PEOPLE.encode())[:-30], (), PermanentError, "truncated"),
        ('{"torn', (), PermanentError, "no line holds"),
        ("a,b\n1,2\n".encode("utf-16-le"), (), PermanentError, "NUL bytes"),
        ("\n\n \n", (), PermanentError, "empty"),
        ("a,b\n1,2\n1,3\n,2\n", (), UsageError, "say --key"),
        ("a,b\n1,2\n", ("--key", "c"), UsageError, "names no column"),
        ("a,b\n1,2\n,3\n", ("--key", "a"), UsageError, "is empty in some row"),
        ("a,b\n1,2\n", ("--event", "Else"), UsageError, "needs Segment messages"),
        (json.dumps(message(1, "page_view")), ("--key", "a"), UsageError, "are for records"),
    ],
)
def test_what_is_no_sample_is_refused(
    new: Any, content: str | bytes, arguments: tuple[str, ...], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        new(content, *arguments)


def test_a_contract_is_never_overwritten(new: Any, tmp_path: Path, home: Path) -> None:
    new(PEOPLE)
    file = tmp_path / "out" / "sources" / "crm.yml"
    file.write_text("mine")
    with pytest.raises(PermanentError, match="exists already"):
        new(PEOPLE)
    assert file.read_text() == "mine"
    words = ["--home", str(home), "sources", "new", "pos", "--from", str(tmp_path / "sample.txt")]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert "has a contract already" in str(done.exception)
    done = CliRunner().invoke(cli, [*words[:4], "Not A Name", *words[5:]], standalone_mode=False)
    assert isinstance(done.exception, UsageError)


def test_cards_and_notes_with_addresses_are_said(new: Any) -> None:
    notes = ["paid with 4111 1111 1111 1111", "mail to ann@example.com"] + ["ok"] * 38
    result, contract = new("id,note\n" + "".join(f"{n},{note}\n" for n, note in enumerate(notes)))
    assert rules(contract)["note"] == {"required": True}
    assert "1 of 40 values look like payment cards: have it removed at the sender" in result.stdout
    assert "1 of 40 values look like e-mail addresses: left unclassed" in result.stdout
    assert "4111" not in result.stdout


def test_nothing_of_the_sample_stays_in_the_home(new: Any, home: Path) -> None:
    new(PEOPLE)
    assert not [path for path in home.rglob("*") if path.is_file() and b"@example.com" in path.read_bytes()]


# ---- inference, value by value


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2"], {"type": "integer", "required": True}),
        (["1", "2.5", "1e3"], {"type": "number", "required": True}),
        (["007", "12"], {"required": True}),
        (["1", None], {"type": "integer"}),
        ([None, None], {}),
        (["true", "false"], {"type": "boolean", "required": True}),
        (["true", "maybe"], {"required": True}),
        (["2020-02-30"], {"required": True}),
        (["2020-02-29"], {"type": "date", "required": True}),
        (["1234567890123456"], {"required": True}),
        (["1.23457E+11", "5"], {"required": True}),
        (["2017-05-01T10:00:00+02:00"], {"type": "timestamp", "required": True}),
        (["24.12.2020", "01.02.2021"], {"type": "date", "required": True}),
        (["01/02/2021", "03/04/2021"], {"required": True}),
        (["25/12/2020", "03/04/2021"], {"type": "date", "required": True}),
        (["1.234,50", "2"], {"required": True}),
    ],
)
def test_the_type_of_a_column(cells: list[str | None], expected: dict[str, Any]) -> None:
    assert infer.infer_columns({"c": cells}, {}, len(cells)).columns == {"c": expected}


def test_doubts_are_said() -> None:
    columns: dict[str, list[str | None]] = {
        "qty": [*map(str, range(19)), "many"], "day": ["01/02/2021"] * 20, "phone_no": ["1.23457E+11"] * 20, "gone": [None] * 20,
    }  # fmt: skip
    unsure = "\n".join(infer.infer_columns(columns, {}, 20).unsure)
    for expected in ("19 of 20 values are of type integer", "day and month cannot be told apart", "damaged by a spreadsheet",
                     "column gone: empty", "inferred from 20 rows"):  # fmt: skip
        assert expected in unsure


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"name": ["a", "b"], "shop_id": ["1", "2"]}, ("shop_id",)),
        ({"name": ["a", "b"], "shop_id": ["1", "1"]}, ("name",)),
        ({"order_id": ["1", "1", "2"], "line_no": ["1", "2", "1"], "qty": ["1", "1", "1"]}, ("order_id", "line_no")),
        ({"a": ["1", "1"], "b": ["1", "1"]}, ("a",)),
        ({"a": ["1", "1"], "b": ["1", "2"], "c_id": ["1", None]}, ("b",)),
        ({"a": ["1", "1", "2"], "b": ["1", "2", "2"]}, ()),
        ({"price": ["1.5", "2.5"], "a": ["x", "x"]}, ()),
        ({"email": ["a@example.com", "b@example.com"], "a": ["x", "x"]}, ()),
    ],
)
def test_the_key_that_is_proposed(columns: dict[str, list[str | None]], expected: tuple[str, ...]) -> None:
    rows = len(next(iter(columns.values())))
    assert infer.candidate_key(columns, infer.infer_columns(columns, {}, rows)) == expected


def test_show_and_list(home: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(cli, ["--home", str(home), "sources", "list"]).stdout
    assert all(name in listed for name in sets.current().sources)
    shown = runner.invoke(cli, ["--home", str(home), "sources", "show", "pos"]).stdout
    assert f"files go to: {home / 'landing' / 'pos'}" in shown
    assert isinstance(runner.invoke(cli, ["--home", str(home), "sources", "show", "x"]).exception, UsageError)


def test_what_is_written_is_plain_yaml(new: Any, tmp_path: Path) -> None:
    """Names that YAML would read as something else are quoted."""
    new("id,on,total: sum,#\n1,a,b,c\n2,a,b,c\n")
    found = yaml.safe_load((tmp_path / "out" / "sources" / "crm.yml").read_text("utf-8"))
    assert list(found["columns"]) == ["id", "on", "total: sum", "#"]
