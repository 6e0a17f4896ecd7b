"""The service as the command `customers` sees it, in this process: it answers as docs/openapi.json says.

The other tests of the command use it; here it is shown to be what they take it for.
"""

import csv
import io
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from typer.testing import CliRunner, Result

from customers_cli.app import main
from customers_cli.connection import API_KEY, TOKEN, URL
from customers_cli.world import World
from tests.documented import errors

API, STORE = "https://api.test/stage", "http://127.0.0.1:4566/bucket"
SECRET = "ck_live_0123456789abcdef"
ENVIRONMENT = {name: None for names in (URL, API_KEY, TOKEN) for name in names} | {
    "API": API,
    "API_KEY": SECRET,
    "TTY_COMPATIBLE": "0",
    "COLUMNS": "200",
}
TIME = "2026-06-01T12:00:00.000000Z"
MAX_BYTES = 1000
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
WORK = ["splitting", "queued", "running", "running", "finishing", "completed"]  # a state for each look at a job
OVER = {"completed", "failed", "cancelled"}
CONTENTS = "All customers of ada as of noon."

type Fault = httpx.Response | BaseException


@dataclass
class Service:
    """Its jobs go to the next state of `work` whenever they are looked at. `faults` come before its own answers.

    Time goes by only while the command sleeps; Ctrl-C comes at the first sleep in which a job is in the state `ctrl_c`.
    The next answer to the call `lost` does not arrive.
    """

    rows: int = 20
    bad: int = 0
    work: list[str] = field(default_factory=lambda: [*WORK])
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    error: dict[str, str] | None = None
    ctrl_c: str | None = None
    lost: str | None = None
    exported: bytes = b"customer_id\r\nC-1\r\n"
    rejected: str | None = None
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: dict[str, tuple[Any, str]] = field(default_factory=dict)
    uploads: list[bytes] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    callers: set[str] = field(default_factory=set)
    slept: list[float] = field(default_factory=list)

    @property
    def job(self) -> dict[str, Any]:
        """The newest."""
        return [*self.jobs.values()][-1]

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.ctrl_c and self.job["state"] == self.ctrl_c:
            self.ctrl_c = None
            raise KeyboardInterrupt

    def answer(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        in_store = url.startswith(STORE)
        assert in_store or request.url.host == httpx.URL(API).host
        place = ID.sub("ID", request.url.path.removeprefix("/stage"))
        call = f"{request.method} {place}"
        self.calls.append(call)
        credentials = [value for name in ("x-api-key", "authorization") if (value := request.headers.get(name))]
        assert len(credentials) == (0 if in_store else 1)
        self.callers.update(credentials)
        if self.faults[call]:
            fault = self.faults[call].pop(0)
            if isinstance(fault, BaseException):
                raise fault
            return fault
        response = self._in_store(request) if in_store else self._in_api(request, call)
        if call == self.lost:
            self.lost = None
            raise httpx.ReadError("lost")
        return response

    def _in_store(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, content=self._file(request.url.path))
        assert int(request.headers["content-length"]) == len(request.content)
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        parts = [part for part in request.content.split(b"--" + boundary) if b"form-data" in part]
        assert [re.findall(rb' name="([^"]+)"', part)[0] for part in parts] == [b"key", b"policy", b"file"]
        self.uploads.append(parts[-1].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
        return httpx.Response(204)

    def _file(self, path: str) -> bytes:
        return self.exported if "export" in path else (self.rejected or rejected_rows(self.bad)).encode("utf-8-sig")

    def _in_api(self, request: httpx.Request, call: str) -> httpx.Response:
        id = request.url.path.rpartition("/")[2]
        match call:
            case "GET /customers/imports":
                page = [self._shown(job) for job in reversed(self.jobs.values())]
                return self._listed(page, **dict(request.url.params))
            case "POST /customers/imports" | "POST /customers/exports":
                return self._created(request, "export" if "export" in call else "import")
        if id not in self.jobs:
            return problem(404, "import_not_found", "Import not found")
        job = self.jobs[id]
        if request.method == "DELETE" and job["state"] not in OVER:
            job |= {"state": "cancelled" if job["state"] == "waiting" else "cancelling", "finished_at": TIME}
            self.work = ["cancelled"]
        elif request.method == "GET":
            self._advance(job)
        return httpx.Response(200, json=self._shown(job))

    def _created(self, request: httpx.Request, kind: str) -> httpx.Response:
        key, body = request.headers["idempotency-key"], request.read()
        before, id = self.asked.setdefault(key, (body, str(uuid4())))
        assert before == body, "422 idempotency_key_reused"
        if id in self.jobs and self.jobs[id]["state"] == "waiting":
            self._advance(self.jobs[id])  # its file may have come
        elif id not in self.jobs:
            self.jobs[id] = (new_import if kind == "import" else new_export)(
                id, httpx.Response(200, content=body).json()
            )
        shown = self._shown(self.jobs[id])
        if shown["state"] == "waiting":
            upload = {"url": STORE, "fields": {"key": id, "policy": "p"}, "max_bytes": MAX_BYTES, "expires_at": TIME}
            shown |= {"upload": upload}
        return httpx.Response(201, json=checked(shown))

    def _advance(self, job: dict[str, Any]) -> None:
        if job["state"] in OVER or (job["state"] == "waiting" and not self.uploads) or not self.work:
            return
        state = job["state"] = self.work.pop(0)
        if state == "running":
            job |= {"total": self.rows, "percent": 50.0}
        if state == "running" and "processed" in job:
            job |= {"rows_per_second": 10.0, "remaining_seconds": 65}
        if state in OVER:
            job |= {"finished_at": TIME, "percent": 100.0} | ({"error": self.error} if self.error else {})
        if state in OVER and "read" in job:
            place = {"url": f"{STORE}/export", "expires_at": TIME}
            done = {"rows": self.rows, "bytes": len(self.exported)}
            job |= {} if self.error else {"read": self.rows, "rows": self.rows, "file": place | done}
        elif state in OVER:
            counts = {"created": self.rows - self.bad, "skipped": self.bad, "processed": self.rows}
            job |= counts | {"total": self.rows, "unknown_columns": ["Shoe size"] if self.bad else []}

    def _shown(self, job: dict[str, Any]) -> dict[str, Any]:
        shown = dict(job)
        if job["state"] in OVER and job.get("skipped"):
            shown["rejected"] = {"url": f"{STORE}/rejected", "rows": self.bad, "expires_at": TIME}
        return checked(shown)

    def _listed(self, page: list[dict[str, Any]], limit: str, offset: str, **filters: str) -> httpx.Response:
        sort = {"field": "created_at", "direction": "desc"}
        meta = {"total": len(page), "limit": int(limit), "offset": int(offset), "sort": sort}
        shown = page[int(offset) :][: int(limit)]
        return httpx.Response(200, json={"data": shown, "meta": meta, "query": {"filters": filters, "sort": sort}})


def new_import(id: str, asked: dict[str, Any]) -> dict[str, Any]:
    numbers = dict.fromkeys(("processed", "percent", "created", "updated", "unchanged", "skipped"), 0)
    job = {"id": id, "state": "waiting", "created_at": TIME, "expires_at": TIME, "unknown_columns": []}
    return job | numbers | {name: asked[name] for name in ("file_name", "on_deleted", "dry_run")}


def new_export(id: str, asked: dict[str, Any]) -> dict[str, Any]:
    job = {"id": id, "state": "queued", "created_at": TIME, "expires_at": TIME, "format": asked["format"]}
    query = {"filters": {}, "sort": {"field": "created_at", "direction": "desc"}}
    return job | {"query": query, "read": 0, "rows": 0, "contents": CONTENTS}


def checked(job: dict[str, Any]) -> dict[str, Any]:
    name = "ExportJobOut" if "read" in job else "ImportJobOut"
    assert not errors(f'{{"$ref": "#/components/schemas/{name}"}}', job)
    return job


def problem(status: int, code: str, detail: str, **headers: str) -> httpx.Response:
    body = {"type": "about:blank", "status": status, "detail": detail, "code": code, "request_id": "req-1"}
    return httpx.Response(status, json=body, headers=headers)


def rejected_rows(number: int) -> str:
    lines = [(f"C-{row}", "nobody", row, "value_error", "email: no address") for row in range(2, number + 2)]
    text = io.StringIO()
    csv.writer(text).writerows([("Customer ID", "E-mail", "row", "code", "message"), *lines])
    return text.getvalue()


@dataclass(frozen=True)
class Terminal:
    """Runs the command against a service, in `place`. No run may say a secret, or end by an exception of ours."""

    service: Service
    place: Path

    def __call__(self, *arguments: object, charset: str = "utf-8", **environment: str | None) -> Result:
        transport = httpx.MockTransport(self.service.answer)
        clock = iter(range(0, 10_000, 4))
        world = World(transport, self.service.sleep, lambda: float(next(clock)), lambda: 1.0)
        result = CliRunner(charset, ENVIRONMENT | environment).invoke(main, [*map(str, arguments)], obj=world)
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert SECRET not in result.output
        assert "Traceback" not in result.output
        assert not list(self.place.glob(".*"))  # nothing half-written is left
        return result


def test_one_key_makes_one_import_that_waits_until_its_file_has_come_and_then_goes_through_its_states() -> None:
    service = Service(bad=1)
    http = httpx.Client(transport=httpx.MockTransport(service.answer), headers={"X-API-Key": SECRET})
    body = {"file_name": "a.csv", "on_deleted": "skip", "dry_run": False}
    first, second = (
        http.post(f"{API}/customers/imports", json=body, headers={"Idempotency-Key": "k"}).json() for _ in "12"
    )
    assert first == second
    place = f"{API}/customers/imports/{first['id']}"
    assert http.get(place).json()["state"] == "waiting"
    del http.headers["X-API-Key"]
    http.post(STORE, data=first["upload"]["fields"], files={"file": b"a"})
    http.headers["X-API-Key"] = SECRET
    jobs = [http.get(place).json() for _ in WORK]
    assert [job["state"] for job in jobs] == WORK
    assert jobs[-1]["total"] == jobs[-1]["created"] + jobs[-1]["skipped"] == service.rows
    assert "rejected" in jobs[-1]
