"""What docs/openapi.json says of imports and exports, as `tools.operations` of the others."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, get_args

from pydantic import BaseModel, WithJsonSchema

from customers.api import MAX_FILE_BODY_BYTES
from customers.errors import (
    ExportNotFound,
    IdempotencyInProgress,
    ImportNotFound,
    Invalid,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from customers.exporting import ExportCreate, ExportJobOut
from customers.exporting.jobs import Export
from customers.exporting.models import ExportFileOut
from customers.exporting.view import contents
from customers.exporting.writer import READ_ONLY as EXPORTED_TOO
from customers.files import LIFE_DAYS, LINK_SECONDS
from customers.importing import ImportCreate, ImportJobOut, ImportOut, ImportPage, ImportQuery
from customers.importing.models import ContentType, RejectedOut, UploadOut
from customers.importing.rejected import WHY
from customers.importing.rows import RowError
from customers.importing.splitting import MAX_HEADER_BYTES, MAX_ROWS
from customers.importing.view import MAX_UPLOAD_BYTES
from customers.listing import ListParameters
from customers.models import PaginatedResponse, QueryOut, SortOut
from customers.settings import Settings
from customers.sheets import FIELDS, READ_ONLY, SYNONYMS
from customers.sheets.csv_text import MAX_CELL_CHARS, MAX_RECORD_BYTES
from tools.operations import (
    BODY,
    LIMIT_TOO_HIGH,
    NOT_JSON,
    ZOE,
    Operation,
    code,
    page,
    paging,
)
from tools.operations import PARAMETERS as QUERIES

MAX_INLINE_ROWS: int = Settings.model_fields["max_import_rows"].default
IMPORT_ID = "8c1f2d6a-4b7e-4c1d-9a53-2f6e0b9d7c14"
EXPORT_ID = "4e0a7c52-91d3-4f0e-8b6c-7d5e3a1f2c90"
CONTENT_TYPES: tuple[str, ...] = get_args(ContentType.__value__)


class ImportForm(BaseModel):
    """A form with one part; options are parameters of the query."""

    file: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary", "title": "File"})]


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {first} | {second} |" for first, second in (head, ("---", "---"), *rows))


# Every code of a row's error (or a column's), and every code of a file that is refused as a whole.
ROW_CODES: Mapping[str, str] = {
    "customer_id_missing": "The row has no `customer_id`.",
    "duplicate_row": "An earlier row of the file has this `customer_id`.",
    "matches_deleted": "The customer with this `customer_id` is deleted.",
    "customer_gone": "The customer was purged, or has been given another `customer_id`, since the file was sent.",
    "string_too_long": "The value is too long for the field.",
    "control_character": "The value has a character that no name, address or number contains.",
    "value_error": "The `email` is no valid address, or the `status` is nothing but accents.",
    "uuid_parsing": "The `agent_id` is no UUID.",
    "too_many_statuses": "The owner has too many different `status` values for one more.",
    "too_many_cells": "The row has more values than the header has columns.",
    "cell_too_long": f"A cell has more than {MAX_CELL_CHARS:,} characters.",
    "unreadable_cell": "The cell shows an error such as `#N/A`, or its formula was never computed.",
    "unreadable_row": f"The row's quotes do not add up, or it has more than {MAX_RECORD_BYTES:,} bytes.",
    "unknown_column": "The column is no field of a customer. `row` is the header's; no row is skipped for it.",
}
FILE_CODES: Mapping[str, str] = {
    "empty_file": "There is nothing in the file.",
    "unsupported_file": "The file is neither CSV nor XLSX.",
    "unreadable_text": "The file is not the UTF-16 that it begins as.",
    "unreadable_header": "The first row, which should name the columns, cannot be read.",
    "missing_column": "No column is the `customer_id`.",
    "duplicate_column": "Two columns have the same field's name, or two of its other names and none its own.",
    "unreadable_rows": "The quotes of too many rows do not add up.",
    "no_sheet": "The workbook shows no worksheet.",
    "damaged_workbook": "The workbook is damaged; a spreadsheet may be able to mend it.",
    "unsafe_workbook": "The workbook is encrypted, or made as no spreadsheet makes one.",
    "workbook_too_large": "The sheet has too many cells or too much text; as CSV it may be taken.",
    "too_many_rows": f"The file has more than {MAX_INLINE_ROWS} rows; for `POST /customers/imports` {MAX_ROWS:,}.",
}
JOB_CODES: Mapping[str, str] = {
    "header_too_long": f"The names of the columns have more than {MAX_HEADER_BYTES:,} bytes.",
    "upload_missing": "The uploaded file is not there any more.",
    "not_read": "The file could not be read in time.",
    "incomplete": "Some rows were not processed; send the file again, what is done stays as it is.",
    "lost": "It stopped without a word; send the file again, what is done stays as it is.",
}
EXPORT_CODES: Mapping[str, str] = {
    "too_large": "There is more than one export can hold; narrow it, for instance by dates.",
    "unavailable": "The service could not finish it; start another.",
    "lost": "It stopped without a word; start another.",
}

# A file, and what becomes of it when Zoë is the only customer.
FILE = f"""\
Customer number,First name,Last name,E-mail,Phone number,Status,Shoe size
{ZOE.customer_id},,,,+49 30 901821,won,
CRM-0043,Grace,Hopper,grace@example.com,,lead,37
CRM-0044,Alan,Turing,alan@example,,lead,
CRM-0043,Grace,Hopper,,+1 202 555 0143,,
"""
IMPORTED = ImportOut(
    total=4,
    created=1,
    updated=1,
    unchanged=0,
    skipped=2,
    errors=[
        RowError(
            row=1,
            field="Shoe size",
            code="unknown_column",
            message="This column is no field of a customer, and nothing is done with it",
        ),
        RowError(
            row=4,
            field="email",
            code="value_error",
            message=(
                "value is not a valid email address: The part after the @-sign is not valid. It should have a period."
            ),
        ),
        RowError(row=5, field="customer_id", code="duplicate_row", message="An earlier row has this customer_id"),
    ],
)

# A large import, as it is seen when it waits for its file, when it runs, and when it has ended.
_LARGE: Mapping[str, Any] = {
    "id": IMPORT_ID,
    "file_name": "customers.csv",
    "on_deleted": "skip",
    "dry_run": False,
    "created_at": "2026-02-05T08:00:00.214035Z",
    "expires_at": "2026-02-12T08:00:00.000000Z",
}
_BUCKET = "https://customers-files.s3.eu-central-1.amazonaws.com"
WAITING = ImportJobOut(
    **_LARGE,
    state="waiting",
    processed=0,
    percent=0,
    created=0,
    updated=0,
    unchanged=0,
    skipped=0,
    unknown_columns=[],
    upload=UploadOut(
        url=f"{_BUCKET}/",
        fields={
            "Content-Type": "text/csv",
            "key": f"uploads/{IMPORT_ID}",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "ASIAEXAMPLE/20260205/eu-central-1/s3/aws4_request",
            "x-amz-date": "20260205T080000Z",
            "x-amz-security-token": "IQoJb3JpZ2luX2VjE…",
            "policy": "eyJleHBpcmF0aW9uIjogIjIwMjYt…",
            "x-amz-signature": "7b1f0c9e…",
        },
        max_bytes=MAX_UPLOAD_BYTES,
        expires_at="2026-02-05T09:00:00.214035Z",
    ),
)
RUNNING = ImportJobOut(
    **_LARGE,
    state="running",
    started_at="2026-02-05T08:01:12.530118Z",
    total=200_000,
    processed=84_000,
    percent=42,
    created=78_210,
    updated=4_950,
    unchanged=1_204,
    skipped=840,
    rows_per_second=800,
    remaining_seconds=145,
    unknown_columns=["Shoe size"],
)
COMPLETED = ImportJobOut(
    **_LARGE,
    state="completed",
    started_at="2026-02-05T08:01:12.530118Z",
    finished_at="2026-02-05T08:05:40.000000Z",
    total=200_000,
    processed=200_000,
    percent=100,
    created=186_214,
    updated=11_786,
    unchanged=2_871,
    skipped=2_000,
    rows_per_second=800,
    unknown_columns=["Shoe size"],
    rejected=RejectedOut(
        url=f"{_BUCKET}/results/{IMPORT_ID}/rejected.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=7b1f0c9e…",
        rows=2_000,
        expires_at="2026-02-05T10:12:00.000000Z",
    ),
)
CANCELLING = ImportJobOut.model_construct(
    **RUNNING.model_dump(exclude_unset=True, exclude={"remaining_seconds"}) | {"state": "cancelling"}
)

# An export, as it is seen before it is begun, and when it has ended.
ASKED = ExportCreate(q="muller", status="lead")
_EXPORT: Mapping[str, Any] = {
    "id": EXPORT_ID,
    "format": "csv",
    "query": QueryOut(q="muller", filters={"status": ["lead"]}, sort=SortOut(field="created_at", direction="asc")),
    "created_at": "2026-02-05T08:00:00.214035Z",
    "expires_at": "2026-02-12T08:00:00.000000Z",
}
_CARRIED_OUT = {"started_at": "2026-02-05T08:00:01.030118Z", "finished_at": "2026-02-05T08:00:04.871300Z"}


def _contents(**times: str) -> str:
    asked = ASKED.model_dump(exclude_unset=True)
    return contents(Export({"asked": asked, "owner_id": ZOE.owner_id, "by_admin": False, **times}))


QUEUED = ExportJobOut(**_EXPORT, state="queued", read=0, rows=0, contents=_contents())
EXPORTED = ExportJobOut(
    **_EXPORT,
    **_CARRIED_OUT,
    state="completed",
    total=12_000,
    read=12_000,
    percent=100,
    rows=37,
    contents=_contents(**_CARRIED_OUT),
    file=ExportFileOut(
        url=f"{_BUCKET}/results/{EXPORT_ID}/customers.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=7b1f0c9e…",
        rows=37,
        bytes=7_412,
        expires_at="2026-02-05T10:12:00.000000Z",
    ),
)

# Examples of input that does not validate.
NO_FILE = Invalid.at("body", "file", msg="Field required", kind="missing")
NO_KEY = Invalid.at(
    "body",
    "file",
    msg="The first row must be the header, with a column customer_id; of a customer's fields row 1 names none",
    kind="missing_column",
)
TOO_MANY_ROWS = Invalid.at(
    "body",
    "file",
    msg=f"The file has more than {MAX_INLINE_ROWS} rows: POST /customers/imports takes up to a million",
    kind="too_many_rows",
)
UNKNOWN_CHOICE = Invalid.at("body", "on_deleted", msg="Input should be 'skip' or 'restore'", kind="literal_error")
BAD_IMPORT_ID = Invalid.at("path", "import_id", msg="Input should be a valid UUID", kind="uuid_parsing")
UNKNOWN_FORMAT = Invalid.at("body", "format", msg="Input should be 'csv' or 'ndjson'", kind="literal_error")
BAD_EXPORT_ID = Invalid.at("path", "export_id", msg="Input should be a valid UUID", kind="uuid_parsing")

_HOURS, _MEGABYTES = LINK_SECONDS // 3600, 1 << 20
LIVES = f"An import, its file and its results are removed after {LIFE_DAYS} days."

OPERATIONS: Mapping[str, Operation] = {
    "import_customers": Operation(
        summary="Import customers from a file of few rows",
        description=f"""\
