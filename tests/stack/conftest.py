"""Ring 3: the stack as `make run` brings it up, with IAM enforced, spoken to over HTTP."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from customers import keys
from customers.dynamodb import encode
from tests.documented import assert_documented
from tools.local_cloud import LOCAL_STACK, LocalCloud
from tools.openapi import routes
from tools.template import ROOT

CURL_LINES = 7
STOP_SECONDS = 150  # more than the tool gives MiniStack
EVENT_SECONDS = 5  # from the bus to what the API answers
IMPORT_SECONDS = 60  # from an upload to the import's end: three cold starts, and a state machine around them
# Headers that the gateway adds.
OF_THE_GATEWAY = re.compile("content-length|date|apigw-requestid|vary|access-control-.*")


@dataclass
class Stack:
    """`make run` in a directory and on a port of its own, and what it has printed."""

    directory: Path
    port: int
    process: "subprocess.Popen[str]" = field(init=False)
    printed: list[str] = field(init=False)

    def start(self) -> None:
        """Start it, and read what it prints up to the last line to paste."""
        with (self.directory / "progress").open("wb") as progress:
            self.process = subprocess.Popen(  # noqa: S603 - ours
                [sys.executable, "-m", "tools.run", "--port", str(self.port)],
                cwd=ROOT,
                env={**os.environ, "LOCAL_CLOUD": str(self.directory / "cloud")},
                stdout=subprocess.PIPE,
                stderr=progress,
                text=True,
            )
        self.printed = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            if len(self.curl_lines) == CURL_LINES:
                return
        pytest.fail((self.directory / "progress").read_text())

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=STOP_SECONDS)
        assert self.process.returncode == 0

    @property
    def curl_lines(self) -> list[str]:
        return [line for line in self.printed if line.startswith("curl ")]

    @property
    def exported(self) -> dict[str, str]:
        lines = (re.fullmatch(r"export (\w+)=(\S+).*", line) for line in self.printed)
        return {line[1]: line[2] for line in lines if line}

    @property
    def cloud(self) -> LocalCloud:
        return LocalCloud(self.directory / "cloud", self.port)

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource of the template."""
        found = self.cloud.client("cloudformation").describe_stack_resource(
            StackName=LOCAL_STACK, LogicalResourceId=logical_id
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """What a function, by its logical id, answers to an event; None if it fails."""
        answer = self.cloud.client("lambda").invoke(FunctionName=self.resource(function), Payload=json.dumps(event))
        payload = json.load(answer["Payload"])
        return None if "FunctionError" in answer else payload

    def deliver(self, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Whether `record_activity` has settled a batch of messages."""
        return bool(self.invoke("RecordActivity", {"Records": messages}) == {"batchItemFailures": []})

    def tell(self, detail_type: str, detail: Mapping[str, Any]) -> str:
        """Put an event on the bus; its id."""
        entry = {"EventBusName": self.resource("Bus"), "Source": "test", "DetailType": detail_type}
        answer = self.cloud.client("events").put_events(Entries=[entry | {"Detail": json.dumps(detail)}])
        return str(answer["Entries"][0]["EventId"])

    def make_due(self, id: str) -> None:
        """Let a deleted customer's retention have ended."""
        self.cloud.client("dynamodb").update_item(
            TableName=self.resource("Table"),
            Key=encode(keys.customer(id)),
            UpdateExpression="SET purge_at = :long_ago",
            ExpressionAttributeValues=encode({":long_ago": "2020-01-01T00:00:00.000000Z"}),
        )

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.exported['TOKEN']}"}

    @property
    def api_key(self) -> dict[str, str]:
        return {"X-API-Key": self.exported["API_KEY"]}

    @property
    def admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.exported['ADMIN_TOKEN']}"}

    def call(
        self,
        operation: str,
        id: str | None = None,
        body: Any = None,
        *,
        file: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request, whose response must be as docs/openapi.json says; by bearer unless `headers` say who calls.

        `id` is what the path names, `file` is sent as a form.
        """
        method, path = routes()[operation]
        if id is not None:
            path = re.sub(r"\{\w+}", id, path)
        url, form = self.exported["API"] + path, None if file is None else {"file": file}
        response = httpx.request(
            method, url, params=params, json=body, files=form, headers=headers or self.bearer, timeout=30
        )
        own = {name: value for name, value in response.headers.items() if not OF_THE_GATEWAY.fullmatch(name)}
        proxied = {"statusCode": response.status_code, "headers": own, "body": response.text or None}
        assert_documented(operation, proxied)
        return response

    def upload(self, job: Mapping[str, Any], file: bytes, **fields: str) -> httpx.Response:
        """Send the file of an import that has just been made; `fields` are others than those that its link has."""
        link = job["upload"]
        return httpx.post(link["url"], data={**link["fields"], **fields}, files={"file": file}, timeout=30)

    def send(self, file: bytes, headers: Mapping[str, str] | None = None, **asked: Any) -> str:
        """A new import of `file`; its id."""
        job = self.call("create_import", body=asked, headers=headers).json()
        assert self.upload(job, file).status_code == HTTPStatus.NO_CONTENT
        return str(job["id"])

    def paste(self, line: str, **variables: str) -> httpx.Response:
        """What a curl line does. Options: -s, -X, -H, -d; `$NAME` stands for a variable or what `make run` exported."""
        known = self.exported | variables
        words = shlex.split(re.sub(r"\$(\w+)", lambda name: known[name[1]], line))
        assert words.pop(0) == "curl"
        method, url, headers, data = None, "", httpx.Headers(), None
        while words:
            match words.pop(0):
                case "-s":
                    pass
                case "-X":
                    method = words.pop(0)
                case "-H":
                    name, _, value = words.pop(0).partition(": ")
                    headers[name] = value
                case "-d":
                    data = words.pop(0)
                case word:
                    url = word
        return httpx.request(method or ("POST" if data else "GET"), url, headers=headers, content=data, timeout=30)


def soon[Found](look: Callable[[], Found], seconds: float = EVENT_SECONDS) -> Found:
    """What `look` finds, once it does: an event has been seen. Fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stack = Stack(tmp_path_factory.mktemp("stack"), port)
    stack.start()
    yield stack
    stack.stop()
