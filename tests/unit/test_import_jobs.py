"""Large imports as their owners see and stop them, and step by step."""

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

from customers import keys
from customers.dynamodb import Table
from customers.errors import Unavailable
from customers.files import LIFE_DAYS, Files, rows_key, upload_key
from customers.importing.batches import BATCH_ROWS
from customers.importing.jobs import LOST_MINUTES, ChunkMark, Jobs
from customers.importing.steps import RESERVE_MILLISECONDS, StepFailed
from tests import machine
from tests.handlers import Api, Context

FUNCTIONS = {"SplitImport": "split_import", "ImportChunk": "import_chunk", "FinishImport": "finish_import"}
PEOPLE = b"Customer ID,Name,E-mail\n" + b"".join(b"C-%02d,Ada %d,\n" % (n, n) for n in range(30))


@dataclass
class Imports:
    """The API and the state machine over moto's DynamoDB and S3."""

    api: Api
    bucket: Any
    executions: dict[str, Any] = field(default_factory=dict[str, Any])

    def new(self, file: bytes | None = None, **options: Any) -> str:
        """The id of an import whose file, if there is one, is uploaded."""
        asked = options.pop("asked", {})
        answer = self.api.call("create_import", body=asked, **options)
        assert answer.status == 201, answer.body
        if file is not None:
            self.bucket.put_object(Key=upload_key(answer.id), Body=file)
        return answer.id

    def run(self, id: str, invoke: machine.Invoke | None = None) -> list[str]:
        """The states that an event of the upload leads through, one chunk at a time."""
        definition = machine.definition("ImportMachine")
        definition["States"]["ApplyChunks"]["MaxConcurrency"] = 1  # moto's transactions do not stand more
        event = {"key": upload_key(id)}
        return machine.run(definition, event, invoke or self.step, {"Execution": {"Name": str(uuid4())}})[1]

    def finish(self, id: str) -> Any:
        """The last step, as the execution that the import belongs to takes it."""
        header = self.api.app("get_import").jobs.header(id)
        return self.step("FinishImport", {"key": upload_key(id), "execution": header.item["execution"]})

    def step(self, function: str, event: Any, context: Context | None = None) -> Any:
        context = context or Context(lambda: 300_000)
        return self.api.app(FUNCTIONS[function]).lambda_handler(event, context)

    def see(self, id: str, **options: Any) -> Any:
        return self.api.call("get_import", id, **options).body

    def rejected(self, id: str) -> list[dict[str, str]]:
        text = self.bucket.Object(f"results/{id}/rejected.csv").get()["Body"].read().decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    def customers(self) -> dict[str, Any]:
        found = self.api.call("list_customers", query="limit=200").body["data"]
        return {each["customer_id"]: each for each in found}


@pytest.fixture
def imports(api: Api) -> Iterator[Imports]:
    bucket = boto3.resource("s3").create_bucket(Bucket=api.environment["BUCKET_NAME"])
    with patch("customers.importing.splitting.CHUNK_ROWS", 12):
        yield Imports(api, bucket)


def numbers(job: Any) -> dict[str, Any]:
    names = ("state", "total", "processed", "created", "updated", "unchanged", "skipped")
    return {name: job[name] for name in names if job.get(name)}


# What users do


def test_a_new_import_waits_for_its_file_and_says_where_to_send_it(imports: Imports) -> None:
    answer = imports.api.call("create_import", body={"file_name": "people.csv", "on_deleted": "restore"})
    job = answer.body
    assert (answer.status, job["state"], job["file_name"], job["on_deleted"]) == (
        *(201, "waiting", "people.csv"),
        "restore",
    )
    assert answer.headers["location"] == f"/customers/imports/{job['id']}"
    assert job["upload"]["fields"]["key"] == upload_key(job["id"])
    assert job["upload"]["fields"]["Content-Type"] == "text/csv"
    assert "upload" not in imports.see(job["id"])


