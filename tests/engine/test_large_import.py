"""A large import is exact whatever happens to its workers: killed anywhere, and told everything twice."""

import csv
import io
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from customers.dynamodb import Table
from customers.files import upload_key
from tests import machine
from tests.engine.ledger import Ledger
from tests.handlers import Api, Context
from tests.people import People

ROWS = int(os.environ.get("IMPORT_TEST_ROWS", "6000"))
CHUNK_ROWS = 5_000 if ROWS > 50_000 else 500  # so that there are chunks side by side
FUNCTIONS = {"SplitImport": "split_import", "ImportChunk": "import_chunk", "FinishImport": "finish_import"}


class Killed(BaseException):
    """What a worker does not survive: nothing in it may catch this."""


@dataclass
class Runs:
    """The state machine over a real engine. `invoke` is how each of its tasks is carried out."""

    ledger: Ledger
    bucket: Any
    definition: Any = field(default_factory=lambda: machine.definition("ImportMachine"))

    def start(self, file: bytes, invoke: machine.Invoke | None = None, **asked: Any) -> Any:
        """The import as its owner sees it once it has ended."""
        job = self.ledger.call("create_import", body=asked).body
        self.bucket.put_object(Key=upload_key(job["id"]), Body=file)
        self.upload_event(job["id"], invoke)
        return self.see(job["id"])

    def upload_event(self, id: str, invoke: machine.Invoke | None = None) -> list[str]:
        """The states that the event of an upload leads through."""
        event = {"key": upload_key(id)}
        context = {"Execution": {"Name": str(uuid4())}}
        return machine.run(self.definition, event, invoke or self.invoke, context)[1]

    def invoke(self, function: str, event: Any) -> Any:
        context = Context(lambda: 300_000)
        return self.ledger.api.app(FUNCTIONS[function]).lambda_handler(event, context)

    def see(self, id: str) -> Any:
        return self.ledger.call("get_import", id).body

    def rejected(self, id: str) -> list[dict[str, str]]:
        body = self.bucket.Object(f"results/{id}/rejected.csv").get()["Body"].read()
        return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))


@pytest.fixture(scope="module")
def api(api_with_files: Api) -> Api:
    return api_with_files


@pytest.fixture
def runs(ledger: Ledger, bucket: Any) -> Iterator[Runs]:
    with patch("customers.importing.splitting.CHUNK_ROWS", CHUNK_ROWS):
        yield Runs(ledger, bucket)


def assert_exact(runs: Runs, job: Any, people: People) -> None:
    """The import's counts, its file of rejected rows and the table all say what the file says."""
    bad = people.rejected
    assert {name: job[name] for name in ("state", "total", "processed", "created", "updated", "skipped")} == {
        "state": "completed",
        "total": people.count,
        "processed": people.count,
        "created": people.count - len(bad),
        "updated": 0,
        "skipped": len(bad),
    }
    assert {int(row["row"]): row["code"] for row in runs.rejected(job["id"])} == bad
    records = runs.ledger.assert_true()
    good = {row[0]: row[1] for row, code in people.rows() if not code}
    assert {record["customer_id"]: record["name"] for record in records.values()} == good


def test_every_row_becomes_a_customer_or_is_rejected_with_its_reason(runs: Runs) -> None:
    people = People(ROWS)
    job = runs.start(people.file(), file_name="people.csv")
    assert_exact(runs, job, people)
    assert job["percent"] == 100
    assert job["unknown_columns"] == ["Birthday"]
    assert [each.key for each in runs.bucket.objects.all()] == [f"results/{job['id']}/rejected.csv"]


def test_workers_that_are_killed_anywhere_and_told_everything_twice_lose_and_double_nothing(runs: Runs) -> None:
    chance, lock, faults = random.Random(ROWS), Lock(), Counter[str]()  # noqa: S311
    original = Table.transact

    def transact(table: Table, writes: Any) -> None:
        with lock:
            fate = chance.choices(["", "killed before", "killed after"], [94, 3, 3])[0]
            faults[fate] += 1
        if fate == "killed before":
            raise Killed
        original(table, writes)
        if fate == "killed after":
            raise Killed

    def invoke(function: str, event: Any) -> Any:
        with lock:
            times = chance.choice([1, 1, 2])
            faults["twice"] += times == 2
        with ThreadPoolExecutor(times) as pool:
            answers = [pool.submit(_survived, runs.invoke, function, event) for _ in range(times)]
        return [answer.result() for answer in answers][-1]

    people = People(ROWS, "K")
    runs.definition = patient(runs.definition)
    with patch.object(Table, "transact", transact):
        job = runs.start(people.file(), invoke)
    assert min(faults["killed before"], faults["killed after"], faults["twice"]) > 0
    assert_exact(runs, job, people)


def patient(part: Any) -> Any:
    """A definition that tries again as often as it takes."""
    if isinstance(part, dict):
        return {name: 10_000 if name == "MaxAttempts" else patient(value) for name, value in part.items()}
    return [patient(each) for each in part] if isinstance(part, list) else part


def _survived(invoke: machine.Invoke, function: str, event: Any) -> Any:
    try:
        return invoke(function, event)
    except Killed:
        raise RuntimeError("the worker was killed") from None
