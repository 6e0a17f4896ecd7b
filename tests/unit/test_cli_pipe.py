"""`customers … | head -1`: whoever reads the output goes away.

The interpreter, which flushes it once more, has a part in what then happens; so each test starts one.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from customers_cli.failures import UNREAD
from tests.unit.test_cli_service import ENVIRONMENT

ROOT = Path(__file__).parents[2]
SECONDS = 30
ID = "00000000-0000-4000-8000-000000000000"
PROGRAM = f"""
import httpx
from customers_cli.app import main
from customers_cli.world import World
from tests.unit.test_cli_service import Service, new_import

listed = new_import("{ID}", {{"file_name": "people.csv", "on_deleted": "skip", "dry_run": False}})
service = Service(bad=1, uploads=[b""], work=["completed"], jobs={{"{ID}": listed}})
service.faults["POST /customers/imports"] = [KeyboardInterrupt()]
main(obj=World(httpx.MockTransport(service.answer), lambda _: None))
"""


@pytest.fixture
def closed() -> Iterator[int]:
    """A pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def run(*arguments: object, stdout: int, stderr: int) -> tuple[int, str | None]:
    """The exit code, and what is said on stderr."""
    environment = {name: value for name, value in ENVIRONMENT.items() if value}
    line = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(  # noqa: S603 - ours
        line, cwd=ROOT, env=environment, stdout=stdout, stderr=stderr, text=True, check=False, timeout=SECONDS
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("line", ["imports list", "imports list --json"])
def test_output_that_nobody_reads_is_no_fault_and_nothing_is_said_of_it(closed: int, line: str) -> None:
    assert run(*line.split(), stdout=closed, stderr=subprocess.PIPE) == (UNREAD, "")


def test_an_export_that_nobody_reads_ends_likewise(closed: int) -> None:
    code, said = run("export", "-o", "-", stdout=closed, stderr=subprocess.PIPE)
    assert (code, said) == (UNREAD, "waiting for its turn\nFetching the file, 18 bytes\n")


def test_rejected_rows_are_saved_though_nobody_reads_the_result(closed: int, tmp_path: Path) -> None:
    code, _ = run(
        "imports", "watch", ID, "--rejected", tmp_path / "rejected.csv", stdout=closed, stderr=subprocess.PIPE
    )
    assert (code, (tmp_path / "rejected.csv").exists()) == (UNREAD, True)


def test_ctrl_c_that_nobody_hears_of_ends_likewise(closed: int, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("customer_id\nC-1\n")
    code, _ = run("import", tmp_path / "people.csv", stdout=closed, stderr=closed)
    assert code == UNREAD
