"""Each function may do what it needs and nothing else: with any one permission less, something of it fails."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from customers import keys
from customers.dynamodb import Table, encode
from customers.exporting import ExportCreate, Exports
from customers.files import part_key, upload_key
from customers.listing.jumps import READ_PAST
from tests import told
from tests.handlers import FUNCTIONS, message
from tests.stack.conftest import Stack, soon
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


# Permissions whose lack nothing shows here.
UNSEEN = {
    "sqs:ReceiveMessage": "used by Lambda, in the function's role; MiniStack's asks for no permission",
    "sqs:DeleteMessage": "likewise",
    "sqs:GetQueueAttributes": "likewise",
    "s3:ListBucket": "AWS says 403 instead of 404 to who may not list; MiniStack says 404 to everybody",
    "s3:AbortMultipartUpload": "used after a fault only: tests/unit/test_template_permissions.py makes one",
}


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
            for action in [each for each in statement["Action"] if each not in UNSEEN]:
                for place in range(len(on) if isinstance(on, list) else 1):
                    yield Permission(function, number, action, place)


def exercise_list(stack: Stack) -> Iterator[int]:
    for field in keys.SORT_INDEXES:
        yield stack.call("list_customers", params={"sort_field": field, "limit": 1}, headers=stack.api_key).status_code
    yield stack.call("list_customers", params={"q": "a"}, headers=stack.admin).status_code
    far = {"offset": READ_PAST + 1, "limit": 1}  # counts past keys, and leaves a bookmark
    while stack.call("list_customers").json()["meta"]["total"] < READ_PAST + 5:
        many = "\n".join(["customer_id", *(str(uuid4()) for _ in range(READ_PAST))])
        assert stack.call("import_customers", file=many.encode()).is_success
    yield stack.call("list_customers", params=far, headers=stack.api_key).status_code


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


def exercise_import(stack: Stack) -> Iterator[int]:
    file = _file(_deleted(stack))
    params = {"on_deleted": "restore"}
    yield stack.call("import_customers", file=file, params=params, headers=stack.api_key).status_code


def exercise_create_import(stack: Stack) -> Iterator[int]:
    headers = stack.api_key | {"Idempotency-Key": str(uuid4())}
    yield stack.call("create_import", body={}, headers=headers).status_code
    again = stack.call("create_import", body={}, headers=headers)
    yield again.status_code
    if again.is_success:
        yield _status(done=stack.upload(again.json(), b"customer_id\n").is_success)


def exercise_list_imports(stack: Stack) -> Iterator[int]:
    _finished(stack)
    answer = stack.call("list_imports", headers=stack.api_key)
    yield answer.status_code
    if answer.is_success:
        yield from _downloads(answer.json()["data"][0]["rejected"])


def exercise_get_import(stack: Stack) -> Iterator[int]:
    answer = stack.call("get_import", _finished(stack), headers=stack.api_key)
    yield answer.status_code
    if answer.is_success:
        yield from _downloads(answer.json()["rejected"])


def exercise_cancel_import(stack: Stack) -> Iterator[int]:
    waiting = str(stack.call("create_import", body={}).json()["id"])
    yield stack.call("cancel_import", waiting, headers=stack.api_key).status_code
    answer = stack.call("cancel_import", _finished(stack))
    yield answer.status_code
    if answer.is_success:
        yield from _downloads(answer.json()["rejected"])


def exercise_split(stack: Stack) -> Iterator[int]:
    answer = _split(stack, stack.send(_file(str(uuid4()))))
    yield _status(done=answer is not None and answer["next"] == "apply")
    cancelled = str(stack.call("create_import", body={}).json()["id"])
    stack.call("cancel_import", cancelled)
    yield _status(done=_split(stack, cancelled) == {"next": "stop"})  # a file that comes now is not kept


def exercise_chunk(stack: Stack) -> Iterator[int]:
    id = stack.send(_file(_deleted(stack)), on_deleted="restore")
    _split(stack, id)
    yield _status(done=_apply(stack, id))


def exercise_finish(stack: Stack) -> Iterator[int]:
    """Of an import whose worker did not come to write what it has rejected."""
    id = stack.send(_file(str(uuid4())))
    _split(stack, id)
    _apply(stack, id)
    stack.cloud.client("s3").delete_object(Bucket=stack.resource("Bucket"), Key=part_key(id, 0))
    yield _status(done=_finish(stack, id))


def exercise_create_export(stack: Stack) -> Iterator[int]:
    headers = stack.api_key | {"Idempotency-Key": str(uuid4())}
    answer = stack.call("create_export", body={}, headers=headers)
    yield answer.status_code
    if answer.is_success:
        soon(lambda: "file" in stack.call("get_export", answer.json()["id"]).json())
        yield from _downloads(stack.call("create_export", body={}, headers=headers).json()["file"])


def exercise_get_export(stack: Stack) -> Iterator[int]:
    id = _queued_export(stack, by_admin=False)
    assert stack.invoke("ExportCustomers", {"export_id": id})
    answer = stack.call("get_export", id, headers=stack.api_key)
    yield answer.status_code
    if answer.is_success:
        yield from _downloads(answer.json()["file"])


def exercise_export_customers(stack: Stack) -> Iterator[int]:
    answer = stack.invoke("ExportCustomers", {"export_id": _queued_export(stack)})
    yield _status(done=answer is not None and answer["state"] == "completed")


def _queued_export(stack: Stack, *, by_admin: bool = True) -> str:
    """An export that nobody has begun; of an administrator, of everybody's customers."""
    exports = Exports(Table(stack.resource("Table"), stack.cloud.client("dynamodb")))
    return exports.create("ada", ExportCreate(), None, by_admin=by_admin)[0].id


