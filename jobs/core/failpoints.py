"""Named places where a test may end the process or switch a protection off; inert unless `C360_TESTING` is set.

A failpoint stands where a crash would hurt most. A sabotage removes one protection, to prove that its test can fail.
"""

import os
import signal
import threading
import time
from enum import StrEnum
from pathlib import Path

from jobs.core.settings import Settings


class Failpoint(StrEnum):
    """Where `C360_FAIL_AT` can end the process with SIGKILL."""

    AFTER_RECEIVE = "after_receive"
    AFTER_WRITE_BEFORE_FSYNC = "after_write_before_fsync"
    AFTER_FSYNC_BEFORE_REPLY = "after_fsync_before_reply"
    DURING_ROTATE = "during_rotate"
    AFTER_SEAL_BEFORE_MANIFEST = "after_seal_before_manifest"
    AFTER_MANIFEST_BEFORE_RENAME = "after_manifest_before_rename"
    AFTER_OFFSETS_BEFORE_WORK = "after_offsets_before_work"
    AFTER_SILVER_FILES_BEFORE_COMMIT = "after_silver_files_before_commit"
    AFTER_SILVER_BEFORE_QUARANTINE = "after_silver_before_quarantine"
    AFTER_QUARANTINE_BEFORE_SPARK_COMMIT = "after_quarantine_before_spark_commit"
    AFTER_COMMIT = "after_commit"
    DURING_PULL = "during_pull"
    AFTER_PULL_BEFORE_LANDING = "after_pull_before_landing"
    AFTER_LANDING_BEFORE_RECORD = "after_landing_before_record"
    AFTER_RETIRED_SUMMARY_BEFORE_DELETE = "after_retired_summary_before_delete"
    AFTER_BRONZE_DELETE_BEFORE_QUARANTINE = "after_bronze_delete_before_quarantine"
    DURING_VACUUM = "during_vacuum"
    AFTER_ROLLBACK_BEFORE_NEW_CHECKPOINT = "after_rollback_before_new_checkpoint"
    AFTER_OLD_CHECKPOINT_ASIDE = "after_old_checkpoint_aside"
    AFTER_ROTATION_STEP = "after_rotation_step"
    AFTER_RETIREMENT_STEP = "after_retirement_step"
    BEFORE_CHECKPOINT = "before_checkpoint"
    AFTER_CHECKPOINT_BEFORE_SYNC = "after_checkpoint_before_sync"
    AFTER_SYNC_BEFORE_REPLACE = "after_sync_before_replace"
    BEFORE_SEGMENT_CHANGES = "before_segment_changes"
    BEFORE_TRIGGER_DECISIONS = "before_trigger_decisions"
    AFTER_TRIGGER_DECISIONS_BEFORE_JOURNEYS = "after_trigger_decisions_before_journeys"
    AFTER_SEGMENT_CHANGES_BEFORE_SPARK_COMMIT = "after_segment_changes_before_spark_commit"
    AFTER_REPLACE_BEFORE_SIDECAR = "after_replace_before_sidecar"


class Sabotage(StrEnum):
    """Which protection `C360_SABOTAGE` removes; each has a test that must then fail."""

    REPLY_BEFORE_FSYNC = "reply_before_fsync"
    NO_VERSION_CHECK = "no_version_check"
    QUARANTINE_AFTER_COMMIT = "quarantine_after_commit"
    EVENT_TIME_WATERMARK = "event_time_watermark"
    NO_MANIFEST_CHECK = "no_manifest_check"
    IGNORE_DATA_LOSS = "ignore_data_loss"
    PUBLISH_BY_COPY = "publish_by_copy"
    IGNORE_EPOCH = "ignore_epoch"


def fail_at(settings: Settings, name: Failpoint) -> None:
    """Ends this process as a power cut would, when the settings name this place (`name` or `name:N` for its Nth passing)."""
    if settings.fail_at is None:
        return
    wanted, _, turn = settings.fail_at.partition(":")
    if wanted != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] >= int(turn or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def fail_when_files_appear(settings: Settings, folder: Path) -> None:
    """For AFTER_SILVER_FILES_BEFORE_COMMIT: watches a table and ends the process once a data file is there, uncommitted."""
    name = Failpoint.AFTER_SILVER_FILES_BEFORE_COMMIT
    if settings.fail_at is None or settings.fail_at.partition(":")[0] != name:
        return
    before = len(list(folder.rglob("*.parquet")))

    def watch() -> None:
        while len(list(folder.rglob("*.parquet"))) == before:
            time.sleep(0.001)
        fail_at(settings, name)

    threading.Thread(target=watch, daemon=True).start()


def sabotaged(settings: Settings, name: Sabotage) -> bool:
    """Whether a test has asked for this protection to be left out."""
    return settings.sabotage == name


_passed: dict[str, int] = {}
