"""The deployed stack, as `make run` brings it up and as its users meet it."""

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.handlers import OPERATIONS
from tests.stack.conftest import CURL_LINES, Stack
from tools.template import ROOT

pytestmark = pytest.mark.xdist_group("sam")

CREDENTIALS = ["bearer", "api_key"]
OF_ONE_RECORD = [operation for operation in OPERATIONS if operation not in {"list_customers", "create_customer"}]


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


@pytest.mark.parametrize("operation", OF_ONE_RECORD)
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
    everybody = stack.call("list_customers", params={"limit": 200}, headers=stack.admin).json()
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
    logs = stack.cloud.client("logs")
    group = stack.resource("CreateCustomerLogs")
    lines = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
    assert [line for line in lines if answer.headers["X-Request-Id"] in line]
    assert not [line for line in lines if any(word in line for word in (*canary.values(), answer.json()["id"]))]


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
