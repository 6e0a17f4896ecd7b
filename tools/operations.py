"""What docs/openapi.json says of each operation beyond its route (template.yaml) and its models: words and examples.

`OPERATIONS` is by function, `ERRORS` by class of error; `tools.openapi` puts both together. The operations of imports
and exports are in `tools.transfer_operations`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, get_args

from pydantic import BaseModel

from customers import keys
from customers.contact_models import (
    TARGET_COUNTERS,
    ActivityOut,
    CampaignOut,
    CustomerDetailCampaignOut,
    CustomerDetailOut,
)
from customers.errors import (
    ApiError,
    CustomerDeleted,
    CustomerIdTaken,
    CustomerNotFound,
    ExportNotFound,
    Forbidden,
    IdempotencyInProgress,
    ImportNotFound,
    InternalError,
    Invalid,
    PayloadTooLarge,
    PreconditionFailed,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    WalkTooLong,
)
from customers.events import CallUpserted, CampaignUpserted, Detail, MessageSent, TargetUpserted
from customers.listing import ActivityParameters, CampaignParameters, ListParameters
from customers.listing.campaigns import CAMPAIGNS_OF_DETAIL
from customers.listing.query import MAX_WORDS
from customers.models import (
    ActivityType,
    CampaignStatus,
    Customer,
    CustomerCreate,
    CustomerOut,
    CustomerUpdate,
    DeleteQuery,
    DetailQuery,
    GetQuery,
    PaginatedResponse,
    RecordQuery,
)
from tools import event_schemas

REQUEST_ID = "Zx3p9jPzliAEPTA="  # as API Gateway makes them

INTRODUCTION = """\
Customers, each owned by one principal. `id` is the record's own UUID, which the paths take under the name \
`customer_id`; the `customer_id` of a body is your own key for the customer.

**Credentials.** A JSON Web Token (`Authorization: Bearer …`) or an API key (`X-API-Key`). If both are sent, both \
must hold and name the same principal. You see your own customers, an administrator everybody's; somebody else's \
customer is a 404.

**Campaigns and activity** are told by other services, as events, and only read here. What was told a moment ago may \
not be seen yet.

**Text** is trimmed, and blank text is null. A response leaves out what has no value, except `deleted_at`. Times are \
RFC 3339 in UTC.

**Errors.** Input that does not validate is a 422 with a list of problems. Every other error is a problem document \
(RFC 9457) whose `code` is stable. Responses carry `X-Request-Id`: quote it when you ask for help. API Gateway \
answers 429 itself, before the service is reached, to a client that sends too much.

**Retries.** A 503 says that nothing half-written is visible; send the same request again. With an `Idempotency-Key` \
a POST takes effect once however often it is sent.

