"""The sample of 20 households: equal bytes for equal seeds, the package to the cent, and what was planned is in the files."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from expectations import contracts
from jobs.cli import cli
from jobs.core.errors import UsageError
from jobs.core.hashing import hash_file
from jobs.core.logging import EMAIL
from jobs.core.settings import Settings, load_settings
from jobs.sample import shares
from jobs.sample.database import Database, package_file
from jobs.sample.files import SAMPLE_FILES, held_households, marker_file, own_files
from jobs.sample.generate import generate, plan_file, read_plan, set_clock

HOUSEHOLDS = 20
CARRIES_EMAIL = {"sim_crm_people", "sim_email", "sim_web"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("sample"))
    generate(settings, HOUSEHOLDS)
    return settings


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A home of one household, made by the command; and what the command printed."""
    home = tmp_path_factory.mktemp("called")
    done = CliRunner().invoke(cli, ["--home", str(home), "sample", "generate", "--households", "1"])
    assert done.exit_code == 0, done.output
    return Settings(home=home), done.output


def beside(home: Settings, path: Path, **overrides: Any) -> Settings:
    """Another home, which shares the DuckDB extensions of the first: to unpack them takes longer than a sample."""
    path.mkdir()
    (path / "duckdb").symlink_to(home.home / "duckdb", target_is_directory=True)
    return Settings.model_validate({"home": path} | overrides)


@pytest.fixture(scope="module")
def plan(home: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read_plan(home))
    return found


@pytest.fixture(scope="module")
def web(home: Settings) -> list[str]:
    return [line for path in files_of(home, "sim_web") for line in lines_of(path)]


def files_of(settings: Settings, source: str) -> list[Path]:
    return sorted((settings.landing / source).iterdir())


def lines_of(path: Path) -> list[str]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()


def messages_of(settings: Settings, source: str) -> Iterator[dict[str, Any]]:
    for path in files_of(settings, source):
        yield from map(json.loads, lines_of(path))


def digests(settings: Settings) -> dict[str, str]:
    return {str(path.relative_to(settings.landing)): hash_file(path) for path in sorted(settings.landing.rglob("*.*"))}


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    """The lines that are JSON."""
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def test_equal_seeds_give_equal_bytes_and_another_seed_changes_only_the_simulated_layer(
    home: Settings, tmp_path: Path
) -> None:
    again, other = beside(home, tmp_path / "again", duckdb_threads=1), beside(home, tmp_path / "other", seed=7)
    generate(again, HOUSEHOLDS)
    generate(other, HOUSEHOLDS)
    assert digests(again) == digests(home)
    differing = {name.split("/")[0] for name, digest in digests(home).items() if digests(other).get(name) != digest}
    assert differing == CARRIES_EMAIL


def test_orders_are_the_package_to_the_cent(home: Settings) -> None:
    orders = [message["properties"] for message in messages_of(home, "pos")]
    households = sorted({message["loyaltyId"] for message in messages_of(home, "pos")})
    lines = [line for order in orders for line in order["products"]]
    with Database(home, 1) as database:  # counted in the package itself, not in the chosen part
        ids = ", ".join(households)
        expected = database.row(
            "select count(distinct basket_id), count(*), sum(sales_value::decimal(18, 2)), sum(quantity)"
            f" from read_parquet('{package_file('transactions')}') where household_id in ({ids})"
        )
    assert len(households) == HOUSEHOLDS
    found = (
        len(orders),
        len(lines),
        sum(cents(line["sales_value"]) for line in lines),
        sum(line["quantity"] for line in lines),
    )
    assert found == expected
    assert all(
        cents(order["total"]) == sum(cents(line["sales_value"]) for line in order["products"]) for order in orders
    )
    assert all(sorted(map(product, order["products"])) == list(map(product, order["products"])) for order in orders)


def cents(value: float) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def product(line: dict[str, str]) -> int:
    return int(line["product_id"])


def test_the_plan_states_what_the_package_holds(home: Settings, plan: dict[str, Any]) -> None:
    lines = [line for message in messages_of(home, "pos") for line in message["properties"]["products"]]
    catalog = {row.split(",")[0] for row in lines_of(files_of(home, "catalog")[0])[1:]}
    real = plan["real"]
    assert real["order_lines"] == len(lines)
    assert real["lines_without_sales"] == sum(line["sales_value"] <= 0 for line in lines) > 0
    assert real["lines_without_quantity"] == sum(line["quantity"] == 0 for line in lines) > 0
    assert real["lines_absent_from_catalog"] == sum(line["product_id"] not in catalog for line in lines) > 0
    assert real["campaign_sends"] == len(list(messages_of(home, "campaign_sends"))) > 0


