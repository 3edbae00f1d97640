"""Weights of record linkage as versions in the registry: once each, newest in force, readable again."""

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from lakekit import NOW
from settingskit import make_settings

from jobs.cli import cli
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.identity.linkage.weights import Weights, write_weights
from models.record_linkage import NAME, register_linkage
from models.tracking import Registry

LEVELS = {
    "email": [("exact", 0.6, 0.001), ("else", 0.4, 0.999)],
    "surname": [("exact", 0.9, 0.01), ("else", None, 0.99)],
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "home")


def test_each_training_is_one_version_and_the_last_is_in_force(settings: Settings) -> None:
    context, registry = Context(settings, Clock(NOW), "run"), Registry(settings)
    assert register_linkage(context, registry) is None
    for prior, days in ((0.001, 0), (0.002, 1)):
        weights = Weights(prior, LEVELS)
        write_weights(settings, weights, trained_at=NOW + timedelta(days=days), records=300, simulated=True)
        first = register_linkage(context, registry)
        again = register_linkage(context, registry)
        assert first is not None
        assert first == again
        assert (first.fingerprint, first.is_champion, first.version) == (weights.version, True, str(days + 1))
    champion = registry.champion(NAME)
    assert champion is not None
    params, metrics = registry.run_facts(champion)
    assert params == {"records": "300", "columns": "(any two records), email, surname", "is_simulated": "True"}
    assert metrics["email_0_m_probability"] == 0.6
    assert metrics["email_0_match_weight"] == pytest.approx(9.2288, abs=1e-4)
    assert "surname_1_m_probability" not in metrics
    assert len(registry.load(champion)["weights.parquet"]) == 5


def test_what_identity_serves_is_not_promoted_here(settings: Settings) -> None:
    result = CliRunner().invoke(cli, ["models", "promote", NAME, "1"], env={"C360_HOME": str(settings.home)})
    assert "c360 identity train" in str(result.exception)
