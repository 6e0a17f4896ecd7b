"""Exports: what is asked for, in a file, and what exactly is in that."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from customers import files, keys
from customers.dynamodb import Table
from customers.errors import Unavailable
from customers.exporting import writer
from customers.exporting.jobs import LOST_MINUTES, WAITING_MINUTES
from tests.handlers import Answer, Api, Context


@dataclass
class Exports:
    """The API, and Lambda's asynchronous invocations, which are kept until they are carried out."""

    api: Api
    bucket: Any
    invoked: list[Any] = field(default_factory=list[Any])

    def invoke(self, **request: Any) -> None:
        assert request["FunctionName"] == self.api.environment["EXPORT_FUNCTION"]
        assert request["InvocationType"] == "Event"
        self.invoked.append(json.loads(request["Payload"]))

    def carry_out(self, context: Context | None = None) -> Any:
        context = context or Context(lambda: 900_000, str(uuid4()))
        return self.api.app("export_customers").lambda_handler(self.invoked[-1], context)

    def ask(self, asked: Any = None, **options: Any) -> Answer:
        return self.api.call("create_export", body=asked or {}, **options)

    def export(self, asked: Any = None, **options: Any) -> Any:
        """The export once it has ended."""
        id = self.ask(asked, **options).id
        self.carry_out()
        return self.see(id, **options)

    def see(self, id: str, **options: Any) -> Any:
        return self.api.call("get_export", id, **options).body

    def content(self, job: Any) -> bytes:
        return bytes(self.bucket.Object(f"results/{job['id']}/customers.{job['format']}").get()["Body"].read())

    def rows(self, job: Any) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.content(job).decode("utf-8-sig"), newline="")))

    def ids(self, asked: Any = None, **options: Any) -> list[str]:
        return [row["customer_id"] for row in self.rows(self.export(asked, **options))]


@pytest.fixture
def exports(api: Api) -> Iterator[Exports]:
    exports = Exports(api, boto3.resource("s3").create_bucket(Bucket=api.environment["BUCKET_NAME"]))
    client = api.app("create_export").exports
    with patch.object(client, "_client", exports):
        yield exports


def test_an_export_is_accepted_and_ends_with_a_file(exports: Exports) -> None:
    exports.api.create("C-1", name="Zoë", phone="49 30")
    answer = exports.ask()
    job = answer.body
    assert (answer.status, answer.headers["location"]) == (202, f"/customers/exports/{job['id']}")
    assert (job["state"], job["format"], job["rows"]) == ("queued", "csv", 0)
    assert exports.carry_out()["state"] == "completed"
    done = exports.see(job["id"])
    assert (done["state"], done["total"], done["read"], done["percent"], done["rows"]) == ("completed", 1, 1, 100, 1)
    assert done["file"]["rows"] == 1
    assert done["file"]["bytes"] == len(exports.content(done))
    (row,) = exports.rows(done)
    record = exports.api.call("list_customers").body["data"][0]
    assert row == {
        **dict.fromkeys(("surname", "email", "status", "agent_id", "deleted_at"), ""),
        **{name: str(value) for name, value in record.items() if value is not None},
    }
    assert exports.content(done).startswith(b"\xef\xbb\xbfcustomer_id,name,surname,email,phone,status,agent_id,id,")


