"""Runs a state machine of template.yaml: the part of the Amazon States Language that it uses, and fails for any other.

Tasks are whatever the test gives, called in threads side by side as the machine says. Waits take no time, and a Retry
begins at once.
"""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

from tools.template import resources

type Json = Any
type Invoke = Callable[[str, Json], Json]  # logical id of a function, its event: its answer

FIELDS = {
    "Task": {"Resource", "Parameters", "ResultPath", "Retry", "Catch", "Next", "End"},
    "Choice": {"Choices", "Default"},
    "Wait": {"Seconds", "Next"},
    "Map": {
        *("Label", "ItemsPath", "MaxConcurrency", "ToleratedFailurePercentage", "ItemProcessor", "ResultPath"),
        *("Catch", "Next"),
    },
    "Succeed": set[str](),
}


class Failed(Exception):
    """A state failed, and nothing in the machine takes care of that."""


def definition(machine: str) -> Json:
    """The definition of a machine with the logical ids of its functions in place."""
    found = deepcopy(resources("AWS::Serverless::StateMachine")[machine])
    functions = {
        name: str(arn["Fn::GetAtt"]).partition(".")[0] for name, arn in found["DefinitionSubstitutions"].items()
    }
    return substituted(found["Definition"], functions)


def substituted(part: Json, values: Mapping[str, str]) -> Json:
    if isinstance(part, dict):
        return {name: substituted(value, values) for name, value in part.items()}
    if isinstance(part, list):
        return [substituted(value, values) for value in part]
    return re.sub(r"\$\{(\w+)}", lambda name: values[name[1]], part) if isinstance(part, str) else part


def run(states: Json, data: Json, invoke: Invoke, context: Json) -> tuple[Json, list[str]]:
    """What the machine ends with, and the states that it went through. Raises `Failed`."""
    name, passed = states["StartAt"], list[str]()
    while True:
        passed.append(name)
        state = states["States"][name]
        assert state.keys() - {"Type", "Comment"} <= FIELDS[state["Type"]], state
        match state["Type"]:
            case "Succeed":
                return data, passed
            case "Choice":
                name = next((each["Next"] for each in state["Choices"] if holds(each, data)), state["Default"])
                continue
            case "Wait":
                name = state["Next"]
                continue
        try:
            result = (
                task(state, data, invoke, context) if state["Type"] == "Task" else mapped(state, data, invoke, context)
            )
        except Failed as failed:
            catcher = next(iter(state.get("Catch", [])), None)
            if not catcher:
                raise
            assert catcher["ErrorEquals"] == ["States.ALL"]
            data, name = placed(data, catcher["ResultPath"], {"Error": str(failed)}), catcher["Next"]
            continue
        data = placed(data, state["ResultPath"], result)
        if state.get("End"):
            return data, passed
        name = state["Next"]


def task(state: Json, data: Json, invoke: Invoke, context: Json) -> Json:
    event = filled(state["Parameters"], data, context) if "Parameters" in state else data
    attempts = 1
    for retrier in state["Retry"]:
        assert retrier["ErrorEquals"] == ["States.ALL"]
        attempts += retrier["MaxAttempts"]
    for attempt in range(attempts):
        try:
            return invoke(state["Resource"], deepcopy(event))
        except Exception as error:
            if attempt + 1 == attempts:
                raise Failed(type(error).__name__) from error
    raise AssertionError


def mapped(state: Json, data: Json, invoke: Invoke, context: Json) -> list[Json]:
    assert state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert state["ToleratedFailurePercentage"] == 100

    def child(item: Json) -> Json:
        try:
            return run(state["ItemProcessor"], item, invoke, context)[0]
        except Failed:
            return None

    with ThreadPoolExecutor(state["MaxConcurrency"]) as pool:
        return list(pool.map(child, found(state["ItemsPath"], data)))


def holds(rule: Json, data: Json) -> bool:
    value = found(rule["Variable"], data)
    (comparison,) = rule.keys() - {"Variable", "Next"}
    assert comparison in {"StringEquals", "BooleanEquals"}
    return bool(value == rule[comparison])


def filled(template: Json, data: Json, context: Json) -> Json:
    return {
        name.removesuffix(".$"): found(value.removeprefix("$"), context)
        if value.startswith("$$.")
        else found(value, data)
        for name, value in template.items()
    }


def found(path: str, data: Json) -> Json:
    assert re.fullmatch(r"\$(\.\w+)+", path), path
    for name in path.split(".")[1:]:
        data = data[name]
    return data


def placed(data: Json, path: str | None, result: Json) -> Json:
    """`data` with a state's result at `path`; None throws the result away."""
    if path is None:
        return data
    assert re.fullmatch(r"\$\.\w+", path), path
    return {**data, path[2:]: result}
