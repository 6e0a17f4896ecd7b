"""The house rules that a tool can check."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.handlers import OPERATIONS, event
from tools.template import ROOT, resources

LONGEST_HANDLER = 40


def test_imports_go_the_way_of_a_request() -> None:
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
    ]  # in a process: it turns other loggers off
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_handler_is_one_screen(operation: str) -> None:
    lines = (ROOT / f"functions/{operation}/app.py").read_text().splitlines()
    assert len(lines) <= LONGEST_HANDLER


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_function_is_in_the_template_the_events_the_readme_and_the_openapi_document(operation: str) -> None:
    (function,) = (
        each for each in resources("AWS::Serverless::Function").values() if each["CodeUri"] == f"functions/{operation}/"
    )
    (route,) = (each["Properties"] for each in function["Events"].values() if each["Type"] == "HttpApi")
    method, path = route["Method"].upper(), route["Path"]
    assert event(operation)["routeKey"] == f"{method} {path}"
    assert re.search(
        rf"^\| `{operation}` \| `{method} {re.escape(path)}` \|", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    assert document["paths"][path][method.lower()]["operationId"].startswith(operation)


def test_no_module_is_named_after_nothing() -> None:
    vague = {"utils", "helpers", "common", "misc", "base"}
    assert not [path for path in ROOT.glob("layers/shared/customers/**/*.py") if path.stem in vague]