def test_what_a_spreadsheet_would_compute_is_neutralised_and_lines_of_json_are_verbatim(exports: Exports) -> None:
    exports.api.create("=1+1", name="'=x", phone="+49 30", surname="O'Hara", status="#N/A")
    (row,) = exports.rows(exports.export())
    assert (row["customer_id"], row["name"], row["phone"], row["surname"]) == ("'=1+1", "''=x", "'+49 30", "O'Hara")
    assert row["status"] == "'#N/A"
    (line,) = exports.content(exports.export({"format": "ndjson"})).splitlines()
    assert json.loads(line) == exports.api.call("list_customers").body["data"][0]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["C-1", "C-2", "C-3"]),
        ({"status": "LEAD, null"}, ["C-1", "C-3"]),
        ({"q": "ada lov"}, ["C-1"]),
        ({"q": "555"}, ["C-2"]),
        ({"only_deleted": True}, ["C-4"]),
        ({"include_deleted": True}, ["C-1", "C-2", "C-3", "C-4"]),
        ({"date_from": "2020-01-01", "date_to": "2020-12-31"}, []),
        ({"date_from": "2020-01-01"}, ["C-1", "C-2", "C-3"]),
        ({"date_from": "2999-01-01"}, []),
        ({"owner_id": "grace"}, ["C-1", "C-2", "C-3"]),
        ({"q": "", "status": " ", "date_from": "", "date_to": "", "owner_id": ""}, ["C-1", "C-2", "C-3"]),
    ],
)
def test_the_filters_are_those_of_the_list(exports: Exports, asked: Any, found: list[str]) -> None:
    exports.api.create("C-1", name="Ada", surname="Lovelace", status="lead")
    exports.api.create("C-2", phone="(555) 1", status="customer")
    exports.api.create("C-3")
    exports.api.call("delete_customer", exports.api.create("C-4").id)
    exports.api.create("G-1", owner="grace")
    assert exports.ids(asked) == found


def test_dates_are_inclusive_and_how_much_there_is_between_them_is_not_told(exports: Exports) -> None:
    created = [exports.api.create(f"C-{n}").body["created_at"] for n in range(4)]
    job = exports.export({"date_from": created[1], "date_to": created[2]})
    assert [row["customer_id"] for row in exports.rows(job)] == ["C-1", "C-2"]
    assert (job["read"], "total" in job, job["percent"]) == (2, False, 100)


def test_an_administrator_exports_everybodys_or_one_owners(exports: Exports) -> None:
    exports.api.create("A-1", owner="ada")
    exports.api.create("G-1", owner="grace")
    admin: dict[str, Any] = {"owner": "root", "role": "admin"}
    assert sorted((row["owner_id"], row["customer_id"]) for row in exports.rows(exports.export(**admin))) == [
        ("ada", "A-1"),
        ("grace", "G-1"),
    ]
    assert exports.ids({"owner_id": "ada"}, **admin) == ["A-1"]


def test_it_says_what_exactly_is_in_the_file(exports: Exports) -> None:
    job = exports.export({"status": "lead", "include_deleted": True})
    assert job["contents"].startswith(
        f"The live and deleted customers of one owner that match the query and were created up to {job['started_at']}"
    )
    assert job["query"]["filters"] == {"status": ["lead"], "include_deleted": True}
    assert job["finished_at"] in job["contents"]


def test_an_export_of_nobody_has_a_header_and_no_row(exports: Exports) -> None:
    job = exports.export()
    assert (job["state"], job["rows"], exports.rows(job)) == ("completed", 0, [])
    assert exports.content(exports.export({"format": "ndjson"})) == b""


def test_one_that_is_made_meanwhile_is_not_in_it(exports: Exports) -> None:
    exports.ask()
    claim = exports.api.app("export_customers").exporter._exports.claim

    def claimed(*arguments: Any) -> Any:
        export = claim(*arguments)
        exports.api.create("C-1")
        return export

    with patch.object(exports.api.app("export_customers").exporter._exports, "claim", claimed):
        assert exports.carry_out()["rows"] == 0


def test_one_that_is_deleted_meanwhile_is_not_in_it_twice(exports: Exports) -> None:
    ids = [exports.api.create(f"C-{n}").id for n in range(3)]
    pages = Table.pages
    deleted = list[str]()

    def read(table: Table, **asked: Any) -> Iterator[Any]:
        for page in pages(table, **asked):
            if asked.get("IndexName") and not deleted:  # it is on this page, and will be on one of the deleted
                deleted.append(ids[0])
                assert exports.api.call("delete_customer", ids[0]).status == 204
            yield page

    exports.ask({"include_deleted": True})
    with patch.object(Table, "pages", read):
        assert exports.carry_out()["state"] == "completed"
    found = [row["id"] for row in exports.rows(exports.see(exports.invoked[-1]["export_id"]))]
    assert found == ids


# Once, whatever happens