Takes a CSV or XLSX file of at most {MAX_INLINE_ROWS} rows (unless the service is set up for another number) and \
answers what became of each. `POST /customers/imports` takes larger files.

**Rows.** A row with a new `customer_id` creates a customer, a row with a known one updates that customer; a blank \
cell leaves the value as it is. Of rows with one `customer_id` the first counts, be it good or bad. A bad row is \
skipped, with an error for each of its problems, and stops no other row. `row` is the number that a spreadsheet shows; \
blank rows have one, but are not in `total`.

**Columns.** The first row names them. Case, accents, spaces and punctuation of a name do not matter. Beside \
a column with the field's own name, those with its other names are passed over as unknown.

{_table(("Field", "Other names"), ((f"`{field}`", ", ".join(names)) for field, names in SYNONYMS.items()))}

{code(READ_ONLY)} are passed over: files of exports and of rejected rows have them.

**Codes** of what is wrong with a row or a column:

{_table(("`code`", "What is wrong"), ((f"`{name}`", text) for name, text in ROW_CODES.items()))}

A file that cannot be taken at all is a 422 whose `type` says why:

{_table(("`type`", "What is wrong"), ((f"`{name}`", text) for name, text in FILE_CODES.items()))}

**Again.** With its `Idempotency-Key` a request that was answered is answered the same, and one that was interrupted \
goes on where it was. Rows are taken in batches, each as a whole: after a 503 some may have been taken.""",
        scope="customers:write",
        query=ImportQuery,
        body=ImportForm,
        body_example={"file": FILE},
        parts={"file": ", ".join(CONTENT_TYPES)},
        request_headers=("Idempotency-Key",),
        success="What became of the rows.",
        response=ImportOut,
        response_example=IMPORTED,
        response_headers=("Idempotency-Replayed",),
        errors=(IdempotencyInProgress, *BODY),
        own_examples={
            PayloadTooLarge: PayloadTooLarge(f"The body has more than {MAX_FILE_BODY_BYTES} bytes"),
            UnsupportedMediaType: UnsupportedMediaType("The body must be multipart/form-data with a part named file"),
        },
        invalid=(NO_FILE, NO_KEY, TOO_MANY_ROWS, Invalid.reused_key()),
    ),
    "create_import": Operation(
        summary="Import customers from a large file",
        description=f"""\
