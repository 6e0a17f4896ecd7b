"""The deployed stack, as `make run` brings it up and as its users meet it."""

import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from customers import keys
from customers.events import DETAIL_TYPES
from customers.files import CSV_TYPE, Files
from customers.importing.models import FINISHED
from tests import machine, told
from tests.handlers import OPERATIONS, message
from tests.people import People
from tests.stack.conftest import CURL_LINES, IMPORT_SECONDS, Stack, soon
from tools import demo
from tools.event_schemas import example
from tools.openapi import routes
from tools.template import ROOT

pytestmark = pytest.mark.xdist_group("sam")

CANARY = "Canaria"
CREDENTIALS = ["bearer", "api_key"]
OF_ONE_RECORD = [operation for operation in OPERATIONS if "{" in routes()[operation][1]]
OF_ONE_CUSTOMER = [operation for operation in OF_ONE_RECORD if "{customer_id}" in routes()[operation][1]]


def new() -> dict[str, str]:
    return {"customer_id": f"T-{uuid4()}", "name": "Zoë", "status": "lead"}


def created(stack: Stack) -> str:
    return str(stack.call("create_customer", body=new()).json()["id"])


def test_the_printed_curl_lines_answer_as_printed(stack: Stack) -> None:
    stack.stop()
    stack.start()  # what is printed holds until something is changed
    comments = [stack.printed[stack.printed.index(line) - 1] for line in stack.curl_lines]
    assert len(comments) == CURL_LINES
    for comment, line in zip(comments, stack.curl_lines, strict=True):
        response = stack.paste(line)
        assert comment.startswith(f"# {response.status_code}: "), response.text
        if said := re.search(r"(\d+) customers", comment):
            assert response.json()["meta"]["total"] == int(said[1])


def test_a_printed_line_that_creates_answers_the_same_when_it_is_pasted_again(stack: Stack) -> None:
    (line,) = [line for line in stack.curl_lines if " -d " in line]
    first, again = stack.paste(line), stack.paste(line)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")


def test_the_demos_newest_customer_has_a_life(stack: Stack) -> None:
    (found,) = stack.call("list_customers", params={"q": f"DEMO-{demo.OWNERS['ada']:04}"}).json()["data"]
    detail = stack.call("get_customer_detail", found["id"]).json()
    assert detail["last_call"]["transcript_summary"]
    assert len(detail["campaigns"]) > 1
    assert detail["stats"]["whatsapp_sent"] * detail["stats"]["emails_sent"] > 0


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_a_customers_whole_life_over_http(stack: Stack, credential: str) -> None:
    headers: dict[str, str] = getattr(stack, credential)
    body = new()
    first = stack.call("create_customer", body=body, headers=headers | {"Idempotency-Key": str(uuid4())})
    id = first.json()["id"]
    assert first.headers["Location"] == f"/customers/{id}"
    assert stack.call("get_customer", id, headers=headers).json() == first.json()
    assert stack.call("get_customer", id, headers=headers | {"If-None-Match": '"v1"'}).status_code == 304
    patched = stack.call("update_customer", id, {"status": None}, headers=headers | {"If-Match": '"v1"'})
    assert "status" not in patched.json()
    assert stack.call("get_customer_detail", id, headers=headers).json()["customer"] == patched.json()
    found = stack.call("list_customers", params={"q": body["customer_id"].upper()}, headers=headers).json()
    assert (found["data"], found["meta"]["total"]) == ([patched.json()], 1)
    assert stack.call("delete_customer", id, headers=headers).status_code == 204
    assert stack.call("get_customer", id, headers=headers).json()["code"] == "customer_deleted"
    assert stack.call("restore_customer", id, headers=headers).json()["version"] == 4
    assert stack.call("delete_customer", id, params={"purge": True}, headers=headers).status_code == 204
    assert stack.call("get_customer", id, headers=headers).json()["code"] == "customer_not_found"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_asks_who_calls_before_anything_else(stack: Stack, operation: str) -> None:
    id = "no uuid" if operation in OF_ONE_RECORD else None
    answer = stack.call(operation, id, headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="customers"')


@pytest.mark.parametrize("operation", OF_ONE_CUSTOMER)
def test_somebody_elses_customer_is_one_that_never_was(stack: Stack, operation: str) -> None:
    listed = stack.call("list_customers", params={"owner_id": "grace"}, headers=stack.admin).json()
    theirs, nobody = listed["data"][0]["id"], str(uuid4())
    body = {"name": "Eve"} if operation == "update_customer" else None
    bodies = [
        {**stack.call(operation, id, body, headers=stack.bearer).json(), "request_id": ""} for id in (theirs, nobody)
    ]
    assert bodies[0] == bodies[1]
    assert bodies[0]["code"] == "customer_not_found"


def test_an_administrator_sees_all_owners_and_can_choose_one(stack: Stack) -> None:
    oldest = {"limit": 200, "sort_dir": "asc"}  # the demo's
    everybody = stack.call("list_customers", params=oldest, headers=stack.admin).json()
    one = stack.call("list_customers", params={"owner_id": "grace"}, headers=stack.admin).json()
    assert {"ada", "grace"} == {each["owner_id"] for each in everybody["data"]}
    assert 0 < one["meta"]["total"] < everybody["meta"]["total"]


def test_errors_of_every_kind_are_as_documented(stack: Stack) -> None:
    taken = new()
    stack.call("create_customer", body=taken)
    assert stack.call("create_customer", body=taken).status_code == 409
    assert stack.call("create_customer", body={"name": "x"}).status_code == 422
    assert stack.call("list_customers", params={"limit": 201}).status_code == 422
    assert stack.call("get_customer", "no-uuid").status_code == 422
    assert stack.call("create_customer", body={"customer_id": "x" * 70_000}).status_code == 413
    assert (
        stack.call("update_customer", created(stack), {}, headers=stack.bearer | {"If-Match": '"v9"'}).status_code
        == 412
    )


def test_pages_of_other_origins_may_call(stack: Stack) -> None:
    asked = {"Origin": "https://crm.example.com", "Access-Control-Request-Method": "PATCH"}
    answer = httpx.options(f"{stack.exported['API']}/customers/{uuid4()}", headers=asked)
    assert answer.headers["Access-Control-Allow-Origin"] in {"*", asked["Origin"]}
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]


