"""Settings of the warehouse: a part of `Settings`."""

from pydantic import BaseModel, Field


class WarehouseSettings(BaseModel):
    """What is kept for a rollback, and what a query may take."""

    warehouse_previous: int = Field(
        default=1, ge=0, le=20, description="Published files before the present one that are kept for a rollback"
    )
    query_seconds: float = Field(
        default=60, gt=0, le=3600, description="Longest time of one query by c360 warehouse sql"
    )
    query_spill: str = Field(
        default="10GB", description="Most that one query may write to disk when its memory does not suffice"
    )
