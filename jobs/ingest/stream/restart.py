"""After a new silver checkpoint: the stream reads bronze from its beginning and passes over what is placed already.

`checkpoints/silver.restart.json` names the new checkpoint and the version of bronze up to which an older one may have
placed messages. What this very checkpoint has placed does not count: a batch delivered again must compute the same sets.
"""

import json
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.core.settings import Settings
from jobs.lake.checkpoints import silver_position
from jobs.lake.frames import read_frame
from jobs.lake.placement import PLACES


@dataclass(frozen=True)
class Restart:
    """`checkpoint`: whose start it is · `until_version`: of bronze, the last that an older checkpoint may have read."""

    checkpoint: str
    until_version: int


def restart_file(settings: Settings) -> Path:
    """Beside Spark's folder."""
    return settings.checkpoints / "silver.restart.json"


def read_restart(settings: Settings) -> Restart | None:
    """The last new beginning; None when there was none."""
    file = restart_file(settings)
    return Restart(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def under_way(settings: Settings, checkpoint: str) -> bool:
    """Whether this checkpoint is still among messages that an older one may have placed."""
    restart, at = read_restart(settings), silver_position(settings)
    if restart is None or restart.checkpoint != checkpoint:
        return False
    return at is None or at.version <= restart.until_version or at.is_snapshot


def not_yet_placed(session: SparkSession, settings: Settings, batch: DataFrame, checkpoint: str) -> DataFrame:
    """The batch without what another checkpoint, or a replay, has placed; the batch itself when no restart is under way."""
    if not under_way(settings, checkpoint):
        return batch
    ours = F.col("ingest_batch").startswith(f"{checkpoint}:")
    frames = [read_frame(session, settings, name).where(~ours).select("message_id") for name in PLACES]
    return batch.join(reduce(DataFrame.union, frames), "message_id", "left_anti").select(*batch.columns)