def test_the_readmes_session_runs_as_it_is_written(stack: Stack) -> None:
    session = re.search(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert session
    id = ""
    for step in session[1].strip().split("\n\n"):
        line, _, expected = step.removeprefix("$ ").partition("\n")
        answer = stack.paste(line, ID=id)
        id = id or answer.json()["id"]
        assert _shown(answer.text) == expected


def _shown(text: str) -> str:
    """An answer as the README shows it: what differs each time has a name."""
    text = re.sub(r'"(request_id)": "[^"]+"', r'"\1": "<request>"', text)
    text = re.sub(r'"\d{4}-\d\d-\d\dT[^"]+Z"', '"<time>"', text)
    return re.sub(r'"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"', '"<id>"', text)


def test_the_functions_log_every_request_and_nobodys_data(stack: Stack) -> None:
    canary = {"customer_id": f"canary-{uuid4()}", "name": "Canaria", "email": "canaria@example.com"}
    answer = stack.call("create_customer", body=canary)
    stack.call("create_customer", body=canary)
    lines = logged(stack, "CreateCustomerLogs")
    assert [line for line in lines if answer.headers["X-Request-Id"] in line]
    assert not [line for line in lines if any(word in line for word in (*canary.values(), answer.json()["id"]))]


# Events

TEXTS = ("call_summary_title", "transcript_summary", "agent_goal_rationale", "conv_id", "external_to", "status")
CAMPAIGN = {"name": "Seen"}
CALL = {"id": "0a5f0f3e-5a3f-4d5c-9d57-2b1f0c9e7a61", "dispatched_at": "2026-05-01T00:00:00Z"}
LATER = dict.fromkeys(("updated_at", "deleted_at", "removed_at"), "2026-05-01T00:00:00Z")
# What an event changes, and how that shows in the detail of a customer of one campaign and one call.
SEEN: Mapping[str, tuple[dict[str, Any], Callable[[Any], bool]]] = {
    "CampaignUpserted": (CAMPAIGN, lambda detail: detail["campaigns"][0]["campaign_name"] == "Seen"),
    "CampaignDeleted": ({}, lambda detail: not detail["campaigns"]),
    "TargetUpserted": ({"stage": "failed"}, lambda detail: detail["campaigns"][0]["target_stage"] == "failed"),
    "TargetRemoved": ({}, lambda detail: not detail["campaigns"]),
    "CallUpserted": (CALL, lambda detail: detail["last_call"]["id"] == CALL["id"]),
    "MessageSent": ({}, lambda detail: detail["stats"]["emails_sent"] == 1),
}


def about(detail_type: str, id: str, campaign: str) -> dict[str, Any]:
    """The recorded detail of a type, about a customer and a campaign."""
    key = {"id": campaign} if detail_type.startswith("Campaign") else {"customer": id, "campaign_id": campaign}
    return example(detail_type) | key


@pytest.mark.parametrize("detail_type", DETAIL_TYPES)
def test_an_event_is_seen_through_the_api_within_five_seconds(stack: Stack, detail_type: str) -> None:
    id, campaign = created(stack), str(uuid4())
    before = ("CampaignUpserted", "TargetUpserted", "CallUpserted")
    assert stack.deliver([message(each, about(each, id, campaign), each) for each in before])
    changes, seen = SEEN[detail_type]
    stack.tell(detail_type, about(detail_type, id, campaign) | LATER | changes)
    soon(lambda: seen(stack.call("get_customer_detail", id).json()))


def test_the_readmes_line_feeds_a_customer(stack: Stack) -> None:
    id = created(stack)
    (files,) = re.findall(r'make put-events FILES="(.*?)" CUSTOMER=\$ID', (ROOT / "README.md").read_text())
    subprocess.run(  # noqa: S603 - what make runs
        [sys.executable, "-m", "tools.put_events", "--customer", id, *files.split()],
        cwd=ROOT,
        env={**os.environ, "LOCAL_CLOUD": str(stack.cloud.directory)},
        check=True,
    )
    detail = soon(lambda: (found := stack.call("get_customer_detail", id).json()).get("last_call") and found)
    assert [campaign["campaign_name"] for campaign in detail["campaigns"]] == [example("CampaignUpserted")["name"]]


def test_of_an_event_that_nobody_can_read_a_letter_quotes_nothing(stack: Stack) -> None:
    id = stack.tell("CallUpserted", example("CallUpserted") | {"customer": CANARY, "direction": CANARY * 10})
    text = letter(stack, id)
    assert json.loads(text)["problems"] == ["customer: uuid_parsing", "direction: string_too_long"]
    assert CANARY not in text


def test_of_a_message_that_is_no_json_a_letter_quotes_nothing(stack: Stack) -> None:
    sent = stack.cloud.client("sqs").send_message(QueueUrl=stack.resource("ActivityQueue"), MessageBody=CANARY)
    text = letter(stack, sent["MessageId"])
    assert json.loads(text)["problems"] == ["not JSON"]
    assert CANARY not in text


def letter(stack: Stack, id: str) -> str:
    """The dead letter that names the event or the message `id`. Those before it are lost."""
    sqs, queue = stack.cloud.client("sqs"), stack.resource("DeadLetterQueue")

    def look() -> str:
        for received in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=received["ReceiptHandle"])
            if id in received["Body"]:
                return str(received["Body"])
        return ""

    return soon(look)


