"""What docs/openapi.json says of imports and exports is what the service does."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import ModuleType
from typing import Any, Self, get_args

import pytest
from pydantic_core.core_schema import ErrorType

from customers.api import MAX_FILE_BODY_BYTES
from customers.errors import ApiError, Invalid, PayloadTooLarge, UnsupportedMediaType
from customers.exporting import ExportJobOut
from customers.exporting import view as export_view
from customers.exporting.jobs import Export
from customers.importing import ImportJobOut, view
from customers.importing.jobs import Job
from customers.sheets import SYNONYMS
from tests.documented import document, responses
from tests.handlers import BOUNDARY, Api, multipart
from tools import openapi
from tools.operations import REQUEST_ID, ZOE
from tools.template import ROOT
from tools.transfer_operations import (
    ASKED,
    BAD_EXPORT_ID,
    BAD_IMPORT_ID,
    CANCELLING,
    COMPLETED,
    EXPORT_CODES,
    EXPORTED,
    FILE_CODES,
    JOB_CODES,
    MAX_INLINE_ROWS,
    NO_FILE,
    NO_KEY,
    OPERATIONS,
    QUEUED,
    ROW_CODES,
    RUNNING,
    TOO_MANY_ROWS,
    UNKNOWN_CHOICE,
    UNKNOWN_FORMAT,
    WAITING,
)

FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
OWN = OPERATIONS["import_customers"].own_examples
SOURCES = [
    path.read_text()
    for package in ("sheets", "importing", "exporting")
    for path in sorted((ROOT / "layers/shared/customers" / package).glob("*.py"))
]


def described(function: str) -> Any:
    method, path = openapi.routes()[function]
    return document()["paths"][path][method]


def example(function: str, status: int) -> Any:
    return responses(function)[str(status)]["content"]["application/json"]["example"]


def refusals(function: str, status: int) -> list[Any]:
    """The examples of a response that is an error."""
    contents = responses(function)[str(status)]["content"].values()
    return [each["value"] for content in contents for each in content["examples"].values()]


def assert_refused(function: str, error: ApiError, answered: Any) -> None:
    """As one of the examples of this error in the document."""
    body = answered.body if isinstance(error, Invalid) else answered.body | {"request_id": REQUEST_ID}
    assert (answered.status, body) == (error.status, openapi.example_body(error))
    assert body in refusals(function, answered.status)


def test_the_example_of_an_import_at_once_is_what_the_service_answers(api: Api) -> None:
    content = described("import_customers")["requestBody"]["content"]["multipart/form-data"]
    api.create(ZOE.customer_id, owner="ada")
    assert api.upload(content["example"]["file"].encode(), owner="ada").body == example("import_customers", 200)


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (multipart(b"customer_id\r\n").replace(b'"file"', b'"data"'), FORM, NO_FILE),
        (multipart(b"Company,City\r\nAnalytical Engines,London\r\n"), FORM, NO_KEY),
        (multipart(b"customer_id\r\n" + b"C-1\r\n" * (MAX_INLINE_ROWS + 1)), FORM, TOO_MANY_ROWS),
        (b"-" * (MAX_FILE_BODY_BYTES + 1), FORM, OWN[PayloadTooLarge]),
        (b"customer_id\r\n", {"content-type": "text/csv"}, OWN[UnsupportedMediaType]),
    ],
    ids=["no file", "no key", "too many rows", "too large", "no form"],
)
def test_the_example_of_a_form_that_is_refused_is_what_the_service_answers(
    body: bytes, headers: dict[str, str], error: ApiError, api: Api
) -> None:
    assert_refused("import_customers", error, api.call("import_customers", body=body, headers=headers))


@pytest.mark.parametrize(
    ("function", "id", "body", "error"),
    [
        ("create_import", None, '{"on_deleted": "ask"}', UNKNOWN_CHOICE),
        ("get_import", "customers.csv", None, BAD_IMPORT_ID),
        ("cancel_import", "customers.csv", None, BAD_IMPORT_ID),
        ("create_export", None, '{"format": "xlsx"}', UNKNOWN_FORMAT),
        ("get_export", "customers.csv", None, BAD_EXPORT_ID),
    ],
)
def test_the_example_of_an_import_or_export_that_does_not_validate_is_what_the_service_answers(
    function: str, id: str | None, body: str | None, error: Invalid, api: Api
) -> None:
    assert_refused(function, error, api.call(function, id, body))


def test_a_new_import_is_answered_as_its_example_but_for_ids_times_and_links(api: Api) -> None:
    shown = example("create_import", 201)
    answered = api.call("create_import", body=OPERATIONS["create_import"].body_example).body
    assert answered["upload"]["fields"].keys() | {"x-amz-security-token"} == shown["upload"]["fields"].keys()
    own = {name: answered[name] for name in ("id", "created_at", "expires_at")}
    links = {name: answered["upload"][name] for name in ("url", "fields", "expires_at")}
    assert answered == shown | own | {"upload": shown["upload"] | links}


def test_the_page_of_imports_is_answered_as_its_example_but_for_what_is_in_it(api: Api) -> None:
    api.call("create_import", body={})
    assert api.call("list_imports").body | {"data": []} == example("list_imports", 200) | {"data": []}


@pytest.mark.parametrize(
    ("shown", "now"),
    [
        (WAITING, "2026-02-05T08:00:00.214035Z"),
        (RUNNING, "2026-02-05T08:03:15.000000Z"),
        (CANCELLING, "2026-02-05T08:03:15.000000Z"),
        (COMPLETED, "2026-02-05T09:12:00.000000Z"),
    ],
    ids=lambda each: each.state if isinstance(each, ImportJobOut) else "",
)
def test_the_example_of_a_large_import_is_what_is_shown_of_one(
    shown: ImportJobOut, now: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze(monkeypatch, view, now)
    seen = view.show(job(shown), Links(shown), by_admin=False, with_upload=True)  # type: ignore[arg-type]
    assert seen.model_dump(exclude_unset=True) == shown.model_dump(exclude_unset=True)


def job(shown: ImportJobOut) -> Job:
    """The import that is shown, with one chunk that has done all of it."""
    item = shown.model_dump(exclude_unset=True) | {
        "owner_id": "ada",
        "content_type": "text/csv",
        "expires_at": datetime.fromisoformat(shown.expires_at).timestamp(),
    }
    if shown.started_at:
        item["running_at"] = "2026-02-05T08:01:30.000000Z"
    return Job(item, [item])


@pytest.mark.parametrize(
    ("shown", "now"),
    [(QUEUED, QUEUED.created_at), (EXPORTED, "2026-02-05T09:12:00.000000Z")],
    ids=["queued", "completed"],
)
def test_the_example_of_an_export_is_what_is_shown_of_one(
    shown: ExportJobOut, now: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze(monkeypatch, export_view, now)
    item = shown.model_dump(exclude_unset=True) | {
        "asked": ASKED.model_dump(exclude_unset=True),
        "owner_id": "ada",
        "by_admin": False,
        "bytes": shown.file.bytes if shown.file else 0,
        "expires_at": datetime.fromisoformat(shown.expires_at).timestamp(),
    }
    seen = export_view.show(Export(item), Links(shown), by_admin=False)  # type: ignore[arg-type]
    assert seen.model_dump(exclude_unset=True) == shown.model_dump(exclude_unset=True)


def test_a_new_export_is_answered_as_its_example_but_for_its_id_and_times(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.app("create_export").exports, "start", lambda *_: None)
    answered = api.call("create_export", body=OPERATIONS["create_export"].body_example).body
    own = {name: answered[name] for name in ("id", "created_at", "expires_at")}
    assert answered == example("create_export", 202) | own


@dataclass(frozen=True)
class Links:
    """Those of an example."""

    shown: Any

    def upload_link(self, *_: Any, **__: Any) -> Any:
        return self.shown.upload.url, self.shown.upload.fields

    def download_link(self, *_: Any, **__: Any) -> Any:
        shown: Any = self.shown
        return shown.file.url if isinstance(self.shown, ExportJobOut) else shown.rejected.url


def freeze(monkeypatch: pytest.MonkeyPatch, module: ModuleType, now: str) -> None:
    """Let it be `now` in a module."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromisoformat(now).astimezone(tz)

    monkeypatch.setattr(module, "datetime", Frozen)