def test_a_repeated_request_makes_no_second_export(exports: Exports) -> None:
    headers = {"idempotency-key": "k"}
    first, again = exports.ask(headers=headers), exports.ask(headers=headers)
    assert again.id == first.id
    assert again.headers["idempotency-replayed"] == "true"
    other = exports.ask({"format": "ndjson"}, headers=headers)
    assert (other.status, other.body["detail"][0]["type"]) == (422, "idempotency_key_reused")
    assert exports.api.call("create_customer", body={"customer_id": "C-1"}, headers=headers).status == 422


def test_the_key_of_another_operation_is_refused(exports: Exports) -> None:
    headers = {"idempotency-key": "k"}
    assert exports.api.call("create_customer", body={"customer_id": "C-1"}, headers=headers).status == 201
    answer = exports.ask(headers=headers)
    assert (answer.status, answer.body["detail"][0]["type"], exports.invoked) == (422, "idempotency_key_reused", [])


def test_without_a_key_one_that_could_not_be_started_is_left_and_another_made(exports: Exports, table: Table) -> None:
    with patch.object(exports, "invoke", side_effect=EndpointConnectionError(endpoint_url="x")):
        assert exports.ask().status == 503
    id = exports.ask().id
    assert exports.invoked == [{"export_id": id}]
    left = [item for item in table._client.scan(TableName=table.name)["Items"] if "asked" in item]
    assert [item["state"]["S"] for item in left] == ["queued", "queued"]
    assert all("expires_at" in item for item in left)


def test_one_that_could_not_be_started_is_started_by_the_repeated_request(exports: Exports) -> None:
    headers = {"idempotency-key": "k"}
    with patch.object(exports, "invoke", side_effect=EndpointConnectionError(endpoint_url="x")):
        assert exports.ask(headers=headers).status == 503
    id = exports.ask(headers=headers).id
    assert exports.invoked == [{"export_id": id}]
    exports.carry_out()
    exports.ask(headers=headers)
    assert len(exports.invoked) == 1  # it is not begun again


def test_an_invocation_that_lambda_repeats_starts_over(exports: Exports) -> None:
    exports.api.create("C-1")
    id = exports.ask().id
    context = Context(lambda: 900_000, "invocation")
    with patch.object(writer, "_items", side_effect=Unavailable), pytest.raises(writer.ExportFailed):
        exports.carry_out(context)
    assert exports.see(id)["state"] == "queued"
    assert exports.carry_out(context)["rows"] == 1
    assert exports.see(id)["state"] == "completed"


