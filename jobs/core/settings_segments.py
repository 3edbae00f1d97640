"""Settings of the real-time evaluator of segments: a part of `Settings`."""

from pydantic import BaseModel, Field


class SegmentSettings(BaseModel):
    """When Spark takes over from the engine in the process, and how often time alone is looked at."""

    segments_local_profiles: int = Field(
        default=100_000, ge=0, description="Profiles looked at in one round beyond which Spark evaluates, not DuckDB"
    )
    segments_local_events: int = Field(
        default=100_000,
        ge=0,
        description="Events of a micro-batch beyond which they come by a file, not through memory",
    )
    segments_tick_seconds: float = Field(
        default=5, gt=0, le=3600, description="Seconds between two looks at what is due while no event arrives"
    )