Makes an import of a CSV or XLSX file of up to {MAX_ROWS:,} rows and {MAX_UPLOAD_BYTES // _MEGABYTES} MiB, which \
waits for the file. Send that to `upload.url`: a POST of multipart/form-data with all of `upload.fields` first and the \
part `file` last. A 204 says that it has arrived; the import starts by itself, and \
`GET /customers/imports/{{import_id}}` tells how far it is. A second file starts nothing; \
until the first one is read, it takes its place.

Rows, columns and codes are those of `POST /customers/import`. What is wrong with rows is in the file of rejected \
rows. A customer that was purged, or given another `customer_id`, since the import was made is not made again. One \
import of an owner runs at a time.

The link to upload is good for {_HOURS} hour; with its `Idempotency-Key` this request is answered with the same \
import, and with a new link while it waits for its file. {LIVES}""",
        scope="customers:write",
        body=ImportCreate,
        body_example={"file_name": "customers.csv"},
        request_headers=("Idempotency-Key",),
        status=HTTPStatus.CREATED,
        success="The new import, with `upload`.",
        response=ImportJobOut,
        response_example=WAITING,
        response_headers=("Location", "Idempotency-Replayed"),
        errors=BODY,
        invalid=(NOT_JSON, UNKNOWN_CHOICE, Invalid.reused_key()),
    ),
    "list_imports": Operation(
        summary="List large imports",
        description=f"One page of the caller's imports of large files, the newest first. {LIVES}",
        scope="customers:read",
        query=ImportPage,
        success="A page of imports.",
        response=PaginatedResponse[ImportJobOut],
        response_example=page([COMPLETED], sort_field="created_at", filters={}),
        invalid=(LIMIT_TOO_HIGH,),
    ),
    "get_import": Operation(
        summary="Get a large import",
        description=(
            "How far an import is: rows that are done and what became of them, the rate, and the time that remains at "
            f"that rate. Once it has ended and rows were skipped, `rejected` links to a file of these. {LIVES}"
        ),
        scope="customers:read",
        success="The import.",
        response=ImportJobOut,
        response_example=RUNNING,
        errors=(ImportNotFound,),
        invalid=(BAD_IMPORT_ID,),
    ),
    "cancel_import": Operation(
        summary="Cancel a large import",
        description=(
            "Rows that are done stay, and no more are begun. An import that waits for its file is `cancelled` at once; "
            "one that waits for its turn, or runs, is `cancelling` first; one that is `finishing` or has ended stays "
            "as it is."
        ),
        scope="customers:write",
        success="The import as it is now.",
        response=ImportJobOut,
        response_example=CANCELLING,
        errors=(ImportNotFound,),
        invalid=(BAD_IMPORT_ID,),
    ),
    "create_export": Operation(
        summary="Export customers to a file",
        description=f"""\
Begins to write the customers that `GET /customers` lists with these filters to a file, of each owner the oldest \
first. `GET /customers/exports/{{export_id}}` tells how far it is, and links to the file in the end.

**CSV** is UTF-8 with a byte order mark, with commas and CRLF. Its columns are {code((*FIELDS, *EXPORTED_TOO))}; for \
administrators `owner_id` too, which an import passes over: it makes the caller's customers of all. Read with commas, \
no cell is a formula: one that begins with `=`, `+`, `-`, `@` (or their full-width \
forms), a tab or a carriage return, be it after apostrophes, has one more apostrophe before it. An import drops that \
again, so that the file of customers that are live and unchanged changes nothing when it is imported.

**NDJSON** has one customer a line, just as `GET /customers/{{customer_id}}` answers.

An export and its file are removed after {LIFE_DAYS} days. One that has `failed` stays so: ask for another, with \
another `Idempotency-Key`.""",
        scope="customers:read",
        body=ExportCreate,
        body_example=ASKED.model_dump(exclude_unset=True),
        request_headers=("Idempotency-Key",),
        status=HTTPStatus.ACCEPTED,
        success="The export, which is carried out from now on.",
        response=ExportJobOut,
        response_example=QUEUED,
        response_headers=("Location", "Idempotency-Replayed"),
        errors=BODY,
        invalid=(NOT_JSON, UNKNOWN_FORMAT, Invalid.reused_key()),
    ),
    "get_export": Operation(
        summary="Get an export",
        description=(
            f"How far an export is, and in the end its file. An export and its file are removed after {LIFE_DAYS} days."
        ),
        scope="customers:read",
        success="The export.",
        response=ExportJobOut,
        response_example=EXPORTED,
        errors=(ExportNotFound,),
        invalid=(BAD_EXPORT_ID,),
    ),
}

ON_DELETED = "What to do with a row that matches a deleted customer: skip the row, or restore and update the customer."
DRY_RUN = "Answer what would happen, and change no customer."
PARAMETERS: Mapping[type[BaseModel], Mapping[str, str]] = {
    ImportQuery: {"on_deleted": ON_DELETED, "dry_run": DRY_RUN},
    ImportPage: {
        **paging("Imports"),
        "owner_id": "For administrators: this owner's imports instead of their own. Ignored for others.",
    },
}
PROPERTIES: Mapping[str, Mapping[str, str]] = {
    "ImportForm": {
        "file": (
            "CSV: UTF-8, UTF-16 or Windows-1252; commas, semicolons or tabs; cells in quotes may have several lines, "
            "but no field of a customer. Which of these it is, is found out. XLSX: the first sheet that is shown, with "
            "numbers as they are and not as they are formatted. The media type and the file name of the part do "
            f"not matter. The form has at most {MAX_FILE_BODY_BYTES // _MEGABYTES} MiB, a cell {MAX_CELL_CHARS:,} "
            "characters. Where apostrophes come before `=`, `+`, `-` or `@` at the beginning of a cell, or before an "
            "error such as `#N/A`, one is dropped: exports put it there so that no spreadsheet takes the value for "
            "what it is not."
        )
    },
    "ImportOut": {
        "total": "Rows that are not blank: `created` + `updated` + `skipped`.",
        "unchanged": "Those of `updated` that had all these values before.",
        "skipped": "Rows with errors.",
        "errors": "The columns first, then the rows as they come. Codes: see `POST /customers/import`.",
    },
    "RowError": {
        "row": "As a spreadsheet numbers it: the header is usually 1.",
        "field": "The field; of an unknown column its name.",
        "message": "For people.",
    },
    "ImportCreate": {
        "file_name": "For people: what the file is called.",
        "content_type": "Media type that the upload must have. What the file is, is found out all the same.",
        "on_deleted": ON_DELETED,
        "dry_run": "Count what would happen, and change no customer.",
    },
    "ImportJobOut": {
        "state": (
            "`waiting` for its file, `splitting`, `queued` while another import of the owner runs, `running`, "
            "`finishing`; in the end `completed`, `failed` or `cancelled`, after `cancelling`."
        ),
        "started_at": "When its file had arrived.",
        "expires_at": "From then on there is no such import.",
        "total": "Rows of the file; known once it has been read.",
        "processed": "Rows that are done: `created` + `updated` + `skipped`.",
        "percent": "`processed` of `total`.",
        "unchanged": "Those of `updated` that had all these values before.",
        "skipped": "Rows with errors: those of the file of rejected rows.",
        "unknown_columns": "Columns of the file that are no field of a customer.",
        "error": "Why it has `failed`; rows that were done before stay.",
        "rejected": "When it has ended and rows were skipped.",
        "upload": "While it waits for its file, in the answer to `POST /customers/imports` only.",
        "owner_id": "Whose import it is; shown to administrators only.",
    },
    "FailureOut": {
        "code": (
            "Of an import a `type` of `POST /customers/import`, or: "
            + " ".join(f"`{name}`: {text}" for name, text in JOB_CODES.items())
            + " Of an export: "
            + " ".join(f"`{name}`: {text}" for name, text in EXPORT_CODES.items())
        ),
        "message": "For people.",
    },
    "RejectedOut": {
        "url": f"Good for {_HOURS} hour; every answer has a new one.",
        "rows": (
            f"In the file, which is CSV in UTF-8: the columns as they were sent, and {code(WHY)}. Ready to be mended "
            "and imported again."
        ),
    },
    "ExportCreate": {
        **{name: QUERIES[ListParameters][name] for name in ExportCreate.model_fields if name != "format"},
        "format": "What is written: see `POST /customers/exports`.",
    },
    "ExportJobOut": {
        "state": "`queued`, then `running`, and in the end `completed` or `failed`.",
        "query": "The filters as they were understood.",
        "started_at": "When it was begun, the last time if it was begun again.",
        "expires_at": "From then on there is no such export.",
        "total": "Customers to look at; not known of a range of dates.",
        "read": "Customers that were looked at.",
        "percent": "`read` of `total`.",
        "rows": "Customers that were written.",
        "contents": "What exactly is in the file, in words.",
        "error": "Why it has `failed`.",
        "file": "When it is `completed`.",
        "owner_id": "Who has asked for it; shown to administrators only.",
    },
    "ExportFileOut": {
        "url": f"Good for {_HOURS} hour; every answer has a new one.",
        "rows": "Customers in it.",
    },
    "UploadOut": {
        "url": f"Good for {_HOURS} hour.",
        "fields": "To be sent unchanged.",
        "max_bytes": "Of the file.",
    },
}

PATH_PARAMETERS: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    "import_id": ({"type": "string", "format": "uuid", "title": "Import Id"}, IMPORT_ID, "The import's `id`."),
    "export_id": ({"type": "string", "format": "uuid", "title": "Export Id"}, EXPORT_ID, "The export's `id`."),
}