**Files.** An import makes and changes customers from a CSV or XLSX file: `POST /customers/import` at once for few \
rows, `POST /customers/imports` for up to a million. `POST /customers/exports` writes the customers of a list to a \
file."""

# Examples of input that does not validate.
BAD_ID = Invalid.at("path", "customer_id", msg="Input should be a valid UUID", kind="uuid_parsing")
NO_CUSTOMER_ID = Invalid.at("body", "customer_id", msg="Field required", kind="missing")
NOT_JSON = Invalid.at("body", msg="JSON decode error: expected value at line 1 column 1", kind="json_invalid")
LIMIT_TOO_HIGH = Invalid.at("query", "limit", msg="Input should be less than or equal to 200", kind="less_than_equal")
UNKNOWN_STATUS = Invalid.at(
    "query", "status", msg=f"Input should be some of: {', '.join(get_args(CampaignStatus))}", kind="enum"
)
UNKNOWN_TYPE = Invalid.at(
    "query", "type", msg=f"Input should be some of: {', '.join(get_args(ActivityType))}", kind="enum"
)
NO_CURSOR = Invalid.at("query", "cursor", msg="Not a cursor of this listing", kind="cursor_invalid")
REVERSED_DATES = Invalid.at("query", "date_to", msg="Input should not be before date_from", kind="date_range")
NO_CREDENTIAL = Unauthorized("Send an access token or an API key")
# An example of each error, and when it is answered.
ERRORS: Mapping[type[ApiError], tuple[ApiError, str]] = {
    type(error): (error, when)
    for error, when in (
        (NO_CREDENTIAL, "No credential was sent, or one that is invalid or has expired."),
        (Forbidden("This needs the scope customers:read"), "The caller is known but lacks a scope."),
        (CustomerNotFound(), "The customer never was, has been purged, or is somebody else's."),
        (CustomerDeleted(), "The customer is deleted and can be restored."),
        (ImportNotFound(), "The import never was, has expired, or is somebody else's."),
        (ExportNotFound(), "The export never was, has expired, or is somebody else's."),
        (
            CustomerIdTaken(existing_id="2b1f0c9e-77a4-4f0b-9a52-0f7d7a3c1e55", existing_deleted=False),
            "Another of the owner's customers has this `customer_id`. A deleted one keeps it until it is purged.",
        ),
        (IdempotencyInProgress(), "A request with this `Idempotency-Key` has not been answered yet."),
        (PreconditionFailed(), "The customer has another version than `If-Match` names."),
        (PayloadTooLarge("The body has more than 65536 bytes"), "The body is too large."),
        (UnsupportedMediaType("The body must be application/json"), "The body is not of the documented media type."),
        (BAD_ID, "The request does not validate."),
        (InternalError(), "A fault of the service."),
        (Unavailable(), "The service could not finish in time; nothing half-written is visible."),
        (
            WalkTooLong(),
            "The page is too far into the list. While nobody writes, each try comes nearer to it, unless the list is "
            "filtered or merged: then only cursors lead there.",
        ),
    )
}

ZOE = Customer(
    id="0d9c4f5e-6a53-4f3b-8a5e-1c2f7e9b4a10",
    owner_id="ada",
    customer_id="CRM-0042",
    name="Zoë",
    surname="Müller",
    email="zoe.mueller@example.com",
    phone="+49 30 901820",
    status="lead",
    created_at="2026-01-31T09:30:00.000000Z",
    updated_at="2026-02-03T16:05:12.482113Z",
    version=3,
)
SHOWN = CustomerOut.of(ZOE, show_owner=False)
CREATED = CustomerOut.of(replace(ZOE, updated_at=ZOE.created_at, version=1), show_owner=False)
UPDATED = CustomerOut.of(ZOE.changed("2026-02-05T08:00:00.917004Z", status="won", phone=None), show_owner=False)


def _told[Told: Detail](model: type[Told], **of_zoe: str | None) -> Told:
    """The event in events/, told of Zoë."""
    return model.model_validate({**event_schemas.example(model.__name__), "customer": ZOE.id, **of_zoe})


CAMPAIGN = _told(CampaignUpserted)
TARGET = _told(TargetUpserted)
CALL = _told(CallUpserted, external_to=ZOE.phone)
EMAIL = _told(MessageSent, external_to=ZOE.email)
# What is known of Zoë by these four.
STATS = {
    "calls_total": 1,
    "calls_answered": 1,
    "emails_sent": 1,
    "last_contact": EMAIL.item()["sk"],
    "last_call": CALL.item(),
}
COUNTED_TARGET = {
    "enrolment": TARGET.told(),
    "calls_made": 1,
    "email_sent": 1,
    "last_contact": EMAIL.item()["sk"],
    "last_email": EMAIL.item()["sk"],
}


def page(data: list[BaseModel], *, sort_field: str, **query: Any) -> Mapping[str, Any]:
    """The first page, which is the only one."""
    sort = {"field": sort_field, "direction": "desc"}
    return {
        "data": [each.model_dump(mode="json", exclude_unset=True) for each in data],
        "meta": {"total": len(data), "limit": 10, "offset": 0, "sort": sort},
        "query": {**query, "sort": sort},
    }


PAGE = {
    **page([SHOWN], sort_field="created_at", q="muller", filters={"status": ["lead"]}),
    "aggregations": {"quick_filters": {"all": 3, "deleted": 1, "status:none": 2, "status:lead": 1}, "extra": {}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`errors` are those beyond what every operation may answer; `invalid` are examples of its 422.

    Headers are named as in `REQUEST_HEADERS` and `RESPONSE_HEADERS`. `parts` are the media types of each part of a body
    that is multipart/form-data; without parts a body is JSON. `own_examples` are of errors that say something else here
    than in `ERRORS`.
    """

    summary: str
    description: str
    scope: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_example: Mapping[str, Any] = field(default_factory=dict[str, Any])
    parts: Mapping[str, str] = field(default_factory=dict[str, str])
    request_headers: tuple[str, ...] = ()
    status: HTTPStatus = HTTPStatus.OK
    success: str
    response: type[BaseModel] | None = None
    response_example: Any = None
    response_headers: tuple[str, ...] = ()
    not_modified: bool = False
    errors: tuple[type[ApiError], ...] = ()
    own_examples: Mapping[type[ApiError], ApiError] = field(default_factory=dict[type[ApiError], ApiError])
    invalid: tuple[Invalid, ...] = (BAD_ID,)


