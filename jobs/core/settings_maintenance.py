"""Settings of maintenance: a part of `Settings`. What would make a reader fail, or keep raw data too long, is refused."""

from pydantic import BaseModel, Field

FLOOR_HOURS = 168  # Delta's own floor: below it a reader or a writer of a few days' standing loses files


class MaintenanceSettings(BaseModel):
    """How long raw payloads and old files are kept, and which small files are put together."""

    retention_days: int = Field(
        default=30, ge=1, le=365, description="Days that raw payloads are kept (c360 maintain retain)"
    )
    vacuum_hours: int = Field(
        default=FLOOR_HOURS,
        ge=FLOOR_HOURS,
        le=8760,
        description="Hours that files no table version needs are kept; never less than the longest reader and a day",
    )
    longest_reader_hours: int = Field(
        default=24, ge=1, le=720, description="Hours that the longest reader holds a version of a table"
    )
    compact_target_mib: int = Field(
        default=128, ge=1, le=1024, description="Size up to which small files of a table are put together"
    )
    compact_min_files: int = Field(
        default=16, ge=2, le=10_000, description="Small files in a partition from which putting them together pays"
    )

    @property
    def file_retention_hours(self) -> int:
        """The floor of vacuum: at least a week, and a day more than the longest reader."""
        return max(self.vacuum_hours, self.longest_reader_hours + 24)
