"""The rules that every resource of template.yaml follows, and proof that each of them can fail.

Those about permissions are in test_template_permissions.py, those about files and the state machine in
test_template_files.py.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from customers.dynamodb import ATTEMPT_MILLISECONDS
from customers.events import DETAIL_TYPES
from customers.retention import RESERVE_MILLISECONDS, PurgeOrder
from customers.settings import AuthSettings, ExportSettings, FileSettings, InboxSettings, Settings
from tests.unit.templates import (
    LOCAL,
    Template,
    changed,
    functions,
    method,
    of_type,
    only,
    references,
    table,
    triggers,
    variables,
)
from tools.template import ROOT, load

API_GATEWAY_SECONDS = 30  # the longest that an HTTP API waits for a function; not adjustable
LAMBDA_SECONDS = 900  # the longest that a function runs
VISIBILITY_FACTOR = 6  # of a queue, over its function's timeout: what AWS advises
RETENTION_SECONDS = 14 * 24 * 3600  # the longest that SQS keeps a message
SAFELISTED = {"cache-control", "content-type"}  # response headers that a browser shows to every page (Fetch standard)

READ = (Settings, InboxSettings, FileSettings, ExportSettings, AuthSettings)
SETTINGS = {name: field for model in READ for name, field in model.model_fields.items()}
OF_ONE_FUNCTION = {"create_export": {"EXPORT_FUNCTION": {"Ref": "ExportCustomers"}}}
WITHOUT_PARAMETER = {
    "jwt_secret": "for local use: who may read a function's configuration would read it; a stack has JWT_SECRET_ARN",
    "jwt_leeway_seconds": "30 s covers clocks that are kept by NTP; more would only lengthen a stolen token's life",
    "max_body_bytes": "follows from the contract's longest fields, not from who runs it",
}
BOUNDED = {"RetentionDays": "retention_days", "MaxImportRows": "max_import_rows"}  # numbers, and their settings


@pytest.fixture
def template() -> Template:
    return load()


# Functions


def test_every_function_has_a_log_group_of_its_own_with_retention(template: Template) -> None:
    groups = of_type(template, "AWS::Logs::LogGroup")
    used = {
        name: function["LoggingConfig"].get("LogGroup", {}).get("Ref") for name, function in functions(template).items()
    }
    assert len(set(used.values())) == len(used)
    for name, group in used.items():
        assert groups.get(group, {}).get("LogGroupName") == {"Fn::Sub": f"/aws/lambda/${{AWS::StackName}}/{name}"}
    assert all(group.get("RetentionInDays") == {"Ref": "LogRetentionDays"} for group in groups.values())


def test_every_function_has_time_for_an_attempt_and_ends_while_somebody_waits(template: Template) -> None:
    for function in functions(template).values():
        longest = API_GATEWAY_SECONDS - 1 if method(function) else LAMBDA_SECONDS
        assert ATTEMPT_MILLISECONDS / 1000 < function["Timeout"] <= longest


def test_tracing_is_off_unless_it_is_asked_for(template: Template) -> None:
    assert all(function["Tracing"] == {"Ref": "Tracing"} for function in functions(template).values())
    assert template["Parameters"]["Tracing"]["Default"] == "PassThrough"


def test_functions_and_layer_are_built_for_one_python_and_one_architecture(template: Template) -> None:
    python = f"python{(ROOT / '.python-version').read_text().strip()}"
    architecture = {"Ref": "Architecture"}
    layer = template["Resources"]["SharedLayer"]
    assert layer["Metadata"] == {"BuildMethod": python, "BuildArchitecture": architecture}
    assert layer["Properties"]["CompatibleRuntimes"] == [python]
    assert layer["Properties"]["CompatibleArchitectures"] == [architecture]
    for function in functions(template).values():
        assert function["Runtime"] == python
        assert function["Architectures"] == [architecture]
        assert function["Layers"] == [{"Ref": "SharedLayer"}]


# API


def test_cross_origin_calls_are_allowed_by_parameter_only(template: Template) -> None:
    cors = template["Resources"]["Api"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-cors"]
    condition, allowed, otherwise = cors["Fn::If"]
    assert (condition, otherwise) == ("HasCors", {"Ref": "AWS::NoValue"})
    assert allowed["allowOrigins"] == {"Ref": "CorsOrigins"}
    assert "allowCredentials" not in allowed
    assert template["Parameters"]["CorsOrigins"]["Default"] == ""
    assert template["Conditions"][condition] == {
        "Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "CorsOrigins"}]}, ""]}]
    }


def test_a_page_of_another_origin_may_use_all_of_the_documented_interface(template: Template) -> None:
    cors = template["Resources"]["Api"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-cors"]["Fn::If"][1]
    document = (ROOT / "docs/openapi.json").read_text()
    sent, answered = set[str](), set[str]()
    json.loads(document, object_hook=lambda each: sort_headers(each, sent, answered))
    assert {method(function) for function in functions(template).values()} - {None} == set(cors["allowMethods"])
    assert sent | {"authorization", "content-type"} <= set(cors["allowHeaders"])
    assert answered - SAFELISTED <= set(cors["exposeHeaders"])


def sort_headers(part: Any, sent: set[str], answered: set[str]) -> Any:
    """Collect the headers that a part of the OpenAPI document names."""
    if part.get("in") == "header":
        sent.add(part["name"].lower())
    if "description" in part and isinstance(part.get("headers"), dict):
        answered |= {name.lower() for name in part["headers"]}
    return part


def test_every_route_is_throttled_by_parameter(template: Template) -> None:
    assert template["Resources"]["Api"]["Properties"]["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ThrottleRate"},
        "ThrottlingBurstLimit": {"Ref": "ThrottleBurst"},
    }


def test_access_logs_say_what_happened_and_not_to_whom(template: Template) -> None:
    log = template["Resources"]["Api"]["Properties"]["AccessLogSettings"]
    entry = json.loads(log["Format"])
    assert log["DestinationArn"] == {"Fn::GetAtt": "ApiLogs.Arn"}
    assert entry["request_id"] == "$context.requestId"
    for variable in entry.values():
        assert re.fullmatch(r"\$context\.[\w.]+", variable)
        assert not re.search(r"identity|path|query|authorizer|\.message", variable, re.IGNORECASE)


# Table


def test_the_table_costs_nothing_at_rest_and_can_be_brought_back(template: Template) -> None:
    properties = table(template)
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_the_table_outlives_its_stack_unless_a_parameter_gives_it_up(template: Template) -> None:
    resource = template["Resources"]["Table"]
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        assert resource[policy] == {"Fn::If": ["TableIsProtected", "Retain", "Delete"]}
    assert resource["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["TableIsProtected", True, False]}
    assert template["Conditions"]["TableIsProtected"] == {"Fn::Equals": [{"Ref": "ProtectTable"}, "true"]}
    assert template["Parameters"]["ProtectTable"]["Default"] == "true"
    assert "AWS::LanguageExtensions" in template["Transform"]  # without it the policies must be plain text


def test_every_defined_attribute_is_part_of_a_key_and_every_key_is_defined(template: Template) -> None:
    properties = table(template)
    schemas = [properties["KeySchema"], *(index["KeySchema"] for index in properties["GlobalSecondaryIndexes"])]
    defined = [each["AttributeName"] for each in properties["AttributeDefinitions"]]
    assert sorted(defined) == sorted({key["AttributeName"] for schema in schemas for key in schema})


# Events


def test_the_rule_takes_exactly_the_events_that_are_understood_and_gives_them_to_the_queue(template: Template) -> None:
    rule = only(template, "AWS::Events::Rule")
    assert rule["EventBusName"] == {"Ref": "Bus"}
    assert rule["EventPattern"] == {"detail-type": [*DETAIL_TYPES]}
    assert rule["Targets"] == [{"Id": "queue", "Arn": {"Fn::GetAtt": "ActivityQueue.Arn"}}]


def test_nobody_but_the_rule_may_send_to_the_queue(template: Template) -> None:
    policy = only(template, "AWS::SQS::QueuePolicy")
    assert policy["Queues"] == [{"Ref": "ActivityQueue"}]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": "ActivityQueue.Arn"},
            "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": "ActivityRule.Arn"}}},
        }
    ]


def test_a_message_is_not_delivered_again_while_it_may_still_be_recorded(template: Template) -> None:
    mapping = only(template, "AWS::Lambda::EventSourceMapping")
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": "ActivityQueue.Arn"}
    assert mapping["FunctionName"] == {"Ref": "RecordActivity"}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    visible_again = of_type(template, "AWS::SQS::Queue")["ActivityQueue"]["VisibilityTimeout"]
    assert visible_again >= VISIBILITY_FACTOR * functions(template)["record_activity"]["Timeout"]


def test_a_flood_of_events_leaves_concurrency_to_the_api(template: Template) -> None:
    mapping = only(template, "AWS::Lambda::EventSourceMapping")
    assert mapping["ScalingConfig"]["MaximumConcurrency"] <= 10


def test_queues_are_encrypted_and_keep_what_they_have_as_long_as_they_can(template: Template) -> None:
    for queue in of_type(template, "AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == RETENTION_SECONDS


def test_nothing_copies_whole_events_to_where_people_look_for_errors(template: Template) -> None:
    for queue in of_type(template, "AWS::SQS::Queue").values():
        assert "RedrivePolicy" not in queue
    assert "DestinationConfig" not in only(template, "AWS::Lambda::EventSourceMapping")
    assert not [each for each in only(template, "AWS::Events::Rule")["Targets"] if "DeadLetterConfig" in each]


# Purge


def test_only_the_purge_runs_by_itself_and_when_is_a_parameter(template: Template) -> None:
    scheduled = {name: triggers(function, "ScheduleV2") for name, function in functions(template).items()}
    (schedule,) = scheduled.pop("purge_customers")
    assert not any(scheduled.values())
    assert schedule["ScheduleExpression"] == {"Ref": "PurgeSchedule"}
    assert schedule["OmitName"] is True  # the name that SAM gives is the same in every stack
    assert PurgeOrder.model_validate_json(schedule["Input"]) == PurgeOrder(dry_run=False)


def test_a_purge_has_time_before_it_begins_no_more(template: Template) -> None:
    assert functions(template)["purge_customers"]["Timeout"] > 2 * RESERVE_MILLISECONDS / 1000


# Parameters and variables


def test_every_parameter_says_what_it_is_and_has_its_place_in_the_form(template: Template) -> None:
    form = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in form for name in group["Parameters"]]
    assert sorted(shown) == sorted(template["Parameters"])
    assert all(parameter.get("Description", "").endswith(".") for parameter in template["Parameters"].values())


def test_every_parameter_and_every_condition_is_used(template: Template) -> None:
    built = [*references([template["Resources"], template["Globals"]])]
    used = {*built, *references([template["Conditions"][name] for name in built if name in template["Conditions"]])}
    assert not {*template["Parameters"], *template["Conditions"]} - used


def test_every_variable_of_a_function_is_one_that_something_reads(template: Template) -> None:
    for name in everywhere(template):
        assert name.lower() in SETTINGS or name.startswith(("POWERTOOLS_", "PYDANTIC_")) or name in LOCAL


def test_a_variable_that_one_function_reads_is_only_there(template: Template) -> None:
    own = [each for each in of_type(template, "AWS::Serverless::Function").values() if "Environment" in each]
    assert {each["CodeUri"].split("/")[1]: each["Environment"]["Variables"] for each in own} == OF_ONE_FUNCTION
    assert not {*variables(template)} & {name for each in OF_ONE_FUNCTION.values() for name in each}


def test_what_a_local_invocation_sets_is_declared_and_empty_on_aws(template: Template) -> None:
    declared = everywhere(template)
    assert declared.keys() >= LOCAL  # `sam local invoke --env-vars` passes on nothing else
    assert {declared[name] for name in LOCAL if isinstance(declared[name], str)} == {""}


def test_an_operator_can_set_every_setting_but_those_that_say_why_not(template: Template) -> None:
    declared = everywhere(template).items()
    settable = {name.lower() for name, value in declared if name.lower() in SETTINGS and [*references(value)]}
    assert settable == SETTINGS.keys() - WITHOUT_PARAMETER


def test_a_parameter_and_its_setting_have_the_same_default(template: Template) -> None:
    for name, value in variables(template).items():
        parameter = template["Parameters"].get(value.get("Ref")) if isinstance(value, dict) else None
        if parameter and name.lower() in SETTINGS:
            setting = SETTINGS[name.lower()].default
            assert parameter["Default"] == (
                "" if setting is None else setting if parameter["Type"] == "Number" else str(setting).lower()
            )


def test_a_number_has_the_same_bounds_as_its_setting(template: Template) -> None:
    for name, setting in BOUNDED.items():
        parameter = template["Parameters"][name]
        for inside, step in ((parameter["MinValue"], -1), (parameter["MaxValue"], 1)):
            Settings.model_validate({"table_name": "customers", setting: inside})
            with pytest.raises(ValidationError):
                Settings.model_validate({"table_name": "customers", setting: inside + step})


def everywhere(template: Template) -> dict[str, Any]:
    """The variables of all functions."""
    return {
        name: value
        for function in functions(template).values()
        for name, value in function["Environment"]["Variables"].items()
    }


# Each rule can fail

PARTS = {
    "function": "Globals/Function",
    "variables": "Globals/Function/Environment/Variables",
    "api": "Resources/Api/Properties",
    "cors": "Resources/Api/Properties/DefinitionBody/x-amazon-apigateway-cors/Fn::If/1",
    "table": "Resources/Table/Properties",
    "rule": "Resources/ActivityRule/Properties",
    "queue": "Resources/ActivityQueue/Properties",
    "sender": "Resources/ActivityQueuePolicy/Properties/PolicyDocument/Statement/0",
    "mapping": "Resources/RecordActivityMessages/Properties",
    "purge": "Resources/PurgeCustomers/Properties",
    "schedule": "Resources/PurgeCustomers/Properties/Events/Schedule/Properties",
}

BREAKS: Mapping[Callable[[Template], None], list[tuple[str, Any]]] = {
    test_every_function_has_a_log_group_of_its_own_with_retention: [
        ("Resources/GetCustomer/Properties/LoggingConfig", {}),
        ("Resources/GetCustomer/Properties/LoggingConfig/LogGroup", {"Ref": "ListCustomersLogs"}),
        ("Resources/ApiLogs/Properties", {"LogGroupName": "api"}),
    ],
    test_every_function_has_time_for_an_attempt_and_ends_while_somebody_waits: [
        ("function/Timeout", 5),
        ("Resources/ListCustomers/Properties/Timeout", 30),
        ("purge/Timeout", 901),
    ],
    test_tracing_is_off_unless_it_is_asked_for: [
        ("function/Tracing", "Active"),
        ("Parameters/Tracing/Default", "Active"),
    ],
    test_functions_and_layer_are_built_for_one_python_and_one_architecture: [
        ("Resources/SharedLayer/Metadata", {}),
        ("Resources/SharedLayer/Metadata/BuildArchitecture", "arm64"),
        ("Resources/SharedLayer/Properties/CompatibleArchitectures", ["arm64"]),
        ("function/Architectures", ["x86_64"]),
        ("Resources/GetCustomer/Properties/Runtime", "python3.12"),
    ],
    test_cross_origin_calls_are_allowed_by_parameter_only: [
        ("cors/allowOrigins", ["*"]),
        ("Parameters/CorsOrigins/Default", "*"),
    ],
    test_a_page_of_another_origin_may_use_all_of_the_documented_interface: [
        ("cors/allowMethods", ["GET"]),
        ("cors/allowHeaders", ["authorization", "content-type"]),
        ("cors/exposeHeaders", ["etag"]),
    ],
    test_every_route_is_throttled_by_parameter: [
        ("api/DefaultRouteSettings", {}),
    ],
    test_access_logs_say_what_happened_and_not_to_whom: [
        ("api/AccessLogSettings/Format", '{"request_id":"$context.requestId","ip":"$context.identity.sourceIp"}'),
        ("api/AccessLogSettings/Format", '{"request_id":"$context.requestId","path":"$context.path"}'),
    ],
    test_the_table_costs_nothing_at_rest_and_can_be_brought_back: [
        ("table/BillingMode", "PROVISIONED"),
        ("table/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", False),
    ],
    test_the_table_outlives_its_stack_unless_a_parameter_gives_it_up: [
        ("Resources/Table/DeletionPolicy", "Delete"),
        ("Parameters/ProtectTable/Default", "false"),
    ],
    test_every_defined_attribute_is_part_of_a_key_and_every_key_is_defined: [
        ("table/AttributeDefinitions/0/AttributeName", "colour"),
    ],
    test_the_rule_takes_exactly_the_events_that_are_understood_and_gives_them_to_the_queue: [
        ("rule/EventPattern/detail-type", [*DETAIL_TYPES, "ColourUpserted"]),
        ("rule/EventPattern/detail-type", [*DETAIL_TYPES][1:]),
        ("rule/EventPattern/source", ["campaigns"]),
        ("rule/EventBusName", "default"),
        ("rule/Targets/0/Arn", {"Fn::GetAtt": "DeadLetterQueue.Arn"}),
    ],
    test_nobody_but_the_rule_may_send_to_the_queue: [
        ("sender/Principal", "*"),
        ("sender/Action", "sqs:*"),
        ("sender/Condition", {}),
        ("sender/Condition", {"ArnEquals": {"aws:SourceArn": "*"}}),
    ],
    test_a_message_is_not_delivered_again_while_it_may_still_be_recorded: [
        ("queue/VisibilityTimeout", 30),
        ("Resources/RecordActivity/Properties/Timeout", 31),
        ("mapping/FunctionResponseTypes", []),
        ("mapping/EventSourceArn", {"Fn::GetAtt": "DeadLetterQueue.Arn"}),
    ],
    test_a_flood_of_events_leaves_concurrency_to_the_api: [
        ("mapping/ScalingConfig/MaximumConcurrency", 1000),
    ],
    test_queues_are_encrypted_and_keep_what_they_have_as_long_as_they_can: [
        ("queue/SqsManagedSseEnabled", False),
        ("queue/MessageRetentionPeriod", 345_600),
        ("Resources/DeadLetterQueue/Properties/MessageRetentionPeriod", 345_600),
    ],
    test_nothing_copies_whole_events_to_where_people_look_for_errors: [
        ("queue/RedrivePolicy", {"deadLetterTargetArn": {"Fn::GetAtt": "DeadLetterQueue.Arn"}, "maxReceiveCount": 3}),
        ("mapping/DestinationConfig", {"OnFailure": {"Destination": {"Fn::GetAtt": "DeadLetterQueue.Arn"}}}),
        ("rule/Targets/0/DeadLetterConfig", {"Arn": {"Fn::GetAtt": "DeadLetterQueue.Arn"}}),
    ],
    test_only_the_purge_runs_by_itself_and_when_is_a_parameter: [
        ("schedule/ScheduleExpression", "rate(1 day)"),
        ("schedule/OmitName", False),
        ("schedule/Input", '{"dry_run": true}'),
        ("Resources/RecordActivity/Properties/Events", {"Schedule": {"Type": "ScheduleV2", "Properties": {}}}),
    ],
    test_a_purge_has_time_before_it_begins_no_more: [
        ("purge/Timeout", 45),
    ],
    test_every_parameter_says_what_it_is_and_has_its_place_in_the_form: [
        ("Parameters/Colour", {"Type": "String", "Description": "Unlisted."}),
        ("Parameters/Tracing", {"Type": "String"}),
    ],
    test_every_parameter_and_every_condition_is_used: [
        ("Parameters/Colour", {"Type": "String"}),
        ("Conditions/HasColour", {"Fn::Equals": [{"Ref": "Tracing"}, ""]}),
    ],
    test_every_variable_of_a_function_is_one_that_something_reads: [
        ("variables/COLOUR", "red"),
    ],
    test_a_variable_that_one_function_reads_is_only_there: [
        ("Resources/GetCustomer/Properties/Environment", {"Variables": {"EXPORT_FUNCTION": "export"}}),
        ("variables/EXPORT_FUNCTION", {"Ref": "ExportCustomers"}),
    ],
    test_what_a_local_invocation_sets_is_declared_and_empty_on_aws: [
        ("variables", {}),
        ("variables/JWT_SECRET", "in everybody's sight"),
        ("variables/AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000"),
    ],
    test_an_operator_can_set_every_setting_but_those_that_say_why_not: [
        ("variables/RETENTION_DAYS", 30),
        ("variables/JWT_SECRET", {"Ref": "JwtSecret"}),
    ],
    test_a_parameter_and_its_setting_have_the_same_default: [
        ("Parameters/RetentionDays/Default", 7),
        ("Parameters/MaxImportRows/Default", 1_000),
        ("Parameters/RejectUnknownFields/Default", "true"),
    ],
    test_a_number_has_the_same_bounds_as_its_setting: [
        ("Parameters/RetentionDays/MaxValue", 365),
        ("Parameters/MaxImportRows/MinValue", 2),
        ("Parameters/MaxImportRows/MaxValue", 200),
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
