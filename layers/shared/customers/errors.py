"""Errors that a caller may see. Each carries its HTTP status and a stable code; `api` turns it into a response."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, Self, TypedDict

from pydantic import ValidationError


class ApiError(Exception):
    """Base of every error that becomes a response.

    `detail` is the sentence that the caller reads, `members` are further members of the problem document (RFC 9457,
    section 3.2).
    """

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]

    def __init__(
        self, detail: str, *, headers: Mapping[str, str] | None = None, members: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})


class Unauthorized(ApiError):
    """No credential, or one that does not hold. `reason` is an RFC 6750 error code; None: no credential was sent."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"

    def __init__(self, detail: str, *, reason: str | None = None) -> None:
        challenge = 'Bearer realm="customers"' + (f', error="{reason}", error_description="{detail}"' if reason else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(ApiError):
    """A known caller that lacks a scope. Never used for somebody else's record: that is `CustomerNotFound`."""

    status = HTTPStatus.FORBIDDEN
    code = "insufficient_scope"


class CustomerNotFound(ApiError):
    """The record never was, was purged, or is somebody else's: one answer for all three."""

    status = HTTPStatus.NOT_FOUND
    code = "customer_not_found"

    def __init__(self) -> None:
        super().__init__("Customer not found")


class CustomerDeleted(ApiError):
    status = HTTPStatus.NOT_FOUND
    code = "customer_deleted"

    def __init__(self) -> None:
        super().__init__("Customer is deleted: include_deleted=true shows it, and a restore brings it back")


class ImportNotFound(ApiError):
    """It never was, has expired, or is somebody else's."""

    status = HTTPStatus.NOT_FOUND
    code = "import_not_found"

    def __init__(self) -> None:
        super().__init__("Import not found")


class ExportNotFound(ApiError):
    """It never was, has expired, or is somebody else's."""

    status = HTTPStatus.NOT_FOUND
    code = "export_not_found"

    def __init__(self) -> None:
        super().__init__("Export not found")


class CustomerIdTaken(ApiError):
    status = HTTPStatus.CONFLICT
    code = "customer_id_taken"

    def __init__(self, *, existing_id: str, existing_deleted: bool) -> None:
        super().__init__(
            "Another customer has this customer_id",
            members={"existing_id": existing_id, "existing_deleted": existing_deleted},
        )


class IdempotencyInProgress(ApiError):
    status = HTTPStatus.CONFLICT
    code = "idempotency_in_progress"

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is in progress", headers={"Retry-After": "1"})


class PreconditionFailed(ApiError):
    status = HTTPStatus.PRECONDITION_FAILED
    code = "precondition_failed"

    def __init__(self) -> None:
        super().__init__("The record has another version than If-Match names")


class PayloadTooLarge(ApiError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "payload_too_large"


class UnsupportedMediaType(ApiError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"


class Unavailable(ApiError):
    """The service could not finish in time; nothing half-written is visible and the same request may be sent again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"

    def __init__(self) -> None:
        super().__init__("The service is busy; try again", headers={"Retry-After": "1"})


class WalkTooLong(ApiError):
    """To go on would take more of an index than one request may; what was counted so far may serve the next one."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "walk_too_long"

    def __init__(self) -> None:
        super().__init__("This page is too far to be reached at once; try again", headers={"Retry-After": "1"})


class InternalError(ApiError):
    """A fault of ours. Says nothing about itself; the log has where it was raised."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal_error"

    def __init__(self) -> None:
        super().__init__("Something went wrong on our side")


class InvalidPart(TypedDict):
    """One entry of a 422's `detail`. `loc` starts with body, query, path or header."""

    loc: list[str | int]
    msg: str
    type: str


class Invalid(ApiError):
    """Input that does not validate, in the contract's form: exactly `{"detail": [{loc, msg, type}, …]}`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "validation_error"

    def __init__(self, problems: list[InvalidPart]) -> None:
        super().__init__("Validation error")
        self.problems = problems

    @classmethod
    def of(cls, error: ValidationError, where: str) -> Self:
        """What pydantic found; `where` is what was validated: body, query, path or header."""
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return cls([{"loc": [where, *e["loc"]], "msg": e["msg"], "type": e["type"]} for e in found])

    @classmethod
    def reused_key(cls) -> Self:
        msg = "This Idempotency-Key was used for another request"
        return cls.at("header", "Idempotency-Key", msg=msg, kind="idempotency_key_reused")

    @classmethod
    def at(cls, *loc: str | int, msg: str, kind: str = "value_error") -> Self:
        return cls([{"loc": list(loc), "msg": msg, "type": kind}])
