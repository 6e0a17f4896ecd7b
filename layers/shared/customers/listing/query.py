"""What a listing is asked for: raw query parameters in, a `ListQuery` out, or all that is wrong with them."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from customers import keys
from customers.errors import Invalid
from customers.keys import ABSENT, State
from customers.listing.position import Position

LISTING_DIGITS = 24  # 96 bits: no two listings of an owner meet
MAX_WORDS = 50  # of one filter: each may be a range of keys of its own, and IN takes 100 values

_HOURS_MINUTES = r"(?:[01]\d|2[0-3]):[0-5]\d"
# RFC 3339, section 5.6, or a day. No zone is UTC. A space may stand for the + that it was before a URL was decoded.
_TIME = re.compile(
    rf"(\d{{4}}-\d\d-\d\d)(?:[Tt ]({_HOURS_MINUTES}:[0-5]\d)(?:\.(\d+))?(?:[Zz]|([-+ ])({_HOURS_MINUTES}))?)?", re.ASCII
)
# An entry of the status filter: in double quotes (doubled inside), or plain up to the next comma.
_ENTRY = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?:,|$)|([^,]*)(?:,|$)')
OWNER_SCHEMA = {"type": "string", "pattern": keys.OWNER_PATTERN}
_NULL = "null"
_NONE = "none"


def _known_sort_field(value: str) -> str:
    if value not in keys.SORT_INDEXES:
        raise PydanticCustomError(
            "enum", "Input should be one of: {fields}", {"fields": ", ".join(sorted(keys.SORT_INDEXES))}
        )
    return value


def _owner(value: str) -> str:
    if not keys.is_owner_id(value):
        raise PydanticCustomError(
            "string_pattern_mismatch", "Input should be 1 to 128 visible ASCII characters without #"
        )
    return value


def _few_words(value: str) -> str:
    if len(words(value)) > MAX_WORDS:
        raise PydanticCustomError("too_long", f"Input should have at most {MAX_WORDS} entries")
    return value


def _timestamp(text: str, *, end: bool) -> str:
    """The instant that is meant; of a day its first or (`end`) last microsecond.

    What is finer than a microsecond is cut off at either end, so that a range never loses what lies on its ends.
    """
    invalid = PydanticCustomError("datetime_parsing", "Input should be an RFC 3339 date-time or a date as YYYY-MM-DD")
    if not (match := _TIME.fullmatch(text)):
        raise invalid
    day, clock, fraction, sign, offset = match.groups()
    if clock is None:
        clock, fraction = ("23:59:59", "999999") if end else ("00:00:00", "0")
    hours, minutes = map(int, (offset or "0:0").split(":"))
    try:
        local = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '')[:6]:0<6}Z")
        return keys.timestamp(local - timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1))
    except (ValueError, OverflowError):  # no such day, or beyond the years 1 to 9999
        raise invalid from None


def _first_instant(text: str) -> str:
    return _timestamp(text, end=False)


def _last_instant(text: str, info: ValidationInfo) -> str:
    last = _timestamp(text, end=True)
    if (info.data.get("date_from") or last) > last:
        raise PydanticCustomError("date_range", "Input should not be before date_from")
    return last


Words = Annotated[str, AfterValidator(_few_words)]  # see `words`
Limit = Annotated[int, Field(ge=1, le=200)]
Offset = Annotated[int, Field(ge=0)]
DateFrom = Annotated[str, AfterValidator(_first_instant)]
DateTo = Annotated[str, AfterValidator(_last_instant)]  # stands below `date_from`, which it is compared with
OwnerId = Annotated[str, AfterValidator(_owner), WithJsonSchema(OWNER_SCHEMA)]


class ListFilters(BaseModel):
    """Which customers are meant."""

    status: Words | None = None
    include_deleted: bool = False
    only_deleted: bool = False
    q: str | None = None
    date_from: DateFrom | None = None
    date_to: DateTo | None = None
    owner_id: OwnerId | None = None


class ListParameters(ListFilters):
    """The query parameters of GET /customers, as OpenAPI describes them."""

    limit: Limit = 10
    offset: Offset = 0
    sort_field: Annotated[str, AfterValidator(_known_sort_field)] | None = None
    sort_dir: Literal["asc", "desc"] = "desc"
    cursor: str | None = None
    include_aggregations: bool = False


@dataclass(frozen=True, kw_only=True)
class ListQuery:
    """One listing, understood. Dates are timestamps, both inclusive; a status is a `keys.status_key`.

    `owner_id` None means all owners, no `statuses` means any, no `terms` means no search.
    """

    owner_id: str | None
    by_admin: bool = False
    states: tuple[State, ...] = ("live",)
    statuses: tuple[str, ...] = ()
    date_from: str | None = None
    date_to: str | None = None
    q: str | None = None
    terms: tuple[str, ...] = ()
    sort_field: str = "created_at"
    descending: bool = True
    limit: int = 10
    offset: int = 0
    cursor: str | None = None  # to be read by `cursors`; then it says where the page begins, and not `offset`
    start: Position | None = None  # what it says
    aggregations: bool = False

    @cached_property
    def listing(self) -> str:
        """Names what is listed and in which order, whatever the page: without its words, and the same every time."""
        scope = (self.owner_id, self.states, self.statuses, self.date_from, self.date_to, self.terms)
        described = json.dumps([*scope, self.sort_field, self.descending])
        return hashlib.sha256(described.encode()).hexdigest()[:LISTING_DIGITS]

    @property
    def wanted(self) -> int:
        """Entries to read: with a cursor one more than are shown, which tells whether there is another page."""
        return self.limit + 1 if self.start else self.limit

    @property
    def shown(self) -> slice:
        """Which of the wanted entries are shown."""
        return slice(-self.limit, None) if self.start and self.start.backward else slice(self.limit)

    @property
    def needs_statuses(self) -> bool:
        """Whether it matters how many records there are of which status."""
        return bool(self.statuses or self.aggregations or self.sort_field == "status")

    @property
    def has_dates(self) -> bool:
        return bool(self.date_from or self.date_to)

    @property
    def counted_states(self) -> tuple[State, ...]:
        """The states whose records are counted: the quick filter `deleted` counts beyond the scope."""
        return (*self.states, "deleted") if self.aggregations and "deleted" not in self.states else self.states

    @property
    def filters(self) -> dict[str, Any]:
        """What narrows or widens the listing, for the answer's echo; an unset status is None."""
        shown = {
            "status": [None if status == ABSENT else status for status in self.statuses],
            "include_deleted": self.states == ("live", "deleted"),
            "only_deleted": self.states == ("deleted",),
            "owner_id": self.owner_id if self.by_admin else None,
        }
        return {name: value for name, value in shown.items() if value}


