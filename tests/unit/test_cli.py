"""`customers import` and `customers imports`: what is sent, what is said, and the exit code."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import httpx
import pytest

from customers.sheets.columns import SYNONYMS
from customers_cli.rejected import CUSTOMER_ID
from tests.unit.test_cli_service import MAX_BYTES, TIME, WORK, Service, Terminal, rejected_rows

CREATE, UPLOAD, LOOK = "POST /customers/imports", "POST /bucket", "GET /customers/imports/ID"
FETCH = "GET /bucket/rejected"
EXPIRED = "<Error><Code>AccessDenied</Code></Error>"


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(Service(), tmp_path)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    file.write_bytes(b"customer_id\r\nC-1\r\n")
    return file


def test_a_file_is_sent_followed_and_summed_up(terminal: Terminal, people: Path) -> None:
    result = terminal("import", people)
    assert (result.exit_code, terminal.service.uploads) == (0, [people.read_bytes()])
    assert result.stdout.splitlines() == [
        f"Import {terminal.service.job['id']}: completed",
        "20 of 20 rows: 20 created, 0 updated, 0 rejected",
    ]


def test_elsewhere_than_on_a_terminal_each_state_is_a_line_on_stderr(terminal: Terminal, people: Path) -> None:
    assert terminal("import", people).stderr.splitlines() == [
        "Sending people.csv, 18 bytes",
        "looking through the file",
        "waiting for its turn",
        "50.0 %  0 of 20  10/s  1:05 left  0 created, 0 updated, 0 rejected",
        "writing the results",
    ]


def test_what_goes_on_for_long_is_a_line_now_and_then(terminal: Terminal, people: Path) -> None:
    terminal.service.work[2:4] = ["running"] * 20
    lines = [line for line in terminal("import", people).stderr.splitlines() if line.startswith("50.0 %")]
    assert len(lines) == 7  # looks are four seconds apart by this clock


def test_looks_become_rarer_and_the_service_may_ask_for_more_time(terminal: Terminal, people: Path) -> None:
    terminal.service.work[2:4] = ["running"] * 9
    terminal("import", people)
    slept = terminal.service.slept
    assert (slept[0], slept[-1]) == (0.5, 3.0)
    assert slept == sorted(slept)
    terminal.service.work = [*WORK]
    terminal.service.job["state"] = "running"
    busy = httpx.Response(200, json=terminal.service.job, headers={"Retry-After": "7"})
    terminal.service.faults[LOOK] = [busy, busy]
    terminal("imports", "watch", terminal.service.job["id"])
    assert 7.0 in slept


def test_a_terminal_shows_bars_and_a_table(terminal: Terminal, people: Path) -> None:
    terminal.service.bad = 1
    result = terminal("import", people, TTY_COMPATIBLE="1", TERM="xterm")
    assert "━━━" in result.stderr
    assert "Sending people.csv" in result.stderr
    header = next(line for line in result.stdout.splitlines() if "customer_id" in line)
    assert re.sub("\x1b\\[[0-9;]*m", "", header).split() == ["row", "code", "message", "customer_id"]


def test_rejected_rows_are_shown_and_saved_and_are_exit_code_1(terminal: Terminal, people: Path) -> None:
    terminal.service.bad = 12
    result = terminal("import", people)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1] == "20 of 20 rows: 8 created, 0 updated, 12 rejected"
    assert lines[2] == "Columns that are no field of a customer: Shoe size"
    assert lines[3:-2] == [f"{row}\tvalue_error\temail: no address\tC-{row}" for row in range(2, 12)]
    saved = people.with_name("people.rejected.csv")
    assert lines[-2:] == [
        "… and 2 more in people.rejected.csv",
        f"Rejected: 12 rows, to be mended and imported: {saved}",
    ]
    with saved.open(encoding="utf-8-sig", newline="") as file:
        assert len([*csv.reader(file)]) == 13


def test_ten_rejected_rows_are_all_shown(terminal: Terminal, people: Path) -> None:
    terminal.service.bad = 10
    lines = terminal("import", people).stdout.splitlines()
    assert [line.partition("\t")[0] for line in lines[3:-1]] == [*map(str, range(2, 12))]


@pytest.mark.parametrize(
    "header",
    [
        "Customer Number",
        "CLIENT-NO",
        "Customer №",
        "Éxternal key",
        "Client reference,customer_id",
        "External ID,customer_id",
    ],
)
def test_rejected_rows_are_shown_with_what_the_service_took_for_customer_id(
    terminal: Terminal, people: Path, header: str
) -> None:
    terminal.service.bad = 1
    other = "x," * header.count(",")
    terminal.service.rejected = f"{header},row,code,message\r\n{other}C-1,2,value_error,no address\r\n"
    assert "2\tvalue_error\tno address\tC-1\n" in terminal("import", people).stdout


def test_the_names_of_customer_id_are_those_of_the_service() -> None:
    assert ("customer id", *SYNONYMS["customer_id"]) == CUSTOMER_ID


def test_another_file_is_never_replaced_by_rejected_rows(terminal: Terminal, people: Path, tmp_path: Path) -> None:
    terminal.service.bad = 1
    (tmp_path / "mine.csv").write_text("mended")
    for _ in "12":  # the second time the same rows are there already
        assert "mine.2.csv" in terminal("import", people, "--rejected", "mine.csv").stdout
    assert (tmp_path / "mine.csv").read_text() == "mended"
    assert sorted(path.name for path in tmp_path.glob("mine*")) == ["mine.2.csv", "mine.csv"]


def test_what_a_file_says_cannot_steer_the_terminal(terminal: Terminal, people: Path) -> None:
    terminal.service.bad = 1
    terminal.service.rejected = rejected_rows(1).replace("no address", "\x1b]0;owned\x07[red]")
    out = terminal("import", people).stdout
    assert "\x1b" not in out
    assert "[red]" in out


def test_a_name_that_stdout_cannot_write_is_escaped(terminal: Terminal, people: Path) -> None:
    terminal("import", people.rename(people.with_name("✓.csv")))
    assert "\t\\u2713.csv\t" in terminal("imports", "list", charset="latin-1").stdout


def test_json_is_the_job_and_nothing_else_is_on_stdout(terminal: Terminal, people: Path) -> None:
    terminal.service.bad = 1
    result = terminal("import", people, "--json")
    job = json.loads(result.stdout)
    assert (result.exit_code, job["state"], job["rejected"]["rows"]) == (1, "completed", 1)
    assert "value_error" in result.stderr


def test_options_are_part_of_what_is_asked(terminal: Terminal, people: Path) -> None:
    out = terminal("import", people, "--dry-run", "--on-deleted", "restore").stdout
    assert "This was a dry run: nothing was written" in out
    assert (terminal.service.job["dry_run"], terminal.service.job["on_deleted"]) == (True, "restore")


def test_a_detached_import_is_sent_and_left_alone(terminal: Terminal, people: Path) -> None:
    result = terminal("import", people, "--detach")
    assert (result.exit_code, len(terminal.service.uploads)) == (0, 1)
    assert f"customers imports watch {terminal.service.job['id']}" in result.stdout
    assert terminal.service.job["state"] not in {"completed", "waiting"}
    result = terminal("import", people, "--detach", "--json")
    assert json.loads(result.stdout)["id"] == terminal.service.job["id"]


def test_xlsx_is_told_from_csv_by_what_it_is(terminal: Terminal, people: Path) -> None:
    people.write_bytes(b"PK\x03\x04...")
    terminal("import", people)
    (asked, _) = next(iter(terminal.service.asked.values()))
    assert json.loads(asked)["content_type"].endswith("spreadsheetml.sheet")


# Interrupted, and again


def test_interrupted_while_it_sends_the_same_command_sends_the_file(terminal: Terminal, people: Path) -> None:
    terminal.service.faults[UPLOAD] = [KeyboardInterrupt()]
    result = terminal("import", people)
    assert (result.exit_code, terminal.service.uploads) == (130, [])
    assert f"Import {terminal.service.job['id']} waits for its file." in result.stderr
    assert "the same command again" in result.stderr
    assert terminal("import", people).exit_code == 0
    assert (len(terminal.service.jobs), len(terminal.service.uploads)) == (1, 1)


@pytest.mark.parametrize("state", ["splitting", "queued", "running", "finishing"])
def test_interrupted_later_the_same_command_goes_on_with_the_import(
    terminal: Terminal, people: Path, state: str
) -> None:
    terminal.service.ctrl_c = state
    result = terminal("import", people)
    id = terminal.service.job["id"]
    assert result.exit_code == 130
    assert f"Import {id} goes on without this command." in result.stderr
    assert f"customers imports watch {id}" in result.stderr
    assert f"customers imports cancel {id}" in result.stderr
    result = terminal("import", people)
    assert (result.exit_code, f"Going on with import {id}" in result.stderr) == (0, True)
    assert (len(terminal.service.jobs), len(terminal.service.uploads)) == (1, 1)


def test_interrupted_and_cancelled_elsewhere_the_same_command_says_so(terminal: Terminal, people: Path) -> None:
    terminal.service.ctrl_c = "running"
    terminal("import", people)
    terminal("imports", "cancel", terminal.service.job["id"])
    result = terminal("import", people)
    assert (result.exit_code, "being cancelled" in result.stderr) == (4, True)
    assert f"{terminal.service.job['id']}: cancelled" in result.stdout


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        ("completed", 0, "was imported already"),
        ("failed", 4, "had an import that failed"),
        ("cancelled", 4, "had an import that was cancelled"),
    ],
)
def test_one_that_is_over_is_shown_and_not_begun_again(
    terminal: Terminal, people: Path, state: str, code: int, said: str
) -> None:
    terminal.service.work[-1] = state
    assert [terminal("import", people).exit_code for _ in "12"] == [code, code]
    result = terminal("import", people)
    assert f"people.csv {said} on {TIME} (--again imports it anew)" in result.stderr
    assert f"Import {terminal.service.job['id']}: {state}" in result.stdout
    assert len(terminal.service.jobs) == 1


def test_a_dry_run_that_is_over_is_not_said_to_have_imported_anything(terminal: Terminal, people: Path) -> None:
    terminal("import", people, "--dry-run")
    result = terminal("import", people, "--dry-run")
    assert (result.exit_code, f"people.csv was tried already on {TIME}" in result.stderr) == (0, True)


def test_a_file_whose_import_was_cancelled_before_it_was_sent_is_not_said_to_have_been_sent(
    terminal: Terminal, people: Path
) -> None:
    terminal.service.faults[UPLOAD] = [KeyboardInterrupt()]
    terminal("import", people)
    terminal("imports", "cancel", terminal.service.job["id"])
    result = terminal("import", people)
    assert (result.exit_code, terminal.service.uploads) == (4, [])
    assert f"people.csv had an import that was cancelled on {TIME} (--again imports it anew)" in result.stderr


def test_again_imports_a_file_anew(terminal: Terminal, people: Path) -> None:
    for _ in "12":
        terminal.service.work = [*WORK]
        assert terminal("import", people, "--again").exit_code == 0
    assert (len(terminal.service.jobs), len(terminal.service.uploads)) == (2, 2)


@pytest.mark.parametrize("change", ["content", "name", "option"])
def test_another_file_or_option_is_another_import(terminal: Terminal, people: Path, change: str) -> None:
    terminal("import", people, "--detach")
    if change == "content":
        people.write_bytes(b"customer_id\r\nC-2\r\n")
    elif change == "name":
        people = Path(shutil.copy(people, people.with_name("other.csv")))
    terminal("import", people, "--detach", *(["--dry-run"] if change == "option" else []))
    assert len(terminal.service.jobs) == 2


# Uploads


@pytest.mark.parametrize(
    "fault",
    [httpx.Response(403, text=EXPIRED), httpx.Response(503), httpx.WriteError("reset"), httpx.ReadTimeout("slow")],
)
def test_an_upload_that_fails_is_done_again_over_a_fresh_link(
    terminal: Terminal, people: Path, fault: httpx.Response | Exception
) -> None:
    terminal.service.faults[UPLOAD] = [fault]
    assert terminal("import", people).exit_code == 0
    assert [call for call in terminal.service.calls if call.startswith("POST")] == [CREATE, UPLOAD] * 2
    assert (len(terminal.service.jobs), len(terminal.service.uploads)) == (1, 1)


def test_an_upload_whose_answer_was_lost_is_not_sent_again(terminal: Terminal, people: Path) -> None:
    terminal.service.lost = UPLOAD
    assert terminal("import", people).exit_code == 0
    assert (terminal.service.calls[:3], len(terminal.service.uploads)) == ([CREATE, UPLOAD, CREATE], 1)


def test_uploads_that_never_succeed_end_with_4_and_the_import_waits(terminal: Terminal, people: Path) -> None:
    terminal.service.faults[UPLOAD] = [httpx.Response(403, text=EXPIRED) for _ in range(3)]
    result = terminal("import", people)
    assert (result.exit_code, terminal.service.calls) == (4, [CREATE, UPLOAD] * 3)
    assert "The file store refuses the upload: 403 AccessDenied" in result.stderr
    assert "waits for its file" in result.stderr


def test_a_file_that_the_store_does_not_take_is_sent_once(terminal: Terminal, people: Path) -> None:
    terminal.service.faults[UPLOAD] = [httpx.Response(400, text="<Code>EntityTooLarge</Code>")]
    assert terminal("import", people).exit_code == 4
    assert terminal.service.calls == [CREATE, UPLOAD]


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (MAX_BYTES + 1, "The file has 1,001 bytes; the API takes at most 1,000 bytes"),
        (2 * MAX_BYTES, "The file has 2.0 kB; the API takes at most 1.0 kB"),
    ],
)
def test_a_file_that_is_too_large_is_not_sent(terminal: Terminal, people: Path, size: int, said: str) -> None:
    people.write_bytes(b"x" * size)
    result = terminal("import", people)
    assert (result.exit_code, terminal.service.uploads) == (3, [])
    assert f"Error: {said}\n" in result.stderr


def test_a_file_that_goes_unnoticed_is_not_waited_for_and_the_same_command_sends_it_again(
    terminal: Terminal, people: Path
) -> None:
    terminal.service.work = []
    result = terminal("import", people)
    assert (result.exit_code, terminal.service.job["state"]) == (4, "waiting")
    assert result.stderr.splitlines()[-4:] == [
        "Error: The file was sent 5 minutes ago, and the service has not noticed it",
        f"Import {terminal.service.job['id']} waits for its file.",
        "  go on:      the same command again",
        f"  cancel it:  customers imports cancel {terminal.service.job['id']}",
    ]
    terminal.service.uploads, terminal.service.work = [], [*WORK]
    assert terminal("import", people).exit_code == 0
    assert (len(terminal.service.jobs), len(terminal.service.uploads)) == (1, 1)


def test_a_watched_import_may_wait_for_its_file_for_long(terminal: Terminal, people: Path) -> None:
    terminal.service.faults[UPLOAD] = [KeyboardInterrupt()]
    terminal("import", people)
    job = terminal.service.job
    terminal.service.faults[LOOK] = [httpx.Response(200, json=job) for _ in range(100)]
    terminal.service.uploads = [b"sent elsewhere"]
    assert terminal("imports", "watch", job["id"]).exit_code == 0
    assert terminal.service.slept.count(3.0) > 90


def test_the_link_to_rejected_rows_is_renewed_when_it_has_expired(terminal: Terminal, people: Path) -> None:
    terminal.service.bad = 1
    terminal.service.faults[FETCH] = [httpx.Response(403, text=EXPIRED), httpx.ReadError("reset")]
    assert terminal("import", people).exit_code == 1
    assert terminal.service.calls[-5:] == [FETCH, LOOK, FETCH, LOOK, FETCH]


def test_rejected_rows_that_cannot_be_fetched_are_said_to_be_there(terminal: Terminal, people: Path) -> None:
    terminal.service.bad = 1
    terminal.service.faults[FETCH] = [httpx.Response(404, text="<Code>NoSuchKey</Code>")]
    result = terminal("import", people)
    assert (result.exit_code, "fetch its rejected rows:" in result.stderr) == (4, True)
    assert "1 rejected" in result.stdout
    assert not people.with_name("people.rejected.csv").exists()


# What went wrong


def test_the_reason_of_a_failure_is_said(terminal: Terminal, people: Path) -> None:
    terminal.service.work[-1] = "failed"
    terminal.service.error = {"code": "customer_id_missing", "message": "No column customer_id"}
    result = terminal("import", people)
    assert result.exit_code == 4
    assert "failed: No column customer_id (customer_id_missing)" in result.stdout


def test_a_service_that_goes_away_is_said_to_leave_the_import_running(terminal: Terminal, people: Path) -> None:
    terminal("import", people, "--detach")
    terminal.service.faults[LOOK] = [httpx.Response(200, json=terminal.service.job), *[httpx.ReadError("gone")] * 5]
    result = terminal("imports", "watch", terminal.service.job["id"])
    assert (result.exit_code, "Error: api.test cannot be reached: gone" in result.stderr) == (4, True)
    assert "goes on without this command" in result.stderr


@pytest.mark.parametrize("path", ["missing/rejected.csv", "."])
def test_a_place_where_no_file_can_be_is_a_usage_error_before_anything_is_sent(
    terminal: Terminal, people: Path, path: str
) -> None:
    assert terminal("import", people, "--rejected", path).exit_code == 2
    assert not terminal.service.calls


def test_an_empty_file_is_a_usage_error(terminal: Terminal, people: Path) -> None:
    people.write_bytes(b"")
    assert terminal("import", people).exit_code == 2
    assert not terminal.service.calls


def test_a_pipe_is_a_usage_error(terminal: Terminal, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    writer = os.open(tmp_path / "pipe.csv", os.O_RDWR)
    result = terminal("import", "pipe.csv")
    os.close(writer)
    assert (result.exit_code, "save it first" in result.stderr) == (2, True)
    assert not terminal.service.calls


# One by one


def test_imports_are_listed_with_the_newest_first(terminal: Terminal, people: Path) -> None:
    terminal("import", people)
    terminal.service.work = [*WORK]
    terminal("import", people, "--again")
    out = terminal("imports", "list").stdout
    newest, oldest = (line.split("\t") for line in out.splitlines())
    assert newest[0] == terminal.service.job["id"] != oldest[0]
    assert oldest[1:] == [f"{TIME[:16]}Z", "people.csv", "completed: 20 created, 0 updated, 0 rejected"]
    page = json.loads(terminal("imports", "list", "--json", "--limit", "1", "--owner-id", "ada").stdout)
    assert ([job["id"] for job in page["data"]], page["meta"]["limit"]) == ([newest[0]], 1)
    assert page["query"]["filters"] == {"owner_id": "ada"}


def test_ids_are_whole_in_a_list_on_a_narrow_terminal(terminal: Terminal, people: Path) -> None:
    terminal("import", people)
    id = terminal.service.job["id"]
    lines = terminal("imports", "list", TTY_COMPATIBLE="1", TERM="xterm", COLUMNS="80").stdout.splitlines()
    assert any(line.startswith(f"{id}  {TIME[:16]}Z  people.csv  completed") for line in lines)


def test_a_terminal_of_60_columns_shows_lines_and_no_columns(terminal: Terminal, people: Path) -> None:
    terminal("import", people)
    out = terminal("imports", "list", TTY_COMPATIBLE="1", TERM="xterm", COLUMNS="60").stdout
    said = "completed: 20 created, 0 updated, 0 rejected"
    assert out.rstrip("\n") == f"{terminal.service.job['id']}  {TIME[:16]}Z  people.csv  {said}"


def test_a_list_says_what_failed_and_what_was_a_dry_run(terminal: Terminal, people: Path) -> None:
    terminal.service.work[-1] = "failed"
    terminal.service.error = {"code": "missing_column", "message": "No column customer_id"}
    terminal("import", people, "--dry-run")
    out = terminal("imports", "list").stdout
    assert out.endswith("\tfailed: No column customer_id (missing_column) (dry run)\n")


def test_an_import_with_rejected_rows_is_shown_with_the_way_to_them(terminal: Terminal, people: Path) -> None:
    terminal.service.bad = 1
    terminal("import", people)
    id = terminal.service.job["id"]
    assert terminal("imports", "show", id).stdout.endswith(f"fetch its rejected rows:  customers imports watch {id}\n")


def test_an_import_is_shown_as_it_is_now(terminal: Terminal, people: Path) -> None:
    terminal.service.ctrl_c = "queued"
    terminal("import", people)
    id = terminal.service.job["id"]
    result = terminal("imports", "show", id)
    assert result.exit_code == 0
    assert result.stdout == f"Import {id}: 50.0 %  0 of 20  10/s  1:05 left  0 created, 0 updated, 0 rejected\n"
    assert json.loads(terminal("imports", "show", id, "--json").stdout)["id"] == id


def test_a_watched_import_ends_as_the_command_that_began_it_would_have(
    terminal: Terminal, people: Path, tmp_path: Path
) -> None:
    terminal.service.bad, terminal.service.ctrl_c = 1, "running"
    terminal("import", people)
    result = terminal("imports", "watch", terminal.service.job["id"])
    assert (result.exit_code, "1 rejected" in result.stdout) == (1, True)
    assert (tmp_path / "people.rejected.csv").exists()


@pytest.mark.parametrize("name", ["../../etc/people.csv", "/people.csv", "..", "\x00"])
def test_the_name_of_a_file_leads_to_no_other_directory(
    terminal: Terminal, people: Path, tmp_path: Path, name: str
) -> None:
    terminal.service.bad = 1
    terminal("import", people, "--detach")
    terminal.service.job["file_name"] = name
    assert terminal("imports", "watch", terminal.service.job["id"]).exit_code == 1
    assert len([*tmp_path.glob("*.rejected.csv")]) == 1


def test_an_import_is_cancelled_and_one_that_is_over_stays(terminal: Terminal, people: Path) -> None:
    terminal.service.ctrl_c = "running"
    terminal("import", people)
    id = terminal.service.job["id"]
    assert terminal("imports", "cancel", id).stdout == f"Import {id}: being cancelled\n"
    assert terminal("imports", "watch", id).exit_code == 4
    result = terminal("imports", "cancel", id, "--json")
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (0, "cancelled")


def test_an_unknown_import_is_refused_in_plain_words(terminal: Terminal) -> None:
    result = terminal("imports", "show", "00000000-0000-4000-8000-000000000000")
    assert result.exit_code == 3
    assert result.stderr == ("Error: The API does not find it: Import not found (import_not_found, request req-1)\n")
