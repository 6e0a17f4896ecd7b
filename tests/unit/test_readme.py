"""The README names what is there."""

import re
from collections.abc import Iterator

import pytest

from tests.unit.templates import LOCAL, Template, functions, named, of_type, permissions, triggers
from tools.template import ROOT, load

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
    declared = {name for function in functions(load()).values() for name in function["Environment"]["Variables"]}
    assert declared >= LOCAL


def test_the_drawing_of_the_flow_of_events_is_what_the_template_has() -> None:
    assert drawn("Bus", "other services") == sorted(flow_of_events(load()))


def test_the_drawing_of_an_imports_way_is_what_the_template_has() -> None:
    assert drawn("ImportMachine", "client") == sorted(flow_of_imports(load()))


def drawn(what: str, start: str) -> list[tuple[str, str]]:
    """The arrows of the drawing that shows `what` and begins with `start`, each from one name to another."""
    (drawing,) = (each for each in re.findall(r"```mermaid\n(.*?)```", README, re.DOTALL) if what in each)
    arrows = drawing.replace(f"([{start}])", "")
    return sorted(re.findall(r"^ *(\w+)\S* -->(?:\|.*?\|)? (\w+)", arrows, re.MULTILINE))


def flow_of_events(template: Template) -> Iterator[tuple[str, str]]:
    """Where events go, by logical ids: from the services to the bus, and on to whoever reads what came of them."""
    yield from (("services", bus) for bus in of_type(template, "AWS::Events::EventBus"))
    for id, rule in of_type(template, "AWS::Events::Rule").items():
        yield rule["EventBusName"]["Ref"], id
        yield from ((id, named(target["Arn"])) for target in rule["Targets"])
    told = list[str]()
    for mapping in of_type(template, "AWS::Lambda::EventSourceMapping").values():
        told.append(mapping["FunctionName"]["Ref"])
        yield named(mapping["EventSourceArn"]), told[-1]
    for id, function in of_type(template, "AWS::Serverless::Function").items():
        scheduled = triggers(function, "ScheduleV2")
        yield from (("schedule", id) for _ in scheduled)
        if scheduled or id in told:
            yield from ((id, on) for action, on in permissions(function) if action == "sqs:SendMessage")
            yield from ((id, "Table") for action, _ in permissions(function) if action == "dynamodb:PutItem")
        for each in triggers(function, "HttpApi"):
            if each["Path"].startswith("/customers/{customer_id}/") and each["Method"] == "GET":
                yield "Table", id


def flow_of_imports(template: Template) -> Iterator[tuple[str, str]]:
    """The way of a file, by logical ids: from the client to the table, and what users get of it back to the bucket."""
    assert ("s3:PutObject", "uploads/") in permissions(functions(template)["create_import"])
    yield "client", "Bucket"  # through the link that create_import has made
    ((id, machine),) = of_type(template, "AWS::Serverless::StateMachine").items()
    for each in triggers(machine, "EventBridgeRule"):
        yield each["Pattern"]["detail"]["bucket"]["name"][0]["Ref"], id
    for step in map(named, machine["DefinitionSubstitutions"].values()):
        yield id, step
        may = permissions(template["Resources"][step]["Properties"])
        yield from ((step, "Table") for action, _ in may if action == "dynamodb:UpdateItem")
        yield from ((step, "Bucket") for permission in may if permission == ("s3:PutObject", "results/"))
