"""A home that both streams have worked in, made without a JVM."""

import pytest
from checkpointkit import Streams

from jobs.core.settings import Settings


@pytest.fixture
def streams(settings: Settings) -> Streams:
    return Streams(settings)
