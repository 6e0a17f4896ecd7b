"""The state machine of large imports: its definition is well-formed, and leads each import to its end."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from customers.files import upload_key
from customers.importing.steps import RESERVE_MILLISECONDS
from tests import machine
from tests.handlers import Api, Context
from tools.build import SAM_BIN
from tools.template import resources

type Json = Any

MACHINE = "ImportMachine"
STEPS = {"SplitImport": "split_import", "ImportChunk": "import_chunk", "FinishImport": "finish_import"}
FILE = b"customer_id,name\nC-1,Ada\nC-2,Grace\nC-3,Linus\n"
ROWS_OF_A_CHUNK = 2
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:{}"
# Of cfn-lint, which AWS maintains and SAM CLI brings along. `sam validate --lint` itself looks into no definition that
# a serverless template has.
SCHEMA = "cfnlint/data/schemas/other/step_functions/statemachine.json"


def levels(part: Json, name: str = MACHINE) -> Iterator[tuple[str, Json]]:
    """The machine and the machines in its maps."""
    yield name, part
    for id, state in part["States"].items():
        if "ItemProcessor" in state:
            yield from levels(state["ItemProcessor"], id)


DEFINITION = machine.definition(MACHINE)
LEVELS = dict(levels(DEFINITION))
STATES = {name: state for level in LEVELS.values() for name, state in level["States"].items()}


def targets(state: Json) -> Iterator[str]:
    """Where a state may lead."""
    yield from (each["Next"] for each in (state, *state.get("Choices", []), *state.get("Catch", [])) if "Next" in each)
    if "Default" in state:
        yield state["Default"]


# What is written


def test_the_definition_is_one_by_the_schema_that_cfn_lint_has() -> None:
    (schema,) = SAM_BIN.parent.glob(f"lib/python3.*/site-packages/{SCHEMA}")
    written = resources("AWS::Serverless::StateMachine")[MACHINE]
    arns = {name: ARN.format(name) for name in written["DefinitionSubstitutions"]}
    deployed = machine.substituted(written["Definition"], arns)
    validator = Draft202012Validator(json.loads(schema.read_text()))
    assert [error.message for error in validator.iter_errors(deployed)] == []
    del deployed["States"]["Split"]["Resource"]
    assert [*validator.iter_errors(deployed)]


@pytest.mark.parametrize("level", LEVELS)
def test_every_state_is_reached_and_every_way_ends(level: str) -> None:
    states = LEVELS[level]["States"]
    reached, open_ = set[str](), {LEVELS[level]["StartAt"]}
    while open_:
        name = open_.pop()
        reached.add(name)
        open_ |= {*targets(states[name])} - reached  # a KeyError: there is no such state
    assert reached == {*states}
    assert any(state["Type"] == "Succeed" for state in states.values())
    assert all([*targets(state)] or state["Type"] == "Succeed" for state in states.values())


@pytest.mark.parametrize("name", STATES)
def test_a_state_has_fields_of_its_type_only_and_one_way_on(name: str) -> None:
    state = STATES[name]
    assert state.keys() - {"Type", "Comment"} <= machine.FIELDS[state["Type"]]
    assert ("Next" in state) == (state["Type"] not in {"Choice", "Succeed"})
    assert ("Default" in state) == (state["Type"] == "Choice")
    assert not {"End"} & state.keys()


def test_names_of_states_are_unique_and_short_enough() -> None:
    assert len(STATES) == sum(len(level["States"]) for level in LEVELS.values())
    assert all(len(name) <= 80 for name in STATES)
    labels = [state["Label"] for state in STATES.values() if "Label" in state]
    assert all(re.fullmatch(r"\w{1,40}", label) for label in labels)  # part of a child execution's ARN


@pytest.mark.parametrize("name", STATES)
def test_paths_name_members_and_nothing_else(name: str) -> None:
    """So that they mean the same wherever the machine runs."""
    for key, path in paths(STATES[name]):
        if key == "ResultPath":
            assert path is None or re.fullmatch(r"\$\.\w+", path)
        else:
            assert re.fullmatch(r"\${1,2}(\.\w+)+", path)


def paths(part: Json) -> Iterator[tuple[str, Any]]:
    if isinstance(part, list):
        for each in part:
            yield from paths(each)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key.endswith(("Path", ".$")) or key == "Variable":
                yield key, value
            elif key != "States":
                yield from paths(value)


def test_the_definition_names_each_function_that_it_is_given_and_no_other() -> None:
    given = resources("AWS::Serverless::StateMachine")[MACHINE]
    assert {*re.findall(r"\$\{(\w+)}", json.dumps(given["Definition"]))} == given["DefinitionSubstitutions"].keys()
    assert {state["Resource"] for state in STATES.values() if state["Type"] == "Task"} == {*STEPS}


# What it does


@dataclass
class Imports:
    """Imports through the machine, each step by its handler. `before` may fail a step: (function, event)."""

    api: Api
    bucket: Any
    before: Callable[[str, Json], None] = lambda _function, _event: None
    seconds_left: Callable[[], int] = lambda: 300
    called: list[str] = field(default_factory=list[str])
    lock: Any = field(default_factory=Lock)  # moto loses updates of threads

    def new(self, file: bytes = FILE, **asked: Any) -> str:
        """An import whose file is there."""
        id = self.api.call("create_import", body=asked).id
        self.bucket.put_object(Key=upload_key(id), Body=file)
        return id

    def event(self, id: str) -> list[str]:
        """The states that the event of an upload leads through."""
        context = {"Execution": {"Name": str(uuid4())}}
        _, passed = machine.run(DEFINITION, {"key": upload_key(id)}, self.step, context)
        return passed

    def step(self, function: str, event: Json) -> Json:
        with self.lock:
            self.called.append(function)
            self.before(function, event)
            context = Context(lambda: 1000 * self.seconds_left())
            return json.loads(json.dumps(self.api.app(STEPS[function]).lambda_handler(event, context)))

    def see(self, id: str, *names: str) -> tuple[Any, ...]:
        """Members of the import as its owner sees it."""
        shown = self.api.call("get_import", id).body
        return tuple(shown.get(name) for name in ("state", *names))


@pytest.fixture
def imports(api: Api, bucket: Any) -> Iterator[Imports]:
    with patch("customers.importing.splitting.CHUNK_ROWS", ROWS_OF_A_CHUNK):
        yield Imports(api, bucket)


def failing(function: str, times: int) -> Callable[[str, Json], None]:
    """The first calls of a function fail."""
    left = [times]

    def before(called: str, event: Json) -> None:  # noqa: ARG001
        if called == function and left[0]:
            left[0] -= 1
            raise RuntimeError

    return before


WHOLE_WAY = ["Split", "WhatNext", "ApplyChunks", "Finish", "Ended"]


def test_an_upload_goes_the_whole_way(imports: Imports) -> None:
    id = imports.new()
    assert imports.event(id) == WHOLE_WAY
    assert imports.called == ["SplitImport", "ImportChunk", "ImportChunk", "FinishImport"]
    assert imports.see(id, "total", "created") == ("completed", 3, 3)
    assert not [*imports.bucket.objects.all()]


def test_a_second_event_of_an_upload_starts_nothing(imports: Imports) -> None:
    id = imports.new()
    imports.event(id)
    assert imports.event(id) == ["Split", "WhatNext", "Ended"]
    assert imports.event(str(uuid4())) == ["Split", "WhatNext", "Ended"]


def test_an_owners_second_import_waits_for_the_first(imports: Imports) -> None:
    first, second = imports.new(), imports.new(b"customer_id\nC-4\n")

    def finish_first(function: str, event: Json) -> None:  # noqa: ARG001
        if function == "SplitImport" and imports.called.count(function) == 4:  # one of them is the first's own
            done = {"key": upload_key(first), "execution": "first"}
            imports.api.app("finish_import").lambda_handler(done, Context(lambda: 900_000))

    imports.step("SplitImport", {"key": upload_key(first), "execution": "first"})
    imports.before = finish_first
    assert imports.event(second) == [*(["Split", "WhatNext", "WaitForTurn"] * 2), *WHOLE_WAY]
    assert imports.see(second, "created") == ("completed", 1)


def test_another_owners_import_does_not_wait(imports: Imports) -> None:
    imports.step("SplitImport", {"key": upload_key(imports.new()), "execution": "first"})
    theirs = imports.api.call("create_import", body={}, owner="grace").id
    imports.bucket.put_object(Key=upload_key(theirs), Body=FILE)
    assert imports.event(theirs) == WHOLE_WAY


@pytest.mark.parametrize("function", STEPS)
def test_a_step_that_fails_now_and_then_is_tried_again(imports: Imports, function: str) -> None:
    id = imports.new()
    imports.before = failing(function, 3)
    assert imports.event(id) == WHOLE_WAY
    assert imports.see(id, "created") == ("completed", 3)


def test_a_split_that_always_fails_leads_to_finish(imports: Imports) -> None:
    id = imports.new()
    imports.before = failing("SplitImport", 1_000)
    assert imports.event(id) == ["Split", "Finish", "Ended"]
    state, error = imports.see(id, "error")
    assert (state, error["code"]) == ("failed", "not_read")


def test_a_chunk_that_always_fails_stops_no_other_and_shows(imports: Imports) -> None:
    def before(function: str, event: Json) -> None:
        if function == "ImportChunk" and event["chunk"] == 0:
            raise RuntimeError

    id = imports.new()
    imports.before = before
    assert imports.event(id) == WHOLE_WAY
    state, created, error = imports.see(id, "created", "error")
    assert (state, created, error["code"]) == ("failed", 1, "incomplete")
    imports.before = lambda *_: None
    again = imports.new()
    assert imports.event(again) == WHOLE_WAY
    assert imports.see(again, "created", "unchanged") == ("completed", 2, 1)


def test_a_chunk_whose_time_is_up_is_applied_again_until_it_is_done(imports: Imports) -> None:
    too_few = RESERVE_MILLISECONDS // 1000 - 1
    imports.seconds_left = lambda: too_few if imports.called.count("ImportChunk") <= 3 else 300
    id = imports.new()
    assert imports.event(id) == WHOLE_WAY
    assert imports.called.count("ImportChunk") == 5
    assert imports.see(id, "created") == ("completed", 3)


@pytest.mark.parametrize(("file", "end"), [(b"customer_id\n", ("completed", 0)), (b"colour\nred\n", ("failed", None))])
def test_a_file_without_rows_to_apply_is_finished_at_once(
    imports: Imports, file: bytes, end: tuple[str, int | None]
) -> None:
    id = imports.new(file)
    assert imports.event(id) == ["Split", "WhatNext", "Finish", "Ended"]
    assert imports.see(id, "total") == end


def test_an_upload_that_is_gone_is_said(imports: Imports) -> None:
    id = imports.new()
    imports.bucket.Object(upload_key(id)).delete()
    assert imports.event(id) == ["Split", "WhatNext", "Finish", "Ended"]
    state, error = imports.see(id, "error")
    assert (state, error["code"]) == ("failed", "upload_missing")


CANCELS: Mapping[str, tuple[str, list[str]]] = {
    "before its turn": ("SplitImport", ["Split", "WhatNext", "Ended"]),
    "while it is applied": ("ImportChunk", WHOLE_WAY),
    "when all is applied": ("FinishImport", WHOLE_WAY),
}


@pytest.mark.parametrize("when", CANCELS)
def test_a_cancelled_import_ends_whenever_that_was(imports: Imports, when: str) -> None:
    function, passed = CANCELS[when]
    id = imports.new()

    def cancel(called: str, event: Json) -> None:  # noqa: ARG001
        if called == function:
            imports.api.call("cancel_import", id)

    imports.before = cancel
    assert imports.event(id) == passed
    assert imports.see(id) == ("cancelled",)
    imports.before = lambda *_: None
    assert imports.event(imports.new()) == WHOLE_WAY  # its turn has ended


def test_an_import_that_is_cancelled_while_it_waits_for_its_turn_ends(imports: Imports) -> None:
    imports.step("SplitImport", {"key": upload_key(imports.new()), "execution": "first"})
    id, asked = imports.new(), list[str]()

    def cancel(function: str, event: Json) -> None:  # noqa: ARG001
        asked.append(function)
        if len(asked) == 2:
            imports.api.call("cancel_import", id)

    imports.before = cancel
    assert imports.event(id) == ["Split", "WhatNext", "WaitForTurn", "Split", "WhatNext", "Finish", "Ended"]
    assert imports.see(id) == ("cancelled",)
