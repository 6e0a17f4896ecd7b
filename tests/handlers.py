"""Calls the functions' handlers as API Gateway would, with the recorded events of `events/`."""

import importlib.util
import json
import os
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from unittest.mock import patch

from joserfc import jwt
from joserfc.jwk import OctKey

from tools.openapi import routes
from tools.template import ROOT

FUNCTIONS = sorted(app.parent.name for app in ROOT.glob("functions/*/app.py"))
OPERATIONS = sorted(routes())  # the functions that are called over HTTP
ENVIRONMENT: Mapping[str, str] = json.loads((ROOT / "events/env.json").read_text())["Parameters"]
FAR_FUTURE = 4_102_444_800  # 2100-01-01
LOADING = Lock()  # the environment is one for all threads
BOUNDARY = "end-of-part"


def bearer(owner_id: str, **claims: Any) -> str:
    """An Authorization header of a token for `owner_id`."""
    key = OctKey.import_key(ENVIRONMENT["JWT_SECRET"])
    return "Bearer " + jwt.encode({"alg": "HS256"}, {"sub": owner_id, "exp": FAR_FUTURE, **claims}, key)


def event(operation: str) -> dict[str, Any]:
    return json.loads((ROOT / f"events/{operation}.json").read_text())  # type: ignore[no-any-return]


def message(detail_type: str, detail: Mapping[str, Any], id: str = "1") -> dict[str, Any]:
    """An event on the queue, in the message `id`."""
    recorded: dict[str, Any] = event("record_activity")["Records"][0]
    return recorded | {"messageId": id, "body": json.dumps(event(detail_type) | {"detail": detail})}


def multipart(file: bytes) -> bytes:
    """The form that a client sends a file in, its parts between `BOUNDARY`."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="customers.csv"\r\n\r\n'
    return head.encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass
class Context:
    """Lambda's context; `left` are the milliseconds that remain."""

    left: Callable[[], int] = lambda: 15_000
    aws_request_id: str = "lambda-request"

    def get_remaining_time_in_millis(self) -> int:
        return self.left()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def id(self) -> str:
        return str(self.body["id"])


@dataclass
class Api:
    """The handlers over one table. `check` sees every answer: (operation, proxy response)."""

    environment: Mapping[str, str]
    check: Callable[[str, dict[str, Any]], None] = lambda _operation, _response: None
    apps: dict[str, Any] = field(default_factory=dict)

    def app(self, operation: str) -> Any:
        """The function's module, loaded as a cold start loads it."""
        with LOADING:
            if operation not in self.apps:
                spec = importlib.util.spec_from_file_location(
                    f"{operation}_app", ROOT / f"functions/{operation}/app.py"
                )
                assert spec
                assert spec.loader
                module = importlib.util.module_from_spec(spec)
                with patch.dict(os.environ, self.environment):
                    spec.loader.exec_module(module)
                self.apps[operation] = module
        return self.apps[operation]

    def raw(self, operation: str, event: Mapping[str, Any], context: Context | None = None) -> Answer:
        response = self.app(operation).lambda_handler(event, context or Context())
        self.check(operation, response)
        return Answer(response["statusCode"], response["headers"], json.loads(response.get("body") or "null"))

    def call(
        self,
        operation: str,
        id: str | None = None,
        body: Any = None,
        *,
        query: str = "",
        owner: str = "demo-owner",
        headers: Mapping[str, str | None] | None = None,
        context: Context | None = None,
        **claims: Any,
    ) -> Answer:
        """One request of `owner`. A body of text or bytes is sent as it is; a header of None is taken away.

        `id` is what the path names: `customer_id`, `import_id`, whatever the operation has.
        """
        request = event(operation)
        request["rawQueryString"] = query
        sent = {"authorization": bearer(owner, **claims), "content-type": "application/json", **(headers or {})}
        recorded = {name: value for name, value in request["headers"].items() if name in {"host", "user-agent"}}
        request["headers"] = {name: value for name, value in (recorded | sent).items() if value is not None}
        if id is not None:
            ((name, recorded_id),) = request["pathParameters"].items()
            request["rawPath"] = request["rawPath"].replace(recorded_id, id)
            request["pathParameters"] = {name: id}
        request["isBase64Encoded"] = isinstance(body, bytes)
        if isinstance(body, bytes):
            body = b64encode(body).decode()
        request["body"] = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        return self.raw(operation, request, context)

    def upload(self, file: bytes, *, headers: Mapping[str, str | None] | None = None, **options: Any) -> Answer:
        """An import of this file at once; `options` are those of `call`."""
        form = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
        return self.call("import_customers", body=multipart(file), headers=form, **options)

    def create(self, customer_id: str = "C-1", **fields: Any) -> Answer:
        """A new customer of `owner`, made through the API."""
        owner = fields.pop("owner", "demo-owner")
        answer = self.call("create_customer", body={"customer_id": customer_id, **fields}, owner=owner)
        assert answer.status == 201, answer
        return answer

    def deliver(self, messages: Sequence[Mapping[str, Any]], context: Context | None = None) -> list[Mapping[str, Any]]:
        """One batch of the queue's messages; those that are to be delivered again."""
        answer = self.app("record_activity").lambda_handler({"Records": messages}, context or Context())
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        return [each for each in messages if each["messageId"] in failed]
