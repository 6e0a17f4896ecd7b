"""`customers export`: a whole file or none."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.unit.test_cli_service import CONTENTS, Service, Terminal

CREATE, FETCH = "POST /customers/exports", "GET /bucket/export"


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(Service(work=["running", "running", "completed"]), tmp_path)


def test_an_export_is_followed_and_fetched(terminal: Terminal, tmp_path: Path) -> None:
    result = terminal("export", "-o", "all.csv")
    assert (result.exit_code, result.stdout) == (0, "all.csv: 20 rows, 18 bytes\n")
    assert (tmp_path / "all.csv").read_bytes() == terminal.service.exported
    assert result.stderr.splitlines() == [
        "waiting for its turn",
        "50.0 %  0 of 20  0 written",
        "Fetching the file, 18 bytes",
        CONTENTS,
    ]


def test_a_terminal_shows_bars(terminal: Terminal) -> None:
    assert "━━━" in terminal("export", "-o", "all.csv", TTY_COMPATIBLE="1", TERM="xterm").stderr


def test_elsewhere_a_long_transfer_is_a_line_now_and_then(terminal: Terminal) -> None:
    terminal.service.exported = b"x" * 1_000_000
    lines = terminal("export", "-o", "all.csv").stderr.splitlines()
    shown = [int(line.partition(" %")[0]) for line in lines if line.endswith(" % of 1.0 MB")]
    assert shown == sorted({*shown})
    assert 1 < len(shown) < 10  # of sixteen blocks


def test_the_filters_of_the_list_are_passed_on(terminal: Terminal) -> None:
    line = "export -o - --format ndjson --q zoe --status lead --date-from 2026-01-01 --date-to 2026-02-01"
    terminal(*line.split(), "--include-deleted", "--only-deleted", "--owner-id", "ada")
    (body, _) = next(iter(terminal.service.asked.values()))
    assert json.loads(body) == {
        "format": "ndjson",
        "q": "zoe",
        "status": "lead",
        "date_from": "2026-01-01",
        "date_to": "2026-02-01",
        "include_deleted": True,
        "only_deleted": True,
        "owner_id": "ada",
    }


def test_stdout_has_the_file_to_the_last_byte_and_nothing_else(terminal: Terminal, tmp_path: Path) -> None:
    terminal.service.exported = "\ufeffname\r\nZoë\r\n".encode()
    result = terminal("export", "-o", "-")
    assert result.stdout_bytes == terminal.service.exported
    assert CONTENTS in result.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_name_the_file_is_new_and_named_after_the_time(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal("export", "--format", "ndjson").exit_code == 0
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"customers-\d{8}-\d{6}\.ndjson", file.name)


def test_what_is_there_is_replaced_only_by_a_whole_file(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    file.write_text("before")
    terminal.service.faults[FETCH] = [httpx.ReadError("reset") for _ in range(5)]
    assert terminal("export", "-o", "all.csv").exit_code == 4
    assert file.read_text() == "before"
    terminal.service.work = ["completed"]
    assert terminal("export", "-o", "all.csv").exit_code == 0
    assert file.read_bytes() == terminal.service.exported


def test_a_link_is_followed_to_the_file_that_is_replaced(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "all.csv")
    terminal("export", "-o", "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "all.csv").read_bytes() == terminal.service.exported


def test_a_link_that_has_expired_is_renewed(terminal: Terminal) -> None:
    terminal.service.faults[FETCH] = [httpx.Response(403, text="<Code>AccessDenied</Code>")]
    assert terminal("export", "-o", "all.csv").exit_code == 0
    assert terminal.service.calls[-3:] == [FETCH, "GET /customers/exports/ID", FETCH]


def test_a_file_of_another_size_than_was_said_is_not_kept(terminal: Terminal, tmp_path: Path) -> None:
    terminal.service.faults[FETCH] = [httpx.Response(200, content=b"half")]
    result = terminal("export", "-o", "all.csv")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (4, "Error: The file has 4 bytes instead of 18")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_no_file(terminal: Terminal, tmp_path: Path) -> None:
    terminal.service.faults[FETCH] = [KeyboardInterrupt()]
    result = terminal("export", "-o", "all.csv")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "Interrupted.")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_it_is_made_says_what_becomes_of_it(terminal: Terminal, tmp_path: Path) -> None:
    terminal.service.ctrl_c = "running"
    result = terminal("export", "-o", "all.csv")
    said = f"Export {terminal.service.job['id']} goes on without this command; the same command again begins another."
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, said)
    assert not list(tmp_path.iterdir())


def test_a_failed_export_says_why(terminal: Terminal, tmp_path: Path) -> None:
    terminal.service.work = ["failed"]
    terminal.service.error = {"code": "incomplete", "message": "It could not be read in time"}
    result = terminal("export", "-o", "all.csv")
    assert (result.exit_code, list(tmp_path.iterdir())) == (4, [])
    assert result.stdout == f"Export {terminal.service.job['id']}: failed: It could not be read in time (incomplete)\n"


def test_json_is_the_job(terminal: Terminal) -> None:
    result = terminal("export", "-o", "all.csv", "--json")
    assert json.loads(result.stdout)["file"]["rows"] == 20
    assert "all.csv: 20 rows" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["-o", "-", "--json"], ["-o", "missing/all.csv"], ["-o", "."], ["-o", "/dev/null"]]
)
def test_a_place_where_no_file_can_be_is_a_usage_error_before_anything_is_asked(
    terminal: Terminal, arguments: list[str]
) -> None:
    assert terminal("export", *arguments).exit_code == 2
    assert not terminal.service.calls


def test_a_disk_that_is_full_is_a_sentence(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "all.csv")

    monkeypatch.setattr(Path, "replace", full)
    result = terminal("export", "-o", "all.csv")
    assert (result.exit_code, "No space left on device" in result.stderr) == (4, True)
