"""Compares the records of people in the vault and writes which pairs are one person: table `identity_matches`.

Resolution takes the linked pairs as links, weaker than anything that was seen together. Weights are those of the last training;
what a person has decided on a pair counts more than its probability.
"""

import logging
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
from jobs.identity.edges import Connection, known_among
from jobs.identity.linkage.clusters import Pairs, group
from jobs.identity.linkage.config import LinkageConfig, load_linkage, usable
from jobs.identity.linkage.decisions import ACCEPTED, REJECTED, Decision, read_decisions
from jobs.identity.linkage.people import People, open_people, people_of
from jobs.identity.linkage.weights import Weights, read_weights, write_weights
from jobs.identity.matches import LINKED, TABLE
from jobs.identity.rules import Rules
from jobs.lake.duck import lake_connection
from jobs.lake.schema import arrow_schema
from jobs.privacy import persons

UNCERTAIN, UNSUPPORTED = "uncertain", "unsupported"
log = logging.getLogger(__name__)
CERTAIN = 1 - 2**-40  # a probability that a weight in bits can be made of
NEVER = -np.inf  # whatever else speaks for two groups, the mean over all their pairs stays below any support
UNWEIGHED = "none"


@dataclass(frozen=True)
class Matched:
    """Figures of one comparison."""

    records: int = 0
    linked: int = 0
    left_open: int = 0
    has_trained: bool = False
    table: pa.Table | None = None


def match_people(context: Context, rules: Rules, blocked: list[str]) -> Matched:
    """Makes the rows of `identity_matches`. `blocked` as `Rules.blocked_of_type` gives it. The first time, or when the
    comparisons have changed, weights are learned before, and written. Fewer records than `least_records` are not compared, nor
    those that say too little; what a person has decided counts all the same."""
    settings, config = context.settings, load_linkage()
    people = _read_people(context, rules, blocked)
    pairs, version, has_trained = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)), UNWEIGHED, False
    if len(people.records) >= config.least_records:
        with open_people(settings, people) as (connection, columns):
            weights, has_trained = _weights(context, connection, columns, config, people)
            if weights is None:
                log.warning(
                    "records of people are not compared: they say too little (of what the weights know), or too few of them "
                    "agree to learn from; see: c360 identity train"
                )
            else:
                pairs, version = _compared(connection, columns, config, weights), weights.version
    rows = _rows(settings, people, pairs, config, version)
    outcomes = [row["outcome"] for row in rows]
    left_open = outcomes.count(UNCERTAIN) + outcomes.count(UNSUPPORTED)
    table = pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(TABLE).contract))
    return Matched(len(people.records), outcomes.count(LINKED), left_open, has_trained, table)


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
        weights, is_new = _train(context, connection, columns, config, people)
    if not weights.say_something:
        raise UsageError("too few records of people agree to learn from; the weights are as they were")
    return weights, is_new


def _read_people(context: Context, rules: Rules, blocked: list[str]) -> People:
    """Records whose strongest identifier the rules let through, and silver has seen."""
    settings = context.settings
    records = persons.read(context, purpose="identity:match")
    if not records:
        return People([], [])
    renamed = aliases.read_aliases(settings)
    said = {(kind, renamed.get(value, value)) for record in records for kind, value in record.identifiers}
    with closing(lake_connection(settings, ("silver_identifiers", aliases.TABLE))) as connection:
        aliases.see_through(connection)
        known = known_among(connection, rules, said, blocked)
    return people_of(records, rules.type_names, renamed, known)


def _can_compare(connection: Connection, columns: list[str], config: LinkageConfig) -> bool:
    from jobs.identity.linkage.model import affordable

    return len(columns) >= 2 and bool(affordable(connection, usable(config.blocking, columns), config.most_pairs))


def _weights(
    context: Context, connection: Connection, columns: list[str], config: LinkageConfig, people: People
) -> tuple[Weights | None, bool]:
    """The weights to compare by, and whether they are new; None where nothing can be compared, or was learned. Weights that
    are kept compare by the columns that they know, and no others."""
    from jobs.identity.linkage.model import fits

    weights, is_new = read_weights(context.settings), False
    if weights is not None and not fits(weights):
        weights = None
    known = columns if weights is None else [column for column in columns if column in weights.levels]
    if not _can_compare(connection, known, config):
        return None, False
    if weights is None:
        weights, is_new = _train(context, connection, columns, config, people)
    return (weights, is_new) if weights.say_something else (None, False)


def _train(
    context: Context, connection: Connection, columns: list[str], config: LinkageConfig, people: People
) -> tuple[Weights, bool]:
    from jobs.identity.linkage.model import trained

    weights = trained(connection, columns, config)
    is_new = weights.say_something and write_weights(
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
    settings: Settings, people: People, pairs: Pairs, config: LinkageConfig, version: str
) -> list[dict[str, Any]]:
    """What the table gets: linked pairs, those that a person should look at or has decided on; none of two records of one
    identifier."""
    decisions = read_decisions(settings)
    pairs = _with_decided(people, pairs, decisions)
    ids = [pair_id(people.name(a), people.name(b)) for a, b in zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)]
    said = np.asarray([decisions[found].decision if found in decisions else "" for found in ids], dtype="U16")
    judged = Pairs(
        pairs.a, pairs.b, np.select([said == ACCEPTED, said == REJECTED], [CERTAIN, NEVER], pairs.probability)
    )
    groups = group(len(people.records), judged, link=config.accept, support=config.support, largest=config.largest)
    together = (groups.label[pairs.a] == groups.label[pairs.b]) & (judged.probability >= config.accept)
    outcome = np.select(
        [said == REJECTED, together | (said == ACCEPTED), groups.refused, pairs.probability >= config.review],
        [REJECTED, LINKED, UNSUPPORTED, UNCERTAIN],
        "",
    )
    anchors, rows = people.anchors, []
    for place in np.flatnonzero(outcome != "").tolist():
        a, b = sorted((int(pairs.a[place]), int(pairs.b[place])), key=people.name)
        if anchors[a] != anchors[b]:
            told = {"outcome": str(outcome[place]), "is_decided": bool(said[place])}
            row = _row(people, a, b, probability=float(judged.probability[place]))
            rows.append({"pair_id": ids[place], "model_version": version} | row | told)
    return sorted(rows, key=lambda row: str(row["pair_id"]))


def _with_decided(people: People, pairs: Pairs, decisions: Mapping[str, Decision]) -> Pairs:
    """With the pairs that a person has decided on and that nothing brings together any more: a changed address takes no word
    back."""
    number = {people.name(record): record for record in range(len(people.records))} if decisions else {}
    there = set(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)) if decisions else set()
    ends = [(number.get(one.record_a, -1), number.get(one.record_b, -1)) for one in decisions.values()]
    added = [(min(pair), max(pair)) for pair in ends if min(pair) >= 0 and (min(pair), max(pair)) not in there]
    more = np.asarray(sorted(added), np.int64).reshape(-1, 2)
    return Pairs(
        np.concatenate([pairs.a, more[:, 0]]),
        np.concatenate([pairs.b, more[:, 1]]),
        np.concatenate([pairs.probability, np.zeros(len(more))]),
    )


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
