"""Gaps as lines of text."""

from typing import Any

from jobs.ingest.kafka.guard import Gap


def accepted_line(row: dict[str, Any]) -> str:
    """A row of ops_accepted_gaps for people."""
    count = "unknown many" if row["record_count"] is None else f"{row['record_count']:,}"
    last = "its end" if row["last_offset"] is None else row["last_offset"]
    return (
        f"accepted gap: {row['topic']} partition {row['partition']}, offsets {row['first_offset']} to {last}, "
        f"{count} records never received ({row['kind']}, {row['recorded_at']:%Y-%m-%d %H:%M}): {row['why']}"
    )


def open_lines(gap: Gap) -> list[str]:
    """A gap that stops the source, and what a person can do."""
    return [f"open gap: {gap}", f"  to accept it: {gap.remedy}"]
