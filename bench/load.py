"""Mixed traffic for minutes: many owners and a hot one, reads and writes, with conflicts thrown in.

Each worker is a process with all functions in it, which answers one request at a time, as Lambda's do. Requests arrive
at random times whatever has been answered so far, and a request's latency begins when it arrives. The same requests one
by one, before, are what "idle" is. Local engines have neither DynamoDB's latency nor its conflicts: the ratio to idle
tells how the handlers bear load, and the conflicts are made here.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from random import Random
from statistics import median, quantiles
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Grid

from bench import plots, results
from bench.engines import NotToBeHad, environment
from bench.load_data import TABLE, loaded
from bench.operations import quiet
from bench.plots import OURS_COLOUR, PEER_COLOUR, Bar, Panel
from tests.handlers import ENVIRONMENT, FUNCTIONS, Api

MINUTES = 10.0
HOT_CUSTOMERS = 5_000
HOT = 0.5  # of the requests are the large owner's
OWNERS = 200  # small ones
WORKERS = 2
BUSY = 0.5  # of the time of one processor that handlers and engine would take one by one
IDLE_REQUESTS = 400
CONFLICTS = 0.05  # of the attempts of transactions
SAMPLE_SECONDS = 10
# Of 100 requests.
MIX = {
    "list": 30,
    "list by name": 10,
    "list far": 5,
    "search": 5,
    "get": 20,
    "detail": 5,
    "create": 13,
    "update": 8,
    "delete and restore": 4,
}
CONFLICT = (
    b'{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",'
    b'"CancellationReasons":[{"Code":"TransactionConflict"}]}'
)
PACKAGES = ("boto3", "aws-lambda-powertools", "pydantic")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; some are two, of which the second needs what the first did."""

    name: str
    calls: Sequence[Mapping[str, Any]]
    owner: str


@dataclass(frozen=True, slots=True)
class Answered:
    name: str
    seconds: float
    statuses: Sequence[int]
    created: tuple[str, str] | None  # owner and id


@dataclass(slots=True)
class Traffic:
    """Makes requests about the customers that it knows of: those of `known` and whatever is created."""

    known: dict[str, list[str]]
    random: Random = field(default_factory=lambda: Random("traffic"))  # noqa: S311 - made-up requests
    _number: int = 0

    def next(self) -> Asked:
        hot, *small = self.known
        owner = hot if self.random.random() < HOT else self.random.choice(small)
        (name,) = self.random.choices([*MIX], [*MIX.values()])
        if name not in {"list", "create", "search"} and not self.known[owner]:
            name = "create"
        return Asked(name, self._calls(name, owner), owner)

    def _calls(self, name: str, owner: str) -> Sequence[Mapping[str, Any]]:
        self._number += 1
        ids = self.known[owner]
        id = self.random.choice(ids) if ids else ""
        text = self.random.choice(["an", "mar", "ros", "@mailbox", "39"])
        fields = {"customer_id": f"load-{self._number}", "name": "Ada", "status": "lead"}
        requests: Mapping[str, Sequence[Mapping[str, Any]]] = {
            "list": [_listing(include_aggregations="true")],
            "list by name": [_listing(sort_field="name", sort_dir="asc")],
            "list far": [_listing(offset=self.random.randrange(len(ids) + 1))],
            "search": [_listing(q=text)],
            "get": [{"operation": "get_customer", "id": id}],
            "detail": [{"operation": "get_customer_detail", "id": id}],
            "create": [{"operation": "create_customer", "body": fields}],
            "update": [{"operation": "update_customer", "id": id, "body": {"name": f"Ada {self._number}"}}],
            "delete and restore": [
                {"operation": "delete_customer", "id": id},
                {"operation": "restore_customer", "id": id},
            ],
        }
        return requests[name]


def _listing(**parameters: Any) -> Mapping[str, Any]:
    return {"operation": "list_customers", "query": urlencode(parameters)}


# A worker


