"""What comes in and what goes out of imports."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from customers.importing.rows import OnDeleted, RowError, Tally
from customers.listing.query import Limit, Offset, OwnerId
from customers.models import FailureOut, Time, Uuid, clean

type ContentType = Literal["text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"]
type ImportState = Literal[
    "waiting", "splitting", "queued", "running", "finishing", "completed", "failed", "cancelling", "cancelled"
]

FINISHED: frozenset[ImportState] = frozenset({"completed", "failed", "cancelled"})

FileName = Annotated[Annotated[str, StringConstraints(max_length=255)] | None, BeforeValidator(clean)]


class ImportQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")  # a `dryrun` that is passed over would write

    on_deleted: OnDeleted = "skip"
    dry_run: bool = False


class FileImport(ImportQuery):
    """What an inline import is asked for, as its Idempotency-Key remembers it."""

    sha256: str  # of the file


class ImportOut(BaseModel):
    """What became of a file's rows: `total` = `created` + `updated` + `skipped`.

    `unchanged` are those of `updated` that were so already, `skipped` are the rows that have errors. A column that is
    no field of a customer has an error too, in the header's row.
    """

    total: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    errors: list[RowError]

    @classmethod
    def of(cls, tally: Tally, errors: list[RowError]) -> "ImportOut":
        return cls.model_construct(
            total=tally.total,
            created=tally.created,
            updated=tally.updated,
            unchanged=tally.unchanged,
            skipped=tally.skipped,
            errors=errors,
        )


class ImportCreate(ImportQuery):
    file_name: FileName = None
    content_type: ContentType = "text/csv"


class UploadOut(BaseModel):
    """Where to send the file: a POST of multipart/form-data with these fields, and the part `file` last."""

    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_at: Time


class RejectedOut(BaseModel):
    """The rows that were not taken: a CSV of the original columns plus row, code and message."""

    url: str
    rows: int
    expires_at: Time


class ImportPage(BaseModel):
    limit: Limit = 10
    offset: Offset = 0
    owner_id: OwnerId | None = None


class ImportJobOut(BaseModel):
    """An import. What is not known yet, or does not apply, is left out."""

    id: Uuid
    state: ImportState
    file_name: str | None = None
    on_deleted: OnDeleted
    dry_run: bool
    created_at: Time
    started_at: Time | None = None
    finished_at: Time | None = None
    expires_at: Time
    total: int | None = None
    processed: int
    percent: Annotated[float, Field(ge=0, le=100)]
    created: int
    updated: int
    unchanged: int
    skipped: int
    rows_per_second: float | None = None
    remaining_seconds: int | None = None
    unknown_columns: list[str]
    error: FailureOut | None = None
    rejected: RejectedOut | None = None
    upload: UploadOut | None = None
    owner_id: str | None = None