def parse(params: Mapping[str, str], *, owner_id: str, is_admin: bool) -> ListQuery:
    """The query of a caller who is `owner_id`; only an administrator may ask for another owner, or for all.

    Raises `Invalid` with every problem.
    """
    given = validated(ListParameters, params if is_admin else {n: p for n, p in params.items() if n != "owner_id"})
    if given.cursor and given.offset:
        raise Invalid.at("query", "offset", msg="Send a cursor or an offset, not both", kind="cursor_and_offset")
    return replace(
        filtered(given, owner_id=owner_id, is_admin=is_admin),
        sort_field=given.sort_field or "created_at",
        descending=given.sort_dir == "desc",
        limit=given.limit,
        offset=given.offset,
        cursor=given.cursor,
        aggregations=given.include_aggregations,
    )


def filtered(given: ListFilters, *, owner_id: str, is_admin: bool) -> ListQuery:
    """All customers that the filters leave, for a caller as `parse` has it."""
    terms = terms_of(given.q)
    states: tuple[State, ...] = ("live", "deleted") if given.include_deleted else ("live",)
    return ListQuery(
        owner_id=given.owner_id if is_admin else owner_id,
        by_admin=is_admin,
        states=("deleted",) if given.only_deleted else states,
        statuses=words(given.status),
        date_from=given.date_from,
        date_to=given.date_to,
        q=given.q if terms else None,
        terms=terms,
    )


def validated[Parameters: BaseModel](model: type[Parameters], params: Mapping[str, str]) -> Parameters:
    """The parameters that `model` has; one that has no default is absent when it is blank.

    Raises `Invalid` with every problem.
    """
    absent = {n for n, field in model.model_fields.items() if field.default is None and not params.get(n, "").strip()}
    try:
        return model.model_validate({name: params[name] for name in params.keys() - absent})
    except ValidationError as error:
        raise Invalid.of(error, "query") from None


def terms_of(q: str | None) -> tuple[str, ...]:
    """The folded terms of a search. Split after folding: some characters fold to a space."""
    return tuple(dict.fromkeys(keys.fold(q or "").split()))


def words(text: str | None) -> tuple[str, ...]:
    """The keys of a status filter's entries: `vip, "a,b", null` are three, the last of them the unset status."""
    found = list[str]()
    for entry in _ENTRY.finditer(text or ""):
        quoted, plain = entry.groups()
        if quoted is not None:
            found.append(keys.status_key(quoted.replace('""', '"')))
        elif status := plain.strip():
            key = keys.status_key(status)
            found.append(ABSENT if key == _NULL else key)
    return tuple(dict.fromkeys(found))


def written_status(key: str) -> str:
    """A status as a quick filter is named: as the status filter reads it, but `none` where that one has `null`."""
    if key == ABSENT:
        return _NONE
    if key in {_NULL, _NONE} or key != key.strip() or re.search('[",]', key):
        return '"' + key.replace('"', '""') + '"'
    return key