def work(pipe: Connection, surroundings: Mapping[str, str]) -> None:
    """Answers what comes through the pipe: a request, or None for its size in bytes and its conflicts so far."""
    os.environ.update(surroundings)
    api, conflicts = Api({**ENVIRONMENT, **surroundings}), Counter[str]()
    random = Random(os.getpid())  # noqa: S311 - made-up conflicts

    def conflict(request: Any, **_: object) -> AWSResponse | None:
        if random.random() >= CONFLICTS:
            return None
        conflicts["made"] += 1
        return AWSResponse(request.url, HTTPStatus.BAD_REQUEST, HTTPHeaders(), _Body(CONFLICT))

    for operation in {call for call in FUNCTIONS if call.endswith(("customer", "customers", "detail"))}:
        table = getattr(getattr(api.app(operation), "service", None), "table", None)
        if table:
            table._client.meta.events.register("before-send.dynamodb.TransactWriteItems", conflict)  # noqa: SLF001
    with quiet():
        while True:
            match pipe.recv():
                case None:
                    pipe.send((_resident_bytes(), conflicts["made"]))
                case Asked() as asked:
                    pipe.send([_answer(api, asked, call) for call in asked.calls])


def _answer(api: Api, asked: Asked, call: Mapping[str, Any]) -> tuple[int, str | None]:
    query = call.get("query", "")
    answer = api.call(call["operation"], call.get("id"), call.get("body"), query=query, owner=asked.owner)
    return answer.status, answer.id if answer.status == HTTPStatus.CREATED else None


class _Body:
    """What botocore reads a response's body from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Worker:
    """Our side of a worker."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = Lock()

    def ask(self, asked: Asked, arrived: float) -> Answered:
        with self._lock:
            self._pipe.send(asked)
            answers = self._pipe.recv()
        created = next(((asked.owner, id) for _, id in answers if id), None)
        return Answered(asked.name, time.monotonic() - arrived, [status for status, _ in answers], created)

    def state(self) -> tuple[int, int]:
        with self._lock:
            self._pipe.send(None)
            size, conflicts = self._pipe.recv()
        return size, conflicts


@contextmanager
def workers(surroundings: Mapping[str, str]) -> Iterator[Sequence[Worker]]:
    spawning = get_context("spawn")
    with ExitStack() as stack:
        made = []
        for _ in range(WORKERS):
            ours, theirs = spawning.Pipe()
            process = spawning.Process(target=work, args=(theirs, surroundings), daemon=True)
            process.start()
            stack.callback(process.terminate)
            made.append(Worker(ours))
        yield made


# The load


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench PART=load", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=MINUTES)
    minutes: float = parser.parse_args(argv).minutes
    try:
        with results.alone(), loaded(HOT_CUSTOMERS) as of, workers(environment(of.engine.url, TABLE)) as crew:
            hot = of.people.owner
            ids = [each.id for each in of.people.customers() if (each.owner_id, each.state) == (hot, "live")]
            traffic = Traffic({hot: ids, **{f"small-{n}": list[str]() for n in range(OWNERS)}})
            idle = run_idle(crew[0], traffic)
            rate = BUSY / (sum(each.seconds for each in idle) / len(idle))
            busy, sizes = run_load(crew, traffic, rate, minutes * 60)
            conflicts = sum(worker.state()[1] for worker in crew)
    except NotToBeHad as problem:
        Console().print(f"[red]No load was tried.[/red] {problem}")
        return 1
    return report(idle, busy, sizes, {"minutes": minutes, "requests_a_second": round(rate, 1), "conflicts": conflicts})


def run_idle(worker: Worker, traffic: Traffic) -> Sequence[Answered]:
    """One request after another, after as many that warm up."""
    answers = []
    for _ in range(2 * IDLE_REQUESTS):
        answer = worker.ask(traffic.next(), time.monotonic())
        _learn(traffic, answer)
        answers.append(answer)
    return answers[IDLE_REQUESTS:]


