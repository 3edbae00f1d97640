"""The warehouse can be lost: every flipped byte, cut and loss is found, and the rebuild gives equal tables."""

import random

import yaml
from click.testing import CliRunner
from settingskit import SAMPLE_NOW
from warehousekit import Warehouse, hashes

from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.warehouse.commands import group
from jobs.warehouse.doctor import Kind, diagnose
from jobs.warehouse.reader import open_published

PLACES = 100


def flip(settings: Settings, place: int) -> None:
    with settings.warehouse_file.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def test_a_flipped_byte_is_found_wherever_it_is_and_so_is_a_cut(spare: Settings) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    size = spare.warehouse_file.stat().st_size
    places = [0, size - 1, *(chance.randrange(size) for _ in range(PLACES - 2))]
    found = []
    for place in places:
        flip(spare, place)
        found.append([finding.kind for finding in diagnose(spare)])
        flip(spare, place)
    missed = [place for place, kinds in zip(places, found, strict=True) if kinds != [Kind.DAMAGED]]
    assert missed == [], f"seed {seed}"
    assert diagnose(spare) == [], "put back, it is whole"
    whole = spare.warehouse_file.read_bytes()
    for length in (0, 1, size - 1, *(chance.randrange(size) for _ in range(10))):
        spare.warehouse_file.write_bytes(whole[:length])
        assert [finding.kind for finding in diagnose(spare)] == [Kind.DAMAGED], f"seed {seed}, cut to {length}"


def test_the_rebuild_gives_equal_tables(warehouse: Warehouse, spare: Settings) -> None:
    """By the commands themselves. A cut or lost file takes the same way: tests/unit/warehouse/test_warehouse_doctor.py."""
    (spare.home / "settings.yml").write_text(yaml.safe_dump({"now": SAMPLE_NOW.isoformat(), "duckdb_memory": "1GB"}))
    flip(spare, spare.warehouse_file.stat().st_size // 2)
    done = CliRunner().invoke(group, ["doctor", "--repair"], obj=Context.from_settings(spare), standalone_mode=False)
    assert (done.return_value, done.exception) == (0, None), done.output
    assert "the warehouse is built anew from the lake" in done.output
    connection = open_published(spare)
    try:
        assert hashes(connection) == warehouse.contents
    finally:
        connection.close()