EVERYWHERE = (Unauthorized, Forbidden, Invalid, InternalError, Unavailable)
BODY = (PayloadTooLarge, UnsupportedMediaType)

OPERATIONS: Mapping[str, Operation] = {
    "list_customers": Operation(
        summary="List customers",
        description=(
            "One page of customers, sorted, filtered or searched, with exact totals. Customers without a value in the "
            "sort field come last in both directions; ties are broken by `id`. A `limit` or `offset` out of range is "
            "refused, never clamped. `query` echoes the request as it was understood.\n\n"
            "Follow `Link` to read a whole list: its cursors cost the same at any depth and, while others write, lead "
            "to each customer once. So does an `offset` above 100 that goes on where the page before ended, within "
            "five minutes, for one reader of that list at a time; any other `offset` counts from the beginning. One "
            "far into a list of several hundred thousand may be refused (`walk_too_long`)."
        ),
        scope="customers:read",
        query=ListParameters,
        success="A page of customers.",
        response=PaginatedResponse[CustomerOut],
        response_example=PAGE,
        response_headers=("Link",),
        errors=(WalkTooLong,),
        invalid=(LIMIT_TOO_HIGH, NO_CURSOR),
    ),
    "create_customer": Operation(
        summary="Create a customer",
        description=(
            "A new customer of the caller's. `customer_id` must be unique among the caller's customers, deleted ones "
            "included. Unknown and read-only fields are ignored, unless the service is set up to refuse them. A "
            "request repeated with its `Idempotency-Key` is answered with the customer as it is now, or with a 404 "
            "while that is being purged."
        ),
        scope="customers:write",
        body=CustomerCreate,
        body_example={
            "customer_id": ZOE.customer_id,
            "name": ZOE.name,
            "surname": ZOE.surname,
            "email": ZOE.email,
            "phone": ZOE.phone,
            "status": ZOE.status,
        },
        request_headers=("Idempotency-Key",),
        status=HTTPStatus.CREATED,
        success="The new customer.",
        response=CustomerOut,
        response_example=CREATED,
        response_headers=("ETag", "Location", "Idempotency-Replayed"),
        errors=(CustomerNotFound, CustomerIdTaken, IdempotencyInProgress, *BODY),
        invalid=(NO_CUSTOMER_ID, NOT_JSON, Invalid.reused_key()),
    ),
    "get_customer": Operation(
        summary="Get a customer",
        description="One customer, with its version as `ETag`; a deleted one with `include_deleted=true` only.",
        scope="customers:read",
        query=GetQuery,
        request_headers=("If-None-Match",),
        success="The customer.",
        response=CustomerOut,
        response_example=SHOWN,
        response_headers=("ETag",),
        not_modified=True,
        errors=(CustomerNotFound, CustomerDeleted),
    ),
    "update_customer": Operation(
        summary="Update a customer",
        description=(
            "What is sent is set, null clears, what is absent stays. A request that changes nothing is answered with "
            "200 and moves neither `version` nor `updated_at`. Unknown and read-only fields are ignored, unless the "
            "service is set up to refuse them. Without `If-Match` the last write of each sent field wins. A deleted "
            "customer must be restored first."
        ),
        scope="customers:write",
        query=RecordQuery,
        body=CustomerUpdate,
        body_example={"status": "won", "phone": None},
        request_headers=("If-Match",),
        success="The customer as it is now.",
        response=CustomerOut,
        response_example=UPDATED,
        response_headers=("ETag",),
        errors=(CustomerNotFound, CustomerDeleted, CustomerIdTaken, PreconditionFailed, *BODY),
        invalid=(BAD_ID, NOT_JSON),
    ),
    "delete_customer": Operation(
        summary="Delete or purge a customer",
        description=(
            "Soft delete: the customer is hidden, and with it its enrolments in campaigns, until it is restored or "
            "purged. Deleting a deleted customer changes nothing. A deleted customer is purged when its retention "
            "ends, if the service has one. With `purge=true`, which needs the scope `customers:purge` too, a live or "
            "deleted customer is purged at once: it is removed with every trace, and its `customer_id` is free again."
        ),
        scope="customers:write",
        query=DeleteQuery,
        request_headers=("If-Match",),
        status=HTTPStatus.NO_CONTENT,
        success="The customer is deleted, or purged.",
        errors=(CustomerNotFound, PreconditionFailed),
    ),
    "get_customer_detail": Operation(
        summary="Get a customer's detail",
        description=(
            "One customer with its statistics, its last call and its campaigns: the newest enrolments first, at most "
            f"{CAMPAIGNS_OF_DETAIL}; `GET /customers/{{customer_id}}/campaigns` lists all. A campaign that is deleted, "
            "or not yet told, is left out. A deleted customer is shown with `include_deleted=true` only, and without "
            "campaigns."
        ),
        scope="customers:read",
        query=DetailQuery,
        success="The customer's detail.",
        response=CustomerDetailOut,
        response_example=CustomerDetailOut.of(
            SHOWN, STATS, [CustomerDetailCampaignOut.of(COUNTED_TARGET, CAMPAIGN.told())]
        ),
        errors=(CustomerNotFound, CustomerDeleted),
    ),
    "list_customer_campaigns": Operation(
        summary="List a customer's campaigns",
        description=(
            "One page of the campaigns that a customer is enrolled in; ties in the sort are broken by `id`. A campaign "
            "that is deleted, or not yet told, is left out. A deleted customer is enrolled in none: with "
            "`include_deleted=true` its list is empty. There are no `aggregations`."
        ),
        scope="customers:read",
        query=CampaignParameters,
        success="A page of campaigns.",
        response=PaginatedResponse[CampaignOut],
        response_example=page(
            [CampaignOut.of(CAMPAIGN.told())], sort_field="created_at", q="renewal", filters={"status": ["running"]}
        ),
        errors=(CustomerNotFound, CustomerDeleted),
        invalid=(BAD_ID, LIMIT_TOO_HIGH, UNKNOWN_STATUS),
    ),
    "list_customer_activity": Operation(
        summary="List a customer's activity",
        description=(
            "One page of a customer's timeline: its calls, with their analysis, its WhatsApp messages and its emails, "
            "the latest `occurred_at` first. Planned calls are in it too. Of all or of some types `total` is what "
            "the statistics of the customer's detail count; with dates, statuses or outcomes everything in the range "
            "of dates is read, which takes longer the more it is. There are no `aggregations`."
        ),
        scope="customers:read",
        query=ActivityParameters,
        success="A page of activity.",
        response=PaginatedResponse[ActivityOut],
        response_example=page(
            [ActivityOut.of(EMAIL.item()), ActivityOut.of(CALL.item())], sort_field="occurred_at", filters={}
        ),
        errors=(CustomerNotFound, CustomerDeleted),
        invalid=(BAD_ID, LIMIT_TOO_HIGH, UNKNOWN_TYPE, REVERSED_DATES),
    ),
    "restore_customer": Operation(
        summary="Restore a deleted customer",
        description=(
            "Brings a deleted customer back, and with it its enrolments in campaigns, but for those that have been "
            "removed from their campaign. Restoring a live one changes nothing. A deleted customer keeps its "
            "`customer_id`, so that a restore never conflicts."
        ),
        scope="customers:write",
        request_headers=("Idempotency-Key", "If-Match"),
        success="The customer, live.",
        response=CustomerOut,
        response_example=SHOWN,
        response_headers=("ETag", "Idempotency-Replayed"),
        errors=(CustomerNotFound, IdempotencyInProgress, PreconditionFailed),
        invalid=(BAD_ID, Invalid.reused_key()),
    ),
}