def test_planned_faults_are_in_the_files(plan: dict[str, Any], web: list[str]) -> None:
    planted = plan["planted"]["sim_web"]
    broken = {kind: entry["messages"] for kind, entry in planted["broken_by_kind"].items()}
    assert planted["messages"] == len(web)
    assert planted["messages"] == sum(planted[fate] for fate in ("accepted", "duplicates", "suppressed", "broken"))
    assert len(web) - len(set(web)) == planted["duplicates"] > 0
    assert Counter(map(fault, web)) == Counter(broken) + Counter({None: planted["messages"] - sum(broken.values())})
    assert set(broken) == set(shares.BROKEN_KINDS)
    assert sum(map(is_suppressed, web)) == planted["suppressed"] > 0
    accepted = [json.loads(line) for line in set(web) if fault(line) is None and not is_suppressed(line)]
    assert Counter(message.get("event", message["type"]) for message in accepted) == planted["accepted_by_name"]
    assert len(accepted) == planted["accepted"]
    waits = [received - happened for happened, received in map(times, accepted)]
    assert sum(wait > timedelta(hours=1) for wait in waits) == planted["late"] > 0


def fault(line: str) -> str | None:
    """Which of the planned faults the line has, told from the line alone."""
    try:
        message = json.loads(line)
    except ValueError:
        return "truncated_json"
    body = message.get("properties", {})
    known = {"page", "identify", *contracts.sources()["sim_web"].events}
    faults = {
        "no_message_id": "messageId" not in message,
        "unknown_event_name": message.get("event", message["type"]) not in known,
        "timestamp_is_a_word": message["timestamp"] == "yesterday",
        "no_identifier": not {"userId", "anonymousId"} & set(message),
        "no_product_id": message.get("event") == "Product Viewed" and "product_id" not in body,
        "quantity_is_text": isinstance(body.get("quantity"), str),
        "quantity_is_huge": isinstance(body.get("quantity"), int) and body["quantity"] > 1000,
    }
    found = [kind for kind, has_it in faults.items() if has_it]
    assert len(found) <= 1, "a message is broken in one way at most"
    return found[0] if found else None


def is_suppressed(line: str) -> bool:
    return fault(line) is None and '"Analytics":false' in line


