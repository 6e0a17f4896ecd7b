"""A PostgreSQL 15 server with a population in it, for the peer that a user might pick instead.

The server's programs are Debian's (`postgresql-15`, with pg_trgm in it), or those on the PATH. It listens on a Unix
socket that only its user reaches. Its data are kept in .local like the engines'.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.progress import Progress

from bench.engines import START_SECONDS, NotToBeHad
from bench.load_data import KEPT, digest
from bench.peers.postgres_schema import COLUMNS, INDEXES, TABLE
from bench.population import Population
from customers import keys
from customers.models import Customer

VERSION = 15
SERVER_USER = "nobody"  # where root runs this, which the server refuses to be
DATABASE = "postgres"
SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "8GB",
    "random_page_cost": "1.1",
    "jit": "off",  # it would cost these short queries more than it gives
}


@dataclass(frozen=True, slots=True)
class Server:
    version: str
    url: str  # as SQLAlchemy takes it
    load_seconds: float


@contextmanager
def filled(people: Population) -> Iterator[Server]:
    """A running server with these customers; they are loaded first if that was never done. Raises `NotToBeHad`."""
    kept = KEPT / f"postgres-{people.live}-{digest(people)}"
    if not (kept / "loaded.json").exists():
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        _initialise(kept / "data")
        with _running(kept / "data") as socket:
            seconds = _load(people, socket)
        (kept / "loaded.json").write_text(json.dumps({"seconds": round(seconds, 1)}))
    with _running(kept / "data") as socket, _connect(socket) as connection:
        version = connection.execute("SHOW server_version").fetchone()[0]
        url = f"postgresql+psycopg://{_user()}@/{DATABASE}?host={socket}"
        yield Server(f"PostgreSQL {version}", url, json.loads((kept / "loaded.json").read_text())["seconds"])


def _user() -> str:
    return SERVER_USER if os.geteuid() == 0 else Path("~").expanduser().owner()


def _program(name: str) -> str:
    places = [f"/usr/lib/postgresql/{VERSION}/bin", os.environ.get("PATH", "")]
    if not (path := shutil.which(name, path=os.pathsep.join(places))):
        raise NotToBeHad(f"This needs PostgreSQL {VERSION}: install postgresql-{VERSION} and run this again")
    return path


def _as_server() -> Mapping[str, Any]:
    return {"user": SERVER_USER, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def _initialise(data: Path) -> None:
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, SERVER_USER)
    command = [
        _program("initdb"),
        "-D",
        str(data),
        "-U",
        _user(),
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=data, **_as_server())  # noqa: S603 - ours
    if done.returncode:
        raise NotToBeHad(f"initdb has failed:\n{done.stderr}")


@contextmanager
def _running(data: Path) -> Iterator[str]:
    """The directory of the server's socket."""
    with tempfile.TemporaryDirectory(prefix="bench-pg-") as socket:
        if os.geteuid() == 0:
            shutil.chown(socket, SERVER_USER)
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [_program("postgres"), "-D", str(data), "-k", socket, *options]
        with (data.parent / "server.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=data, **_as_server())  # noqa: S603 - ours
        try:
            _wait_for(socket, process)
            yield socket
        finally:
            process.send_signal(signal.SIGINT)  # it does not wait until nobody is connected
            process.wait()


def _wait_for(socket: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _connect(socket).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotToBeHad("PostgreSQL does not answer") from None
            time.sleep(0.1)
        else:
            return


def _connect(socket: str) -> Any:
    return psycopg.connect(f"host={socket} user={_user()} dbname={DATABASE}", autocommit=True)


def _load(people: Population, socket: str) -> float:
    """Copy, then index; how many seconds that took."""
    started = time.monotonic()
    with _connect(socket) as connection, Progress(console=Console(stderr=True)) as progress:
        connection.execute("CREATE EXTENSION pg_trgm")
        connection.execute(f"CREATE TABLE {TABLE} ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
        with connection.cursor().copy(f"COPY {TABLE} ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for customer in progress.track(people.customers(), total=people.size, description="Copying to PostgreSQL"):
                copy.write_row(list(_row(customer).values()))
        for index in progress.track(INDEXES, description="Indexing in PostgreSQL"):
            connection.execute(index)
        connection.execute(f"VACUUM ANALYZE {TABLE}")
    return time.monotonic() - started


def _row(customer: Customer) -> dict[str, Any]:
    entry = keys.DirectoryEntry.of(customer.item())
    texts = {field: getattr(entry, field) for field in ("name", "surname", "email", "customer_id", "phone")}
    folded = {f"{field}_key": text or None for field, text in texts.items()}
    status = None if customer.status is None else entry.status_key
    derived = folded | {"status_key": status, "search": keys.SEPARATOR.join(texts.values())}
    return {name: derived[name] if name in derived else getattr(customer, name) for name in COLUMNS}
