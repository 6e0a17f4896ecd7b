"""The HTTP envelope of every operation: who, what, do, answer.

An operation is a function from `Request` to `Response`. The caller is known before anything else is looked at, and
every error becomes a response here: 422 in the contract's form, all others as problem details (RFC 9457).
"""

import hashlib
import json
import re
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from customers import lifecycle, observability
from customers.auth import Authenticator, Caller, StoredKey
from customers.context import Context
from customers.dynamodb import Table
from customers.errors import (
    ApiError,
    Forbidden,
    InternalError,
    Invalid,
    PayloadTooLarge,
    PreconditionFailed,
    UnsupportedMediaType,
)
from customers.models import Customer, CustomerOut
from customers.repository import IdempotentRequest, Outcome, Repository
from customers.settings import AuthSettings, Settings

MAX_FILE_BODY_BYTES = 4 << 20  # Lambda takes 6 MB of request, of which base64 makes 4.5
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")  # visible ASCII, as every header may carry it

type Event = Mapping[str, Any]  # API Gateway HTTP API, payload 2.0
type Handler = Callable[[Event, Context], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Response:
    """What an operation answers; of its body only the fields that were set are sent."""

    status: HTTPStatus
    body: BaseModel | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Request:
    """One authenticated request. What it carries is validated when it is asked for; each method may raise `Invalid`."""

    operation: str
    event: Event
    headers: Mapping[str, str]  # names in lower case
    caller: Caller
    settings: Settings

    @property
    def reach(self) -> str | None:
        """The owner whose records the caller reaches; None: everybody's."""
        return None if self.caller.is_admin else self.caller.owner_id

    def require(self, scope: str) -> None:
        if scope not in self.caller.scopes:
            raise Forbidden(f"This needs the scope {scope}")

    @cached_property
    def id(self) -> str:
        """The path's `customer_id`, which is the record's id."""
        return self.path_id("customer_id")

    def path_id(self, name: str) -> str:
        """The UUID that the path has under this name."""
        text = str((self.event.get("pathParameters") or {}).get(name))
        try:
            return str(UUID(text))
        except ValueError:
            raise Invalid.at("path", name, msg="Input should be a valid UUID", kind="uuid_parsing") from None

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; the last one counts of those that come twice."""
        return dict(parse_qsl(self.event.get("rawQueryString", ""), keep_blank_values=True))

    def query[Model: BaseModel](self, model: type[Model]) -> Model:
        return _validate(model, self.parameters, "query", extra="ignore")

    def body[Model: BaseModel](self, model: type[Model]) -> Model:
        """The JSON body. Raises `PayloadTooLarge`, `UnsupportedMediaType`."""
        raw = self._raw_body(self.settings.max_body_bytes)
        media_type = self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if not re.fullmatch(r"application/([\w.-]+\+)?json", media_type):
            raise UnsupportedMediaType("The body must be application/json")
        if not raw.strip():
            raise Invalid.at("body", msg="Field required", kind="missing")
        try:
            data = from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            raise Invalid.at("body", msg=f"JSON decode error: {error}", kind="json_invalid") from None
        if not isinstance(data, dict):
            raise Invalid.at("body", msg="Input should be a JSON object", kind="model_attributes_type")
        return _validate(model, data, "body", extra="forbid" if self.settings.reject_unknown_fields else "ignore")

    def file(self) -> bytes:
        """The part `file` of a multipart/form-data body. Raises `PayloadTooLarge`, `UnsupportedMediaType`."""
        from customers.multipart import file_of  # noqa: PLC0415 - one function takes files: 10 M instructions

        return file_of(self._raw_body(MAX_FILE_BODY_BYTES), self.headers.get("content-type", ""))

    def _raw_body(self, max_bytes: int) -> bytes:
        text = self.event.get("body") or ""
        raw = b64decode(text) if self.event.get("isBase64Encoded") else text.encode()
        if len(raw) > max_bytes:
            raise PayloadTooLarge(f"The body has more than {max_bytes} bytes")
        return raw

    def idempotency(self, body: BaseModel | None = None) -> IdempotentRequest | None:
        """The request's Idempotency-Key, if it has one, with a fingerprint of what it asks."""
        key = self.headers.get("idempotency-key")
        if key is None:
            return None
        if not IDEMPOTENCY_KEY.fullmatch(key):
            raise Invalid.at("header", "Idempotency-Key", msg="Input should be 1 to 255 visible ASCII characters")
        id = self.id if self.event.get("pathParameters") else None  # of a restore
        asked = [key, self.operation, id, body.model_dump(mode="json") if body else None]
        return IdempotentRequest(
            self.caller.owner_id, _sha256(key), _sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False))
        )

    def if_match(self, customer: Customer) -> None:
        """Raise `PreconditionFailed` unless If-Match names the record's version (RFC 9110, section 13.1.1)."""
        tags = _tags(self.headers.get("if-match", "*"))
        if not tags & {"*", customer.etag}:
            raise PreconditionFailed

    def has_current(self, customer: Customer) -> bool:
        """Whether If-None-Match names the record's version: weak comparison (RFC 9110, section 13.1.2)."""
        tags = {tag.removeprefix("W/") for tag in _tags(self.headers.get("if-none-match", ""))}
        return bool(tags & {"*", customer.etag})

    def show(self, customer: Customer) -> CustomerOut:
        return CustomerOut.of(customer, show_owner=self.caller.is_admin)

    def respond(self, status: HTTPStatus, outcome: Outcome, **headers: str) -> Response:
        """The record as it is now, marked when this answers a request that was answered before."""
        if outcome.replayed:
            headers["idempotency-replayed"] = "true"
        return Response(status, self.show(outcome.customer), {"etag": outcome.customer.etag, **headers})


