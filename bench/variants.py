"""What is compared: our functions as `make build` makes them, and the peers, installed and compiled alike.

A peer gets what ours has (bytecode that is never compared with its source), and the packages as their authors publish
them: botocore with the descriptions of all services.
"""

import compileall
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from tests.handlers import ENVIRONMENT, FUNCTIONS, OPERATIONS, event
from tools.build import HOST_ARCHITECTURE, up_to_date
from tools.table import ACCOUNT
from tools.template import ROOT

PROCESSORS = sorted(os.sched_getaffinity(0))  # what is measured has the last one for itself
LOCAL = ROOT / ".local"
PINS = ROOT / "requirements" / "bench.txt"
PEERS = ROOT / "bench" / "peers"
KEYS = ROOT / "layers" / "shared" / "customers"  # of which the peers share the keys: the table is the same
OURS = "ours"
RESOLVER = "Powertools resolver"
FASTAPI = "FastAPI + Mangum"
PYNAMODB = "PynamoDB + resolver"
PYDANTIC_FLOOR = "floor: pydantic"
STDLIB_FLOOR = "floor: standard library"
READS = ("get_customer", "list_customers")
ALL = (*READS, "create_customer")


@dataclass(frozen=True, slots=True)
class Peer:
    """A module of bench/peers, what is installed for it, and the operations that it has."""

    module: str
    packages: tuple[str, ...]
    operations: tuple[str, ...] = ALL


PEER_OF: Mapping[str, Peer] = {
    RESOLVER: Peer("powertools_resolver", ("aws-lambda-powertools", "boto3", "email-validator", "pydantic")),
    FASTAPI: Peer("fastapi_mangum", ("boto3", "email-validator", "fastapi", "mangum", "pydantic")),
    PYNAMODB: Peer("pynamodb_resolver", ("aws-lambda-powertools", "email-validator", "pydantic", "pynamodb")),
    PYDANTIC_FLOOR: Peer("pydantic_floor", ("pydantic",), READS),
    STDLIB_FLOOR: Peer("stdlib_floor", (), READS),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """A handler of one operation, and the folders that are on its path as `/var/task` and `/opt/python`."""

    name: str
    operation: str
    handler: str
    folders: tuple[Path, ...]

    @property
    def is_http(self) -> bool:
        return self.operation in OPERATIONS


def runtime() -> Path:
    """Lambda's runtime client, where no variant takes anything else from."""
    return _installed("runtime", ("awslambdaric",))


def variants(only: Sequence[str]) -> list[Variant]:
    """All of them, or those whose name or operation is in `only`; ours of an operation is always with its peers."""
    return [each for each in (*_ours(), *_peers(only)) if not only or {each.name, each.operation} & set(only)]


def _ours() -> Iterator[Variant]:
    built = up_to_date(HOST_ARCHITECTURE, LOCAL / "bench-build")
    for operation in FUNCTIONS:
        directory = built.directory / operation.title().replace("_", "")
        yield Variant(OURS, operation, "app.lambda_handler", (directory, built.layer))


def _peers(only: Sequence[str]) -> Iterator[Variant]:
    for name, peer in PEER_OF.items():
        if only and not {name, *peer.operations} & set(only):
            continue
        folders = (_task(peer.module), _installed(peer.module, peer.packages))
        for operation in peer.operations:
            yield Variant(name, operation, f"bench.peers.{peer.module}.lambda_handler", folders)


def _task(module: str) -> Path:
    """The folder of the peers' own code, compiled: what a function's zip would hold."""
    task = LOCAL / "peers" / module / "task"
    shutil.rmtree(task, ignore_errors=True)
    (task / "customers").mkdir(parents=True)
    shutil.copytree(PEERS, task / "bench" / "peers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "bench" / "__init__.py", task / "bench")
    for name in ("__init__.py", "keys.py"):
        shutil.copy(KEYS / name, task / "customers")
    _compile(task)
    return task


def _installed(name: str, packages: Sequence[str]) -> Path:
    """A folder with these packages and all that they need, in the versions that the benchmark is pinned to."""
    folder = LOCAL / "peers" / name / "python"
    mark, digest = folder.parent / ".made", hashlib.sha256(repr(packages).encode() + PINS.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if packages:
        uv = shutil.which("uv") or str(LOCAL / "uv" / "bin" / "uv")
        command = [uv, "pip", "install", "-q", "--python", "3.13", "--target", str(folder), "-c", str(PINS), *packages]
        subprocess.run(command, check=True)  # noqa: S603 - ours
    _compile(folder)
    mark.write_text(digest)
    return folder


def _compile(folder: Path) -> None:
    mode = PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(folder, quiet=1, force=True, invalidation_mode=mode):
        raise RuntimeError(f"Some module in {folder} does not compile")


def comparable_event(operation: str, limit: int = 10) -> dict[str, Any]:
    """The recorded event, but for what only we have: an Idempotency-Key, a listing in another order."""
    recorded = event(operation)
    if operation in ALL:
        recorded["headers"].pop("idempotency-key", None)
    if operation == "list_customers":
        recorded |= {"rawQueryString": f"limit={limit}", "queryStringParameters": {"limit": str(limit)}}
    return recorded


def environment(endpoint: str) -> dict[str, str]:
    """What Lambda and template.yaml tell every variant alike; AWS is at `endpoint`."""
    return {
        **ACCOUNT,
        **ENVIRONMENT,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        "AWS_REGION": ACCOUNT["AWS_DEFAULT_REGION"],
        "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLETOKEN",
        "POWERTOOLS_SERVICE_NAME": "customers",
        "TZ": ":UTC",
    }
