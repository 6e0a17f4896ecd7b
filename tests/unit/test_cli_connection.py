"""How the command reaches the API: credentials, patience, errors, and what --help says of it."""

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main

from customers_cli.app import main
from customers_cli.connection import API_KEY, TOKEN, URL, Connection
from customers_cli.failures import EXIT_CODES, UNREAD, Unreachable
from customers_cli.links import Links
from customers_cli.world import ATTEMPTS, World
from tests.unit.test_cli_service import API, SECRET, STORE, Fault, Service, Terminal, problem

LIST, CREATE, SHOW = "GET /customers/imports", "POST /customers/imports", "GET /customers/imports/ID"
FILE_BYTES = 250 << 20
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("customer_id\nC-1\n")
    return Terminal(Service(), tmp_path)


# Who calls, and where


def chosen(monkeypatch: pytest.MonkeyPatch, *options: str | None, **environment: str) -> Connection:
    for name in (*URL, *API_KEY, *TOKEN):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Connection.chosen(*options)


def test_the_lines_of_make_run_are_enough_and_the_api_key_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = chosen(monkeypatch, None, None, None, API="http://a/b/", API_KEY="k", TOKEN="t")
    assert (connection.url, connection.headers) == ("http://a/b", {"X-API-Key": "k"})


def test_own_variables_win_over_short_ones_and_options_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"API": "http://a", "CUSTOMERS_API": "http://b", "API_KEY": "k", "CUSTOMERS_API_KEY": "l"}
    connection = chosen(monkeypatch, None, None, None, **environment)
    assert (connection.url, connection.headers) == ("http://b", {"X-API-Key": "l"})
    connection = chosen(monkeypatch, "http://c", None, "t", **environment)
    assert (connection.url, connection.headers) == ("http://c", {"Authorization": "Bearer t"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([None, "k", None], "--url: Where is the API?"),
        ([API, None, None], "Who calls?"),
        ([API, "k", "t"], "Give one of the two"),
        (["ftp://host", "k", None], "begins with https://"),
        (["http://", "k", None], "begins with https://"),
        (["http://host:port", "k", None], "no URL"),
        (["http://ada:hunter2@host", "k", None], "no user name"),
        ([API, "k\nX-Other: 1", None], "visible ASCII"),
    ],
)
def test_a_connection_that_cannot_be_is_a_usage_error_that_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, options: list[str | None], said: str
) -> None:
    with pytest.raises(typer.BadParameter) as error:
        chosen(monkeypatch, *options)
    assert said in error.value.format_message()
    assert "hunter2" not in error.value.format_message()


def test_a_connection_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SECRET not in repr(chosen(monkeypatch, API, SECRET, None))


def test_a_token_is_sent_as_a_bearer(terminal: Terminal) -> None:
    terminal("imports", "list", API_KEY=None, TOKEN=SECRET)
    terminal("imports", "list", "--token", SECRET)  # though the environment has an API key
    assert (terminal.service.callers, len(terminal.service.calls)) == ({f"Bearer {SECRET}"}, 2)


def test_a_secret_that_the_service_quotes_is_not_passed_on(terminal: Terminal) -> None:
    terminal.service.faults[LIST] = [httpx.Response(403, json={"message": f"Bad header: X-API-Key={SECRET}"})]
    assert "Bad header: X-API-Key=***" in terminal("imports", "list").stderr
    terminal.service.faults[LIST] = [httpx.ConnectError(f"to {SECRET}") for _ in range(ATTEMPTS)]
    assert "to ***" in terminal("imports", "list").stderr


def test_a_proxy_of_the_environment_is_never_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    with World().http(timeout=httpx.Timeout(1)) as http:
        hosts = ("127.0.0.1:4566", "localhost:4566", "[::1]:4566", "bucket.localhost:4566", "host.test")
        direct = [http._transport_for_url(httpx.URL(f"http://{host}/")) is http._transport for host in hosts]
    assert direct == [True, True, True, True, False]


# Patience