def test_an_import_ends_with_counts_and_a_file_of_the_rejected_rows(imports: Imports) -> None:
    file = PEOPLE + b"C-90,Bad,nobody,\n,No key,\nC-01,Again,\nC-91,=1+1,=2\n"
    id = imports.new(file)
    assert imports.run(id) == ["Split", "WhatNext", "ApplyChunks", "Finish", "Ended"]
    job = imports.see(id)
    assert numbers(job) == {"state": "completed", "total": 34, "processed": 34, "created": 30, "skipped": 4}
    assert (job["percent"], job["rejected"]["rows"]) == (100, 4)
    assert imports.rejected(id)[:3] == [
        {
            "Customer ID": "C-90",
            "Name": "Bad",
            "E-mail": "nobody",
            "row": "32",
            "code": "value_error",
            "message": "email: value is not a valid email address: An email address must have an @-sign.",
        },
        {
            "Customer ID": "",
            "Name": "No key",
            "E-mail": "",
            "row": "33",
            "code": "customer_id_missing",
            "message": "customer_id: The row has no customer_id",
        },
        {
            "Customer ID": "C-01",
            "Name": "Again",
            "E-mail": "",
            "row": "34",
            "code": "duplicate_row",
            "message": "customer_id: An earlier row has this customer_id",
        },
    ]
    assert imports.rejected(id)[3]["Name"] == "'=1+1"  # no spreadsheet computes it


def test_the_rejected_rows_once_mended_can_be_imported_as_they_are(imports: Imports) -> None:
    id = imports.new(b"customer_id,name,email\nC-1,=1+1,nobody\n")
    imports.run(id)
    mended = (
        imports.bucket.Object(f"results/{id}/rejected.csv").get()["Body"].read().replace(b"nobody", b"a@example.com")
    )
    answer = imports.api.upload(mended)
    assert (answer.body["created"], answer.body["errors"]) == (1, [])
    assert imports.customers()["C-1"]["name"] == "=1+1"


def test_a_rejected_row_that_nobody_has_mended_is_rejected_again(imports: Imports) -> None:
    id = imports.new(b"customer_id,name,surname\nC-1,#N/A\nC-2,Doe, Jr,Jane\n")
    imports.run(id)
    unmended = imports.bucket.Object(f"results/{id}/rejected.csv").get()["Body"].read()
    assert b"Jane" in unmended
    errors = imports.api.upload(unmended).body["errors"]
    assert [(each["row"], each["code"]) for each in errors] == [(2, "unreadable_cell"), (3, "too_many_cells")]
    assert not imports.customers()


def test_nothing_of_the_file_is_kept_but_the_rejected_rows(imports: Imports, dynamodb: Any) -> None:
    id = imports.new(b"customer_id,name,email\nC-1,Zephyrine,nobody@\n")
    imports.run(id)
    assert [each.key for each in imports.bucket.objects.all()] == [f"results/{id}/rejected.csv"]
    assert "zephyrine" not in json.dumps(dynamodb.scan(TableName="customers")["Items"]).lower()


def test_an_import_of_which_no_row_is_bad_has_no_file_of_rejected_rows(imports: Imports) -> None:
    id = imports.new(PEOPLE)
    imports.run(id)
    assert "rejected" not in imports.see(id)
    assert not list(imports.bucket.objects.all())


def test_a_dry_run_writes_no_customer_and_tells_what_would_become_of_each_row(imports: Imports) -> None:
    imports.api.create("C-01", name="Ada 1")
    id = imports.new(PEOPLE + b",No key,\n", asked={"dry_run": True})
    imports.run(id)
    job = imports.see(id)
    assert numbers(job) == {
        "state": "completed",
        "total": 31,
        "processed": 31,
        "created": 29,
        "updated": 1,
        "unchanged": 1,
        "skipped": 1,
    }
    assert imports.customers().keys() == {"C-01"}


