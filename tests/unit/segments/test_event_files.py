"""`c360 segments evaluate`: members by a file of events, the same by both ways, and lines that are no events."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from settingskit import make_settings

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.segments.commands import group
from jobs.segments.evaluate.event_lines import LineError, event_of, read_lines

NOW = datetime(2024, 3, 4, tzinfo=UTC)
RULES = {
    "buyers": "{event: Order Completed, last: 2 days}",
    "browsers": "{all: [{event: page, gte: 2, last: 1 day}, {not: {segment: buyers}}]}",
    "marked": "{all: [{trait: is_simulated, is_null: false}, {event: page, gte: 3}]}",
}
MESSAGE = {
    "messageId": "m",
    "type": "track",
    "event": "Order Completed",
    "userId": "u",
    "timestamp": "2024-03-04T00:00:00Z",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("segments", "traits"):
        (tmp_path / name).mkdir()
    for name, rule in RULES.items():
        text = f"name: {name}\ndescription: Used by the tests of event files.\nrule: {rule}\n"
        (tmp_path / "segments" / f"{name}.yml").write_text(text, encoding="utf-8")
    return tmp_path


def called(folder: Path, lines: list[str], engine: str, moment: str = "2024-03-10T00:00:00Z") -> tuple[Any, str]:
    (folder / "e.jsonl").write_text("\n".join(lines), encoding="utf-8")
    context = Context(make_settings(folder / "home"), Clock(NOW), "test")
    arguments = ["evaluate", "--events", str(folder / "e.jsonl"), "--definitions", str(folder), "--as-of", moment]
    out = folder / "m.csv"
    found = CliRunner().invoke(
        group, [*arguments, "--engine", engine, "--out", str(out)], obj=context, standalone_mode=False
    )
    return found, out.read_text(encoding="utf-8")


def message(**changes: Any) -> str:
    return json.dumps({k: v for k, v in (MESSAGE | changes).items() if v is not None})


def test_both_ways_write_the_same_members(folder: Path) -> None:
    chance = random.Random(5)
    lines = []
    for number in range(120):
        at = NOW + timedelta(minutes=chance.randrange(7 * 1440))
        late = at + timedelta(minutes=chance.choice((0, 0, 300)))
        kind = {"type": "page", "event": None} if chance.random() < 0.6 else {}
        who = {"userId": f"u{chance.randrange(9)}", "receivedAt": late.isoformat()}
        lines.append(message(messageId=str(number), timestamp=at.isoformat(), **who, **kind))
    (batch, members), (stream, streamed) = called(folder, lines, "batch"), called(folder, lines, "stream")
    assert (batch.exit_code, stream.exit_code) == (0, 0), batch.output + stream.output
    assert members == streamed
    assert members.splitlines()[0] == "profile_id,segment"
    assert {line.split(",")[1] for line in members.splitlines()[1:]} == set(RULES)
    assert members.splitlines()[1:] == sorted(members.splitlines()[1:])


@pytest.mark.parametrize("engine", ["batch", "stream"])
def test_refused_lines_stand_beside_with_their_reason(folder: Path, engine: str) -> None:
    lines = [message(), "{", message(), message(messageId="other", receivedAt="2024-03-11T00:00:00Z")]
    found, members = called(folder, lines, engine, "2024-03-05T00:00:00Z")
    assert found.return_value == 4
    assert "2 lines refused" in found.output
    assert members == "profile_id,segment\nu,buyers\n"
    refused = [json.loads(line) for line in (folder / "m.csv.refused.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["line"] for line in refused] == [2, 3]
    assert refused[1]["reason"] == "this messageId has come before"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "trace"}, "type is none of"),
        ({"userId": None}, "neither userId nor anonymousId"),
        ({"userId": 7}, "userId is no text"),
        ({"event": None}, "a track without event"),
        ({"timestamp": None}, "neither timestamp nor receivedAt"),
        ({"timestamp": "yesterday"}, "timestamp is no ISO 8601 time"),
        ({"timestamp": "0001-01-01T00:00:00+01:00"}, "timestamp is no ISO 8601 time, or out of range"),
        ({"properties": [1]}, "properties are no object"),
        ({"messageId": None}, "no messageId"),
    ],
)
def test_what_is_no_event(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(LineError, match=reason):
        event_of(json.loads(message(**changes)), 1)


@pytest.mark.parametrize(
    "text",
    [
        *(b"7", b'{"a":1,"a":2}', b'{"a":1e999}', b'{"a":NaN}', b'"\xff"', b'{"a":"\\ud800"}', b"[" * 100_000),
        b'{"a":' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_no_sound_json(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "e.jsonl").write_bytes(text + b"\n\n")
    assert [type(line).__name__ for line in read_lines(tmp_path / "e.jsonl")] == ["Refused"]


def test_an_event_counts_at_its_time_but_not_after_its_receipt() -> None:
    found = event_of(json.loads(message(timestamp="2024-03-04T02:00:00+01:00", receivedAt="2024-03-04T00:30:00")), 3)
    assert found["effective_at"] == found["received_at"] == NOW + timedelta(minutes=30)
    assert event_of(json.loads(message(userId=None, anonymousId="a")), 3)["profile_id"] == "a"