STRAY = "Taken from clients that send it; must be a UUID and changes nothing."
STRAY_IDS = dict.fromkeys(RecordQuery.model_fields, STRAY)
DELETED_TOO = {"include_deleted": "Show a deleted customer too."}
SORT_DIR = {"sort_dir": "Direction of the sort."}


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def paging(things: str) -> Mapping[str, str]:
    return {"limit": f"{things} on a page.", "offset": f"{things} to skip."}


def _words(things: str, *, null: str) -> str:
    return (
        f"At most {MAX_WORDS} comma-separated {things}, compared without case and accents; `null` stands for "
        f'{null}. Quote what would mean something else, with quotes in it doubled: `"a,b"`, `"null"`.'
    )


def _dates(happened: str) -> Mapping[str, str]:
    rest = "RFC 3339, or YYYY-MM-DD for the {} of that day. No zone is UTC."
    return {
        "date_from": f"{happened} at this time or later: {rest.format('start')}",
        "date_to": f"{happened} at this time or earlier: {rest.format('end')}",
    }


# The words about a query's parameters, by its model.
PARAMETERS: Mapping[type[BaseModel], Mapping[str, str]] = {
    ListParameters: {
        "status": _words("statuses", null="customers without one"),
        "include_deleted": "Show deleted customers too.",
        "only_deleted": "Show deleted customers only; wins over `include_deleted`.",
        **paging("Customers"),
        "q": (
            "Terms that must all occur, without regard to case and accents, in `name`, `surname`, `email` or "
            "`customer_id`; a term of digits also in the digits of `phone`. `%` and `*` stand for themselves."
        ),
        "sort_field": f"One of {code(keys.SORT_INDEXES)}; `created_at` if absent.",
        **SORT_DIR,
        "cursor": "Where the page begins, instead of an `offset`: from the `Link` of a page of the same list.",
        "include_aggregations": "Add the counts of the quick filters.",
        **_dates("Created"),
        "owner_id": "For administrators: only this owner's customers. Ignored for others.",
    },
    RecordQuery: STRAY_IDS,
    DetailQuery: DELETED_TOO,
    GetQuery: STRAY_IDS | DELETED_TOO,
    DeleteQuery: {"purge": "Remove every trace instead of hiding. Needs the scope `customers:purge`."},
    CampaignParameters: {
        "status": f"Comma-separated, of {code(get_args(CampaignStatus))}; all if absent.",
        "include_deleted": "Answer for a deleted customer too: with an empty list.",
        **paging("Campaigns"),
        "q": "Terms that must all occur in `name`, without regard to case and accents.",
        "sort_field": "`created_at` if absent.",
        **SORT_DIR,
    },
    ActivityParameters: {
        "type": f"Comma-separated, of {code(get_args(ActivityType))}; all if absent.",
        "status": _words("statuses", null="none, which no activity has"),
        "outcome": _words("outcomes", null="activity without one"),
        "include_deleted": "Show the activity of a deleted customer too.",
        **paging("Entries"),
        **_dates("Occurred"),
    },
}
CUSTOMER_ID = "Your own key for the customer, unique among your customers."
GREATER = "What the campaign's service has told or what has been recorded here, whichever is greater."
PROPERTIES: Mapping[str, Mapping[str, str]] = {
    "AggregationsOut": {
        "quick_filters": (
            "`q` and the dates apply to all of them, the status filter to none. A status is written as the parameter "
            "`status` reads it, in quotes where it needs them; customers without one are `status:none` here and `null` "
            "there."
        )
    },
    "CustomerCreate": {"customer_id": CUSTOMER_ID},
    "CustomerUpdate": {"customer_id": f"{CUSTOMER_ID} Cannot be cleared."},
    "CustomerOut": {
        "id": "The record's own id, which the paths take.",
        "customer_id": CUSTOMER_ID,
        "updated_at": "Moves when the customer is created, changed, deleted or restored.",
        "deleted_at": "When the customer was deleted; null for a live one.",
        "version": "Moves with every change. The `ETag` is made from it.",
        "owner_id": "Whose customer it is; shown to administrators only.",
    },
    "MetaOut": {"total": "Entries on all pages together."},
    "CustomerDetailOut": {
        "last_call": "The latest call that was made; planned ones do not count.",
    },
    "CustomerDetailStatsOut": {
        "calls_total": "All calls, planned ones included. How they ended is counted by the six that follow.",
        "last_contacted_at": "When the latest call was made, or the latest message sent.",
    },
    "CustomerDetailCampaignOut": {
        "target_id": "The id of the enrolment.",
        **dict.fromkeys(TARGET_COUNTERS.values(), GREATER),
        "last_contacted_at": GREATER,
        "last_email_at": GREATER,
        **{
            name: event_schemas.PROPERTIES_OF["TargetUpserted"][name]
            for name in ("last_conv_id", "analysis_updated_at")
        },
    },
    "ActivityOut": {
        "id": "The provider's id; unique among the customer's activity of this type.",
        "occurred_at": (
            "Of a call the time of its dispatch, else of its end, else the one that it is scheduled for; of a message "
            "the time when it was sent."
        ),
        "campaign_id": "The campaign that it belongs to, if any.",
    },
}