def test_a_repeated_request_makes_no_second_import(imports: Imports) -> None:
    headers = {"idempotency-key": "k"}
    first = imports.api.call("create_import", body={}, headers=headers)
    again = imports.api.call("create_import", body={}, headers=headers)
    assert again.id == first.id
    assert again.headers["idempotency-replayed"] == "true"
    assert again.body["upload"]["fields"]["key"] == upload_key(first.id)
    other = imports.api.call("create_import", body={"dry_run": True}, headers=headers)
    assert (other.status, other.body["detail"][0]["type"]) == (422, "idempotency_key_reused")
    assert imports.api.call("list_imports").body["meta"]["total"] == 1


def test_the_list_has_the_newest_first_page_by_page(imports: Imports) -> None:
    ids = [imports.new() for _ in range(3)]
    page = imports.api.call("list_imports", query="limit=2&offset=1").body
    assert [each["id"] for each in page["data"]] == ids[1::-1]
    assert (page["meta"]["total"], page["meta"]["sort"]["field"]) == (3, "created_at")


@pytest.mark.parametrize("operation", ["get_import", "cancel_import"])
def test_another_owners_import_is_not_found(imports: Imports, operation: str) -> None:
    id = imports.new(owner="ada")
    answer = imports.api.call(operation, id, owner="grace")
    never = imports.api.call(operation, str(uuid4()), owner="grace")
    assert (answer.status, answer.body) == (404, never.body)
    assert imports.see(id, owner="ada")["state"] == "waiting"
    assert imports.api.call("list_imports", owner="grace").body["data"] == []


def test_an_administrator_sees_everybodys(imports: Imports) -> None:
    id = imports.new(owner="ada")
    assert imports.see(id, owner="root", role="admin")["owner_id"] == "ada"
    listed = imports.api.call("list_imports", query="owner_id=ada", owner="root", role="admin").body
    assert [each["id"] for each in listed["data"]] == [id]
    assert imports.api.call("list_imports", query="owner_id=ada", owner="grace").body["data"] == []


def test_an_expired_import_is_not_found(imports: Imports, table: Table) -> None:
    id = imports.new()
    header = table.get(keys.import_(id)) or {}
    assert (
        header["expires_at"]
        == (datetime.fromisoformat(header["created_at"]) + timedelta(days=LIFE_DAYS)).timestamp() // 1
    )
    table.put({**header, "expires_at": int(datetime.now(UTC).timestamp()) - 1})
    assert imports.api.call("get_import", id).body["code"] == "import_not_found"


def test_progress_is_seen_while_it_runs(imports: Imports) -> None:
    id = imports.new(PEOPLE)
    seen = list[Any]()

    def invoke(function: str, event: Any) -> Any:
        seen.append(imports.see(id))
        return imports.step(function, event)

    imports.run(id, invoke)
    assert [(job["state"], job["processed"], job["percent"]) for job in seen] == [
        *[("waiting", 0, 0), ("running", 0, 0), ("running", 12, 40), ("running", 24, 80)],
        ("running", 30, 100),
    ]
    assert "total" not in seen[0]
    assert seen[2]["rows_per_second"] > 0
    assert seen[2]["remaining_seconds"] >= 0


# Cancelling


def test_one_that_waits_is_cancelled_at_once_and_a_later_upload_does_nothing(imports: Imports) -> None:
    id = imports.new()
    assert imports.api.call("cancel_import", id).body["state"] == "cancelled"
    imports.bucket.put_object(Key=upload_key(id), Body=PEOPLE)
    imports.run(id)
    assert not imports.customers()


