"""Each function may do what it needs and nothing else: with any one permission less, something of it fails."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from customers import keys
from tests.handlers import OPERATIONS
from tests.stack.conftest import Stack
from tools.template import resources

pytestmark = pytest.mark.xdist_group("sam")


@dataclass(frozen=True)
class Permission:
    """An action of one statement of a function's policy, on one of its resources."""

    function: str  # logical id
    statement: int
    action: str
    resource: int

    def denied(self, policy: dict[str, Any]) -> dict[str, Any]:
        """The policy with this permission taken back."""
        resources = policy["Statement"][self.statement]["Resource"]
        resource = resources[self.resource] if isinstance(resources, list) else resources
        return {
            **policy,
            "Statement": [*policy["Statement"], {"Effect": "Deny", "Action": self.action, "Resource": resource}],
        }


def functions() -> Mapping[str, str]:
    """Logical ids of the functions of operations, by operation."""
    found = resources("AWS::Serverless::Function").items()
    return {properties["CodeUri"].split("/")[1]: id for id, properties in found}


def permissions() -> Iterator[Permission]:
    for function in functions().values():
        policies = resources("AWS::Serverless::Function")[function]["Policies"]
        (policy,) = [each for each in policies if "Statement" in each]
        for number, statement in enumerate(policy["Statement"]):
            on = statement["Resource"]
            for action in statement["Action"]:
                for place in range(len(on) if isinstance(on, list) else 1):
                    yield Permission(function, number, action, place)


def exercise_list(stack: Stack) -> Iterator[int]:
    for field in keys.SORT_INDEXES:
        yield stack.call("list_customers", params={"sort_field": field, "limit": 1}, headers=stack.api_key).status_code
    yield stack.call("list_customers", params={"q": "a"}, headers=stack.admin).status_code


def exercise_create(stack: Stack) -> Iterator[int]:
    headers = stack.api_key | {"Idempotency-Key": str(uuid4())}
    yield stack.call("create_customer", body={"customer_id": str(uuid4())}, headers=headers).status_code


def exercise_get(stack: Stack) -> Iterator[int]:
    yield stack.call("get_customer", _new(stack)).status_code


def exercise_detail(stack: Stack) -> Iterator[int]:
    yield stack.call("get_customer_detail", _new(stack), headers=stack.api_key).status_code


def exercise_update(stack: Stack) -> Iterator[int]:
    id = _new(stack)
    yield stack.call("update_customer", id, {"status": "won"}).status_code
    yield stack.call("update_customer", id, {"customer_id": str(uuid4())}).status_code


def exercise_delete(stack: Stack) -> Iterator[int]:
    id = _new(stack)
    yield stack.call("delete_customer", id).status_code
    yield stack.call("delete_customer", id, params={"purge": True}).status_code


def exercise_restore(stack: Stack) -> Iterator[int]:
    id = _new(stack)
    stack.call("delete_customer", id)
    for _ in ("a deleted one", "a live one"):
        yield stack.call("restore_customer", id, headers=stack.bearer | {"Idempotency-Key": str(uuid4())}).status_code


def _new(stack: Stack) -> str:
    return str(stack.call("create_customer", body={"customer_id": str(uuid4())}).json()["id"])


EXERCISES: Mapping[str, Callable[[Stack], Iterator[int]]] = {
    "list_customers": exercise_list,
    "create_customer": exercise_create,
    "get_customer": exercise_get,
    "get_customer_detail": exercise_detail,
    "update_customer": exercise_update,
    "delete_customer": exercise_delete,
    "restore_customer": exercise_restore,
}
OPERATION = {function: operation for operation, function in functions().items()}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_function_has_every_permission_that_it_needs(stack: Stack, operation: str) -> None:
    assert all(status < 300 for status in EXERCISES[operation](stack))


@pytest.mark.parametrize(
    "permission", list(permissions()), ids=lambda p: f"{p.function}-{p.action}-{p.statement}.{p.resource}"
)
def test_a_function_needs_every_permission_that_it_has(stack: Stack, permission: Permission) -> None:
    iam = stack.cloud.client("iam")
    role = stack.resource(f"{permission.function}Role")
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(permission.denied(policy)))
    try:
        assert 500 in EXERCISES[OPERATION[permission.function]](stack)
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
