"""template.yaml as tests see it: its functions with what is global, and what their statements permit."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tools.template import ROOT

type Template = dict[str, Any]
type Permission = tuple[str, str]  # an action, and what `named` says

TABLE = "the table"
EXECUTIONS = {":": "executions of the machine", "/": "items of the machine's executions"}
LOCAL = json.loads((ROOT / "events/env.json").read_text())["Parameters"].keys()  # variables of a local invocation


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {id: each["Properties"] for id, each in template["Resources"].items() if each["Type"] == kind}


def only(template: Template, kind: str) -> Any:
    """The properties of the one resource of a type."""
    (properties,) = of_type(template, kind).values()
    return properties


def functions(template: Template) -> dict[str, Any]:
    """The properties of each function, the global ones included, by operation."""
    general = template["Globals"]["Function"]
    return {
        Path(own["CodeUri"]).name: {
            **general,
            **own,
            "LoggingConfig": general["LoggingConfig"] | own["LoggingConfig"],
            "Environment": {"Variables": variables(template) | own.get("Environment", {}).get("Variables", {})},
        }
        for own in of_type(template, "AWS::Serverless::Function").values()
    }


def variables(template: Template) -> dict[str, Any]:
    """The environment of every function."""
    shared: dict[str, Any] = template["Globals"]["Function"].get("Environment", {}).get("Variables", {})
    return shared


def table(template: Template) -> Any:
    return only(template, "AWS::DynamoDB::Table")


def indexes(template: Template) -> set[str]:
    return {index["IndexName"] for index in table(template)["GlobalSecondaryIndexes"]}


def triggers(resource: Any, kind: str) -> list[Any]:
    return [each["Properties"] for each in resource.get("Events", {}).values() if each["Type"] == kind]


def method(function: Any) -> str | None:
    """The method of its route; None if it has no route."""
    routes = triggers(function, "HttpApi")
    return routes[0]["Method"] if routes else None


def statements(resource: Any) -> list[Any]:
    """Of a function or a state machine."""
    return [statement for policy in resource["Policies"] for statement in policy.get("Statement", [])]


def permissions(resource: Any) -> set[Permission]:
    return {(action, named(on)) for each in statements(resource) for action, on in pairs(each)}


def pairs(statement: Any) -> Iterator[tuple[str, Any]]:
    resources = statement["Resource"]
    for action in statement["Action"]:
        yield from ((action, each) for each in (resources if isinstance(resources, list) else [resources]))


def named(resource: Any) -> str:
    """What the ARN of a statement stands for.

    The table, a named index, a prefix of the bucket's keys, a machine, its executions or another resource.
    """
    match resource:
        case {"Fn::GetAtt": "Table.Arn"}:
            return TABLE
        case {"Fn::GetAtt": str(attribute)} if found := re.fullmatch(r"(\w+)\.Arn", attribute):
            return found[1]
        case {"Fn::Sub": str(text)} if found := re.fullmatch(r"\$\{Table\.Arn\}/index/(\w+)", text):
            return found[1]
        case {"Fn::Sub": str(text)} if found := re.fullmatch(r"\$\{Bucket\.Arn\}/(\w+/)\*", text):
            return found[1]
        case {"Fn::Sub": str(text)} if text == states_arn("stateMachine"):
            return "ImportMachine"
        case {"Fn::Sub": str(text)} if (rest := text.removeprefix(states_arn("execution"))) in {":*", "/*"}:
            return EXECUTIONS[rest[0]]
    pytest.fail(f"{resource} is no ARN of this template")


def states_arn(kind: str) -> str:
    """The ARN of the machine, or what those of its executions begin with."""
    return f"arn:${{AWS::Partition}}:states:${{AWS::Region}}:${{AWS::AccountId}}:{kind}:${{AWS::StackName}}-imports"


def references(part: Any) -> Iterator[str]:
    """The names that a part of the template refers to."""
    if isinstance(part, list):
        for each in part:
            yield from references(each)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in {"Ref", "Condition"} and isinstance(value, str):
                yield value
            elif name == "Fn::If":
                yield value[0]
            elif name == "Fn::Sub":
                yield from re.findall(r"\$\{([\w:]+)", value)
            yield from references(value)


def changed(template: Template, path: str, value: Any, parts: Mapping[str, str]) -> Template:
    """A copy with another value at `path`, which may begin with the short name of one of `parts`."""
    start, _, rest = path.partition("/")
    *parents, last = f"{parts.get(start, start)}/{rest}".rstrip("/").split("/")
    copy = deepcopy(template)
    part: Any = copy
    for name in parents:
        part = part[int(name) if isinstance(part, list) else name]
    part[int(last) if isinstance(part, list) else last] = value
    return copy
