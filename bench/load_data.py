"""Customers in an engine: loaded once for each size, kept on disk, and given to each run as a copy of its own.

`python -m bench.load_data --sizes 1000000` loads beforehand, which for a million takes about half an hour.
"""

import argparse
import hashlib
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import batched
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import boto3
import urllib3
from rich.console import Console
from rich.progress import Progress

from bench.engines import DYNAMODB_LOCAL, Kind, Running, running, signed
from bench.population import Population
from customers.attribute_values import encode
from customers.dynamodb import BATCH_WRITE_ITEMS
from tools.table import ACCOUNT, create_table, definition
from tools.template import ROOT

KEPT = ROOT / ".local" / "bench-data"
TABLE = "customers"
THREADS = 4
MEMORY = Path("/dev/shm")  # noqa: S108 - its files are in memory, where an engine that syncs each write is 5 times faster
BYTES_OF_A_CUSTOMER = 6_000  # in an engine's files, generously


@dataclass(frozen=True, slots=True)
class Loaded:
    """A running engine with a population in its table `TABLE`."""

    people: Population
    engine: Running
    load_seconds: float


@contextmanager
def loaded(live: int, kind: Kind = DYNAMODB_LOCAL) -> Iterator[Loaded]:
    """A copy of the data of this size, loaded first if that was never done. Raises `NotToBeHad`."""
    people = Population(live)
    kept = load(people, kind)
    with _workplace(people) as place:
        data = shutil.copytree(kept, place / "data")
        with running(kind, data) as engine:
            yield Loaded(people, engine, json.loads((kept / "loaded.json").read_text())["seconds"])


def load(people: Population, kind: Kind) -> Path:
    """The directory that keeps the engine's data."""
    kept = KEPT / f"{kind.name.replace(' ', '-').lower()}-{people.live}-{digest(people)}"
    if (kept / "loaded.json").exists():
        return kept
    with _workplace(people) as place:
        data = place / "data"
        with running(kind, data) as engine:
            seconds = fill(people, engine.url)
            took = {"seconds": round(seconds, 1), "engine": engine.name, "engine_cpu_seconds": engine.cpu_seconds()}
        for database in data.glob("*.db"):  # of DynamoDB Local
            index_all(database)
        (data / "loaded.json").write_text(json.dumps(took))
        KEPT.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(data, kept.with_suffix(".part"), dirs_exist_ok=True)
        kept.with_suffix(".part").rename(kept)
    return kept


def digest(people: Population) -> str:
    """Of all that makes the data what they are: the table, and how people are made and written."""
    parts = [json.dumps(definition(), sort_keys=True), repr(list(Population(1_000).items())), str(people.live)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def index_all(database: Path) -> None:
    """Give DynamoDB Local's file the indexes that it makes only for some projections: then a Query is no scan.

    That changes no answer and no unit, only how long it takes.
    """
    with sqlite3.connect(database) as connection:
        ((information,),) = connection.execute("SELECT TableInfo FROM dm WHERE TableName = ?", [TABLE])
        for name, attributes in json.loads(information)["SQLiteIndex"].items():
            columns = ", ".join([each["SQLiteColumnName"] for each in attributes] + ["hashRangeValue"])
            if name:
                connection.execute(f'CREATE INDEX IF NOT EXISTS "{TABLE}*{name}" ON "{TABLE}" ({columns})')
        connection.execute("ANALYZE")


@contextmanager
def _workplace(people: Population) -> Iterator[Path]:
    """A directory in memory if there is room, otherwise on disk; gone afterwards."""
    room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * people.size * BYTES_OF_A_CUSTOMER
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=MEMORY if room else KEPT) as directory:
        yield Path(directory)


def client(url: str) -> Any:
    """A DynamoDB client of the engine at `url`."""
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=ACCOUNT["AWS_DEFAULT_REGION"],
        aws_access_key_id=ACCOUNT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ACCOUNT["AWS_SECRET_ACCESS_KEY"],
    )


def fill(people: Population, url: str) -> float:
    """Make the table and write all its items; how many seconds that took."""
    create_table(client(url), TABLE)
    started = time.monotonic()
    writer = _Writer(url)
    waiting = BoundedSemaphore(4 * THREADS)  # batches that are made but not yet written
    with ThreadPoolExecutor(THREADS) as pool, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"Loading {people.live:,}", total=people.size)
        writes = []
        for batch in batched(people.items(), BATCH_WRITE_ITEMS, strict=False):
            waiting.acquire()
            write = pool.submit(writer.write, [encode(item) for item in batch])
            write.add_done_callback(lambda _: waiting.release())
            writes.append(write)
            progress.advance(task, len(batch))
        for write in writes:
            write.result()
    return time.monotonic() - started


class _Writer:
    """BatchWriteItem by hand: botocore's own serializer would take as long as the engine."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=THREADS, block=True)

    def write(self, items: Sequence[Any]) -> None:
        asked = {TABLE: [{"PutRequest": {"Item": item}} for item in items]}
        while asked:
            body = json.dumps({"RequestItems": asked}, ensure_ascii=False).encode()
            headers = signed(self._url, "BatchWriteItem", body)
            answer = self._pool.request("POST", self._url + "/", body=body, headers=headers, retries=False)
            if answer.status != HTTPStatus.OK:
                raise RuntimeError(answer.data.decode())
            asked = json.loads(answer.data).get("UnprocessedItems")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.load_data", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000])
    for live in parser.parse_args().sizes:
        kept = load(Population(live), DYNAMODB_LOCAL)
        print(f"{kept.relative_to(ROOT)}: {json.loads((kept / 'loaded.json').read_text())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
