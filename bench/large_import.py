"""How fast a worker imports and how much memory that takes: `make bench PART=imports`.

For each size a process of its own runs the state machine of template.yaml, one chunk at a time, over MiniStack's
DynamoDB and S3 in another process: only the worker's own processor time counts. The peer, in the same run, is a
transaction for each row: what POST /customers does, without HTTP.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import boto3
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Grid

from bench import plots, results
from bench.plots import Bar, Panel
from customers.dynamodb import Table
from customers.files import upload_key
from customers.models import CustomerCreate
from customers.repository import Repository
from tests import machine
from tests.handlers import ENVIRONMENT, Api, Context
from tests.people import People
from tools.engine import started
from tools.table import ACCOUNT, create_table

SIZES = (20_000, 200_000)
PEER_ROWS = 2_000
FILE = "people.csv"
WORKER, ONE_BY_ONE = "rows/s of a worker", "rows/s one by one"
PACKAGES = ("boto3", "botocore", "pydantic")
FUNCTIONS = {"SplitImport": "split_import", "ImportChunk": "import_chunk", "FinishImport": "finish_import"}


def main(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench PART=imports", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)  # in a process of its own, with an engine
    arguments = parser.parse_args(given)
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return 0
    measured = []
    with Progress(console=Console(stderr=True)) as progress:
        for rows in progress.track(arguments.rows, description="Importing"):
            with TemporaryDirectory() as directory, started(Path(directory)) as engine:
                environment = {**os.environ, **ACCOUNT, **prepare(engine, rows)}
                command = [sys.executable, "-m", "bench.large_import", "--measure", str(rows)]
                done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603 - ours
            measured.append(json.loads(done.stdout.splitlines()[-1]))
    grid = Grid(*measured[0], title="A worker's own processor time; the engine is not in it")
    for each in measured:
        grid.add_row(*(f"{value:,}" for value in each.values()))
    Console().print(grid)
    if arguments.rows == SIZES:
        results.write("imports", {"sizes": measured}, [], PACKAGES)
        plots.save("imports", [panel_of(each) for each in measured])
    return 0


def panel_of(measured: Mapping[str, float]) -> Panel:
    bars = [
        Bar(kind, measured[name], f"{measured[name]:,.0f} ({measured[name] / measured[ONE_BY_ONE]:.1f}×)", colour)
        for kind, name, colour in (
            ("import", WORKER, plots.OURS_COLOUR),
            ("one by one", ONE_BY_ONE, plots.PEER_COLOUR),
        )
    ]
    return Panel(f"Import of {measured['rows']:,} rows", "rows for a second of a worker's processor", bars)


def prepare(engine: str, rows: int) -> dict[str, str]:
    """A table and a bucket with the file, made here so that the process that is measured never holds it."""
    name = f"bench-{uuid4()}"
    session = boto3.Session(ACCOUNT["AWS_ACCESS_KEY_ID"], ACCOUNT["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    create_table(session.client("dynamodb", endpoint_url=engine), name)
    s3 = session.client("s3", endpoint_url=engine)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key=FILE, Body=People(rows).file())
    return {"AWS_ENDPOINT_URL": engine, "BENCH_NAME": name}


def measure(rows: int) -> dict[str, float]:
    """An import of `rows` rows of which 1 % is bad, checked, and the peer."""
    engine, name = os.environ["AWS_ENDPOINT_URL"], os.environ["BENCH_NAME"]
    api = Api({**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": engine, "TABLE_NAME": name, "BUCKET_NAME": name})
    seconds = dict.fromkeys(FUNCTIONS.values(), 0.0)

    def invoke(function: str, event: Any) -> Any:
        app = api.app(FUNCTIONS[function])
        started = time.process_time()
        answer = app.lambda_handler(event, Context(lambda: 300_000))
        seconds[FUNCTIONS[function]] += time.process_time() - started
        return answer

    id = api.call("create_import", body={}).id
    boto3.client("s3").copy_object(Bucket=name, Key=upload_key(id), CopySource={"Bucket": name, "Key": FILE})
    definition = machine.definition("ImportMachine")
    definition["States"]["ApplyChunks"]["MaxConcurrency"] = 1
    machine.run(definition, {"key": upload_key(id)}, invoke, {"Execution": {"Name": "bench"}})
    peak = _peak_megabytes()
    job = api.call("get_import", id).body
    assert (job["state"], job["created"], job["skipped"]) == ("completed", rows * 99 // 100, rows // 100), job  # noqa: S101
    worker = rows / seconds["import_chunk"]
    peer = _rows_per_second_one_by_one(Table(name))
    return {
        "rows": rows,
        WORKER: round(worker),
        ONE_BY_ONE: round(peer),
        "ratio": round(worker / peer, 1),
        "rows/s split": round(rows / seconds["split_import"]),
        "MB at most": round(peak),
    }


def _peak_megabytes() -> float:
    """The largest size of this process since it began; `getrusage` would include its parent's, which made the file."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _rows_per_second_one_by_one(table: Table) -> float:
    repository = Repository(table, retention_days=30)
    good = (row for row, problem in People(2 * PEER_ROWS, "one-by-one").rows() if not problem)
    started = time.process_time()
    for key, name, surname, email, phone, status, _ in islice(good, PEER_ROWS):
        values = {
            "customer_id": key,
            "name": name,
            "surname": surname,
            "email": email,
            "phone": phone,
            "status": status,
        }
        repository.create("peer", CustomerCreate.model_validate(values).model_dump(), None)
    return PEER_ROWS / (time.process_time() - started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