def test_rows_are_rejected_with_codes_that_are_documented(api: Api) -> None:
    deleted = api.create("C-8")
    api.call("delete_customer", deleted.id)
    lines = [
        "customer_id,name,email,status,agent_id,shoe size",
        ",Ada,,,,",
        "C-1,Ada,,,,",
        "C-1,Ada,,,,",
        f"C-2,{'x' * 256},,,,",
        "C-3,A\x07da,,,,",
        "C-4,,ada,,,",
        "C-5,,,\u0301,,",
        "C-6,,,,007,",
        "C-7,,,,,,further",
        "C-8,Ada,,,,",
        f'C-9,"{"x" * 32_768}",,,,',
        'C-10,"Ada"s,,,,',
        "C-11,#N/A,,,,",
    ]
    found = {error["code"] for error in api.upload("\r\n".join(lines).encode()).body["errors"]}
    assert found == ROW_CODES.keys() - {"customer_gone", "too_many_statuses"}


def test_every_code_in_the_sources_is_documented_and_every_documented_one_is_in_the_sources() -> None:
    of_rows = {code for place in (("Problem", 0), ("rejected", 1)) for code in first_words(*place)}
    of_files = first_words("UnreadableFile", 0) | first_words("_fail", 1)
    assert of_rows <= ROW_CODES.keys()
    assert of_files <= FILE_CODES.keys() | JOB_CODES.keys() | EXPORT_CODES.keys()
    words = {word for source in SOURCES for word in literals(source)}
    of_values = {*get_args(ErrorType), "control_character"}
    assert ROW_CODES.keys() | FILE_CODES.keys() | JOB_CODES.keys() | EXPORT_CODES.keys() <= words | of_values


def first_words(name: str, place: int) -> set[Any]:
    """The argument at this place of the calls of what has this name, where it is a literal."""
    calls = (node for source in SOURCES for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    given = (call.args[place] for call in calls if ast.unparse(call.func).rpartition(".")[2] == name and call.args)
    return {word.value for word in given if isinstance(word, ast.Constant)}


def literals(source: str) -> Iterator[Any]:
    return (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))


def test_every_other_name_of_a_column_is_documented() -> None:
    said = described("import_customers")["description"]
    assert all(f"| `{field}` | {', '.join(names)} |" in said for field, names in SYNONYMS.items())
