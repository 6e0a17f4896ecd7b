"""The README names what is there."""

import json
import re

import pytest

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
    declared = load()["Globals"]["Function"]["Environment"]["Variables"]
    assert json.loads((ROOT / "events/env.json").read_text())["Parameters"].keys() <= declared.keys()
