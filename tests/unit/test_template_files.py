"""The rules about the bucket of files and about what carries large imports out, and proof that each can fail.

What the state machine's definition does is in test_machine.py.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from customers.dynamodb import ATTEMPT_MILLISECONDS
from customers.exporting import writer
from customers.exporting.jobs import ATTEMPTS, LOST_MINUTES
from customers.files import LIFE_DAYS, UPLOADS
from customers.importing.steps import RESERVE_MILLISECONDS
from customers.importing.view import MAX_UPLOAD_BYTES
from customers.sheets import LARGE
from tests.unit.templates import Template, changed, functions, only, triggers
from tools.template import load

STEPS = ("split_import", "import_chunk", "finish_import")
MOST_WORKERS = 4  # of one import, and so of one owner: what one partition of an index takes
EVENTS = 25_000  # of one execution, when AWS ends it
EVENTS_OF_A_WAIT = 9  # of the states Split (5), WhatNext (2) and WaitForTurn (2)
RETRY_PAUSES_SECONDS = 60 + 120  # of Lambda, before the second and the third attempt
RETRIED_SECONDS = 60  # how long a fault may last at least


@pytest.fixture
def template() -> Template:
    return load()


def bucket(template: Template) -> Any:
    return only(template, "AWS::S3::Bucket")


def machine(template: Template) -> Any:
    return only(template, "AWS::Serverless::StateMachine")


def states(part: Any) -> Iterator[tuple[str, Any]]:
    """All states of a machine's definition by name, those of its maps included."""
    for name, state in part["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


# Bucket


def test_files_are_encrypted_and_nobodys_but_the_accounts(template: Template) -> None:
    properties = bucket(template)
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    assert properties["PublicAccessBlockConfiguration"] == dict.fromkeys(blocked, True)


def test_files_live_as_long_as_the_code_says_and_unfinished_ones_a_day(template: Template) -> None:
    assert bucket(template)["LifecycleConfiguration"]["Rules"] == [
        {
            "Id": "everything",
            "Status": "Enabled",
            "ExpirationInDays": LIFE_DAYS,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]
    assert "VersioningConfiguration" not in bucket(template)  # what has expired is gone


def test_the_bucket_outlives_its_stack_as_the_table_does(template: Template) -> None:
    resource, table = template["Resources"]["Bucket"], template["Resources"]["Table"]
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        assert resource[policy] == table[policy]
    assert "BucketName" not in resource["Properties"]  # a bucket that was kept would keep the name from its successor


def test_pages_of_other_origins_reach_files_by_parameter_only(template: Template) -> None:
    condition, allowed, otherwise = bucket(template)["CorsConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("HasCors", {"Ref": "AWS::NoValue"})
    (rule,) = allowed["CorsRules"]
    assert rule["AllowedOrigins"] == {"Ref": "CorsOrigins"}
    assert {*rule["AllowedMethods"]} == {"GET", "POST"}  # a download, and an upload


def test_an_upload_starts_the_machine_and_no_other_file_does(template: Template) -> None:
    assert bucket(template)["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    (rule,) = triggers(machine(template), "EventBridgeRule")
    assert len(machine(template)["Events"]) == 1
    assert rule["Pattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [{"Ref": "Bucket"}]}, "object": {"key": [{"prefix": UPLOADS}]}},
    }
    assert rule["RetryPolicy"]["MaximumRetryAttempts"] > 0


# Functions of the steps


def test_a_worker_that_ends_in_time_has_begun_and_may_begin_a_batch_late(template: Template) -> None:
    assert functions(template)["import_chunk"]["Timeout"] > 2 * RESERVE_MILLISECONDS / 1000
    assert RESERVE_MILLISECONDS > 2 * ATTEMPT_MILLISECONDS


def test_a_step_has_no_route_and_is_started_by_the_machine_only(template: Template) -> None:
    for name in {*STEPS} - {"finish_import"}:
        assert "Events" not in functions(template)[name]
    substituted = machine(template)["DefinitionSubstitutions"].values()
    found = {each["Fn::GetAtt"].removesuffix(".Arn") for each in substituted}
    assert {template["Resources"][id]["Properties"]["CodeUri"].split("/")[1] for id in found} == {*STEPS}


def test_an_execution_that_ends_badly_still_comes_to_the_last_step(template: Template) -> None:
    (rule,) = functions(template)["finish_import"]["Events"].values()
    assert rule["Type"] == "EventBridgeRule"
    pattern = rule["Properties"]["Pattern"]
    assert (pattern["source"], pattern["detail-type"]) == (
        ["aws.states"],
        ["Step Functions Execution Status Change"],
    )
    assert {*pattern["detail"]["status"]} == {"FAILED", "TIMED_OUT", "ABORTED"}
    name = machine(template)["Name"]["Fn::Sub"]
    ((arn,),) = (each.values() for each in pattern["detail"]["stateMachineArn"])
    assert arn.endswith(f":stateMachine:{name}")


def test_there_is_room_for_an_upload_a_copy_of_it_and_what_it_says(template: Template) -> None:
    size = functions(template)["split_import"]["EphemeralStorage"]["Size"] << 20
    assert size >= 2 * MAX_UPLOAD_BYTES + LARGE.text


def test_lambda_repeats_an_export_as_often_as_the_export_believes(template: Template) -> None:
    export = functions(template)["export_customers"]
    repeated = export["EventInvokeConfig"]
    assert repeated["MaximumRetryAttempts"] + 1 == ATTEMPTS
    assert repeated["MaximumEventAgeInSeconds"] > RETRY_PAUSES_SECONDS
    assert "DestinationConfig" not in repeated
    assert export["Timeout"] > 2 * writer.RESERVE_MILLISECONDS / 1000
    assert export["Timeout"] + RETRY_PAUSES_SECONDS < LOST_MINUTES * 60


# Machine


def test_the_machine_waits_long_and_never_so_long_that_it_would_be_ended(template: Template) -> None:
    definition = machine(template)["Definition"]
    ((_, wait),) = [each for each in states(definition) if each[1]["Type"] == "Wait"]
    timeouts = [function["Timeout"] for name, function in functions(template).items() if name in STEPS]
    assert max(timeouts) * 4 < definition["TimeoutSeconds"]
    assert definition["TimeoutSeconds"] / wait["Seconds"] * EVENTS_OF_A_WAIT < EVENTS
    assert machine(template)["Type"] == "STANDARD"  # an express execution ends after five minutes


def test_few_workers_of_an_import_run_side_by_side(template: Template) -> None:
    maps = [state for _, state in states(machine(template)["Definition"]) if state["Type"] == "Map"]
    assert maps
    for state in maps:
        assert 0 < state["MaxConcurrency"] <= MOST_WORKERS  # 0 would mean without a limit
        assert state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"  # a history of its own for each chunk


def test_every_task_is_tried_again_later_and_later_and_not_for_ever(template: Template) -> None:
    tasks = [state for _, state in states(machine(template)["Definition"]) if state["Type"] == "Task"]
    assert tasks
    for task in tasks:
        (retrier,) = task["Retry"]
        assert retrier["ErrorEquals"] == ["States.ALL"]
        assert retrier["BackoffRate"] > 1
        assert retrier["JitterStrategy"] == "FULL"
        assert retrier["MaxAttempts"] <= 10
        assert sum(pauses(retrier)) >= RETRIED_SECONDS


def pauses(retrier: Any) -> list[float]:
    """In seconds, without the jitter, which makes each shorter."""
    grown = [retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n for n in range(retrier["MaxAttempts"])]
    return [min(each, retrier["MaxDelaySeconds"]) for each in grown]


def test_whatever_fails_for_good_leads_to_finish(template: Template) -> None:
    definition = machine(template)["Definition"]
    for name, state in definition["States"].items():
        if state["Type"] in {"Task", "Map"} and name != "Finish":
            (catcher,) = state["Catch"]
            assert (catcher["ErrorEquals"], catcher["Next"]) == (["States.ALL"], "Finish")
        if state["Type"] == "Map":
            assert state["ToleratedFailurePercentage"] == 100


# Each rule can fail

PARTS = {
    "bucket": "Resources/Bucket/Properties",
    "lifecycle": "Resources/Bucket/Properties/LifecycleConfiguration/Rules",
    "cors": "Resources/Bucket/Properties/CorsConfiguration/Fn::If",
    "export": "Resources/ExportCustomers/Properties",
    "machine": "Resources/ImportMachine/Properties",
    "event": "Resources/ImportMachine/Properties/Events/Upload/Properties",
    "definition": "Resources/ImportMachine/Properties/Definition",
    "states": "Resources/ImportMachine/Properties/Definition/States",
    "worker": "Resources/ImportMachine/Properties/Definition/States/ApplyChunks/ItemProcessor/States/ApplyChunk",
}

BREAKS: Mapping[Callable[[Template], None], list[tuple[str, Any]]] = {
    test_files_are_encrypted_and_nobodys_but_the_accounts: [
        ("bucket/BucketEncryption/ServerSideEncryptionConfiguration", []),
        ("bucket/OwnershipControls/Rules/0/ObjectOwnership", "ObjectWriter"),
        ("bucket/PublicAccessBlockConfiguration/BlockPublicPolicy", False),
        ("bucket/PublicAccessBlockConfiguration", {"BlockPublicAcls": True}),
    ],
    test_files_live_as_long_as_the_code_says_and_unfinished_ones_a_day: [
        ("lifecycle/0/ExpirationInDays", 30),
        ("lifecycle/0/Status", "Disabled"),
        ("lifecycle/0/Prefix", "results/"),
        ("lifecycle/0/AbortIncompleteMultipartUpload", {}),
        ("bucket/VersioningConfiguration", {"Status": "Enabled"}),
    ],
    test_the_bucket_outlives_its_stack_as_the_table_does: [
        ("Resources/Bucket/DeletionPolicy", "Delete"),
        ("Resources/Bucket/UpdateReplacePolicy", "Retain"),
        ("bucket/BucketName", "customers-files"),
    ],
    test_pages_of_other_origins_reach_files_by_parameter_only: [
        ("cors/1/CorsRules/0/AllowedOrigins", ["*"]),
        ("cors/1/CorsRules/0/AllowedMethods", ["GET", "POST", "PUT"]),
        ("cors/2", {"CorsRules": []}),
        ("cors/0", "TableIsProtected"),
    ],
    test_an_upload_starts_the_machine_and_no_other_file_does: [
        ("bucket/NotificationConfiguration", {}),
        ("event/Pattern/detail/object/key/0/prefix", ""),
        ("event/Pattern/detail/bucket", {}),
        ("event/Pattern/detail-type", ["Object Created", "Object Deleted"]),
        ("event/RetryPolicy/MaximumRetryAttempts", 0),
        ("machine/Events/Second", {"Type": "Schedule", "Properties": {}}),
    ],
    test_a_worker_that_ends_in_time_has_begun_and_may_begin_a_batch_late: [
        ("Resources/ImportChunk/Properties/Timeout", 60),
    ],
    test_a_step_has_no_route_and_is_started_by_the_machine_only: [
        ("Resources/SplitImport/Properties/Events", {"Upload": {"Type": "S3", "Properties": {}}}),
        ("machine/DefinitionSubstitutions/SplitImport", {"Fn::GetAtt": "PurgeCustomers.Arn"}),
    ],
    test_an_execution_that_ends_badly_still_comes_to_the_last_step: [
        ("Resources/FinishImport/Properties/Events/Broken/Properties/Pattern/detail/status", ["FAILED"]),
        ("Resources/FinishImport/Properties/Events/Broken/Properties/Pattern/detail/stateMachineArn", [{"Ref": "Bus"}]),
        ("machine/Name", {"Fn::Sub": "imports"}),
    ],
    test_there_is_room_for_an_upload_a_copy_of_it_and_what_it_says: [
        ("Resources/SplitImport/Properties/EphemeralStorage/Size", 511),
    ],
    test_lambda_repeats_an_export_as_often_as_the_export_believes: [
        ("export/EventInvokeConfig/MaximumRetryAttempts", 0),
        ("export/EventInvokeConfig/MaximumEventAgeInSeconds", 60),
        ("export/EventInvokeConfig/DestinationConfig", {"OnFailure": {"Type": "SQS"}}),
        ("export/Timeout", 60),
    ],
    test_the_machine_waits_long_and_never_so_long_that_it_would_be_ended: [
        ("definition/TimeoutSeconds", 3_600),
        ("definition/TimeoutSeconds", 172_800),
        ("states/WaitForTurn/Seconds", 5),
        ("machine/Type", "EXPRESS"),
    ],
    test_few_workers_of_an_import_run_side_by_side: [
        ("states/ApplyChunks/MaxConcurrency", 0),
        ("states/ApplyChunks/MaxConcurrency", 40),
        ("states/ApplyChunks/ItemProcessor/ProcessorConfig/Mode", "INLINE"),
    ],
    test_every_task_is_tried_again_later_and_later_and_not_for_ever: [
        ("states/Split/Retry", []),
        ("states/Finish/Retry/0/MaxAttempts", 100),
        ("worker/Retry/0/BackoffRate", 1),
        ("worker/Retry/0/JitterStrategy", "NONE"),
        ("worker/Retry/0/ErrorEquals", ["Lambda.ServiceException"]),
        ("worker/Retry/0/MaxAttempts", 3),
    ],
    test_whatever_fails_for_good_leads_to_finish: [
        ("states/Split/Catch", [{"ErrorEquals": ["States.ALL"], "Next": "Ended"}]),
        ("states/Split/Catch/0/ErrorEquals", ["States.Timeout"]),
        ("states/ApplyChunks/Catch/0/Next", "Ended"),
        ("states/ApplyChunks/ToleratedFailurePercentage", 5),
    ],
}


@pytest.mark.parametrize(
    ("rule", "path", "value"), [(rule, *each) for rule, breaks in BREAKS.items() for each in breaks]
)
def test_a_rule_fails_for_a_template_that_breaks_it(
    template: Template, rule: Callable[[Template], None], path: str, value: Any
) -> None:
    with pytest.raises((AssertionError, ValueError)):
        rule(changed(template, path, value, PARTS))