def test_a_message_that_nobody_can_read_keeps_no_other_of_its_batch_from_being_recorded(stack: Stack) -> None:
    id, queue = created(stack), stack.resource("ActivityQueue")
    emails = [message("MessageSent", example("MessageSent") | {"id": f"{n}", "customer": id}) for n in range(9)]
    bodies = [each["body"] for each in emails]
    bodies.insert(4, "no JSON")
    sqs = stack.cloud.client("sqs")
    sent = sqs.send_message_batch(
        QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
    )
    soon(lambda: stack.call("list_customer_activity", id).json()["meta"]["total"] == len(emails))
    assert letter(stack, sent["Successful"][4]["MessageId"])
    soon(lambda: waiting(stack) == 0)


def waiting(stack: Stack) -> int:
    """How many messages the queue of events has, being recorded or not."""
    numbers = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = stack.cloud.client("sqs").get_queue_attributes(
        QueueUrl=stack.resource("ActivityQueue"), AttributeNames=numbers
    )
    return sum(int(found["Attributes"][name]) for name in numbers)


def test_an_event_about_a_customer_that_never_was_makes_none(stack: Stack) -> None:
    id = str(uuid4())
    stack.tell("CallUpserted", about("CallUpserted", id, str(uuid4())))
    soon(lambda: waiting(stack) == 0)
    assert stack.call("get_customer", id).status_code == 404
    assert not collection(stack, id)