def test_one_that_runs_stops_and_tells_what_was_done(imports: Imports) -> None:
    id = imports.new(b"customer_id\n,\n" + PEOPLE.partition(b"\n")[2])

    def invoke(function: str, event: Any) -> Any:
        if event.get("chunk") == 1:
            assert imports.api.call("cancel_import", id).body["state"] == "cancelling"
        return imports.step(function, event)

    imports.run(id, invoke)
    job = imports.see(id)
    assert numbers(job)["state"] == "cancelled"
    assert len(imports.customers()) == job["created"] < job["total"]


def test_one_that_has_ended_stays_as_it_is(imports: Imports) -> None:
    id = imports.new(PEOPLE)
    imports.run(id)
    before = imports.see(id)
    answer = imports.api.call("cancel_import", id)
    assert (answer.status, answer.body) == (200, before)


# Step by step


def test_a_second_upload_or_event_starts_nothing(imports: Imports) -> None:
    id = imports.new(PEOPLE)
    imports.run(id)
    imports.bucket.put_object(Key=upload_key(id), Body=b"customer_id\nX-1\n")
    assert imports.run(id) == ["Split", "WhatNext", "Ended"]
    assert "X-1" not in imports.customers()


def test_an_upload_that_is_overwritten_while_it_is_imported_changes_nothing(imports: Imports) -> None:
    id = imports.new(PEOPLE)

    def invoke(function: str, event: Any) -> Any:
        answer = imports.step(function, event)
        imports.bucket.put_object(Key=upload_key(id), Body=PEOPLE.replace(b"C-", b"X-"))
        return answer

    imports.run(id, invoke)
    assert imports.see(id)["created"] == len(imports.customers()) == 30
    assert all(key.startswith("C-") for key in imports.customers())


def test_a_first_step_that_is_late_resets_nothing_that_is_done(imports: Imports) -> None:
    id = imports.new(PEOPLE)
    asked, original, late = {"key": upload_key(id), "execution": "e"}, Jobs.add_chunks, list[Any]()

    def add_chunks(jobs: Jobs, *found: Any) -> None:
        if not late:  # held up before it writes, it is tried again meanwhile
            late.append(True)
            imports.step("SplitImport", asked)
            imports.step("ImportChunk", {"import_id": id, "chunk": 0})
        original(jobs, *found)

    with patch.object(Jobs, "add_chunks", add_chunks):
        imports.step("SplitImport", asked)
    assert (imports.see(id)["state"], imports.see(id)["processed"]) == ("running", 12)


def test_a_first_step_that_is_repeated_reads_what_was_sent_first(imports: Imports) -> None:
    id = imports.new(PEOPLE + b"C-01,Twice,\n")
    with patch.object(Jobs, "move", side_effect=Unavailable), pytest.raises(StepFailed):
        imports.step("SplitImport", {"key": upload_key(id), "execution": "e"})
    imports.bucket.put_object(Key=upload_key(id), Body=b"customer_id\nX-1\n")
    answer = imports.step("SplitImport", {"key": upload_key(id), "execution": "e"})
    for chunk in answer["chunks"]:
        imports.step("ImportChunk", chunk)
    imports.finish(id)
    assert numbers(imports.see(id)) == {"state": "completed", "total": 31, "processed": 31, "created": 30, "skipped": 1}


def test_an_upload_that_comes_too_late_is_not_kept(imports: Imports) -> None:
    id = imports.new(PEOPLE)
    imports.run(id)
    imports.bucket.put_object(Key=upload_key(id), Body=PEOPLE)
    imports.run(id)
    assert not list(imports.bucket.objects.all())


def test_imports_of_one_owner_take_turns(imports: Imports) -> None:
    first, second = imports.new(PEOPLE), imports.new(PEOPLE)
    waited = list[Any]()

    def slowly(function: str, event: Any) -> Any:
        if event.get("chunk") == 0:
            asked = {"key": upload_key(second), "execution": "second"}
            waited.append((imports.step("SplitImport", asked), imports.see(second)["state"]))
        return imports.step(function, event)

    imports.run(first, slowly)
    assert waited == [({"next": "wait"}, "queued")]
    assert imports.step("SplitImport", {"key": upload_key(second), "execution": "second"})["next"] == "apply"