@pytest.mark.parametrize(
    "fault",
    [*map(httpx.Response, (429, 500, 502, 503, 504)), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")],
    ids=lambda fault: str(getattr(fault, "status_code", type(fault).__name__)),
)
@pytest.mark.parametrize("call", [CREATE, SHOW])
def test_what_may_pass_is_tried_again(terminal: Terminal, call: str, fault: Fault) -> None:
    terminal.service.faults[call] = [fault]
    result = terminal("import", "people.csv")
    assert (result.exit_code, terminal.service.faults[call]) == (0, [])
    assert "trying again" not in result.stderr


def test_pauses_double_and_retry_after_is_obeyed(terminal: Terminal) -> None:
    terminal.service.faults[LIST] = [*map(httpx.Response, (503, 503, 503)), problem(503, "unavailable", "Busy")]
    terminal.service.faults[LIST][3].headers["Retry-After"] = "11"  # type: ignore[union-attr]
    assert terminal("imports", "list").exit_code == 0
    assert terminal.service.slept == [0.5, 1.0, 2.0, 11.0]


def test_jitter_halves_a_pause_at_most() -> None:
    slept: list[float] = []
    World(sleep=slept.append, chance=lambda: 0.0).pause(1, Unreachable("Away"), lambda _: None)
    assert slept == [0.5]


def test_patience_ends_and_from_the_second_failure_on_it_is_said_what_is_waited_for(terminal: Terminal) -> None:
    terminal.service.faults[LIST] = [problem(503, "unavailable", "Busy") for _ in range(ATTEMPTS)]
    result = terminal("imports", "list")
    assert (result.exit_code, len(terminal.service.calls)) == (4, ATTEMPTS)
    said = "The service answers 503: Busy (unavailable, request req-1)"
    assert result.stderr.splitlines() == [
        *(f"{said}; trying again in {seconds} s" for seconds in (1, 2, 4)),
        f"Error: {said}",
    ]


@pytest.mark.parametrize("call", [SHOW, "GET /bucket/rejected", "POST /bucket"])
def test_what_is_waited_for_is_said_above_the_bar(terminal: Terminal, call: str) -> None:
    terminal.service.bad = 1
    terminal.service.faults[call] = [httpx.ReadError("reset") for _ in "12"]
    result = terminal("import", "people.csv", TTY_COMPATIBLE="1", TERM="xterm")
    lines = [line.rpartition("\x1b[2K")[2] for line in result.stderr.splitlines()]  # a bar is wiped before it
    said = [line for line in lines if "trying again" in line]
    assert result.exit_code == 1
    assert [re.sub(r"^.* cannot be reached: \w+; ", "", line) for line in said] == ["trying again in 1 s"]


def test_a_service_that_is_down_is_named_with_its_port_and_is_exit_code_4(terminal: Terminal) -> None:
    terminal.service.faults[LIST] = [httpx.ConnectError("refused") for _ in range(ATTEMPTS)]
    result = terminal("imports", "list", "--url", "https://api.test:8443/stage")
    assert (result.exit_code, len(terminal.service.slept)) == (4, ATTEMPTS - 1)
    assert result.stderr.splitlines()[-1] == "Error: api.test:8443 cannot be reached: refused"


def test_a_key_that_is_in_use_is_waited_for(terminal: Terminal) -> None:
    conflict = problem(409, "idempotency_in_progress", "In progress", **{"Retry-After": "1"})
    terminal.service.faults[CREATE] = [conflict]
    assert terminal("import", "people.csv").exit_code == 0


def test_every_try_of_a_post_has_the_same_key(terminal: Terminal) -> None:
    terminal.service.lost = CREATE
    assert terminal("import", "people.csv").exit_code == 0
    assert (terminal.service.calls[:2], len(terminal.service.jobs)) == ([CREATE] * 2, 1)


# Errors


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            problem(401, "unauthorized", "The token has expired"),
            "The API does not accept the credential: The token has expired (unauthorized, request req-1)",
        ),
        (problem(403, "insufficient_scope", "No scope"), "The credential does not allow this: No scope"),
        (problem(409, "taken", "Taken"), "Something else is in the way: Taken (taken, request req-1)"),
        (problem(413, "payload_too_large", "Large"), "The API refuses (413): Large"),
        (
            httpx.Response(
                422,
                json={"detail": [{"loc": ["body", "file_name"], "msg": "Too long", "type": "t"}]},
                headers={"X-Request-Id": "req-2"},
            ),
            "The API does not understand the request: body.file_name: Too long (request req-2)",
        ),
        (
            httpx.Response(403, json={"message": "Forbidden"}),  # API Gateway's
            f"The credential does not allow this: Forbidden ({API})",
        ),
    ],
    ids=lambda value: str(getattr(value, "status_code", "")),
)
def test_a_refusal_is_one_line_in_plain_words_and_exit_code_3(
    terminal: Terminal, response: httpx.Response, said: str
) -> None:
    terminal.service.faults[LIST] = [response]
    result = terminal("imports", "list")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"Error: {said}")
    assert len(terminal.service.calls) == 1


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"ok": True}),
        httpx.Response(307, headers={"Location": STORE}),
        httpx.Response(404, text="<html>"),
        httpx.Response(404, json={"message": "Not Found"}),  # API Gateway's, of a path that it does not know
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(405, text="<html>"),
    ],
)
def test_what_is_no_customers_api_is_found_out(terminal: Terminal, response: httpx.Response) -> None:
    terminal.service.faults[LIST] = [response]
    result = terminal("imports", "list")
    said = f"{response.status_code} {response.reason_phrase}"
    assert result.exit_code == 4
    assert result.stderr == f"Error: {API} answers {said}, but not as the customers API does: is --url right?\n"