class Service:
    """What a function sets up once, at its cold start. Raises `SettingsError` for a missing or weak setting."""

    def __init__(self) -> None:
        self.settings = Settings.from_env()
        self.table = Table(self.settings.table_name)
        self.customers = Repository(self.table, retention_days=self.settings.retention_days)
        self._renew()
        lifecycle.ready(self.table.connect, self.table.renew, self._renew)

    def _renew(self) -> None:
        """Find out anew by what callers are known: the secret may be another one by now, and the issuer's keys."""
        self._authenticator = Authenticator(AuthSettings.from_env(), self._find_key)

    def operation(self, name: str, *, scope: str) -> Callable[[Callable[[Request], Response]], Handler]:
        """Make a Lambda handler of a function that answers callers who have `scope`."""

        def decorate(answer: Callable[[Request], Response]) -> Handler:
            @wraps(answer)
            def handler(event: Event, context: Context) -> dict[str, Any]:
                started = time.perf_counter()
                request_id = str(event.get("requestContext", {}).get("requestId") or context.aws_request_id)
                self.table.begin(context.get_remaining_time_in_millis)
                code = None
                try:
                    headers = {header.lower(): value for header, value in (event.get("headers") or {}).items()}
                    request = Request(name, event, headers, self._authenticator.authenticate(headers), self.settings)
                    request.require(scope)
                    result = _success(answer(request))
                except Exception as error:  # the one place where errors become responses
                    if error.__cause__ or not isinstance(error, ApiError):
                        observability.record_fault(error)
                    known = error if isinstance(error, ApiError) else InternalError()
                    code = known.code
                    result = _failure(known, request_id)
                result["headers"] |= {"x-request-id": request_id, "cache-control": "no-store"}
                observability.record(
                    name, status=result["statusCode"], code=code, seconds=time.perf_counter() - started, id=request_id
                )
                return result

            return handler

        return decorate

    def _find_key(self, key_id: str) -> StoredKey | None:
        item = self.customers.api_key(key_id)
        return StoredKey.from_item(item) if item else None


def _validate[Model: BaseModel](model: type[Model], data: Any, where: str, *, extra: Any) -> Model:
    """`extra`: what to do with fields that the model does not know, unless it says so itself."""
    try:
        return model.model_validate(data, extra=model.model_config.get("extra", extra))
    except ValidationError as error:
        raise Invalid.of(error, where) from None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _tags(header: str) -> set[str]:
    return {tag.strip() for tag in header.split(",")}


def _success(response: Response) -> dict[str, Any]:
    result: dict[str, Any] = {"statusCode": int(response.status), "headers": dict(response.headers)}
    if response.body:
        result["headers"]["content-type"] = "application/json"
        result["body"] = response.body.model_dump_json(exclude_unset=True)
    return result


def _failure(error: ApiError, request_id: str) -> dict[str, Any]:
    media_type = "application/problem+json"
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": error.status.phrase,
        "status": int(error.status),
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        **error.members,
    }
    if isinstance(error, Invalid):
        media_type, body = "application/json", {"detail": error.problems}
    headers = {**error.headers, "content-type": media_type}
    return {"statusCode": int(error.status), "headers": headers, "body": json.dumps(body)}
