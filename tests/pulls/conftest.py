"""The lane `pulls`: S3 by moto, a CRM on loopback, kills in processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from crmkit import Crm
from pullkit import keep_secret
from settingskit import make_settings

from jobs.core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of this test alone that may reach loopback, with the CRM's token in its secrets."""
    made = make_settings(tmp_path / "home", http_allow_loopback=True)
    keep_secret(made)
    return made


@pytest.fixture
def crm() -> Iterator[Crm]:
    server = Crm()
    yield server
    server.close()
