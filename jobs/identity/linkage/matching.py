"""Compares the records of people in the vault and writes which pairs are one person: table `identity_matches`.

Resolution takes the linked pairs as links, weaker than anything that was seen together. Weights are those of the last training;
what a person has decided on a pair counts more than its probability.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.identity import aliases
from jobs.identity.edges import Connection, Mask, read_nodes
from jobs.identity.linkage.clusters import Pairs, group
from jobs.identity.linkage.config import LinkageConfig, load_linkage
from jobs.identity.linkage.decisions import ACCEPTED, read_decisions
from jobs.identity.linkage.people import Identifier, People, open_people, people_of
from jobs.identity.linkage.weights import Weights, read_weights, write_weights
from jobs.identity.rules import Rules
from jobs.lake.duck import lake_connection
from jobs.lake.schema import arrow_schema
from jobs.lake.swap import replace_if_changed
from jobs.privacy import persons

TABLE = "identity_matches"
LINKED, UNCERTAIN, UNSUPPORTED = "linked", "uncertain", "unsupported"
CERTAIN = 1 - 2**-40  # a probability that a weight in bits can be made of


@dataclass(frozen=True)
class Matched:
    """Figures of one comparison."""

    records: int = 0
    linked: int = 0
    for_review: int = 0
    has_trained: bool = False


def match_people(context: Context, rules: Rules, blocked: list[str]) -> Matched:
    """Swaps the table `identity_matches`. `blocked` as `Rules.blocked_of_type` gives it. The first time, or when the
    comparisons have changed, weights are learned before. Fewer records than `least_records` are not compared."""
    settings, config = context.settings, load_linkage()
    people = _read_people(context, rules, blocked)
    if len(people.records) < config.least_records:
        _write(settings, [])
        return Matched(len(people.records))
    with open_people(settings, people) as (connection, columns):
        weights, has_trained = _weights(context, connection, columns, config, people)
        pairs = _compared(connection, columns, config, weights)
    rows = _rows(settings, people, pairs, config, weights)
    _write(settings, rows)
    linked = sum(row["outcome"] == LINKED for row in rows)
    return Matched(len(people.records), linked, len(rows) - linked, has_trained)


def train(context: Context, rules: Rules, blocked: list[str]) -> tuple[Weights, bool]:
    """Learns the weights from all records of people; the weights, and whether they differ from those before.

    Raises UsageError where there are too few records.
    """
    settings, config = context.settings, load_linkage()
    people = _read_people(context, rules, blocked)
    if len(people.records) < config.least_records:
        raise UsageError(
            f"{len(people.records):,} records of people are too few to learn from; linkage.yml asks for {config.least_records:,}"
        )
    with open_people(settings, people) as (connection, columns):
        return _train(context, connection, columns, config, people)


def _read_people(context: Context, rules: Rules, blocked: list[str]) -> People:
    """Records whose strongest identifier the rules let through, and silver has seen."""
    settings = context.settings
    records = persons.read(context, purpose="identity:match")
    if not records:
        return People([], [])
    with closing(lake_connection(settings, ("silver_identifiers", aliases.TABLE))) as connection:
        aliases.see_through(connection)
        nodes = read_nodes(connection, rules, blocked)
    known = set(zip(nodes.types, nodes.values, strict=True))
    return people_of(records, rules.type_names, aliases.read_aliases(settings), known)


def _weights(
    context: Context, connection: Connection, columns: list[str], config: LinkageConfig, people: People
) -> tuple[Weights, bool]:
    from jobs.identity.linkage.model import fits

    weights = read_weights(context.settings)
    if weights is not None and fits(weights):
        return weights, False
    return _train(context, connection, columns, config, people)[0], True


def _train(
    context: Context, connection: Connection, columns: list[str], config: LinkageConfig, people: People
) -> tuple[Weights, bool]:
    from jobs.identity.linkage.model import trained

    weights = trained(connection, columns, config)
    is_new = write_weights(
        context.settings,
        weights,
        trained_at=context.clock.now(),
        records=len(people.records),
        simulated=all(_is_simulated(record.source) for record in people.records),
    )
    return weights, is_new


def _compared(connection: Connection, columns: list[str], config: LinkageConfig, weights: Weights) -> Pairs:
    from jobs.identity.linkage.model import compared

    return compared(connection, columns, config, weights)


def _rows(
    settings: Settings, people: People, pairs: Pairs, config: LinkageConfig, weights: Weights
) -> list[dict[str, Any]]:
    """What the table gets: linked pairs, and those that a person should look at; none of two records of one identifier."""
    numbers = zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)
    ids = [pair_id(people.name(a), people.name(b)) for a, b in numbers]
    decisions = read_decisions(settings)
    told = np.asarray([_told(decisions.get(found)) for found in ids], dtype=np.float64)
    is_decided = ~np.isnan(told)
    judged = Pairs(pairs.a, pairs.b, np.where(is_decided, told, pairs.probability))
    groups = group(len(people.records), judged, link=config.accept, support=config.support, largest=config.largest)
    is_linked = (groups.label[pairs.a] == groups.label[pairs.b]) & (judged.probability >= config.accept)
    outcome = _outcomes(judged, is_linked | (told == CERTAIN), groups.refused, config.review)
    anchors = people.anchors
    rows = []
    for place in np.flatnonzero(outcome != "").tolist():
        a, b = int(pairs.a[place]), int(pairs.b[place])
        if anchors[a] == anchors[b]:
            continue
        row = _row(people, *sorted((a, b), key=people.name), probability=float(judged.probability[place]))
        decided = {"outcome": str(outcome[place]), "is_decided": bool(is_decided[place])}
        rows.append({"pair_id": ids[place], "model_version": weights.version} | row | decided)
    return sorted(rows, key=lambda row: str(row["pair_id"]))


def _told(decision: str | None) -> float:
    """The probability that a person's word stands for; NaN without one."""
    return float("nan") if decision is None else CERTAIN if decision == ACCEPTED else 0.0


def _outcomes(pairs: Pairs, is_linked: Mask, is_refused: Mask, review: float) -> Any:
    found = np.full(len(pairs), "", dtype="U16")
    found[pairs.probability >= review] = UNCERTAIN
    found[is_refused] = UNSUPPORTED
    found[is_linked] = LINKED
    return found


def pair_id(one: str, other: str) -> str:
    """Sixteen hex digits for two records, by their names in any order."""
    return hash_parts(sorted((one, other)))[:16]


def _row(people: People, a: int, b: int, *, probability: float) -> dict[str, Any]:
    records = people.records[a], people.records[b]
    probability = min(max(probability, 1 - CERTAIN), CERTAIN)
    row: dict[str, Any] = {
        "match_probability": probability,
        "match_weight": float(np.log2(probability / (1 - probability))),
        "seen_at": np.datetime64(max(record.seen_at for record in records), "us").item(),
        "is_simulated": all(_is_simulated(record.source) for record in records),
    }
    for side, number in (("a", a), ("b", b)):
        kind, value = people.anchors[number]
        row |= {
            f"record_{side}": people.name(number),
            f"identifier_type_{side}": kind,
            f"identifier_value_{side}": value,
        }
    return row


def _is_simulated(source: str) -> bool:
    return source.startswith("sim_")


def _write(settings: Settings, rows: list[dict[str, Any]]) -> None:
    replace_if_changed(settings, TABLE, pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(TABLE).contract)))


def ends(row: Mapping[str, Any]) -> tuple[Identifier, Identifier]:
    """The two identifiers of a row of the table."""
    a, b = ((row[f"identifier_type_{side}"], row[f"identifier_value_{side}"]) for side in "ab")
    return a, b
