"""The README names what is there."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tools.template import ROOT, load, resources

README = (ROOT / "README.md").read_text()


def test_every_command_of_the_readme_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert {"run", "test", "check", "build", "deploy", "token", "api-key"} <= commands <= targets


@pytest.mark.parametrize("path", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_local_invocation_names_a_function_and_files_that_exist() -> None:
    (function, event, variables) = re.findall(r"sam local invoke (\w+) --event (\S+) --env-vars (\S+)", README)[0]
    template = load()
    assert template["Resources"][function]["Type"] == "AWS::Serverless::Function"
    assert (ROOT / event).exists()
    assert (ROOT / variables).exists()


def test_the_variables_of_a_local_invocation_are_those_that_the_template_declares() -> None:
    """`sam local invoke` passes on no variable that the template does not name."""
    declared = load()["Globals"]["Function"]["Environment"]["Variables"]
    assert json.loads((ROOT / "events/env.json").read_text())["Parameters"].keys() <= declared.keys()


def test_the_drawing_of_the_flow_of_events_is_what_the_template_has() -> None:
    (drawing,) = (each for each in re.findall(r"```mermaid\n(.*?)```", README, re.DOTALL) if "Bus" in each)
    drawn = re.findall(r"^ *(\w+)\S* -->(?:\|.*?\|)? (\w+)", drawing.replace("([other services])", ""), re.MULTILINE)
    assert sorted(drawn) == sorted(flow())


def flow() -> Iterator[tuple[str, str]]:
    """Where events go, by logical ids: from the services to the bus, and on to whoever reads what came of them."""
    yield from (("services", bus) for bus in resources("AWS::Events::EventBus"))
    for id, rule in resources("AWS::Events::Rule").items():
        yield rule["EventBusName"]["Ref"], id
        yield from ((id, _resource(target["Arn"])) for target in rule["Targets"])
    for mapping in resources("AWS::Lambda::EventSourceMapping").values():
        yield _resource(mapping["EventSourceArn"]), mapping["FunctionName"]["Ref"]
    for id, function in resources("AWS::Serverless::Function").items():
        statements = [each for policy in function["Policies"] for each in policy.get("Statement", [])]
        routes = [each["Properties"] for each in function.get("Events", {}).values() if each["Type"] == "HttpApi"]
        yield from (("schedule", id) for each in function.get("Events", {}).values() if each["Type"] == "ScheduleV2")
        for each in statements:
            if "sqs:SendMessage" in each["Action"] or ("dynamodb:PutItem" in each["Action"] and not routes):
                yield id, _resource(each["Resource"])
        yield from (
            ("Table", id)
            for each in routes
            if each["Path"].startswith("/customers/{customer_id}/") and each["Method"] == "GET"
        )


def _resource(arn: Any) -> str:
    """The logical id in the reference to an ARN."""
    return str(arn["Fn::GetAtt"]).partition(".")[0]