def collection(stack: Stack, id: str) -> list[Any]:
    """All that the table has of a customer."""
    found = stack.cloud.client("dynamodb").query(
        TableName=stack.resource("Table"),
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": keys.customer(id)["pk"]}},
    )
    return list(found["Items"])


def test_events_are_logged_one_by_one_and_nothing_of_what_they_tell(stack: Stack) -> None:
    id, campaign = created(stack), str(uuid4())
    fields = {name: f"{CANARY} {name}" for name in TEXTS}
    ids = [
        stack.tell("CallUpserted", about("CallUpserted", id, campaign) | fields),
        stack.tell("CallUpserted", about("CallUpserted", id, campaign) | fields | {"attempt_no": CANARY}),
    ]
    assert letter(stack, ids[1])
    soon(lambda: "last_call" in stack.call("get_customer_detail", id).json())
    lines = logged(stack, "RecordActivityLogs")
    assert all(any(each in line for line in lines) for each in ids)
    assert not [line for line in lines if any(word in line for word in (CANARY, id, campaign))]


# Purge


@pytest.fixture
def due(stack: Stack) -> str:
    """A customer of whom something was told, deleted so long ago that its retention has ended."""
    id = created(stack)
    assert stack.deliver(told.messages(id))
    stack.call("delete_customer", id)
    stack.make_due(id)
    return id


def test_a_dry_run_lists_what_is_due_and_a_real_one_leaves_nothing_of_it(stack: Stack, due: str) -> None:
    dry = stack.invoke("PurgeCustomers", {"dry_run": True})
    assert due in dry["customers"]
    assert stack.call("get_customer", due, params={"include_deleted": True}).status_code == 200
    done = stack.invoke("PurgeCustomers", {"dry_run": False})
    assert (done["purged"], done["remaining"]) == (dry["remaining"], 0)
    assert stack.call("get_customer", due, params={"include_deleted": True}).json()["code"] == "customer_not_found"
    assert not collection(stack, due)


def test_the_schedule_invokes_the_purge_when_the_parameter_says(stack: Stack) -> None:
    schedules = stack.cloud.client("scheduler")
    schedule = schedules.get_schedule(Name=stack.resource("PurgeCustomersSchedule"))
    function = stack.cloud.client("lambda").get_function(FunctionName=stack.resource("PurgeCustomers"))
    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "rate(1 day)")
    assert schedule["Target"]["Arn"] == function["Configuration"]["FunctionArn"]
    assert stack.invoke("PurgeCustomers", json.loads(schedule["Target"]["Input"]))["dry_run"] is False


def test_the_purge_logs_how_many_and_not_whom(stack: Stack, due: str) -> None:
    stack.invoke("PurgeCustomers", {})
    lines = logged(stack, "PurgeCustomersLogs")
    assert [line for line in lines if '"purged":' in line]
    assert not [line for line in lines if due in line]


def logged(stack: Stack, group: str) -> list[str]:
    found = stack.cloud.client("logs").filter_log_events(logGroupName=stack.resource(group))
    return [event["message"] for event in found["events"]]


# Imports and exports


def new_import(stack: Stack, **asked: Any) -> Any:
    return stack.call("create_import", body=asked).json()


def ended(stack: Stack, id: str) -> Any:
    """The import as its owner sees it, once it has ended."""
    return soon(lambda: (shown := stack.call("get_import", id).json())["state"] in FINISHED and shown, IMPORT_SECONDS)


def executions(stack: Stack, id: str) -> list[str]:
    """The states of the machine's executions that this import's uploads have started."""
    machines = stack.cloud.client("stepfunctions")
    listed = machines.list_executions(stateMachineArn=stack.resource("ImportMachine"))["executions"]
    arns = {each["executionArn"]: each["status"] for each in listed}
    return [state for arn, state in arns.items() if id in machines.describe_execution(executionArn=arn)["input"]]


def rejected(job: Any) -> dict[int, str]:
    """The code of each row in the file of rejected rows, by its number in a spreadsheet."""
    file = httpx.get(job["rejected"]["url"])
    assert file.headers["Content-Disposition"] == 'attachment; filename="rejected.csv"'
    return {int(row["row"]): row["code"] for row in csv.DictReader(io.StringIO(file.content.decode("utf-8-sig")))}