def times(message: dict[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(message["timestamp"]), datetime.fromisoformat(message["receivedAt"])


def contract_breaches(message: dict[str, Any]) -> set[str]:
    """Fields of the message that its event contract does not allow; a plain reading of the contract, without Spark."""
    contract = contracts.events()[message.get("event", message["type"])]
    body = message["traits" if contract.type == "identify" else "properties"]
    found = set(body) - set(contract.properties)
    for name, field in contract.properties.items():
        value = body.get(name)
        if value is None:
            found |= {name} if field.required else set()
            continue
        kinds = {"string": str, "integer": int, "number": (int, float), "array": list}
        low, high = field.min, field.max
        is_out = isinstance(value, int | float) and (value < (low or -1e18) or value > (high or 1e18))
        found |= {name} if is_out or not isinstance(value, kinds[field.type]) else set()
    return found


def test_every_message_that_is_not_broken_on_purpose_keeps_its_contract(home: Settings, web: list[str]) -> None:
    whole = [json.loads(line) for line in web if fault(line) is None]
    for source in ("pos", "campaign_sends", "coupon_redemptions", "sim_email"):
        allowed = contracts.sources()[source].events
        messages = list(messages_of(home, source))
        assert {message["event"] for message in messages} <= set(allowed)
        assert len({message["messageId"] for message in messages}) == len(messages)
        whole += messages
    assert Counter(name for message in whole for name in contract_breaches(message)) == Counter()


def test_nothing_is_received_after_the_clock_or_before_it_happened(home: Settings, web: list[str]) -> None:
    events = [name for name in SAMPLE_FILES if contracts.sources()[name].kind == "events" and name != "sim_web"]
    whole = [message for name in events for message in messages_of(home, name)]
    whole += [message for message in parsed(web) if message["timestamp"] != "yesterday"]
    assert max(times(message)[1] for message in whole) <= shares.SAMPLE_NOW
    assert all(happened <= received for happened, received in map(times, whole))


def test_simulated_sources_say_so_and_only_they_carry_emails(home: Settings, plan: dict[str, Any]) -> None:
    sources = {folder.name for folder in home.landing.iterdir()}
    assert sources == set(SAMPLE_FILES) <= set(contracts.sources())
    assert {entry["source"] for entry in plan["files"] if entry["is_simulated"]} == CARRIES_EMAIL
    for source in sources:
        text = "\n".join(line for path in files_of(home, source) for line in lines_of(path))
        assert bool(EMAIL.search(text)) == (source in CARRIES_EMAIL), source
    assert not EMAIL.search(plan_file(home).read_text())


def test_emails_on_the_web_are_in_logins_only_and_at_reserved_domains(home: Settings, web: list[str]) -> None:
    carriers = [message for message in parsed(web) if EMAIL.search(json.dumps(message))]
    assert {message["type"] for message in carriers} == {"identify"}
    domains = {message["traits"]["email"].lower().split("@")[1] for message in carriers}
    domains |= {message["context"]["traits"]["email"].split("@")[1] for message in messages_of(home, "sim_email")}
    assert domains <= {"example.com", "example.org", "example.net"}


def test_headers_of_record_files_are_the_contracts(home: Settings) -> None:
    for name in SAMPLE_FILES:
        source = contracts.sources()[name]
        if source.kind == "records":
            (path,) = files_of(home, name)
            assert lines_of(path)[0].split(",") == list(source.columns), name


def test_files_of_the_sample_are_known_by_their_names(home: Settings) -> None:
    assert own_files(home) == []
    assert {path.name for path in home.landing.iterdir()} == set(SAMPLE_FILES)
    assert held_households(home) == HOUSEHOLDS


def test_a_second_run_writes_nothing_and_another_sample_is_refused(home: Settings) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.landing.rglob("*.*")}
    assert not generate(home, HOUSEHOLDS).is_new
    assert not list(home.landing.rglob(".*"))
    with pytest.raises(UsageError, match="holds another sample"):
        generate(home, HOUSEHOLDS + 1)
    assert {path: path.stat().st_mtime_ns for path in home.landing.rglob("*.*")} == before


def test_a_lost_file_is_made_again_and_the_others_are_left_alone(home: Settings) -> None:
    before, kept = digests(home), home.landing / "catalog" / "products.csv.gz"
    written_at = kept.stat().st_mtime_ns
    files_of(home, "pos")[0].unlink()
    assert generate(home, HOUSEHOLDS).is_new
    assert digests(home) == before
    assert kept.stat().st_mtime_ns == written_at


def test_force_replaces_another_sample_and_removes_only_its_own_files(
    home: Settings, called: tuple[Settings, str], tmp_path: Path
) -> None:
    settings = beside(home, tmp_path / "copy")
    for part in ("landing", "reports"):
        shutil.copytree(home.home / part, settings.home / part)
    shutil.copy(marker_file(home), marker_file(settings))
    (settings.landing / "sim_web" / "mine.ndjson").write_text("{}\n")
    assert generate(settings, 1, force=True).is_new
    found = digests(settings)
    assert found.pop("sim_web/mine.ndjson")
    assert found == digests(called[0])


def test_the_command_fixes_the_clock_and_prints_seed_and_files(called: tuple[Settings, str]) -> None:
    settings, output = called
    assert "seed: 20180102" in output
    assert "sim_web" in output
    assert load_settings(home=str(settings.home)).now == shares.SAMPLE_NOW
    call = ["--home", str(settings.home), "sample"]
    assert json.loads(CliRunner().invoke(cli, [*call, "describe"]).output)["real"]["households"] == 1
    assert "already" in CliRunner().invoke(cli, [*call, "generate", "--households", "1"]).output


def test_settings_of_the_home_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "settings.yml"
    file.write_text("seed: 4\n")
    assert not set_clock(Settings(home=tmp_path))
    assert file.read_text() == "seed: 4\n"


def test_describe_without_a_sample_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="c360 sample generate"):
        read_plan(Settings(home=tmp_path))