ETAG = {"type": "string", "pattern": r'^"v[1-9][0-9]*"$'}
# Each with its schema, an example, whether it is on every response that names it, and what it means.
RESPONSE_HEADERS: Mapping[str, tuple[Mapping[str, Any], str, bool, str]] = {
    "Cache-Control": ({"type": "string", "const": "no-store"}, "no-store", True, "Nothing may be cached."),
    "ETag": (ETAG, '"v3"', True, "The customer's version, for `If-Match` and `If-None-Match`."),
    "Idempotency-Replayed": (
        {"type": "string", "const": "true"},
        "true",
        False,
        "This request was carried out before; a record that it has made is shown as it is now.",
    ),
    "Link": (
        {"type": "string"},
        '</customers?limit=10&cursor=q83vEjRWeJCrze8SNFZ4kFsxMCwwXQ>; rel="next"',
        False,
        "The pages `first`, `prev` and `next` to this one, as far as there are any (RFC 8288).",
    ),
    "Location": (
        {"type": "string", "format": "uri-reference"},
        f"/customers/{ZOE.id}",
        True,
        "Where the new customer, import or export is.",
    ),
    "Retry-After": ({"type": "string", "pattern": "^[0-9]+$"}, "1", False, "Seconds to wait before trying again."),
    "WWW-Authenticate": (
        {"type": "string"},
        NO_CREDENTIAL.headers["WWW-Authenticate"],
        True,
        "The challenge of RFC 6750, with `error` when a credential was sent.",
    ),
    "X-Request-Id": ({"type": "string"}, REQUEST_ID, True, "Names this request in the logs."),
}
ON_EVERY_RESPONSE = ("X-Request-Id", "Cache-Control")

# Each with its schema, an example and what it means.
REQUEST_HEADERS: Mapping[str, tuple[Mapping[str, Any], str | None, str]] = {
    "Idempotency-Key": (
        {"type": "string", "title": "Idempotency-Key", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "5a7b2f0e-create-crm-0042",
        "Makes the request safe to repeat for 24 hours. The same key with another request is a 422.",
    ),
    "If-Match": (
        {"type": "string", "title": "If-Match"},
        '"v3"',
        "Carry out the request only if the customer has one of these versions, otherwise 412.",
    ),
    "If-None-Match": (
        {"type": "string", "title": "If-None-Match"},
        '"v3"',
        "Answer 304 if the customer still has one of these versions.",
    ),
    "X-API-Key": (
        {"type": "string", "title": "X-Api-Key"},
        None,
        "An API key, instead of a bearer token or beside one of the same principal.",
    ),
}
PATH_PARAMETERS: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    "customer_id": (
        {"type": "string", "format": "uuid", "title": "Customer Id"},
        ZOE.id,
        "The customer's `id` (not its `customer_id`).",
    ),
}
