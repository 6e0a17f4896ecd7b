"""What comes in and what goes out of exports."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from customers.listing import ListFilters
from customers.models import FailureOut, QueryOut, Time, Uuid

type ExportFormat = Literal["csv", "ndjson"]
type ExportState = Literal["queued", "running", "completed", "failed"]


class ExportCreate(ListFilters):
    """A blank text counts as absent, as in a listing's query."""

    model_config = ConfigDict(extra="forbid")  # a filter that is passed over would export what nobody wants

    format: ExportFormat = "csv"

    @field_validator("status", "q", "date_from", "date_to", "owner_id", mode="before")
    @classmethod
    def _blank_is_absent(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value


class ExportFileOut(BaseModel):
    url: str
    rows: int
    bytes: int
    expires_at: Time


class ExportJobOut(BaseModel):
    """An export. What is not known yet, or does not apply, is left out. `contents` says what exactly is in the file."""

    id: Uuid
    state: ExportState
    format: ExportFormat
    query: QueryOut
    created_at: Time
    started_at: Time | None = None
    finished_at: Time | None = None
    expires_at: Time
    total: int | None = None
    read: int
    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    rows: int
    contents: str
    error: FailureOut | None = None
    file: ExportFileOut | None = None
    owner_id: str | None = None
