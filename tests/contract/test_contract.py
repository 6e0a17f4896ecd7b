"""docs/openapi.json is a superset of the contract, and the comparison that says so can fail."""

import json
from copy import deepcopy
from typing import Any

import pytest

from tests.contract.compare import differences, operations
from tools.template import ROOT

CONTRACT = json.loads((ROOT / "tests/contract/seed-openapi.json").read_text())
OURS = json.loads((ROOT / "docs/openapi.json").read_text())
DROPPED = object()

LIST, CREATE = "paths > /customers > get", "paths > /customers > post"
ONE, DETAIL = "paths > /customers/{customer_id}", "paths > /customers/{customer_id}/detail"
RESTORE = "paths > /customers/{customer_id}/restore > post"
LIMIT = f"{LIST} > parameters > limit"
TENANT = {"name": "tenant", "in": "query", "required": True, "schema": {}}
JSON = "content > application/json > schema"
CUSTOMER, SORT = "components > schemas > CustomerOut", "components > schemas > SortOut"
PAGE = "components > schemas > PaginatedResponse_CustomerOut_"
NEW, UPDATE = "components > schemas > CustomerCreate", "components > schemas > CustomerUpdate"
STATS, COUNTS = "components > schemas > CustomerDetailStatsOut", "components > schemas > AggregationsOut"
LOC = "components > schemas > ValidationError > properties > loc"


def changed(place: str, value: Any) -> Any:
    """Our document with another value at one place; an entry of a list is found by its name, "+" is a new one."""
    document = deepcopy(OURS)
    *way, last = place.split(" > ")
    node = document
    for step in way:
        node = node[_key(node, step)]
    if value is DROPPED:
        del node[_key(node, last)]
    elif last == "+":
        node.append(value)
    else:
        node[_key(node, last)] = value
    return document


def _key(node: Any, step: str) -> Any:
    return [each.get("name", str(i)) for i, each in enumerate(node)].index(step) if isinstance(node, list) else step


def test_seven_of_seven_operations_have_no_differences() -> None:
    wanted = operations(CONTRACT)
    served = wanted & operations(OURS)
    assert (f"{len(served)} of {len(wanted)} operations", differences(CONTRACT, OURS)) == ("7 of 7 operations", [])


def test_every_schema_of_the_contract_is_in_the_document_under_its_name() -> None:
    assert CONTRACT["components"]["schemas"].keys() <= OURS["components"]["schemas"].keys()


def test_the_contract_equals_itself() -> None:
    assert differences(CONTRACT, CONTRACT) == []


@pytest.mark.parametrize(
    ("place", "value", "difference"),
    [
        (f"{ONE} > delete", DROPPED, "DELETE /customers/{customer_id} is missing"),
        (DETAIL, DROPPED, "GET /customers/{customer_id}/detail is missing"),
        (
            f"{LIST} > operationId",
            "list",
            "GET /customers: operationId should be 'list_customers_customers_get' and is 'list'",
        ),
        (f"{LIST} > tags", [], "GET /customers: tags should be ['customers'] and is []"),
        (f"{LIST} > security", [], "GET /customers: security should be absent and is []"),
        ("security", [{"bearerAuth": []}], "security should be [{'bearerAuth': []}, {'apiKeyAuth': []}] and is"),
        ("components > securitySchemes > apiKeyAuth", DROPPED, "security scheme apiKeyAuth should be {'type':"),
        (LIMIT, DROPPED, "GET /customers: query parameter limit is missing"),
        (f"{LIMIT} > in", "header", "GET /customers: query parameter limit is missing"),
        (f"{LIMIT} > required", True, "GET /customers: query parameter limit: required should be False and is True"),
        (f"{LIMIT} > schema > type", "number", "GET /customers: query parameter limit: type should be 'integer' and"),
        (f"{LIMIT} > schema > maximum", 100, "GET /customers: query parameter limit: maximum should be 200 and is 100"),
        (f"{LIMIT} > schema > default", 20, "GET /customers: query parameter limit: default should be 10 and is 20"),
        (f"{LIST} > parameters > +", TENANT, "GET /customers: query parameter tenant is required, and the contract"),
        (f"{CREATE} > requestBody", DROPPED, "POST /customers: the body is missing"),
        (f"{CREATE} > requestBody > required", False, "POST /customers: body: required should be True and is False"),
        (f"{RESTORE} > requestBody", {"required": True}, "POST /customers/{customer_id}/restore: a body is required,"),
        (f"{CREATE} > responses > 201", DROPPED, "POST /customers: response 201 is missing"),
        (f"{CREATE} > responses > 422 > content", {}, "POST /customers: 422 is not application/json"),
        (f"{CREATE} > responses > 201 > {JSON}", {}, "POST /customers: 201 should be CustomerOut"),
        (f"{ONE} > delete > responses > 204 > content", {"text/html": {}}, "DELETE /customers/{customer_id}: 204 has"),
        (f"{CUSTOMER} > properties > email", DROPPED, "CustomerOut.email is missing"),
        (f"{CUSTOMER} > properties > email > format", DROPPED, "CustomerOut.email: format should be 'email' and is"),
        (f"{CUSTOMER} > properties > phone > type", ["string", "null"], "CustomerOut.phone: type should be 'string'"),
        (f"{CUSTOMER} > required", ["id", "created_at"], "CustomerOut.updated_at should be required"),
        (f"{SORT} > properties > direction > enum", ["asc"], "SortOut.direction: enum should be ['asc', 'desc'] and"),
        (f"{PAGE} > properties > data > items", {}, "PaginatedResponse_CustomerOut_.data: items should be CustomerOut"),
        (
            f"{COUNTS} > properties > quick_filters > additionalProperties > type",
            "number",
            "AggregationsOut.quick_filters: additionalProperties: type should be 'integer' and is 'number'",
        ),
        (f"{STATS} > properties > calls_busy > default", DROPPED, "CustomerDetailStatsOut.calls_busy: default should"),
        (f"{LOC} > items > anyOf > 1", DROPPED, "ValidationError.loc: items: anyOf should have 2 alternatives and"),
        (f"{NEW} > required", ["customer_id", "name"], "CustomerCreate.name should not be required"),
        (f"{NEW} > properties > name > anyOf > 0 > maxLength", 100, "CustomerCreate.name: maxLength should be 255 and"),
        (f"{NEW} > properties > customer_id > maxLength", 64, "CustomerCreate.customer_id: maxLength should be absent"),
        (f"{NEW} > properties > status > oneOf", [], "CustomerCreate.status: this comparison does not know oneOf"),
        (f"{UPDATE} > additionalProperties", False, "CustomerUpdate: additionalProperties should be absent and is"),
    ],
)
def test_what_a_change_takes_from_a_client_is_the_one_difference(place: str, value: Any, difference: str) -> None:
    (found,) = differences(CONTRACT, changed(place, value))
    assert found.startswith(difference)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("paths > /ping", {"get": {"responses": {}}}),
        (f"{LIST} > parameters > +", {**TENANT, "required": False}),
        (f"{LIST} > responses > 418", {"description": "Teapot"}),
        (f"{CUSTOMER} > properties > nickname", {"type": "string"}),
        (f"{CUSTOMER} > required", ["id", "created_at", "updated_at", "email"]),
        (f"{CUSTOMER} > properties > email > description", "Where mail goes"),
    ],
)
def test_an_addition_is_no_difference(place: str, value: Any) -> None:
    document = changed(place, value)
    assert document != OURS
    assert differences(CONTRACT, document) == []