def test_few_rows_become_customers_at_once(stack: Stack) -> None:
    key = f"T-{uuid4()}"
    answer = stack.call("import_customers", file=f"Customer ID;E-mail\r\n{key};\r\n{key}2;nobody\r\n".encode())
    counts = {name: answer.json()[name] for name in ("total", "created", "updated", "skipped")}
    assert counts == {"total": 2, "created": 1, "updated": 0, "skipped": 1}
    assert [(each["row"], each["code"]) for each in answer.json()["errors"]] == [(3, "value_error")]
    assert stack.call("list_customers", params={"q": key}).json()["meta"]["total"] == 1


def test_a_file_travels_from_its_upload_to_customers(stack: Stack) -> None:
    people = People(600, f"T{uuid4().hex[:8]}")
    job = new_import(stack, file_name="people.csv")
    assert stack.upload(job, people.file()).status_code == 204
    done = ended(stack, job["id"])
    counts = {name: done[name] for name in ("total", "processed", "created", "updated", "skipped")}
    assert (done["state"], done["percent"], done["unknown_columns"]) == ("completed", 100, ["Birthday"])
    assert counts == {"total": 600, "processed": 600, "created": 594, "updated": 0, "skipped": 6}
    assert rejected(done) == people.rejected
    assert done["rejected"]["rows"] == 6
    assert stack.call("list_customers", params={"q": people.prefix}).json()["meta"]["total"] == 594
    assert stack.call("list_imports", params={"limit": 1}).json()["data"][0]["id"] == job["id"]


def test_a_second_upload_through_a_link_starts_nothing(stack: Stack) -> None:
    job = new_import(stack)
    for name in ("Ada", "Eve"):
        assert stack.upload(job, f"customer_id,name\n{job['id']},{name}\n".encode()).status_code == 204
        ended(stack, job["id"])
    soon(lambda: executions(stack, job["id"]) == ["SUCCEEDED"] * 2, IMPORT_SECONDS)
    found = stack.call("list_customers", params={"q": job["id"]}).json()["data"]
    assert [(each["name"], each["version"]) for each in found] == [("Ada", 1)]


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        (b"", {}),
        (b"customer_id\n", {"Content-Type": "text/html"}),
        (b"customer_id\n", {"key": "results/mine.csv"}),
        (b"customer_id\n", {"policy": "e30="}),
    ],
    ids=["empty", "of another type", "at another place", "by another policy"],
)
def test_a_link_takes_a_file_of_one_type_and_a_bounded_size(stack: Stack, file: bytes, fields: dict[str, str]) -> None:
    job = new_import(stack)
    policy = json.loads(base64.b64decode(job["upload"]["fields"]["policy"]))
    assert ["content-length-range", 1, job["upload"]["max_bytes"]] in policy["conditions"]
    assert stack.upload(job, file, **fields).status_code in {400, 403}
    assert stack.call("get_import", job["id"]).json()["state"] == "waiting"


def test_a_link_takes_as_many_bytes_as_it_says_and_not_one_more(stack: Stack) -> None:
    files = Files(stack.resource("Bucket"), stack.cloud.client("s3"))
    url, fields = files.upload_link(f"steps/{uuid4()}", content_type=CSV_TYPE, max_bytes=10)
    sent = [httpx.post(url, data=fields, files={"file": b"x" * size}).status_code for size in (10, 11)]
    assert sent == [204, 400]


def test_an_import_that_is_cancelled_takes_no_file(stack: Stack) -> None:
    job = new_import(stack)
    assert stack.call("cancel_import", job["id"]).json()["state"] == "cancelled"
    assert stack.upload(job, b"customer_id\nC-1\n").status_code == 204
    soon(lambda: executions(stack, job["id"]) == ["SUCCEEDED"], IMPORT_SECONDS)
    assert stack.call("get_import", job["id"]).json()["processed"] == 0


def test_an_import_that_is_cancelled_on_its_way_ends_before_its_last_row(stack: Stack) -> None:
    people = People(5_000, f"T{uuid4().hex[:8]}")
    id = stack.send(people.file())
    soon(lambda: stack.call("get_import", id).json()["processed"], IMPORT_SECONDS)
    assert stack.call("cancel_import", id).json()["state"] == "cancelling"
    done = ended(stack, id)
    assert done["state"] == "cancelled"
    assert 0 < done["processed"] < people.count
    assert stack.call("list_customers", params={"q": people.prefix}).json()["meta"]["total"] == done["created"]


