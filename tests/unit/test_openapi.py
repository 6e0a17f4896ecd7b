"""docs/openapi.json is valid, complete, and its examples are true."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from customers import errors
from customers.api import _failure
from customers.dynamodb import Table
from customers.errors import ApiError, Invalid
from customers.recorder import Recorder
from tests.documented import assert_documented, document, resolved, responses
from tests.documented import errors as errors_of
from tests.handlers import OPERATIONS as FUNCTIONS
from tests.handlers import Api
from tools import openapi
from tools.openapi import OPERATIONS, PARAMETERS
from tools.operations import (
    CALL,
    CAMPAIGN,
    EMAIL,
    ERRORS,
    EVERYWHERE,
    LIMIT_TOO_HIGH,
    REQUEST_ID,
    REVERSED_DATES,
    TARGET,
    UNKNOWN_STATUS,
    UNKNOWN_TYPE,
    ZOE,
)
from tools.template import ROOT

ROUTES = openapi.routes()
CUSTOMER = OPERATIONS["get_customer"].response_example.model_dump(exclude_unset=True)
FOUND: dict[str, Any] = {
    "statusCode": 200,
    "headers": {
        "content-type": "application/json",
        "etag": '"v3"',
        "x-request-id": REQUEST_ID,
        "cache-control": "no-store",
    },
    "body": json.dumps(CUSTOMER),
}


def described(function: str) -> Any:
    method, path = ROUTES[function]
    return document()["paths"][path][method]


def answer(error: ApiError) -> dict[str, Any]:
    response = _failure(error, REQUEST_ID)
    response["headers"] |= {"x-request-id": REQUEST_ID, "cache-control": "no-store"}
    return response


def examples(node: Any, place: str = "#") -> Iterator[tuple[str, Any, Any]]:
    """Each example of a media type, parameter or header: where it is, its schema and itself."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    if "schema" in node:
        given = {name: each["value"] for name, each in node.get("examples", {}).items()}
        given |= {"example": node["example"]} if "example" in node else {}
        for name, value in given.items():
            yield f"{place}/{name}", node["schema"], value
    for key, each in node.items():
        if key not in {"example", "examples"}:
            yield from examples(each, f"{place}/{key}")


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_a_route_without_an_operation_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "routes", lambda: {"count_customers": ("get", "/customers/count")})
    with pytest.raises(ValueError, match="count_customers"):
        openapi.generate()


def test_operation_ids_are_unique() -> None:
    ids = [described(function)["operationId"] for function in FUNCTIONS]
    assert len(ids) == len(set(ids)) == len(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_is_described_with_the_scope_that_it_requires(function: str) -> None:
    (scope,) = re.findall(r'scope="(.+?)"', (ROOT / f"functions/{function}/app.py").read_text())
    assert described(function)["description"].endswith(f"Needs the scope `{scope}`.")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_operation_may_answer_what_every_request_may_meet(function: str) -> None:
    assert {"401", "403", "422", "500", "503"} <= responses(function).keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_names_something_may_not_find_it_and_what_has_a_body_may_refuse_it(function: str) -> None:
    statuses = responses(function).keys()
    _, path = ROUTES[function]
    assert "404" in statuses or "{" not in path
    assert ({"413", "415"} <= statuses) == ("requestBody" in described(function))


def test_every_error_of_the_service_is_documented() -> None:
    """Each class by its status and code, on at least one operation."""
    defined = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ApiError)}
    defined.remove(ApiError)
    assert ERRORS.keys() == defined
    found = {
        (status, name)
        for function in FUNCTIONS
        for status, response in responses(function).items()
        for content in response.get("content", {}).values()
        for name in content.get("examples", {})
    }
    assert {(str(int(each.status)), each.code) for each in defined - {Invalid}} <= found


@pytest.mark.parametrize("error", [error for error, _ in ERRORS.values()], ids=lambda error: error.code)
def test_an_example_of_an_error_is_what_the_service_answers(error: ApiError) -> None:
    assert openapi.example_body(error) == json.loads(answer(error)["body"])


@pytest.mark.parametrize(
    ("schema", "value"), [pytest.param(schema, value, id=place) for place, schema, value in examples(document())]
)
def test_every_example_validates_against_its_schema(schema: Any, value: Any) -> None:
    assert errors_of(json.dumps(schema), value) == []


