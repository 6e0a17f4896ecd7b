"""A proxy before an engine, in a process of its own, that notes what each request consumes.

It knows nothing of who asks: the functions and their peers are measured alike. Two habits of DynamoDB Local that AWS
does not have are mended on the way, because they would flatter or harm whoever is measured:

- It ends a page of an index at 1 MB of whole records, and of a filtered Query at 1 MB of what is left. A Query is
  therefore asked in parts, which are joined to what AWS reads at a time: 1 MB of entries before the filter. Units are
  the sum of the parts', each rounded up by the engine to half a unit: up to 1 % too many where a page is full.
- It charges nothing for what a Query or a BatchGetItem does not find; AWS charges the least that a read can cost.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any, ClassVar

from bench.engines import HOST, free_port, signed, wait_for

PAGE_BYTES = 1 << 20
UNIT_BYTES = 8 << 10  # of an eventually consistent read
FIRST_PART = 1_000  # entries of a Query's first part; from it the others are sized
TABLE = "table"  # what is consumed of the table itself is under this name
READS = {"GetItem", "Query", "BatchGetItem", "Scan", "TransactGetItems"}

type Units = dict[str, float]  # by index, or TABLE


@dataclass(frozen=True, slots=True)
class Call:
    """One request as its client made it. Times are of one clock, in seconds; bytes those of the answer."""

    operation: str
    started: float
    ended: float
    bytes: int
    units: Units = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        return self.operation in READS


@dataclass(frozen=True, slots=True)
class Meter:
    """A running proxy, as its clients see it."""

    url: str

    def take(self) -> list[Call]:
        """What was asked since the last time."""
        with urllib.request.urlopen(f"{self.url}/calls") as answer:  # noqa: S310 - loopback
            return [Call(**each) for each in json.load(answer)]

    def hold(self, milliseconds: float) -> None:
        """From now on, let each answer take at least so long: what was asked side by side is then seen to be so."""
        urllib.request.urlopen(f"{self.url}/hold/{milliseconds}").close()  # noqa: S310 - loopback


@contextmanager
def metered(engine: str) -> Iterator[Meter]:
    port = free_port()
    command = [sys.executable, "-m", "bench.meter", engine, str(port)]
    with subprocess.Popen(command) as process:  # noqa: S603 - ours
        try:
            wait_for(f"http://{HOST}:{port}/hold/0", process)
            yield Meter(f"http://{HOST}:{port}")
        finally:
            process.terminate()


def sequential(calls: Sequence[Call]) -> int:
    """The longest chain of calls of which each began after the one before it had ended."""
    chain, ended = 0, float("-inf")
    for call in sorted(calls, key=lambda each: each.ended):
        if call.started >= ended:
            chain, ended = chain + 1, call.ended
    return chain


def consumed(calls: Sequence[Call], *, reads: bool) -> Units:
    total = Counter[str]()
    for call in calls:
        if call.is_read is reads:
            total.update(call.units)
    return {name: units for name, units in sorted(total.items()) if units}


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    engine = ""
    held = 0.0
    calls: ClassVar[list[Call]] = []
    lock = Lock()

    def setup(self) -> None:
        super().setup()
        self._engine = HTTPConnection(self.engine.removeprefix("http://"))

    def do_GET(self) -> None:
        match self.path.split("/")[1:]:
            case ["hold", milliseconds]:
                type(self).held = float(milliseconds) / 1000
                self._answer(b"{}")
            case ["calls"]:
                with self.lock:
                    taken = [asdict(call) for call in self.calls]
                    self.calls.clear()
                self._answer(json.dumps(taken).encode())

    def do_POST(self) -> None:
        started = time.monotonic()
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        capacity = {"ReturnConsumedCapacity": "INDEXES"} if operation in READS or "Write" in operation else {}
        if operation in {"PutItem", "UpdateItem", "DeleteItem"}:
            capacity = {"ReturnConsumedCapacity": "INDEXES"}
        status, answer = (self._pages if operation == "Query" else self._forward)({**asked, **capacity})
        units = _units(answer.pop("ConsumedCapacity", []))
        if operation == "Query" and not sum(units.values()):
            units = {asked.get("IndexName", TABLE): _least(asked)}
        if operation == "BatchGetItem" and status == HTTPStatus.OK:
            units[TABLE] = units.get(TABLE, 0) + _missing(asked, answer)
        body = json.dumps(answer, ensure_ascii=False).encode()
        time.sleep(max(0.0, self.held - (time.monotonic() - started)))
        call = Call(operation, started, time.monotonic(), len(body), units)
        with self.lock:
            self.calls.append(call)
        self._answer(body, status)

    def _pages(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """A Query in parts, until AWS would end the page."""
        limit, size = asked.get("Limit", sys.maxsize), FIRST_PART
        joined = dict[str, Any]()
        while True:
            left = limit - joined.get("ScannedCount", 0)
            status, part = self._forward({**asked, "Limit": min(left, size)})
            if status != HTTPStatus.OK:
                return status, part
            joined = _joined(joined, part)
            read = joined["ConsumedCapacity"]["CapacityUnits"] * UNIT_BYTES / (1 + asked.get("ConsistentRead", False))
            if "LastEvaluatedKey" not in joined or joined["ScannedCount"] >= limit or read >= PAGE_BYTES:
                return status, joined
            asked["ExclusiveStartKey"] = joined["LastEvaluatedKey"]
            size = max(1, round((PAGE_BYTES - read) / (read / joined["ScannedCount"])))

    def _forward(self, asked: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        body = json.dumps(asked, ensure_ascii=False).encode()
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        self._engine.request("POST", "/", body, signed(self.engine, operation, body))
        response = self._engine.getresponse()
        return response.status, json.loads(response.read())

    def _answer(self, body: bytes, status: int = HTTPStatus.OK) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a line for each request helps nobody."""


def _units(capacity: Any) -> Units:
    """Of one ConsumedCapacity or several. What is not an index's is the table's: not every engine says so."""
    total = Counter[str]()
    for each in capacity if isinstance(capacity, list) else [capacity]:
        indexes = {name: part["CapacityUnits"] for name, part in each.get("GlobalSecondaryIndexes", {}).items()}
        total.update({**indexes, TABLE: each["CapacityUnits"] - sum(indexes.values())})
    return dict(total)


def _least(asked: Mapping[str, Any]) -> float:
    """The units of a read that finds nothing."""
    return 1.0 if asked.get("ConsistentRead") else 0.5


def _missing(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> float:
    """The units of the keys of a BatchGetItem that nothing is found for."""
    total = 0.0
    for table, of_table in asked["RequestItems"].items():
        unprocessed = answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})["Keys"]
        absent = len(of_table["Keys"]) - len(answer["Responses"].get(table, [])) - len(unprocessed)
        total += absent * _least(of_table)
    return total


def _joined(before: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Two parts of one page."""
    if not before:
        return dict(part)
    joined = {name: before[name] + part[name] for name in ("Items", "Count", "ScannedCount") if name in part}
    capacities = before["ConsumedCapacity"], part["ConsumedCapacity"]
    return {**part, **joined, "ConsumedCapacity": _added(*capacities)}


def _added(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return {name: _added(one[name], other[name]) for name in one}
    return one if isinstance(one, str) else one + other


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = socket.SOMAXCONN

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def main() -> None:
    engine, port = sys.argv[1:]
    _Proxy.engine = engine
    _Server((HOST, int(port)), _Proxy).serve_forever()


if __name__ == "__main__":
    main()