def _file(customer_id: str) -> bytes:
    """Of three rows: this customer, a new one, and a bad one."""
    return f"customer_id,email\n{customer_id},\n{uuid4()},\n{uuid4()},nobody\n".encode()


def _split(stack: Stack, id: str) -> Any:
    """What the first step answers; it is its owner's turn."""
    _end_turn(stack)
    return stack.invoke("SplitImport", {"key": upload_key(id), "execution": "test"})


def _end_turn(stack: Stack) -> None:
    """What an import has that did not come to its end."""
    turn = encode(keys.importing("ada"))
    stack.cloud.client("dynamodb").delete_item(TableName=stack.resource("Table"), Key=turn)


def _apply(stack: Stack, id: str) -> bool:
    return bool(stack.invoke("ImportChunk", {"import_id": id, "chunk": 0}) == {"done": True})


def _finish(stack: Stack, id: str) -> bool:
    event = {"key": upload_key(id), "execution": "test"}
    return bool(stack.invoke("FinishImport", event) == {"state": "completed"})


def _finished(stack: Stack) -> str:
    """An import that has ended and has rejected a row."""
    id = stack.send(_file(str(uuid4())))
    _split(stack, id)
    assert _apply(stack, id)
    assert _finish(stack, id)
    return id


def _downloads(*files: Any) -> Iterator[int]:
    """Whether their links give them."""
    for file in files:
        yield _status(done=httpx.get(file["url"]).is_success)


def _deleted(stack: Stack) -> str:
    """The customer_id of a deleted customer of whom something was told."""
    id = _told(stack)
    customer_id = stack.call("get_customer", id).json()["customer_id"]
    stack.call("delete_customer", id)
    return str(customer_id)


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
    "import_customers": exercise_import,
    "create_import": exercise_create_import,
    "list_imports": exercise_list_imports,
    "get_import": exercise_get_import,
    "cancel_import": exercise_cancel_import,
    "split_import": exercise_split,
    "import_chunk": exercise_chunk,
    "finish_import": exercise_finish,
    "create_export": exercise_create_export,
    "get_export": exercise_get_export,
    "export_customers": exercise_export_customers,
}
NAMES = {id: name for name, id in functions().items()}


@pytest.fixture(scope="module", autouse=True)
def _steps_by_hand(stack: Stack) -> Iterator[None]:
    """Uploads start nothing meanwhile: the tests themselves take the steps."""
    events, rule = stack.cloud.client("events"), stack.resource("ImportMachineUpload")
    events.disable_rule(Name=rule)
    yield
    _end_turn(stack)
    events.enable_rule(Name=rule)


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
        assert any(status >= 500 for status in EXERCISES[NAMES[permission.function]](stack))
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