@pytest.mark.parametrize(
    ("function", "query"),
    [
        ("get_customer", ""),
        ("get_customer_detail", ""),
        ("list_customer_campaigns", "q=renewal&status=running"),
        ("list_customer_activity", ""),
    ],
)
def test_the_example_of_a_customer_is_what_the_service_answers(
    function: str, query: str, api: Api, table: Table
) -> None:
    table.put(ZOE.item())
    for event in (CALL, EMAIL, CAMPAIGN, TARGET):
        assert Recorder(table).record(event) == "recorded"
    answered = api.call(function, ZOE.id, query=query, owner=ZOE.owner_id)
    assert answered.body == responses(function)["200"]["content"]["application/json"]["example"]


@pytest.mark.parametrize(
    ("function", "query", "error"),
    [
        ("list_customers", "limit=201", LIMIT_TOO_HIGH),
        ("list_imports", "limit=201", LIMIT_TOO_HIGH),
        ("list_customer_campaigns", "limit=201", LIMIT_TOO_HIGH),
        ("list_customer_campaigns", "status=ended", UNKNOWN_STATUS),
        ("list_customer_activity", "limit=201", LIMIT_TOO_HIGH),
        ("list_customer_activity", "type=sms", UNKNOWN_TYPE),
        ("list_customer_activity", "date_from=2026-02-02&date_to=2026-02-01", REVERSED_DATES),
    ],
)
def test_the_example_of_a_query_that_does_not_validate_is_what_the_service_answers(
    function: str, query: str, error: Invalid, api: Api
) -> None:
    assert error in OPERATIONS[function].invalid
    _, path = ROUTES[function]
    answered = api.call(function, ZOE.id if "{" in path else None, query=query)
    assert (answered.status, answered.body) == (422, openapi.example_body(error))


def test_the_words_about_a_query_are_about_its_parameters() -> None:
    queries = {operation.query for operation in OPERATIONS.values() if operation.query}
    assert queries == PARAMETERS.keys()
    assert all(words.keys() == query.model_fields.keys() for query, words in PARAMETERS.items())


def test_the_same_parameter_may_have_other_words_on_another_operation() -> None:
    words = {
        function: {each["name"]: each["description"] for each in map(resolved, described(function)["parameters"])}
        for function in ("list_customers", "list_customer_campaigns", "list_customer_activity")
    }
    assert len({words[function]["status"] for function in words}) == len(words)
    assert words["list_customer_activity"]["date_from"].startswith("Occurred")


def test_every_body_has_an_example() -> None:
    contents = [
        content
        for function in FUNCTIONS
        for each in (*responses(function).values(), described(function).get("requestBody", {}))
        for content in resolved(each).get("content", {}).values()
    ]
    assert contents
    assert all("example" in content or content["examples"] for content in contents)


def test_a_documented_response_passes() -> None:
    assert_documented("get_customer", FOUND)


def test_every_documented_error_passes() -> None:
    for function, operation in OPERATIONS.items():
        for each in (*operation.errors, *EVERYWHERE):
            assert_documented(function, answer(ERRORS[each][0]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"statusCode": 206}, "206, which is not documented"),
        ({"headers": {**FOUND["headers"], "x-powered-by": "us"}}, "undocumented headers: {'x-powered-by'}"),
        ({"headers": {"content-type": "application/json"}}, "without"),
        ({"headers": {**FOUND["headers"], "content-type": "text/html"}}, "text/html, which is not documented"),
        ({"statusCode": 304}, "with a body"),
        ({"body": json.dumps({**CUSTOMER, "purge_at": "2026-03-01"})}, "purge_at"),
        ({"body": json.dumps({**CUSTOMER, "name": None})}, "name: None is not of type 'string'"),
        ({"body": json.dumps({**CUSTOMER, "created_at": "yesterday"})}, "created_at: 'yesterday' is not a 'date-time'"),
        ({"body": json.dumps({**CUSTOMER, "id": "1"})}, "id: '1' is not a 'uuid'"),
        ({"body": json.dumps({name: each for name, each in CUSTOMER.items() if name != "deleted_at"})}, "deleted_at"),
        ({"body": None}, "the body"),
    ],
)
def test_an_undocumented_response_fails(change: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(said)):
        assert_documented("get_customer", deepcopy(FOUND) | change)


def test_a_code_that_the_operation_does_not_document_fails() -> None:
    """A deleted customer is deleted once more with 204, so DELETE never answers `customer_deleted`."""
    response = answer(errors.CustomerDeleted())
    assert_documented("get_customer", response)
    with pytest.raises(AssertionError, match="'customer_deleted' is not one of"):
        assert_documented("delete_customer", response)
