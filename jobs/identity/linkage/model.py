"""The door to Splink: comparisons of our columns, weights learned without labels, a probability per pair.

Fellegi and Sunter's model (1969): how often a column agrees among records of one person (m) and among strangers (u). `u` comes
from random pairs, `m` by expectation maximisation, the prior from the deterministic rules.
"""

import logging
from typing import Any, cast

import numpy as np
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink.internals.exceptions import EMTrainingException

from jobs.core.errors import UsageError
from jobs.identity.edges import Connection
from jobs.identity.linkage.clusters import Pairs
from jobs.identity.linkage.config import LinkageConfig, Rule, usable
from jobs.identity.linkage.records import TABLE

log = logging.getLogger(__name__)
CLOSE_NAME = [0.92, 0.88, 0.7]
COMPARISONS: dict[str, Any] = {
    "given_name": compare.NameComparison("given_name", jaro_winkler_thresholds=CLOSE_NAME),
    "surname": compare.NameComparison("surname", jaro_winkler_thresholds=CLOSE_NAME),
    "birth_date": compare.DamerauLevenshteinAtThresholds("birth_date", [1, 2, 4]),
    "email": compare.EmailComparison("email"),
    "phone": compare.DamerauLevenshteinAtThresholds("phone", [1, 2]),
    "address": compare.JaroWinklerAtThresholds("address", [0.9, 0.8]),
    "city": compare.JaroWinklerAtThresholds("city", [0.9]).configure(term_frequency_adjustments=True),
    "postcode": compare.DamerauLevenshteinAtThresholds("postcode", [1]),
    "state": compare.ExactMatch("state"),
    "national_id": compare.DamerauLevenshteinAtThresholds("national_id", [1, 2]),
}


def compared(connection: Connection, columns: list[str], config: LinkageConfig) -> Pairs:
    """Learns the weights from the table `linkage_records` of the connection, and gives each pair that some blocking rule
    brings together, and that is at least as probable as `floor`, its probability. Raises UsageError where no rule does."""
    api = DuckDBAPI(connection=cast(Any, connection))
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
        comparisons=[COMPARISONS[column] for column in columns],
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in blocking],
    )
    linker = Linker(api.register(TABLE), settings, log_level=logging.ERROR)
    _train(linker, columns, config)
    found = linker.inference.predict(threshold_match_probability=config.floor)
    table = found.as_duckdbpyrelation().to_arrow_table()
    a, b = (table[f"record_{side}"].to_numpy().astype(np.int64) for side in "lr")
    return Pairs(np.minimum(a, b), np.maximum(a, b), table["match_probability"].to_numpy().astype(np.float64))


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
        except EMTrainingException as error:  # no two records agree on it: the other sessions have to do
            log.info("training by %s: %s", ", ".join(rule), error)
