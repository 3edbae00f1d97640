"""`c360 identity evaluate`: links the records of a file whose truth is known, by exact rules and by probabilities, and says
how well each did. Reads the file and nothing else; writes nothing."""

import re
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.core.command import hint
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.identity.components import connected
from jobs.identity.edges import Ints, Mask
from jobs.identity.linkage import clusters, scores
from jobs.identity.linkage.config import COLUMNS, LinkageConfig, load_linkage, usable
from jobs.identity.linkage.records import TABLE, make_records, quoted
from jobs.lake import duck

FILE = "linkage_file"
LABEL_COLUMNS = ("clerical_match_score", "match", "is_match")
SAME = 0.5  # a label of at least this says: one person


@dataclass(frozen=True)
class Request:
    """What to evaluate. `columns`: ours → theirs, beside those that have our name already. `entity_pattern`: the first group
    of this regular expression, or all that it matches, is the entity. `link`: another threshold than the configured one."""

    records: Path
    entity_column: str
    columns: Mapping[str, str] = field(default_factory=dict)
    entity_pattern: str = ""
    label_pairs: Path | None = None
    link: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """`methods`: deterministic and probabilistic → their figures, as printed by --json."""

    records: int
    entities: int
    columns: list[str]
    config: LinkageConfig
    methods: dict[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        asked = {"link_threshold": self.config.link, "seed": self.config.seed, "columns": self.columns}
        return {"records": self.records, "entities": self.entities} | asked | self.methods


@dataclass(frozen=True)
class Truth:
    """`entity[record]`, -1 where it is not known; labelled pairs of records, and what a person said of each."""

    entity: Ints
    a: Ints
    b: Ints
    is_match: Mask

    def figures(self, label: Ints, seconds: float) -> dict[str, Any]:
        """How the groups compare; records without an entity count for labelled pairs only."""
        known = self.entity >= 0
        found: dict[str, Any] = {
            "pairwise": scores.pairwise(self.entity[known], label[known]).as_dict(),
            "cluster": scores.clusters(self.entity[known], label[known]).as_dict(),
            "clusters": len(np.unique(label)),
            "largest_cluster": int(np.bincount(label).max()),
            "seconds": round(seconds, 2),
        }
        if len(self.a):
            is_linked = label[self.a] == label[self.b]
            found["label_pairs"] = scores.labelled(self.is_match, is_linked).as_dict() | {"pairs": len(self.a)}
        return found


def evaluate(settings: Settings, request: Request) -> Evaluation:
    """Raises UsageError for a file or a column that is not there, and where fewer than two columns can be compared."""
    config = load_linkage()
    if request.link is not None:
        config = config.model_copy(update={"link": request.link})
    with closing(duck.connect(settings)) as connection:
        theirs = duck.load_file(connection, FILE, request.records)
        columns = mapped(theirs, request.columns)
        make_records(connection, FILE, columns)
        truth = _truth(connection, request, theirs)
        methods = {
            "deterministic": _deterministic(connection, list(columns), config, truth),
            "probabilistic": _probabilistic(connection, list(columns), config, truth),
        }
    entities = len(np.unique(truth.entity[truth.entity >= 0]))
    return Evaluation(len(truth.entity), entities, list(columns), config, methods)


def mapped(theirs: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """Ours → theirs, in our order. `theirs`: name without blanks around it → name as it stands in the file."""
    for ours, name in asked.items():
        if ours not in COLUMNS:
            raise UsageError(f"--map: no column {ours!r} in a record.{hint(ours, list(COLUMNS))}")
        if name not in theirs:
            raise UsageError(f"--map: no column {name!r} in the file.{hint(name, list(theirs))}")
    wanted = {name: name for name in COLUMNS if name in theirs} | dict(asked)
    if len(wanted) < 2:
        raise UsageError(f"at least two columns to compare are needed; map yours to: {', '.join(COLUMNS)}")
    return {ours: theirs[wanted[ours]] for ours in COLUMNS if ours in wanted}


def _column(theirs: Mapping[str, str], name: str, option: str) -> str:
    if name not in theirs:
        raise UsageError(f"{option}: no column {name!r} in the file.{hint(name, list(theirs))}")
    return quoted(theirs[name])


def _truth(connection: Any, request: Request, theirs: Mapping[str, str]) -> Truth:
    entity = f"trim(cast({_column(theirs, request.entity_column, '--entity-column')} as varchar))"
    given = pa.array(
        [row[0] or None for row in connection.execute(f"select {entity} from {FILE}").fetchall()], pa.string()
    )
    if request.entity_pattern:
        given = _extracted(given, request.entity_pattern)
    codes = given.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if not (codes >= 0).any():
        raise UsageError(f"--entity-column: {request.entity_column!r} names no entity")
    nothing = np.empty(0, np.int64)
    if request.label_pairs is None:
        return Truth(codes, nothing, nothing, nothing.astype(np.bool_))
    return Truth(codes, *_labels(connection, request.label_pairs, theirs))


def _extracted(values: pa.Array, pattern: str) -> pa.Array:
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--entity-pattern: {error}") from error
    found = [wanted.search(value) if value else None for value in values.to_pylist()]
    return pa.array([(match[1] if wanted.groups else match[0]) if match else None for match in found], pa.string())


def _labels(connection: Any, path: Path, theirs: Mapping[str, str]) -> tuple[Ints, Ints, Mask]:
    """Pairs by their record numbers: `<id column>_l`, `<id column>_r` and a score. Raises UsageError when they are not there."""
    labels = duck.load_file(connection, "linkage_labels", path)
    key = next((name for name in theirs if {f"{name}_l", f"{name}_r"} <= set(labels)), None)
    score = next((name for name in LABEL_COLUMNS if name in labels), None)
    if key is None or score is None:
        wanted = "<column>_l and <column>_r of a column of the records, and clerical_match_score"
        raise UsageError(f"--label-pairs: {path} needs the columns {wanted}; it has {', '.join(labels)}")
    numbered = (
        f"select row_number() over () - 1 as record, trim(cast({quoted(theirs[key])} as varchar)) as id from {FILE}"
    )
    said = f"trim(cast(p.{quoted(labels[score])} as varchar))"
    rows = connection.execute(
        f"""
        with numbered as ({numbered})
        select l.record, r.record,
            coalesce(try_cast({said} as double), cast(try_cast({said} as boolean) as double)) >= {SAME}
        from linkage_labels as p
        inner join numbered as l on l.id = trim(cast(p.{quoted(labels[f"{key}_l"])} as varchar))
        inner join numbered as r on r.id = trim(cast(p.{quoted(labels[f"{key}_r"])} as varchar))
        """
    ).fetchall()
    if not rows:
        raise UsageError(f"--label-pairs: no pair of {path} names two records by {key!r}")
    a, b, is_match = zip(*rows, strict=True)
    if None in is_match:
        raise UsageError(
            f"--label-pairs: {score!r} of {path} is neither a number nor true or false in {is_match.count(None)} rows"
        )
    return np.asarray(a, np.int64), np.asarray(b, np.int64), np.asarray([bool(m) for m in is_match])


def _deterministic(connection: Any, columns: list[str], config: LinkageConfig, truth: Truth) -> dict[str, Any]:
    started = time.perf_counter()
    links = [np.empty((0, 2), np.int64)]
    rules = usable(config.deterministic, columns)
    for rule in rules:  # a star to the first record has the same components as all pairs
        names = ", ".join(rule)
        present = " and ".join(f"{column} is not null" for column in rule)
        star = f"select record, min(record) over (partition by {names}) as first from {TABLE} where {present}"
        found = connection.execute(f"select first, record from ({star}) where first < record").fetchall()
        links.append(np.asarray(found, np.int64).reshape(-1, 2))
    pairs = np.concatenate(links)
    label = connected(len(truth.entity), pairs[:, 0], pairs[:, 1])
    told = {"rules": [list(rule) for rule in rules]}
    return told | truth.figures(label, time.perf_counter() - started)


def _probabilistic(connection: Any, columns: list[str], config: LinkageConfig, truth: Truth) -> dict[str, Any]:
    from jobs.identity.linkage.model import compared

    started = time.perf_counter()
    pairs = compared(connection, columns, config)
    groups = clusters.group(len(truth.entity), pairs, link=config.link, support=config.support, largest=config.largest)
    to_review = groups.refused | ((pairs.probability >= config.review) & (pairs.probability < config.link))
    told = {
        "pairs_compared": len(pairs),
        "pairs_linked": int((pairs.probability >= config.link).sum()),
        "pairs_refused": int(groups.refused.sum()),
        "pairs_to_review": int(to_review.sum()),
    }
    return told | truth.figures(groups.label, time.perf_counter() - started)