@pytest.mark.parametrize("response", [httpx.Response(501, json=[]), httpx.Response(501, text="<html>")])
def test_what_nobody_expects_is_exit_code_4_and_where_it_came_from(
    terminal: Terminal, response: httpx.Response
) -> None:
    terminal.service.faults[LIST] = [response]
    result = terminal("imports", "list")
    assert (result.exit_code, result.stderr) == (4, f"Error: The service answers 501: Not Implemented ({API})\n")


def test_a_fault_of_ours_does_not_look_like_rejected_rows(terminal: Terminal) -> None:
    terminal.service.faults[LIST] = [httpx.Response(200, json={"data": [{}]})]
    with pytest.raises(AssertionError, match="Traceback"):
        terminal("imports", "list")


# --help


def test_every_documented_exit_code_is_one_that_the_command_ends_with(terminal: Terminal) -> None:
    def ends(*arguments: str, bad: int = 0, fault: Callable[[], Fault] | None = None) -> int:
        terminal.service.bad = bad
        terminal.service.faults[CREATE] = [fault() for _ in range(ATTEMPTS)] if fault else []
        terminal.service.work = ["completed"]
        return terminal("import", *arguments, "--again").exit_code

    codes = [
        ends("people.csv"),
        ends("people.csv", bad=1),
        ends("no.csv"),
        ends("people.csv", fault=lambda: problem(401, "unauthorized", "No")),
        ends("people.csv", fault=lambda: httpx.ConnectError("refused")),
        ends("people.csv", fault=KeyboardInterrupt),
    ]
    assert [*codes, UNREAD] == [*EXIT_CODES]  # the last in test_cli_pipe.py


def commands(command: Any, *path: str) -> dict[str, Any]:
    below = [commands(each, *path, name) for name, each in getattr(command, "commands", {}).items()]
    return {" ".join(path): command} | {name: each for found in below for name, each in found.items()}


COMMANDS = commands(typer.main.get_command(main))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_explained(terminal: Terminal, path: str) -> None:
    command = COMMANDS[path]
    shown = terminal(*path.split(), "--help").stdout
    assert command.help
    assert {int(code) for code in re.findall(r"^\s*(\d+): \w", shown, re.MULTILINE)} == EXIT_CODES.keys()
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert {parameter.metavar, *parameter.opts} & {*shown.split()}, parameter.name
    for name, each in getattr(command, "commands", {}).items():
        assert re.search(rf"\b{name} .*{re.escape(each.help.split('.')[0])}", shown)


# Large files


class _Drain(httpx.BaseTransport):
    """A store that takes what comes, and keeps nothing."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        came = sum(map(len, request.stream))
        assert came == int(request.headers["Content-Length"]) > FILE_BYTES
        return httpx.Response(204)


def test_a_file_of_250_megabytes_goes_in_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    with file.open("wb") as large:
        large.truncate(FILE_BYTES)
    seen: list[int] = []
    tracemalloc.start()
    Links(World(_Drain()), lambda _: None).upload({"url": STORE, "fields": {"key": "k"}}, file, seen.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == sorted(seen)
    assert seen[-1] == FILE_BYTES
    assert peak < 8 << 20
