"""The door to Splink: comparisons of our columns, weights learned without labels, a probability per pair.

Fellegi and Sunter's model (1969): how often a column agrees among records of one person (m) and among strangers (u). `u` comes
from random pairs, `m` by expectation maximisation, the prior from the deterministic rules.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import splink.comparison_level_library as level
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink.internals.exceptions import EMTrainingException

from jobs.core.errors import UsageError
from jobs.identity.edges import Connection
from jobs.identity.linkage.clusters import Pairs
from jobs.identity.linkage.config import LinkageConfig, Rule, usable
from jobs.identity.linkage.records import TABLE
from jobs.identity.linkage.weights import Weights

log = logging.getLogger(__name__)
RAREST = 1e-9
UNTRAINED_PRIOR = 0.0001  # where no deterministic rule tells of it
CLOSE_NAME = [0.92, 0.88, 0.7]


def _email() -> Any:
    """Slips, not resemblance: an address is made of its owner's names, which are compared already, and two people of one name
    have addresses that resemble each other."""
    return compare.CustomComparison(
        output_column_name="email",
        comparison_levels=[
            level.NullLevel("email"),
            level.ExactMatchLevel("email"),
            level.CustomLevel(
                "split_part(email_l, '@', 1) = split_part(email_r, '@', 1)", label_for_charts="Exact match on username"
            ),
            level.DamerauLevenshteinLevel("email", 1),
            level.DamerauLevenshteinLevel("email", 2),
            level.ElseLevel(),
        ],
    )


COMPARISONS: dict[str, Callable[[], Any]] = {
    "given_name": lambda: compare.NameComparison("given_name", jaro_winkler_thresholds=CLOSE_NAME),
    "surname": lambda: compare.NameComparison("surname", jaro_winkler_thresholds=CLOSE_NAME),
    "birth_date": lambda: compare.DamerauLevenshteinAtThresholds("birth_date", [1, 2, 4]),
    "email": _email,
    "phone": lambda: compare.DamerauLevenshteinAtThresholds("phone", [1, 2]),
    "address": lambda: compare.JaroWinklerAtThresholds("address", [0.9, 0.8]),
    "city": lambda: compare.DamerauLevenshteinAtThresholds("city", [1, 2]),
    "postcode": lambda: compare.DamerauLevenshteinAtThresholds("postcode", [1]),
    "state": lambda: compare.ExactMatch("state"),
    "national_id": lambda: compare.DamerauLevenshteinAtThresholds("national_id", [1, 2]),
}


def compared(
    connection: Connection, columns: list[str], config: LinkageConfig, weights: Weights | None = None
) -> Pairs:
    """Gives each pair of records of the table `linkage_records` that some blocking rule brings together, and that is at least
    as probable as `floor`, its probability; by these weights and the columns that they know, or else by weights learned here.
    Raises UsageError where no rule brings few enough together."""
    wanted = columns if weights is None else [column for column in columns if column in weights.levels]
    linker = _linker(connection, wanted, config, weights)
    if weights is None:
        _train(linker, wanted, config)
    found = linker.inference.predict(threshold_match_probability=config.floor)
    table = found.as_duckdbpyrelation().to_arrow_table()
    a, b = (table[f"record_{side}"].to_numpy().astype(np.int64) for side in "lr")
    return Pairs(np.minimum(a, b), np.maximum(a, b), table["match_probability"].to_numpy().astype(np.float64))


def trained(connection: Connection, columns: list[str], config: LinkageConfig) -> Weights:
    """Learns the weights from the table `linkage_records`. Raises as `compared`."""
    linker = _linker(connection, columns, config, None)
    _train(linker, columns, config)
    model = linker.misc.save_model_to_json()
    levels = {
        comparison["output_column_name"]: [
            (one["label_for_charts"], _learned(one, "m_probability"), _learned(one, "u_probability"))
            for one in comparison["comparison_levels"]
            if not one.get("is_null_level")
        ]
        for comparison in model["comparisons"]
    }
    return Weights(float(model["probability_two_random_records_match"]), levels)


def _learned(level: Mapping[str, Any], name: str) -> float | None:
    """What was never seen among so few records is rare; that it is impossible nothing has shown."""
    found = level.get(name)
    return None if found is None else max(float(found), RAREST)


def fits(weights: Weights) -> bool:
    """Whether these are weights of the comparisons above, level by level: a changed comparison must be learned anew."""
    return all(
        column in COMPARISONS and [name for name, _, _ in levels] == _level_names(column)
        for column, levels in weights.levels.items()
    )


def _level_names(column: str) -> list[str]:
    levels = COMPARISONS[column]().get_comparison("duckdb").comparison_levels
    return [one.label_for_charts for one in levels if not one.is_null_level]


def _linker(connection: Connection, columns: list[str], config: LinkageConfig, weights: Weights | None) -> Linker:
    blocking = affordable(connection, usable(config.blocking, columns), config.most_pairs)
    if not blocking:  # without a rule every two records would be compared
        wanted = " · ".join(", ".join(rule) for rule in config.blocking)
        raise UsageError(
            f"nothing brings few enough pairs together by {', '.join(columns)}; map one of these too, or raise most_pairs: "
            + wanted
        )
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="record",
        comparisons=[_comparison(column, weights) for column in columns],
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in blocking],
        probability_two_random_records_match=UNTRAINED_PRIOR if weights is None else weights.prior,
    )
    api = DuckDBAPI(connection=cast(Any, connection))
    return Linker(api.register(TABLE), settings, log_level=logging.ERROR)


def _comparison(column: str, weights: Weights | None) -> Any:
    made = COMPARISONS[column]()
    if weights is None:
        return made
    m, u = ([one[place] for one in weights.levels[column]] for place in (1, 2))
    return made.configure(m_probabilities=m, u_probabilities=u)


def affordable(connection: Connection, rules: list[Rule], most_pairs: int) -> list[Rule]:
    """The blocking rules that compare at most so many pairs; of 100,000 Smiths every two would be compared by surname."""
    kept = []
    for rule in rules:
        names = ", ".join(rule)
        present = " and ".join(f"{column} is not null" for column in rule)
        counts = f"select count(*) as n from {TABLE} where {present} group by {names}"
        pairs = int(connection.execute(f"select coalesce(sum(n * (n - 1) // 2), 0) from ({counts})").fetchone()[0])
        if pairs <= most_pairs:
            kept.append(rule)
        else:
            log.warning("blocking by %s left out: %d pairs", names, pairs)
    return kept


def _train(linker: Linker, columns: list[str], config: LinkageConfig) -> None:
    rules: list[Any] = [block_on(*rule) for rule in usable(config.deterministic, columns)]
    if rules:
        linker.training.estimate_probability_two_random_records_match(rules, recall=config.recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=config.random_pairs, seed=config.seed)
    for rule in usable(config.training, columns):
        if len(rule) == len(columns):
            continue  # nothing is left to learn about
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
        except (EMTrainingException, ValueError) as error:
            # No two records agree on it, or a probability fell below what Splink takes: the other sessions have to do.
            log.info("training by %s: %s", ", ".join(rule), error)
