"""The command `customers` against the deployed stack, as the README shows it."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.people import People
from tests.stack.conftest import Stack
from tools.template import ROOT

pytestmark = pytest.mark.xdist_group("sam")

COMMAND = str(Path(sys.executable).with_name("customers"))
SECONDS = 120  # the longest that a command may take

type Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(stack: Stack) -> dict[str, str]:
    """What `make run` prints, pasted."""
    return {"PATH": os.defpath, "NO_PROXY": "127.0.0.1", **stack.exported}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    def run(line: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 - ours
            ["bash", "-c", line.replace(".venv/bin/customers", COMMAND)],  # noqa: S607
            cwd=tmp_path,
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_readmes_lines_do_what_they_say(run: Run, tmp_path: Path) -> None:
    (block,) = re.findall(r"```bash\n(printf .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    made, imported, exported, tried = map(run, block.splitlines())
    assert [each.returncode for each in (made, imported, exported, tried)] == [0, 1, 0, 0], imported.stderr
    assert [row["code"] for row in rows(tmp_path / "people.rejected.csv")] == ["value_error"]
    assert {row["status"] for row in rows(tmp_path / "leads.csv")} == {"lead"}
    answer = json.loads(tried.stdout)
    assert (answer["total"], answer["unchanged"], answer["skipped"]) == (2, 1, 1)


def test_a_large_import_is_interrupted_goes_on_and_comes_back_as_it_was(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    people = People(5_000, "CLI")
    (tmp_path / "many.csv").write_bytes(people.file())
    with subprocess.Popen(  # noqa: S603 - ours
        [COMMAND, "import", "many.csv"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stderr
        assert any("of 5,000" in line for line in first.stderr)  # it runs
        first.send_signal(signal.SIGINT)
        said = first.stderr.read()
    assert first.returncode == 130
    assert "customers imports watch" in said
    again = run(".venv/bin/customers import many.csv --json")
    job = json.loads(again.stdout)
    assert (again.returncode, job["state"], job["id"] in said) == (1, "completed", True)
    assert (job["total"], job["created"], job["skipped"]) == (5_000, 4_950, 50)
    assert {int(row["row"]): row["code"] for row in rows(tmp_path / "many.rejected.csv")} == people.rejected

    assert run(".venv/bin/customers export --q CLI- -o back.csv").returncode == 0
    assert len(rows(tmp_path / "back.csv")) == 4_950
    back = run(".venv/bin/customers import back.csv --json")
    assert (back.returncode, json.loads(back.stdout)["unchanged"]) == (0, 4_950)