def test_one_that_was_killed_is_taken_up_by_its_own_repetition(exports: Exports) -> None:
    exports.api.create("C-1")
    id, context = exports.ask().id, Context(lambda: 900_000, "invocation")
    with patch.object(writer, "_items", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        exports.carry_out(context)
    assert exports.see(id)["state"] == "running"
    assert exports.carry_out() == {"state": "stopped"}  # for all that another one knows, it still runs
    assert exports.carry_out(context)["state"] == "completed"


def test_what_failed_is_taken_up_also_under_another_name(exports: Exports) -> None:
    exports.api.create("C-1")
    id = exports.ask().id
    with patch.object(writer, "_items", side_effect=Unavailable), pytest.raises(writer.ExportFailed):
        exports.carry_out()
    assert exports.carry_out()["rows"] == 1
    assert exports.see(id)["state"] == "completed"


def test_no_invocation_comes_after_the_end(exports: Exports) -> None:
    id = exports.export()["id"]
    assert exports.carry_out() == {"state": "stopped"}
    assert exports.see(id)["state"] == "completed"


def test_what_fails_to_the_last_says_so_and_leaves_no_file(exports: Exports) -> None:
    exports.api.create("C-1")
    id, context = exports.ask().id, Context(lambda: 900_000, "invocation")
    with patch.object(writer, "_items", side_effect=Unavailable):
        for _ in range(2):
            with pytest.raises(writer.ExportFailed):
                exports.carry_out(context)
        assert exports.carry_out(context)["code"] == "unavailable"
    assert (exports.see(id)["state"], exports.see(id)["error"]["code"]) == ("failed", "unavailable")
    assert not list(exports.bucket.objects.all())
    assert not list(exports.bucket.multipart_uploads.all())


def test_what_breaks_off_midway_leaves_no_half_file_and_is_whole_the_next_time(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        exports.api.create(f"C-{n}", name=f"Zoë {n}")
    id, context, records = exports.ask().id, Context(lambda: 900_000, "invocation"), writer._records
    monkeypatch.setattr(writer, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(files, "PART_BYTES", 1)

    def broken(*arguments: Any) -> Iterator[Any]:
        for number, item in enumerate(records(*arguments)):
            if number == 3:
                assert list(exports.bucket.multipart_uploads.all())
                raise Unavailable
            yield item

    with patch.object(writer, "_records", broken), pytest.raises(writer.ExportFailed):
        exports.carry_out(context)
    assert not list(exports.bucket.objects.all())
    assert not list(exports.bucket.multipart_uploads.all())
    monkeypatch.undo()
    exports.carry_out(context)
    again = exports.export()
    assert exports.content(exports.see(id)) == exports.content(again)


def test_of_two_at_once_the_later_one_goes_on_and_its_file_is_the_one_that_is_told(exports: Exports) -> None:
    exports.api.create("C-1")
    id, context, records = exports.ask().id, Context(lambda: 900_000, "invocation"), writer._records
    later = list[Any]()

    def read(*arguments: Any) -> Iterator[Any]:
        found = list(records(*arguments))
        if not later:
            later.append(None)
            exports.api.create("C-2")
            later[0] = exports.carry_out(context)
        yield from found

    with patch.object(writer, "_records", read):
        assert exports.carry_out(context) == {"state": "stopped"}
    job = exports.see(id)
    assert (later[0]["rows"], job["rows"], len(exports.rows(job))) == (2, 2, 2)
    assert job["file"]["bytes"] == len(exports.content(job))
    assert not list(exports.bucket.multipart_uploads.all())


def test_of_two_at_once_the_earlier_one_stops_though_the_later_one_has_not_ended(exports: Exports) -> None:
    exports.api.create("C-1")
    id, context, records = exports.ask().id, Context(lambda: 900_000, "invocation"), writer._records
    later = list[Any]()

    def read(*arguments: Any) -> Iterator[Any]:
        if later:
            raise Unavailable
        later.append(None)
        with pytest.raises(writer.ExportFailed):
            exports.carry_out(context)
        yield from records(*arguments)

    with patch.object(writer, "_records", read):
        assert exports.carry_out(context) == {"state": "stopped"}
    assert exports.see(id)["state"] == "queued"
    assert exports.carry_out(context)["state"] == "completed"


def test_time_runs_out_also_where_nothing_is_found(exports: Exports) -> None:
    exports.api.create("C-1", status="lead")
    id = exports.ask({"status": "customer", "date_from": "2020-01-01"}).id
    with patch.object(writer, "MOVE_SECONDS", -1):
        assert exports.carry_out(Context(lambda: writer.RESERVE_MILLISECONDS - 1))["code"] == "too_large"
    assert exports.see(id)["read"] == 0


def test_what_is_too_much_for_one_invocation_fails_with_its_reason(exports: Exports) -> None:
    exports.api.create("C-1")
    id = exports.ask().id
    with patch.object(writer, "MOVE_SECONDS", -1):
        answer = exports.carry_out(Context(lambda: writer.RESERVE_MILLISECONDS - 1))
    assert answer == {"state": "failed", "code": "too_large"}
    assert exports.see(id)["error"]["code"] == "too_large"


def test_progress_is_seen_while_it_runs(exports: Exports) -> None:
    for n in range(3):
        exports.api.create(f"C-{n}")
    id, seen, items = exports.ask().id, list[Any](), writer._items

    def read(*arguments: Any, **options: Any) -> Iterator[Any]:
        for item in items(*arguments, **options):
            seen.append(exports.see(id))
            yield item

    with patch.object(writer, "MOVE_SECONDS", -1), patch.object(writer, "_items", read):
        exports.carry_out()
    assert [(job["state"], job["total"], job["read"], job["percent"]) for job in seen] == [
        ("running", 3, 0, 0),
        ("running", 3, 1, 33.3),
        ("running", 3, 2, 66.7),
    ]


def test_one_that_gives_no_sign_of_life_has_failed(exports: Exports, table: Table) -> None:
    id = exports.ask().id
    with patch.object(writer, "_items", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        exports.carry_out()
    item = table.get(keys.export(id)) or {}
    table.put({**item, "moved_at": keys.timestamp(datetime.now(UTC) - timedelta(minutes=LOST_MINUTES + 1))})
    assert (exports.see(id)["state"], exports.see(id)["error"]["code"]) == ("failed", "lost")


def test_one_that_was_not_begun_in_time_has_failed_and_stays_so(exports: Exports, table: Table) -> None:
    headers = {"idempotency-key": "k"}
    id = exports.ask(headers=headers).id
    item = table.get(keys.export(id)) or {}
    table.put({**item, "created_at": keys.timestamp(datetime.now(UTC) - timedelta(minutes=WAITING_MINUTES + 1))})
    assert exports.carry_out() == {"state": "stopped"}
    assert (exports.ask(headers=headers).body["error"]["code"], len(exports.invoked)) == ("lost", 1)


def test_one_that_has_expired_is_not_carried_out(exports: Exports, table: Table) -> None:
    id = exports.ask().id
    table.put({**(table.get(keys.export(id)) or {}), "expires_at": 1})
    assert exports.carry_out() == {"state": "stopped"}
    assert not list(exports.bucket.objects.all())


# Who sees what


def test_another_owners_and_an_expired_export_are_not_found(exports: Exports, table: Table) -> None:
    id = exports.ask(owner="ada").id
    never = exports.api.call("get_export", str(uuid4()), owner="grace")
    assert (never.status, never.body["code"]) == (404, "export_not_found")
    assert exports.api.call("get_export", id, owner="grace").body == never.body
    assert exports.see(id, owner="root", role="admin")["owner_id"] == "ada"
    table.put({**(table.get(keys.export(id)) or {}), "expires_at": 1})
    assert exports.api.call("get_export", id, owner="ada").status == 404


@pytest.mark.parametrize(
    ("asked", "loc"),
    [
        ({"format": "pdf"}, ["body", "format"]),
        ({"date_from": "soon"}, ["body", "date_from"]),
        ({"state": "lead"}, ["body", "state"]),
    ],
)
def test_what_is_asked_wrongly_is_refused(exports: Exports, asked: Any, loc: list[str]) -> None:
    answer = exports.ask(asked)
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, loc)


def test_what_an_administrator_exported_is_for_no_other_credential_of_the_same_owner(exports: Exports) -> None:
    headers, admin = {"idempotency-key": "k"}, {"owner": "root", "role": "admin"}
    id = exports.ask(headers=headers, **admin).id
    exports.carry_out()
    assert exports.api.call("get_export", id, owner="root").body["code"] == "export_not_found"
    answer = exports.ask(headers=headers, owner="root")
    assert (answer.status, answer.body["detail"][0]["type"]) == (422, "idempotency_key_reused")
    assert exports.ask(headers=headers, **admin).body["file"]


def test_the_path_is_a_uuid(exports: Exports) -> None:
    answer = exports.api.call("get_export", "customers.csv")
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["path", "export_id"])


def test_what_has_become_of_it_is_one_line_of_counts(exports: Exports, logs: Callable[[], str]) -> None:
    exports.api.create("C-1", name="Zephyrine")
    job = exports.export({"q": "zephyrine"})
    lines = [json.loads(line) for line in logs().splitlines()]
    (line,) = [line for line in lines if line.get("message") == "export"]
    assert (line["state"], line["read"], line["rows"], line["bytes"]) == ("completed", 1, 1, job["file"]["bytes"])
    assert not {"zephyrine", "C-1", job["id"], "demo-owner"} & {*json.dumps(line).split('"')}


def test_what_it_logs_and_raises_says_nothing_of_anybody(exports: Exports, logs: Callable[[], str]) -> None:
    exports.api.create("Zephyrine-1", name="Zephyrine")
    exports.ask({"q": "zephyrine"})
    with patch.object(writer, "_cell", side_effect=ValueError("Zephyrine")), pytest.raises(Exception) as raised:  # noqa: PT011
        exports.carry_out()
    assert "Zephyrine" not in repr(raised.value)
    assert "zephyrine" not in logs().lower()