def run_load(
    crew: Sequence[Worker], traffic: Traffic, rate: float, seconds: float
) -> tuple[Sequence[Answered], Sequence[Sequence[int]]]:
    """The answers, and now and then the sizes of the workers."""
    waiting = SimpleQueue[tuple[Asked, float] | None]()
    answers, sizes = list[Answered](), list[Sequence[int]]()

    def serve(worker: Worker) -> None:
        while asked := waiting.get():
            answer = worker.ask(*asked)
            _learn(traffic, answer)
            answers.append(answer)

    with ThreadPoolExecutor(len(crew)) as pool, Progress(console=Console(stderr=True)) as progress:
        serving = [pool.submit(serve, worker) for worker in crew]
        task = progress.add_task(f"{rate:.0f} requests a second", total=seconds)
        begun = arrives = sampled = time.monotonic()
        while arrives < begun + seconds:
            arrives += traffic.random.expovariate(rate)
            time.sleep(max(0, arrives - time.monotonic()))
            waiting.put((traffic.next(), arrives))
            if arrives > sampled + SAMPLE_SECONDS:
                sampled = arrives
                sizes.append([worker.state()[0] for worker in crew])
            progress.update(task, completed=arrives - begun)
        for _ in crew:
            waiting.put(None)
        for served in serving:
            served.result()
    return answers, sizes


def _learn(traffic: Traffic, answer: Answered) -> None:
    if answer.created:
        owner, id = answer.created
        traffic.known[owner].append(id)


def report(
    idle: Sequence[Answered], busy: Sequence[Answered], sizes: Sequence[Sequence[int]], about: dict[str, Any]
) -> int:
    latencies = [{"request": name, **_latency(name, idle, "idle"), **_latency(name, busy, "load")} for name in MIX]
    statuses = Counter(status for answer in busy for status in answer.statuses)
    faults = {status: number for status, number in statuses.items() if status >= HTTPStatus.INTERNAL_SERVER_ERROR}
    third = len(sizes) // 3
    early, late = (median(map(sum, part)) / len(sizes[0]) for part in (sizes[third : 2 * third], sizes[2 * third :]))
    about |= {
        "requests": len(busy),
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        "faults": sum(faults.values()),
        "megabytes_of_a_worker": {"second third": round(early / 2**20, 1), "last third": round(late / 2**20, 1)},
        "latencies_ms": latencies,
    }
    Console().print(_grid(latencies), {name: about[name] for name in about if name != "latencies_ms"})
    results.write("load", about, [], PACKAGES)
    plots.save("load", [_panel(latencies, quantile) for quantile in ("p50", "p99")])
    return int(bool(faults))


def _latency(name: str, answers: Sequence[Answered], when: str) -> Mapping[str, float]:
    milliseconds = [1000 * answer.seconds for answer in answers if answer.name == name]
    if len(milliseconds) < 2:  # noqa: PLR2004 - as few as quantiles need
        return {}
    cuts = quantiles(milliseconds, n=100)
    return {f"{when} p50": round(cuts[49], 1), f"{when} p99": round(cuts[98], 1)}


def _grid(latencies: Sequence[Mapping[str, Any]]) -> Grid:
    columns = ["idle p50", "load p50", "idle p99", "load p99"]
    grid = Grid("request", *columns, title="Latency under load and idle, ms")
    for each in latencies:
        grid.add_row(each["request"], *(f"{each[column]:.1f}" if column in each else "" for column in columns))
    return grid


def _panel(latencies: Sequence[Mapping[str, Any]], quantile: str) -> Panel:
    bars = [
        Bar(f"{each['request']}, {when}", each[f"{when} {quantile}"], f"{each[f'{when} {quantile}']:.1f}", colour)
        for each in latencies
        for when, colour in (("idle", PEER_COLOUR), ("load", OURS_COLOUR))
        if f"{when} {quantile}" in each
    ]
    return Panel(f"Latency {quantile}", "milliseconds", bars)
