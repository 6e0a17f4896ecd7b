"""Each function may do what it needs and nothing else: with any one permission less, something of it fails."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from customers import keys
from tests import told
from tests.handlers import FUNCTIONS, message
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


POLLED = {"Fn::GetAtt": "ActivityQueue.Arn"}  # by Lambda, in the function's role; MiniStack asks for no permission


def functions() -> Mapping[str, str]:
    """The functions' logical ids, by name."""
    found = resources("AWS::Serverless::Function").items()
    return {properties["CodeUri"].split("/")[1]: id for id, properties in found}


def permissions() -> Iterator[Permission]:
    for function in functions().values():
        policies = resources("AWS::Serverless::Function")[function]["Policies"]
        (policy,) = [each for each in policies if "Statement" in each]
        for number, statement in enumerate(policy["Statement"]):
            on = statement["Resource"]
            for action in statement["Action"] if on != POLLED else ():
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
    yield stack.call("get_customer_detail", _told(stack), headers=stack.api_key).status_code


def exercise_campaigns(stack: Stack) -> Iterator[int]:
    yield stack.call("list_customer_campaigns", _told(stack), headers=stack.api_key).status_code


def exercise_activity(stack: Stack) -> Iterator[int]:
    params = {"outcome": "answered"}
    yield stack.call("list_customer_activity", _told(stack), params=params, headers=stack.api_key).status_code


def exercise_update(stack: Stack) -> Iterator[int]:
    id = _new(stack)
    yield stack.call("update_customer", id, {"status": "won"}).status_code
    yield stack.call("update_customer", id, {"customer_id": str(uuid4())}).status_code


def exercise_delete(stack: Stack) -> Iterator[int]:
    id = _told(stack)
    yield stack.call("delete_customer", id).status_code
    yield stack.call("delete_customer", id, params={"purge": True}).status_code


def exercise_restore(stack: Stack) -> Iterator[int]:
    id = _told(stack)
    stack.call("delete_customer", id)
    for _ in ("a deleted one", "a live one"):
        yield stack.call("restore_customer", id, headers=stack.bearer | {"Idempotency-Key": str(uuid4())}).status_code


def exercise_record(stack: Stack) -> Iterator[int]:
    unreadable = message("CallUpserted", {}, "unreadable")
    yield _status(done=stack.deliver([*told.messages(_new(stack)), unreadable]))


def exercise_purge(stack: Stack) -> Iterator[int]:
    id = _told(stack)
    stack.call("delete_customer", id)
    stack.make_due(id)
    report = stack.invoke("PurgeCustomers", {"dry_run": False})
    yield _status(done=report is not None and report["purged"] > 0 and not report["failed"])


def _new(stack: Stack) -> str:
    return str(stack.call("create_customer", body={"customer_id": str(uuid4())}).json()["id"])


def _told(stack: Stack) -> str:
    """A customer of whom something was told."""
    id = _new(stack)
    assert stack.deliver(told.messages(id))
    return id


def _status(*, done: bool) -> int:
    """As if it were called over HTTP."""
    return 200 if done else 500


EXERCISES: Mapping[str, Callable[[Stack], Iterator[int]]] = {
    "list_customers": exercise_list,
    "create_customer": exercise_create,
    "get_customer": exercise_get,
    "get_customer_detail": exercise_detail,
    "update_customer": exercise_update,
    "delete_customer": exercise_delete,
    "restore_customer": exercise_restore,
    "list_customer_campaigns": exercise_campaigns,
    "list_customer_activity": exercise_activity,
    "record_activity": exercise_record,
    "purge_customers": exercise_purge,
}
NAMES = {id: name for name, id in functions().items()}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_every_permission_that_it_needs(stack: Stack, function: str) -> None:
    assert all(status < 300 for status in EXERCISES[function](stack))


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
        assert 500 in EXERCISES[NAMES[permission.function]](stack)
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
