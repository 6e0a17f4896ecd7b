"""Lambda's Runtime API, as much of it as a function needs that the real runtime client, `awslambdaric`, runs.

The client asks for the next invocation, posts what the handler returned or raised, and asks again; it does one thing at
a time, so one thread serves it. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from tools.template import ROOT

VERSION = "/2018-06-01"
WAIT_SECONDS = 60  # for anything, on a machine that is busy with other tests
TIMEOUT_MILLISECONDS = 15_000  # of a function, as in template.yaml


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event in its JSON text; `milliseconds` is what remains until its deadline when the function gets it."""

    event: bytes
    milliseconds: int
    id: str


class RuntimeApi(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.invocations = SimpleQueue[Invocation | None]()  # None: there will be no more
        self.posts = SimpleQueue[tuple[str, Any]]()  # path and body


class _Call(BaseHTTPRequestHandler):
    server: RuntimeApi

    def do_GET(self) -> None:
        assert self.path == f"{VERSION}/runtime/invocation/next"
        invocation = self.server.invocations.get()  # `running` ends this wait
        if invocation is None:
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(time.time_ns() // 1_000_000 + invocation.milliseconds),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:test",
            "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
            "Content-Type": "application/json",
        }
        self._answer(HTTPStatus.OK, invocation.event, headers)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(HTTPStatus.ACCEPTED, b"", {})
        self.server.posts.put((self.path.removeprefix(VERSION), body))

    def _answer(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Function:
    """A function in a process of its own, between its cold start and its end."""

    api: RuntimeApi
    process: subprocess.Popen[bytes]

    def invoke(self, event: bytes, milliseconds: int = TIMEOUT_MILLISECONDS) -> Any:
        """What the handler returned. An error that it raised fails the test, as does a process that has ended."""
        kind, body = self.outcome(event, milliseconds)
        assert kind == "response", body
        return body

    def outcome(self, event: bytes, milliseconds: int) -> tuple[str, Any]:
        """A `response` and what the handler returned, or an `error` and what Lambda is told of it."""
        invocation = Invocation(event, milliseconds, str(uuid4()))
        self.api.invocations.put(invocation)
        path, body = self.posted()
        before, _, kind = path.rpartition("/")
        assert before == f"/runtime/invocation/{invocation.id}", path
        return kind, body

    def posted(self) -> tuple[str, Any]:
        """The next message of the function to Lambda."""
        try:
            return self.api.posts.get(timeout=WAIT_SECONDS)
        except Empty:
            raise AssertionError(f"The function is silent; its exit status: {self.process.poll()}") from None


@contextmanager
def running(operation: str, settings: Mapping[str, str], region: str) -> Iterator[Function]:
    """Start the function as Lambda's image does, with the variables that Lambda sets, and end it."""
    root = ROOT / "functions" / operation
    with RuntimeApi() as api:
        environment = {
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",  # the client then waits for invocations in a thread
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_NAME": operation,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "Text",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{operation}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/31/[$LATEST]0123456789abcdef",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
            "AWS_REGION": region,
            "LAMBDA_TASK_ROOT": str(root),
            "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's file system is read-only
            "TZ": ":UTC",
            "_HANDLER": "app.lambda_handler",
        }
        command = [sys.executable, "-m", "awslambdaric", environment["_HANDLER"]]
        with subprocess.Popen(command, cwd=root, env={**os.environ, **environment, **settings}) as process:  # noqa: S603 - ours
            server = threading.Thread(target=api.serve_forever, args=[0.05])
            server.start()
            try:
                yield Function(api, process)
            finally:
                process.kill()
                process.wait(WAIT_SECONDS)
                api.invocations.put(None)
                api.shutdown()
                server.join(WAIT_SECONDS)