def test_the_turn_of_one_that_gives_no_sign_of_life_passes_on(imports: Imports, table: Table) -> None:
    first, second = imports.new(PEOPLE), imports.new(PEOPLE)
    imports.step("SplitImport", {"key": upload_key(first), "execution": "first"})
    turn = table.get(keys.importing("demo-owner")) or {}
    table.put({**turn, "until": "2020-01-01T00:00:00.000000Z"})
    assert imports.step("SplitImport", {"key": upload_key(second), "execution": "second"})["next"] == "apply"


def silent(table: Table, id: str, *, minutes: int = LOST_MINUTES + 1) -> None:
    """Let the last sign of life of an import be this long ago."""
    alive_at = keys.timestamp(datetime.now(UTC) - timedelta(minutes=minutes))
    table.put({**(table.get(keys.import_(id)) or {}), "alive_at": alive_at})


def test_one_that_gives_no_sign_of_life_has_failed_and_its_last_step_may_still_come(
    imports: Imports, table: Table
) -> None:
    id = imports.new(PEOPLE + b",No key,\n")
    split = imports.step("SplitImport", {"key": upload_key(id), "execution": "first"})
    imports.step("ImportChunk", split["chunks"][0])
    silent(table, id, minutes=LOST_MINUTES - 1)
    assert imports.see(id)["state"] == "running"
    silent(table, id)
    job = imports.see(id)
    assert (job["state"], job["error"]["code"], job["processed"]) == ("failed", "lost", 12)
    assert "remaining_seconds" not in job
    assert imports.api.call("list_imports").body["data"] == [job]
    assert imports.api.call("cancel_import", id).body == job
    imports.step("ImportChunk", split["chunks"][1])
    imports.finish(id)
    assert (imports.see(id)["state"], imports.see(id)["processed"]) == ("cancelled", 12)


@pytest.mark.parametrize("step", ["SplitImport", "ImportChunk"])
def test_a_step_that_begins_is_a_sign_of_life(imports: Imports, table: Table, step: str) -> None:
    id = imports.new(PEOPLE)
    asked = {"key": upload_key(id), "execution": "first"}
    split = imports.step("SplitImport", asked)
    silent(table, id)
    imports.step(step, asked if step == "SplitImport" else split["chunks"][0])
    assert imports.see(id)["state"] == "running"


def test_whatever_moves_an_import_is_a_sign_of_life(imports: Imports, table: Table) -> None:
    id, jobs = imports.new(PEOPLE), imports.api.app("get_import").jobs
    long_ago = keys.timestamp(datetime.now(UTC) - timedelta(minutes=LOST_MINUTES + 1))
    table.put({**(table.get(keys.import_(id)) or {}), "created_at": long_ago})
    job = jobs.claim(id, "first")
    assert imports.see(id)["state"] == "splitting"
    silent(table, id)
    jobs.move(job, "splitting", "queued")
    assert imports.see(id)["state"] == "queued"
    for state, then in (("queued", "finishing"), ("finishing", "finishing"), ("cancelling", "cancelling")):
        table.put({**(table.get(keys.import_(id)) or {}), "state": state, "alive_at": long_ago})
        jobs.finishing(id, "first")
        assert imports.see(id)["state"] == then


def test_one_that_waits_for_its_file_is_not_lost(imports: Imports, table: Table) -> None:
    id = imports.new()
    silent(table, id)
    assert imports.see(id)["state"] == "waiting"


