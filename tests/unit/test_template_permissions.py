"""What each function may do: the rules, and that it is exactly what the function does."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from customers.auth import api_keys
from customers.dynamodb import Table
from customers.exporting.writer import ExportFailed
from customers.files import Writer, part_key, upload_key
from customers.keys import SORT_INDEXES
from customers.repository import Repository
from tests import machine, told
from tests.handlers import FUNCTIONS, OPERATIONS, Api, Context, message
from tests.unit.templates import (
    EXECUTIONS,
    TABLE,
    Permission,
    Template,
    changed,
    functions,
    indexes,
    method,
    named,
    of_type,
    only,
    pairs,
    permissions,
    references,
    statements,
)
from tools.template import load

PREFIXES = {"uploads/", "steps/", "results/"}  # of the bucket's keys: customers.files
READS = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "s3:GetObject"}
DATED = ("date_from=2020-01-01", "date_from=2020-01-01&status=customer")
POLLS = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}  # by Lambda, in the function's role
# The permission that a request of S3 needs, where that has another name.
S3_ACTIONS = {
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}


@pytest.fixture
def template() -> Template:
    return load()


def everybody(template: Template) -> dict[str, Any]:
    """All that has a role of its own."""
    return functions(template) | of_type(template, "AWS::Serverless::StateMachine")


def test_every_function_has_its_own_statements_and_no_policy_of_somebody_else(template: Template) -> None:
    reads_secret = {"Fn::If": ["HasJwtSecret", {"Ref": "ReadJwtSecret"}, {"Ref": "AWS::NoValue"}]}
    for each in everybody(template).values():
        others = [policy for policy in each["Policies"] if list(policy) != ["Statement"]]
        assert others == ([reads_secret] if method(each) else [])
        assert statements(each)
        assert "Role" not in each


def test_a_wildcard_stands_for_keys_of_one_prefix_or_executions_of_one_machine(template: Template) -> None:
    managed = of_type(template, "AWS::IAM::ManagedPolicy").values()
    shared = [statement for policy in managed for statement in policy["PolicyDocument"]["Statement"]]
    for each in chain(shared, *map(statements, everybody(template).values())):
        assert set(each) - {"Condition"} == {"Effect", "Action", "Resource"}
        for action, resource in pairs(each):
            assert "*" not in action
            assert "*" not in json.dumps(resource) or named(resource) in {*PREFIXES, *EXECUTIONS.values()}


def test_every_permission_is_for_something_that_the_template_has(template: Template) -> None:
    of_service = {
        "dynamodb": {TABLE, *indexes(template)},
        "sqs": {*of_type(template, "AWS::SQS::Queue")},
        "s3": {"Bucket", *PREFIXES},
        "lambda": {*of_type(template, "AWS::Serverless::Function")},
        "states": {*of_type(template, "AWS::Serverless::StateMachine"), *EXECUTIONS.values()},
    }
    for each in everybody(template).values():
        for action, resource in permissions(each):
            assert resource in of_service[action.partition(":")[0]]


def test_a_function_that_answers_a_get_may_not_write_but_what_a_listing_remembers(template: Template) -> None:
    for name, function in functions(template).items():
        if method(function) == "GET":
            remembers = {"dynamodb:PutItem"} if name == "list_customers" else set[str]()
            assert {action for action, _ in permissions(function)} <= READS | remembers
    (put,) = [
        each
        for each in functions(template)["list_customers"]["Policies"][1]["Statement"]
        if "dynamodb:PutItem" in each["Action"]
    ]
    assert put["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["OWNER#*", "CURSORS"]}}


def test_nobody_may_scan_and_only_who_must_may_query_an_index(template: Template) -> None:
    may_query = {
        "list_customers": indexes(template) - {"by_purge"},
        "purge_customers": {"by_purge"},
        "export_customers": {"by_created"},
    }
    for name, function in functions(template).items():
        granted = permissions(function)
        assert "dynamodb:Scan" not in {action for action, _ in granted}
        of_indexes = {(action, resource) for action, resource in granted if resource in indexes(template)}
        assert of_indexes == {("dynamodb:Query", index) for index in may_query.get(name, ())}


def test_only_a_function_that_authenticates_may_read_the_secret(template: Template) -> None:
    may_read = {name for name, function in functions(template).items() if "ReadJwtSecret" in {*references(function)}}
    assert may_read == {*OPERATIONS}


# Files


def may(template: Template, action: str, on: str) -> set[str]:
    """The functions with this permission."""
    return {name for name, function in functions(template).items() if (action, on) in permissions(function)}


def test_an_upload_is_put_by_a_link_of_create_import_only_and_read_by_no_function_with_a_route(
    template: Template,
) -> None:
    """A link allows what the function that signs it may do."""
    assert may(template, "s3:PutObject", "uploads/") == {"create_import"}
    assert may(template, "s3:GetObject", "uploads/") == {"split_import"}
    assert may(template, "s3:DeleteObject", "uploads/") == {"split_import", "finish_import"}


def test_what_is_between_two_steps_no_function_with_a_route_touches(template: Template) -> None:
    touching = {name for name, each in functions(template).items() if "steps/" in {on for _, on in permissions(each)}}
    assert touching == {"split_import", "import_chunk", "finish_import"}


def test_a_function_with_a_route_reads_results_and_one_without_writes_them(template: Template) -> None:
    for function in functions(template).values():
        actions = {action for action, on in permissions(function) if on == "results/"}
        assert actions <= ({"s3:GetObject"} if method(function) else {"s3:PutObject", "s3:AbortMultipartUpload"})


def test_who_may_take_parts_of_a_file_back_may_send_them(template: Template) -> None:
    for each in everybody(template).values():
        of_parts = {on for action, on in permissions(each) if action == "s3:AbortMultipartUpload"}
        assert of_parts <= {on for action, on in permissions(each) if action == "s3:PutObject"}


# The machine


def test_the_machine_may_do_what_its_definition_says_and_nothing_else(template: Template) -> None:
    """MiniStack asks for none of these permissions; AWS documents those of a Distributed Map."""
    imports = only(template, "AWS::Serverless::StateMachine")
    assert imports["Name"] == {"Fn::Sub": "${AWS::StackName}-imports"}  # which the ARNs of its statements have
    tasks = {each["Fn::GetAtt"].removesuffix(".Arn") for each in imports["DefinitionSubstitutions"].values()}
    assert permissions(imports) == {
        *(("lambda:InvokeFunction", function) for function in tasks),
        ("states:StartExecution", "ImportMachine"),
        *((f"states:{do}Execution", which) for do in ("Describe", "Stop") for which in EXECUTIONS.values()),
    }


# Against what the functions do


def test_a_function_may_do_what_it_does_and_nothing_else(
    template: Template, api: Api, table: Table, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[tuple[BaseClient, Permission]]()
    watch(made, [client for name in FUNCTIONS for client in clients(api.app(name))], monkeypatch)
    exercise(api, table)
    with broken_off_once():
        exercise_imports(api, bucket)
        exercise_exports(api)
    for operation in OPERATIONS:
        unknown = {"authorization": None, "x-api-key": api_keys.mint()[0]}
        assert api.call(operation, headers=unknown).status == 401
    own = {name: [*clients(api.app(name))] for name in FUNCTIONS}  # some are made when they are needed
    done = {name: {what for by, what in made if any(by is client for client in own[name])} for name in FUNCTIONS}
    done["record_activity"] |= {(action, "ActivityQueue") for action in POLLS}
    granted = {name: permissions(function) for name, function in functions(template).items()}
    missing = {name: done[name] - granted[name] for name in FUNCTIONS if done[name] - granted[name]}
    unused = {name: granted[name] - done[name] for name in FUNCTIONS if granted[name] - done[name]}
    assert (missing, unused) == ({}, {})


def clients(part: Any) -> Iterator[BaseClient]:
    """The AWS clients that a function's module holds, or what it holds of ours."""
    if isinstance(part, BaseClient):
        yield part
    elif hasattr(part, "lambda_handler") or type(part).__module__.startswith("customers."):
        for held in getattr(part, "__dict__", {}).values():
            yield from clients(held)
        for slot in getattr(type(part), "__slots__", ()):
            yield from clients(getattr(part, slot))


