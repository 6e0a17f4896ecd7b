"""The API over HTTP: sends, tries again what may pass, and puts its errors in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from customers_cli.connection import Connection
from customers_cli.failures import Failure, Refused, Unreachable
from customers_cli.world import ATTEMPTS, TIMEOUT, Say, World, retry_after

type Job = Mapping[str, Any]  # an ImportJob or ExportJob of the contract
type Values = Mapping[str, str | int | bool]

PASSING = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
MEANINGS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "The API does not accept the credential",
    HTTPStatus.FORBIDDEN: "The credential does not allow this",
    HTTPStatus.NOT_FOUND: "The API does not find it",
    HTTPStatus.CONFLICT: "Something else is in the way",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The API does not understand the request",
}
STRANGE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}  # what a server says that has no such path


@dataclass(frozen=True, slots=True)
class Answer:
    body: dict[str, Any]
    retry_after: float  # seconds; 0: it does not say


class Api:
    """Every method may raise `Refused` or `Unreachable`.

    All that it sends may be sent twice: reads, a DELETE of what then is deleted, POSTs with an Idempotency-Key.
    """

    def __init__(self, connection: Connection, world: World, say: Say) -> None:
        self._connection = connection
        self._world = world
        self._say = say
        self._http = world.http(base_url=connection.url, headers=dict(connection.headers), timeout=TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, parameters: Values | None = None) -> Answer:
        return self._send(self._http.build_request("GET", path, params=parameters))

    def post(self, path: str, body: Values, *, key: str) -> Answer:
        return self._send(self._http.build_request("POST", path, json=body, headers={"Idempotency-Key": key}))

    def delete(self, path: str) -> Answer:
        return self._send(self._http.build_request("DELETE", path))

    def _send(self, request: httpx.Request) -> Answer:
        attempt = 0
        while True:
            wait = 0.0
            try:
                response = self._http.send(request)
            except httpx.RequestError as error:
                failure: Failure = Unreachable(self._shown(f"{_place(request)} cannot be reached: {_reason(error)}"))
            else:
                if response.is_success:
                    return Answer(self._body(response), retry_after(response))
                failure, wait = self._failure(response), retry_after(response)
                if not _passes(response):
                    raise failure
            attempt += 1
            if attempt == ATTEMPTS:
                raise failure from None
            self._world.pause(attempt - 1, failure, self._say, wait)

    def _body(self, response: httpx.Response) -> dict[str, Any]:
        body = _json(response)
        if not body.keys() & {"state", "data"}:
            raise self._stranger(response)
        return body

    def _stranger(self, response: httpx.Response) -> Failure:
        said = f"{response.status_code} {response.reason_phrase}"
        text = f"{self._connection.url} answers {said}, but not as the customers API does: is --url right?"
        return Unreachable(self._shown(text))

    def _failure(self, response: httpx.Response) -> Failure:
        body = _json(response)
        status = response.status_code
        is_ours = _is_ours(body)
        if not is_ours and (response.is_redirect or status in STRANGE):
            return self._stranger(response)
        said = _detail(body) or response.reason_phrase
        request_id = body.get("request_id") or response.headers.get("x-request-id")
        parts = (
            body.get("code"),
            f"request {request_id}" if request_id else "",
            "" if is_ours else self._connection.url,
        )
        marks = ", ".join(str(part) for part in parts if part)
        ending = f"{said} ({marks})" if marks else said
        if response.is_client_error and status != HTTPStatus.TOO_MANY_REQUESTS:
            return Refused(self._shown(f"{MEANINGS.get(status, f'The API refuses ({status})')}: {ending}"))
        return Unreachable(self._shown(f"The service answers {status}: {ending}"))

    def _shown(self, text: str) -> str:
        return self._connection.without_secret(text)


def _passes(response: httpx.Response) -> bool:
    """Whether the same request may fare better later; a conflict says by Retry-After that it will."""
    conflict = response.status_code == HTTPStatus.CONFLICT and "retry-after" in response.headers
    return response.status_code in PASSING or conflict


def _json(response: httpx.Response) -> dict[str, Any]:
    """The body if it is a JSON object, else an empty one."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Whether this error is a problem document or a 422 of the API; else it is of a gateway, or of something else."""
    return "code" in body or isinstance(body.get("detail"), list)


def _detail(body: Mapping[str, Any]) -> str:
    """What an error's body says: a problem document's sentence, the list of a 422, or API Gateway's message."""
    detail = body.get("detail") or body.get("message") or ""
    if isinstance(detail, list):
        return "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in detail)
    return str(detail)


def _place(request: httpx.Request) -> str:
    """The host, with its port unless that goes without saying."""
    return request.url.netloc.decode()


def _reason(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__