@pytest.mark.parametrize(
    ("file", "code"),
    [(b"name\nAda\n", "missing_column"), (b"\x89PNG\r\n\x1a\n\x00", "unsupported_file"), (None, "upload_missing")],
)
def test_a_file_that_cannot_be_read_fails_the_import_with_its_reason(
    imports: Imports, file: bytes | None, code: str
) -> None:
    id = imports.new(file)
    assert imports.run(id)[-2:] == ["Finish", "Ended"]
    job = imports.see(id)
    assert (job["state"], job["error"]["code"]) == ("failed", code)
    assert imports.run(imports.new(PEOPLE)) == [
        "Split",
        "WhatNext",
        "ApplyChunks",
        "Finish",
        "Ended",
    ]  # the turn is free


def test_a_file_of_no_rows_is_an_import_of_nothing(imports: Imports) -> None:
    id = imports.new(b"customer_id,name\n")
    assert imports.run(id) == ["Split", "WhatNext", "Finish", "Ended"]
    assert (imports.see(id)["state"], imports.see(id)["total"], imports.see(id)["percent"]) == ("completed", 0, 100)


def test_a_file_of_too_many_rows_is_refused(imports: Imports) -> None:
    with patch("customers.importing.splitting.MAX_ROWS", 29):
        id = imports.new(PEOPLE)
        imports.run(id)
    assert imports.see(id)["error"]["code"] == "too_many_rows"


def test_a_worker_whose_time_is_up_goes_on_where_it_was(imports: Imports) -> None:
    with patch("customers.importing.splitting.CHUNK_ROWS", 100):
        id = imports.new(b"customer_id\n" + b"".join(b"C-%d\n" % n for n in range(90)))
        imports.step("SplitImport", {"key": upload_key(id), "execution": "e"})
    work, passed, move = {"import_id": id, "chunk": 0}, list[int](), ChunkMark.passed

    def moved(mark: ChunkMark, *of_batch: Any) -> None:
        passed.append(1)
        move(mark, *of_batch)

    with patch.object(ChunkMark, "passed", moved):
        late = Context(lambda: RESERVE_MILLISECONDS - 1 if passed else 300_000)
        assert imports.step("ImportChunk", work, late) == {"done": False}
    done = imports.see(id)["processed"]
    assert done == BATCH_ROWS
    assert imports.step("ImportChunk", work) == {"done": True}
    assert imports.see(id)["created"] == 90


def test_a_chunk_that_cannot_be_applied_leaves_the_others_and_the_import_says_so(imports: Imports) -> None:
    def invoke(function: str, event: Any) -> Any:
        if event.get("chunk") == 1:
            raise Unavailable
        return imports.step(function, event)

    id = imports.new(PEOPLE)
    imports.run(id, invoke)
    job = imports.see(id)
    assert numbers(job) == {"state": "failed", "total": 30, "processed": 18, "created": 18}
    assert job["error"]["code"] == "incomplete"


def test_an_import_whose_execution_is_stopped_comes_to_its_end(imports: Imports) -> None:
    id = imports.new(PEOPLE)
    imports.step("SplitImport", {"key": upload_key(id), "execution": "e"})
    imports.step("ImportChunk", {"import_id": id, "chunk": 0})
    upload = json.dumps({"key": upload_key(id)})
    told = {"name": "e", "status": "ABORTED", "input": upload}
    event = {"detail-type": "Step Functions Execution Status Change", "detail": told}
    assert imports.step("FinishImport", {**event, "detail": {**told, "name": "another"}}) == {"state": None}
    assert imports.see(id)["state"] == "running"
    assert imports.step("FinishImport", event) == {"state": "failed"}
    assert numbers(imports.see(id)) == {"state": "failed", "total": 30, "processed": 12, "created": 12}
    assert imports.step("SplitImport", {"key": upload_key(id), "execution": "e"}) == {"next": "stop"}


