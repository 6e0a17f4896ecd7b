"""every request: credentials, somebody else's record, stray ids, errors, bodies; and logs."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from botocore.exceptions import ConnectionClosedError

from customers import keys
from customers.auth.api_keys import StoredKey, mint
from customers.dynamodb import Table, Write
from tests.handlers import OPERATIONS, Answer, Api, Context, bearer, event
from tools.openapi import routes
from tools.table import put_example

OF_ONE_RECORD = [each for each in OPERATIONS if "{customer_id}" in routes()[each][1]]
BODIES: Mapping[str, Any] = {
    "create_customer": {"customer_id": "C-9"},
    "update_customer": {"name": "Eve"},
    "create_import": {},
    "create_export": {},
}


def without_request_id(answer: Answer) -> tuple[int, Any, dict[str, str]]:
    body = {name: value for name, value in answer.body.items() if name != "request_id"}
    return answer.status, body, {name: value for name, value in answer.headers.items() if name != "x-request-id"}


def make_key(table: Table, owner_id: str, **fields: Any) -> str:
    text, key_id, secret_hash = mint()
    stored = {"scopes": ["customers:read", "customers:write", "customers:purge"], "role": "owner", **fields}
    item = {**keys.api_key(key_id), "key_id": key_id, "secret_hash": secret_hash, "owner_id": owner_id, **stored}
    assert StoredKey.from_item(item)
    table.transact({"key": Write("Put", item=item)})
    return text


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": None},
        {"authorization": "Bearer junk"},
        {"authorization": "Basic YWRhOnNlY3JldA=="},
        {"authorization": bearer("ada", exp=1)},
        {"authorization": None, "x-api-key": "junk"},
    ],
    ids=["missing", "malformed", "another scheme", "expired", "malformed key"],
)
def test_credentials_that_are_missing_invalid_or_expired_are_401_before_anything_else(
    api: Api, operation: str, headers: dict[str, str | None]
) -> None:
    answer = api.call(
        operation, "not-a-uuid" if "{" in routes()[operation][1] else None, "{", query="limit=x", headers=headers
    )
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_credentials_may_be_an_api_key(api: Api, table: Table) -> None:
    created = api.create("C-1", owner="ada")
    key = {"authorization": None, "x-api-key": make_key(table, "ada")}
    assert api.call("get_customer", created.id, headers=key).body == created.body


def test_credentials_of_two_kinds_must_name_one_principal(api: Api, table: Table) -> None:
    id = api.create("C-1", owner="ada").id
    key = make_key(table, "ada")
    assert api.call("get_customer", id, owner="ada", headers={"x-api-key": key}).status == 200
    assert api.call("get_customer", id, owner="bob", headers={"x-api-key": key}).status == 401


def test_credentials_an_invalid_bearer_is_not_rescued_by_a_key(api: Api, table: Table) -> None:
    headers = {"authorization": "Bearer junk", "x-api-key": make_key(table, "ada")}
    assert api.call("list_customers", headers=headers).status == 401


@pytest.mark.parametrize("state", ["live", "deleted", "purged"])
@pytest.mark.parametrize("operation", OF_ONE_RECORD)
def test_somebody_elses_record_is_a_404_as_for_one_that_never_was(api: Api, operation: str, state: str) -> None:
    other = api.create("C-1", owner="ada")
    if state != "live":
        api.call("delete_customer", other.id, query="purge=true" if state == "purged" else "", owner="ada")
    body, query = BODIES.get(operation), "include_deleted=true&purge=true"
    if operation == "update_customer":
        query = f"id={other.id}"
    theirs = api.call(operation, other.id, body, query=query, owner="bob", headers={"if-match": '"v1"'})
    never = api.call(operation, str(uuid4()), body, query=query, owner="bob", headers={"if-match": '"v1"'})
    assert theirs.status == 404
    assert without_request_id(theirs) == without_request_id(never)


@pytest.mark.parametrize("operation", OF_ONE_RECORD)
def test_administrators_reach_all_records_and_see_whose_they_are(api: Api, operation: str) -> None:
    id = api.create("C-1", owner="ada").id
    answer = api.call(operation, id, BODIES.get(operation), owner="root", role="admin")
    assert answer.status < 300
    seen = api.call("get_customer", id, query="include_deleted=true", owner="root", role="admin")
    assert seen.body["owner_id"] == "ada"
    assert "owner_id" not in api.call("get_customer", id, query="include_deleted=true", owner="ada").body


@pytest.mark.parametrize(
    ("operation", "query", "scopes"),
    [
        ("list_customers", "", "customers:write"),
        ("get_customer", "", "customers:write customers:purge"),
        ("create_customer", "", "customers:read"),
        ("delete_customer", "purge=true", "customers:read customers:write"),
        ("restore_customer", "", ""),
    ],
)
def test_403_is_only_for_a_known_caller_that_lacks_a_scope(api: Api, operation: str, query: str, scopes: str) -> None:
    id = api.create("C-1").id if operation in OF_ONE_RECORD else None
    answer = api.call(operation, id, BODIES.get(operation), query=query, scope=scopes)
    assert (answer.status, answer.body["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("operation", ["get_customer", "update_customer"])
@pytest.mark.parametrize("name", ["obj_id", "agent_id", "campaign_id", "knowledge_base_id", "id"])
def test_stray_ids_of_the_query_must_be_uuids_and_change_nothing(api: Api, operation: str, name: str) -> None:
    mine, other = api.create("C-1", owner="bob"), api.create("C-1", owner="ada")
    answer = api.call(operation, mine.id, BODIES.get(operation), query=f"{name}={other.id}", owner="bob")
    assert (answer.status, answer.id) == (200, mine.id)
    assert api.call("get_customer", other.id, owner="ada").body == other.body
    refused = api.call(operation, mine.id, BODIES.get(operation), query=f"{name}=1", owner="bob")
    assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["query", name])


@pytest.mark.parametrize("operation", OF_ONE_RECORD)
def test_an_id_that_is_no_uuid_is_422(api: Api, operation: str) -> None:
    answer = api.call(operation, "42", BODIES.get(operation))
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["path", "customer_id"])


def test_errors_of_validation_are_exactly_loc_msg_and_type(api: Api) -> None:
    answer = api.call("create_customer", body={"name": 5, "status": "x" * 51})
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.keys() == {"detail"}
    assert [problem["loc"][1] for problem in answer.body["detail"]] == ["name", "status", "customer_id"]
    assert all(problem.keys() == {"loc", "msg", "type"} for problem in answer.body["detail"])


def test_errors_of_other_kinds_are_problem_details_with_a_code_and_the_request_id(api: Api) -> None:
    answer = api.call("get_customer", str(uuid4()))
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Customer not found",
        "code": "customer_not_found",
        "request_id": "event-get-customer",
    }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_errors_of_ours_are_a_500_that_says_nothing(
    api: Api, operation: str, monkeypatch: pytest.MonkeyPatch, logs: Callable[[], str]
) -> None:
    def fail(_event: object) -> None:
        raise RuntimeError("ada@example.com")

    monkeypatch.setattr(api.app(operation).service._authenticator, "authenticate", fail)
    answer = api.call(operation, str(uuid4()) if operation in OF_ONE_RECORD else None)
    assert (answer.status, answer.body["code"]) == (500, "internal_error")
    written = logs()
    assert "RuntimeError" in written
    assert "ada@example.com" not in json.dumps(answer.body) + written


MALFORMED = ["{", "nul", '{"a": NaN}', '{"a": Infinity}', '{"a": 01}', '{"a": "\\ud800"}', "[" * 9999, "'x'", "{} {}"]


@pytest.mark.parametrize("body", MALFORMED)
def test_malformed_json_is_422_json_invalid(api: Api, body: str) -> None:
    answer = api.call("create_customer", body=body)
    assert (answer.status, answer.body["detail"][0]["type"]) == (422, "json_invalid")


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null"])
def test_json_that_is_no_object_is_422(api: Api, body: str) -> None:
    answer = api.call("create_customer", body=body)
    (problem,) = answer.body["detail"]
    assert (answer.status, problem["loc"], problem["msg"]) == (422, ["body"], "Input should be a JSON object")


def test_a_missing_body_is_422(api: Api) -> None:
    answer = api.call("create_customer")
    assert (answer.status, answer.body["detail"][0]["type"]) == (422, "missing")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"])
def test_media_types_other_than_json_are_415(api: Api, media_type: str) -> None:
    answer = api.call("create_customer", body={"customer_id": "C-1"}, headers={"content-type": media_type})
    assert (answer.status, answer.body["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json", None]
)
def test_media_types_of_json_are_taken(api: Api, media_type: str | None) -> None:
    answer = api.call("create_customer", body={"customer_id": "C-1"}, headers={"content-type": media_type})
    assert answer.status == 201


def test_size_over_the_limit_is_413_counted_in_bytes(api: Api) -> None:
    body = {"customer_id": "C-1", "ignored": "é" * 40_000}
    answer = api.call("create_customer", body=json.dumps(body, ensure_ascii=False))
    assert (answer.status, answer.body["code"]) == (413, "payload_too_large")


def test_a_base64_body_is_decoded(api: Api) -> None:
    request = event("create_customer")
    request |= {"body": base64.b64encode(request["body"].encode()).decode(), "isBase64Encoded": True}
    assert api.raw("create_customer", request).body["name"] == "Zoë"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_late_requests_are_503_with_retry_after_rather_than_cut_off(api: Api, operation: str) -> None:
    id = api.create("C-1").id if operation in OF_ONE_RECORD else None
    late = Context(left=lambda: 1_000)
    if operation == "import_customers":
        answer = api.upload(b"customer_id\nC-9\n", context=late)
    else:
        answer = api.call(operation, id, BODIES.get(operation), context=late)
    assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (503, "unavailable", "1")


def test_logs_say_why_a_request_was_answered_with_503(
    api: Api, monkeypatch: pytest.MonkeyPatch, logs: Callable[[], str]
) -> None:
    def refuse(**_request: object) -> None:
        raise ConnectionClosedError(endpoint_url="https://ada@example.com")

    monkeypatch.setattr(api.app("get_customer").service.table._client, "get_item", refuse)
    assert api.call("get_customer", str(uuid4())).status == 503
    written = logs()
    assert "ConnectionClosedError" in written
    assert "example.com" not in written


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_recorded_event_of_each_function_is_served(api: Api, dynamodb: Any, operation: str) -> None:
    recorded = event(operation)
    put_example(dynamodb, "customers")
    with patch.object(api.app("create_export").exports, "start"):
        answer = api.raw(operation, recorded)
    made = {"create_customer": 201, "create_import": 201, "create_export": 202, "delete_customer": 204}
    assert answer.status == made.get(operation, 200)


def test_logs_and_metrics_hold_nothing_personal(api: Api, logs: Callable[[], str]) -> None:
    canaries = {"customer_id": "canary-id", "name": "Canaria", "email": "canary@example.com", "phone": "555-0199"}
    created = api.call("create_customer", body=canaries, owner="canary-owner")
    api.call("create_customer", body=canaries, owner="canary-owner")
    api.call("create_customer", body={**canaries, "email": "canary@"}, owner="canary-owner")
    api.call("list_customers", query="q=canary", owner="canary-owner")
    written = logs()
    assert written.count('"operation":"create_customer"') == 3
    assert not [word for word in (*canaries.values(), "anar", created.id, "eyJ") if word in written]