def watch(made: list[tuple[BaseClient, Permission]], own: list[BaseClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Note the permissions that each request needs, and those that a link which is made hands on."""
    make: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def watched(client: BaseClient, call: str, request: Any) -> Any:
        made.extend((client, permission) for permission in needed(client, call, request))
        if call == "Invoke":
            return {}
        try:
            return make(client, call, request)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                made.append((client, ("s3:ListBucket", "Bucket")))  # without it S3 says AccessDenied
            raise

    def linked(client: Any) -> None:
        link, post = client.generate_presigned_url, client.generate_presigned_post

        def download(call: str, **options: Any) -> Any:
            assert call == "get_object"
            made.append((client, ("s3:GetObject", prefix_of(options["Params"]["Key"]))))
            return link(call, **options)

        def upload(bucket: str, key: str, **options: Any) -> Any:
            made.append((client, ("s3:PutObject", prefix_of(key))))
            return post(bucket, key, **options)

        monkeypatch.setattr(client, "generate_presigned_url", download)
        monkeypatch.setattr(client, "generate_presigned_post", upload)

    monkeypatch.setattr(BaseClient, "_make_api_call", watched)
    for client in own:
        if client.meta.service_model.service_name == "s3":
            linked(client)


def needed(client: BaseClient, call: str, request: Any) -> Iterator[Permission]:
    """What IAM asks for one request. A transaction has no action of its own: each of its parts has one."""
    match client.meta.service_model.service_name, call:
        case "dynamodb", "TransactWriteItems":
            for write in request["TransactItems"]:
                yield from ((f"dynamodb:{kind}Item", TABLE) for kind in write)
        case "dynamodb", _:
            yield f"dynamodb:{call}", request.get("IndexName", TABLE)
        case "s3", _:
            yield f"s3:{S3_ACTIONS.get(call, call)}", prefix_of(request["Key"])
        case "sqs", _:
            yield f"sqs:{call}", "DeadLetterQueue"
        case "lambda", "Invoke":
            yield "lambda:InvokeFunction", request["FunctionName"]
        case service, _:
            pytest.fail(f"{call} of {service}")


def prefix_of(key: str) -> str:
    return key.partition("/")[0] + "/"


def exercise(api: Api, table: Table) -> None:
    """What takes the functions around a customer through each of their calls."""
    id = api.create("C-1", name="Ada", status="lead").id
    assert api.call("create_customer", body={"customer_id": "C-1"}).status == 409
    boto3.client("sqs").create_queue(QueueName=api.environment["DEAD_LETTER_QUEUE_URL"].rpartition("/")[2])
    assert not api.deliver([*told.messages(id), message("MessageSent", {})])
    assert api.call("get_customer", id).status == 200
    assert len(api.call("get_customer_detail", id).body["campaigns"]) == 1
    assert api.call("list_customer_campaigns", id).body["meta"]["total"] == 1
    assert api.call("list_customer_activity", id, query="outcome=answered").body["meta"]["total"] == 1
    assert api.call("update_customer", id, {"customer_id": "C-2", "status": "customer"}).status == 200
    vars(api.app("list_customers").customers._cursors).pop("_secret", None)  # as a new function, which makes it
    for query in (*(f"sort_field={field}" for field in SORT_INDEXES), "q=ada", *DATED):
        assert api.call("list_customers", query=query).body["meta"]["total"] == 1
    assert api.call("delete_customer", id).status == 204
    for key in ("of a deleted one", "of a live one"):
        assert api.call("restore_customer", id, headers={"idempotency-key": key.replace(" ", "-")}).status == 200
    assert api.call("delete_customer", id, query="purge=true").status == 204
    long_ago = Repository(table, retention_days=1, clock=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    due = long_ago.create("demo-owner", {"customer_id": "C-3"}, None).customer.id
    assert not api.deliver(told.messages(due))
    long_ago.delete(due, None, lambda _: None)
    assert api.app("purge_customers").lambda_handler({}, Context(lambda: 600_000))["purged"] == 1


def exercise_imports(api: Api, bucket: Any) -> None:
    """What takes imports through each of their calls: restored customers with campaigns, bad rows, faults, cancels."""
    file = b"customer_id,email\nC-4,\nC-5,nobody\nC-6,\n"
    id = api.create("C-4").id
    assert not api.deliver(told.messages(id))
    api.call("delete_customer", id)
    assert api.upload(file, query="on_deleted=restore").body["updated"] == 1
    api.call("delete_customer", id)
    key = {"idempotency-key": str(uuid4())}
    job, again = (api.call("create_import", body={"on_deleted": "restore"}, headers=key).id for _ in range(2))
    assert job == again
    bucket.put_object(Key=upload_key(job), Body=file)
    carry_out(api, bucket, job)
    for operation in ("get_import", "cancel_import"):
        assert api.call(operation, job).body["rejected"]["rows"] == 1
    assert api.call("list_imports").body["data"][0]["rejected"]["rows"] == 1
    without_file = api.call("create_import", body={}).id
    carry_out(api, bucket, without_file)
    assert api.call("get_import", without_file).body["error"]["code"] == "upload_missing"
    assert api.call("cancel_import", api.call("create_import", body={}).id).body["state"] == "cancelled"


def carry_out(api: Api, bucket: Any, id: str) -> None:
    """Run the machine; what a chunk rejects gets lost."""
    names = {"SplitImport": "split_import", "ImportChunk": "import_chunk", "FinishImport": "finish_import"}

    def invoke(function: str, event: Any) -> Any:
        answer = api.app(names[function]).lambda_handler(event, Context(lambda: 300_000))
        if function == "ImportChunk":
            bucket.Object(part_key(id, 0)).delete()
        return answer

    event = {"key": upload_key(id)}
    for _ in ("the upload", "and another one through its link"):
        machine.run(machine.definition("ImportMachine"), event, invoke, {"Execution": {"Name": str(uuid4())}})


def exercise_exports(api: Api) -> None:
    """An administrator's, whose first attempt fails, asked for once more when it is there."""
    key = {"idempotency-key": str(uuid4())}
    id = api.call("create_export", body={}, headers=key, role="admin").id
    run = api.app("export_customers").lambda_handler
    with pytest.raises(ExportFailed):
        run({"export_id": id}, Context(lambda: 900_000))
    assert run({"export_id": id}, Context(lambda: 900_000))["rows"] > 1
    assert api.call("get_export", id, role="admin").body["file"]
    assert api.call("create_export", body={}, headers=key, role="admin").body["file"]


@contextmanager
def broken_off_once() -> Iterator[None]:
    """Each file that is sent in parts breaks off at the first attempt."""
    broken, write = set[str](), Writer.write

    def break_off(writer: Writer, content: bytes) -> None:
        if writer._place["Key"] not in broken:
            broken.add(writer._place["Key"])
            raise OSError
        write(writer, content)

    with patch.object(Writer, "write", break_off):
        yield


# Each rule can fail

PARTS = {
    "statement": "Resources/GetCustomer/Properties/Policies/1/Statement/0",
    "purge": "Resources/PurgeCustomers/Properties",
    "machine": "Resources/ImportMachine/Properties",
    "split": "Resources/SplitImport/Properties/Policies/0/Statement",
    "finish": "Resources/FinishImport/Properties/Policies/0/Statement",
    "get_import": "Resources/GetImport/Properties/Policies/1/Statement",
}
INDEX = {"Fn::Sub": "${Table.Arn}/index/by_name"}
EVERYTHING = {"Fn::Sub": "${Bucket.Arn}/*"}
UPLOADS, STEPS, RESULTS = ({"Fn::Sub": f"${{Bucket.Arn}}/{prefix}/*"} for prefix in ("uploads", "steps", "results"))


def allow(action: str, resource: Any) -> Any:
    return {"Effect": "Allow", "Action": [action], "Resource": resource}


BREAKS: Mapping[Callable[[Template], None], list[tuple[str, Any]]] = {
    test_every_function_has_its_own_statements_and_no_policy_of_somebody_else: [
        ("Resources/GetCustomer/Properties/Policies/1", {"DynamoDBReadPolicy": {"TableName": {"Ref": "Table"}}}),
        ("Resources/GetCustomer/Properties/Policies/1/Statement", []),
        ("Globals/Function/Role", "arn:aws:iam::123456789012:role/admin"),
        ("Resources/RecordActivity/Properties/Policies/0", {"SQSPollerPolicy": {"QueueName": "activity"}}),
        ("machine/Role", "arn:aws:iam::123456789012:role/admin"),
        ("machine/Policies/0", {"LambdaInvokePolicy": {"FunctionName": {"Ref": "SplitImport"}}}),
    ],
    test_a_wildcard_stands_for_keys_of_one_prefix_or_executions_of_one_machine: [
        ("statement/Action", ["dynamodb:*"]),
        ("statement/Resource", "*"),
        ("statement/NotAction", ["dynamodb:Scan"]),
        ("Resources/ReadJwtSecret/Properties/PolicyDocument/Statement/0/Resource", "*"),
        ("split/1/Resource", EVERYTHING),
        ("split/1/Resource", {"Fn::Sub": "arn:aws:s3:::*/uploads/*"}),
        ("split/1/Action", ["s3:*"]),
        ("machine/Policies/0/Statement/0/Resource", "*"),
        ("machine/Policies/0/Statement/2/Resource", {"Fn::Sub": "arn:aws:states:*:*:execution:*"}),
    ],
    test_every_permission_is_for_something_that_the_template_has: [
        ("statement/Resource", "arn:aws:dynamodb:eu-west-1:123456789012:table/other"),
        ("statement/Resource", {"Fn::Sub": "${Table.Arn}/index/by_colour"}),
        ("statement/Resource", {"Fn::GetAtt": "Bus.Arn"}),
        ("statement/Resource", {"Fn::GetAtt": "DeadLetterQueue.Arn"}),
        ("split/1/Resource", {"Fn::Sub": "${Bucket.Arn}/colours/*"}),
        ("split/1/Resource", {"Fn::GetAtt": "Table.Arn"}),
        ("machine/Policies/0/Statement/1/Resource", {"Fn::GetAtt": "SplitImport.Arn"}),
    ],
    test_a_function_that_answers_a_get_may_not_write_but_what_a_listing_remembers: [
        ("statement/Action", ["dynamodb:GetItem", "dynamodb:PutItem"]),
        ("get_import/1/Action", ["s3:GetObject", "s3:PutObject"]),
    ],
    test_nobody_may_scan_and_only_who_must_may_query_an_index: [
        ("statement/Action", ["dynamodb:Scan"]),
        ("statement", {"Action": ["dynamodb:Query"], "Resource": INDEX}),
        ("purge/Policies/0/Statement/1/Resource", INDEX),
        ("purge/Policies/0/Statement/1/Action", ["dynamodb:Query", "dynamodb:Scan"]),
    ],
    test_only_a_function_that_authenticates_may_read_the_secret: [
        ("Resources/GetCustomer/Properties/Policies/0", {"Statement": []}),
        ("purge/Policies/0", {"Fn::If": ["HasJwtSecret", {"Ref": "ReadJwtSecret"}, {"Ref": "AWS::NoValue"}]}),
    ],
    test_an_upload_is_put_by_a_link_of_create_import_only_and_read_by_no_function_with_a_route: [
        ("split/1/Action", ["s3:GetObject", "s3:PutObject"]),
        ("get_import/1/Resource", UPLOADS),
        ("finish/0", allow("s3:GetObject", UPLOADS)),
        ("split/1/Action", ["s3:GetObject"]),
    ],
    test_what_is_between_two_steps_no_function_with_a_route_touches: [
        ("get_import/1/Resource", STEPS),
        ("purge/Policies/0/Statement/0", allow("s3:DeleteObject", STEPS)),
    ],
    test_a_function_with_a_route_reads_results_and_one_without_writes_them: [
        ("get_import/1/Action", ["s3:DeleteObject"]),
        ("finish/0", allow("s3:GetObject", RESULTS)),
    ],
    test_who_may_take_parts_of_a_file_back_may_send_them: [
        ("Resources/ImportChunk/Properties/Policies/0/Statement/0", allow("s3:AbortMultipartUpload", RESULTS)),
    ],
    test_the_machine_may_do_what_its_definition_says_and_nothing_else: [
        ("machine/Name", "imports"),
        ("machine/Policies/0/Statement/0/Resource", [{"Fn::GetAtt": "SplitImport.Arn"}]),
        ("machine/Policies/0/Statement/1/Action", ["states:StartExecution", "states:DeleteStateMachine"]),
        ("machine/DefinitionSubstitutions/Purge", {"Fn::GetAtt": "PurgeCustomers.Arn"}),
    ],
}


@pytest.mark.parametrize(
    ("rule", "path", "value"), [(rule, *each) for rule, breaks in BREAKS.items() for each in breaks]
)
def test_a_rule_fails_for_a_template_that_breaks_it(
    template: Template, rule: Callable[[Template], None], path: str, value: Any
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        rule(changed(template, path, value, PARTS))