def test_a_worker_that_comes_after_the_end_moves_nothing(imports: Imports) -> None:
    id, late = imports.new(PEOPLE), list[Any]()

    def invoke(function: str, event: Any) -> Any:
        if event.get("chunk") == 1:  # it has decided, and is held up before it writes
            original = Table.transact

            def transact(table: Table, writes: Any) -> None:
                if "mark" in writes and not late:
                    late.append(True)
                    late.append(imports.finish(id))
                original(table, writes)

            with patch.object(Table, "transact", transact):
                late.append(imports.step(function, event))
            return {"done": True}
        return imports.step(function, event)

    imports.run(id, invoke)
    assert late[1:] == [{"state": "failed"}, {"done": False}]
    job = imports.see(id)
    assert len(imports.customers()) == job["created"] == job["processed"] == 12


def test_rejected_rows_are_in_the_file_though_their_worker_did_not_come_to_write_them(imports: Imports) -> None:
    def invoke(function: str, event: Any) -> Any:
        with patch.object(Files, "write", side_effect=Unavailable):
            return imports.step(function, event)

    id = imports.new(b"customer_id\nC-1\n,\nC-1\n", asked={"file_name": "x"})
    with pytest.raises(machine.Failed):  # the last step could not write it either
        imports.run(id, invoke)
    assert imports.finish(id) == {"state": "completed"}
    assert [row["row"] for row in imports.rejected(id)] == ["4"]
    assert imports.see(id)["skipped"] == 1


def test_a_purge_is_not_undone_by_a_file_that_was_sent_before_it(imports: Imports) -> None:
    id = imports.api.create("C-01").id
    import_id = imports.new(PEOPLE)
    imports.api.call("delete_customer", id, query="purge=true")
    imports.run(import_id)
    assert "C-01" not in imports.customers()
    assert [row["code"] for row in imports.rejected(import_id)] == ["customer_gone"]
    later = imports.new(PEOPLE)
    imports.run(later)
    assert "C-01" in imports.customers()


def test_a_customer_that_was_given_another_customer_id_does_not_come_back_under_the_old_one(imports: Imports) -> None:
    id = imports.api.create("C-01").id
    import_id = imports.new(PEOPLE)
    imports.api.call("update_customer", id, {"customer_id": "D-01"})
    imports.api.call("delete_customer", id, query="purge=true")
    imports.run(import_id)
    assert {"C-01", "D-01"}.isdisjoint(imports.customers())
    assert [row["code"] for row in imports.rejected(import_id)] == ["customer_gone"]


def test_a_workbook_is_imported_from_its_first_sheet(imports: Imports) -> None:
    from tests.corpus.files import FILES  # noqa: PLC0415 - large

    id = imports.new(FILES["excel.xlsx"].content())
    imports.run(id)
    assert imports.see(id)["state"] == "completed"


def test_what_a_step_logs_and_raises_says_nothing_of_anybody(imports: Imports, logs: Callable[[], str]) -> None:
    file = b"customer_id,name,email\nZephyrine-1,Zephyrine,Zephyrine\nZephyrine-2,Zephyrine,\n"
    id = imports.new(file)
    with patch.object(Table, "transact", side_effect=ValueError("Zephyrine")), pytest.raises(Exception) as raised:  # noqa: PT011
        imports.step("SplitImport", {"key": upload_key(id), "execution": "e"})
    assert "Zephyrine" not in repr(raised.value)
    assert raised.value.__suppress_context__
    imports.run(id)
    assert imports.see(id)["created"] == 1
    assert "zephyrine" not in logs().lower()


def test_a_worker_reads_its_own_copy_and_nothing_of_the_upload(imports: Imports) -> None:
    id = imports.new(PEOPLE)
    imports.step("SplitImport", {"key": upload_key(id), "execution": "e"})
    imports.bucket.Object(upload_key(id)).delete()
    assert imports.step("ImportChunk", {"import_id": id, "chunk": 0}) == {"done": True}
    assert rows_key(id) in {each.key for each in imports.bucket.objects.all()}


def test_an_import_is_named_by_a_uuid(imports: Imports) -> None:
    answer = imports.api.call("get_import", "no-uuid")
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["path", "import_id"])