def test_a_file_that_nobody_can_read_says_why(stack: Stack) -> None:
    done = ended(stack, stack.send(b"colour\nred\n"))
    assert (done["state"], done["error"]["code"]) == ("failed", "missing_column")


@pytest.mark.parametrize("operation", ["get_import", "cancel_import"])
def test_somebody_elses_import_is_one_that_never_was(stack: Stack, operation: str) -> None:
    id = stack.call("create_import", body={}, headers=stack.admin).json()["id"]
    assert stack.call(operation, id).json()["code"] == "import_not_found"


def test_what_is_exported_is_imported_again_without_a_change(stack: Stack) -> None:
    people = People(90, f"T{uuid4().hex[:8]}")
    ended(stack, stack.send(people.file()))
    id = stack.call("create_export", body={"q": people.prefix}).json()["id"]
    done = soon(lambda: (found := stack.call("get_export", id).json()).get("file") and found, IMPORT_SECONDS)
    assert (done["state"], done["rows"], done["percent"]) == ("completed", 90, 100)
    file = httpx.get(done["file"]["url"])
    assert file.headers["Content-Disposition"] == 'attachment; filename="customers.csv"'
    assert len(file.content) == done["file"]["bytes"]
    again = ended(stack, stack.send(file.content))
    assert (again["total"], again["unchanged"], again["skipped"]) == (90, 90, 0)


def test_somebody_elses_export_is_one_that_never_was(stack: Stack) -> None:
    id = stack.call("create_export", body={}, headers=stack.admin).json()["id"]
    assert stack.call("get_export", id).json()["code"] == "export_not_found"


def test_pages_of_other_origins_may_send_files(stack: Stack) -> None:
    asked = {"Origin": "https://crm.example.com", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(new_import(stack)["upload"]["url"], headers=asked)
    assert answer.is_success
    assert answer.headers["Access-Control-Allow-Origin"] in {"*", asked["Origin"]}


def test_the_machine_that_is_deployed_is_the_one_that_the_other_tests_run(stack: Stack) -> None:
    """SAM and CloudFormation have left its definition as it is."""
    arn = stack.resource("ImportMachine")
    deployed = stack.cloud.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["definition"]
    for function in ("SplitImport", "ImportChunk", "FinishImport"):
        deployed = re.sub(rf"arn:aws:lambda:[^\"]*:{stack.resource(function)}", function, deployed)
    assert json.loads(deployed) == machine.definition("ImportMachine")


def test_imports_log_how_many_and_not_whom(stack: Stack) -> None:
    file = f"customer_id,name,email\n{CANARY}-{uuid4()},{CANARY},x@{CANARY}.com\n{CANARY}-{uuid4()},{CANARY},{CANARY}\n"
    ended(stack, stack.send(file.encode(), file_name=f"{CANARY}.csv"))
    lines = [line for step in ("Split", "Finish") for line in logged(stack, f"{step}ImportLogs")]
    lines += [line for group in ("CreateImport", "GetImport", "ImportChunk") for line in logged(stack, f"{group}Logs")]
    assert [line for line in lines if '"rows":' in line]
    assert not [line for line in lines if CANARY.lower() in line.lower()]


# State


def test_the_tables_ttl_is_on_and_reads_expires_at(stack: Stack) -> None:
    table = stack.cloud.client("dynamodb").describe_time_to_live(TableName=stack.resource("Table"))
    assert table["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}


def test_stopped_and_started_again_it_has_its_data(stack: Stack) -> None:
    id = created(stack)
    before: dict[str, Any] = stack.call("get_customer", id).json()
    token = stack.bearer
    stack.stop()
    stack.start()
    assert stack.call("get_customer", id, headers=token).json() == before


def test_an_import_that_stopping_it_breaks_off_ends_when_it_is_started_again(stack: Stack) -> None:
    people = People(5_000, f"T{uuid4().hex[:8]}")
    job = new_import(stack)
    stack.upload(job, people.file())
    soon(lambda: stack.call("get_import", job["id"]).json()["processed"], IMPORT_SECONDS)
    stack.stop()
    stack.start()
    done = ended(stack, job["id"])
    assert (done["state"], done["error"]["code"]) == ("failed", "incomplete")
    assert stack.call("list_customers", params={"q": people.prefix}).json()["meta"]["total"] == done["created"] > 0
    again = new_import(stack)  # whose turn it is now
    stack.upload(again, people.file())
    assert ended(stack, again["id"])["updated"] == done["created"]
