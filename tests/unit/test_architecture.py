"""The house rules that a tool can check."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.handlers import FUNCTIONS, OPERATIONS, event
from tools.openapi import routes
from tools.template import ROOT, resources

LONGEST_HANDLER = 40
STARTED_BY = {  # the functions without a route
    "record_activity": "events",
    "purge_customers": "schedule",
    "split_import": "state machine",
    "import_chunk": "state machine",
    "finish_import": "state machine",
    "export_customers": "`create_export`",
}


def route(function: str) -> str:
    method, path = routes()[function]
    return f"{method.upper()} {path}"


def test_imports_go_the_way_of_a_request() -> None:
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
    ]  # in a process: it turns other loggers off
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_is_one_screen(function: str) -> None:
    lines = (ROOT / f"functions/{function}/app.py").read_text().splitlines()
    assert len(lines) <= LONGEST_HANDLER


def test_the_template_has_each_function_once_and_no_other() -> None:
    places = [each["CodeUri"] for each in resources("AWS::Serverless::Function").values()]
    assert sorted(places) == [f"functions/{function}/" for function in FUNCTIONS]


def test_a_function_is_called_over_http_or_by_what_the_readme_says() -> None:
    assert set(FUNCTIONS) == {*OPERATIONS, *STARTED_BY}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_a_recorded_event(function: str) -> None:
    recorded = event(function)
    assert recorded.get("routeKey") == (route(function) if function in OPERATIONS else None)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_a_row_in_the_readme(function: str) -> None:
    second = f"`{route(function)}`" if function in OPERATIONS else STARTED_BY[function]
    row = rf"^\| `{function}` \| {re.escape(second)} \|"
    assert re.search(row, (ROOT / "README.md").read_text(), re.MULTILINE), row


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_in_the_openapi_document(operation: str) -> None:
    method, path = routes()[operation]
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    assert document["paths"][path][method]["operationId"].startswith(operation)


def test_no_module_is_named_after_nothing() -> None:
    vague = {"utils", "helpers", "common", "misc", "base"}
    assert not [path for path in ROOT.glob("layers/shared/customers/**/*.py") if path.stem in vague]
