"""A MiniStack of one's own for tests and benchmarks: nothing is deployed to it, and it keeps nothing."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local_cloud import HOST, MINISTACK_BIN, START_SECONDS

SERVICES = "dynamodb,s3"


@contextmanager
def started(directory: Path) -> Iterator[str]:
    """Its address, on a free port, while it runs. Raises `RuntimeError` if it does not start."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    options = {"GATEWAY_PORT": str(port), "BIND_HOST": HOST, "SERVICES": SERVICES, "LOG_LEVEL": "ERROR"}
    environment = {**os.environ, **options, "TMPDIR": str(directory)}
    with subprocess.Popen([MINISTACK_BIN / "ministack"], env=environment, cwd=directory) as process:  # noqa: S603 - ours
        try:
            _wait_for(f"http://{HOST}:{port}/_ministack/health", process)
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()  # it has nothing to keep


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - loopback
        except (urllib.error.URLError, TimeoutError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("MiniStack does not answer") from None
            time.sleep(0.05)
        else:
            return
