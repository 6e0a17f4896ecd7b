"""The timeline of one customer: GET /customers/{customer_id}/activity, newest first.

The statistics count each type, so a listing of all or of some types reads only as far as its page. With dates, or with
statuses or outcomes, the whole range of dates is read once, keys only on the wire: nothing counts what is left of it.
"""

from collections.abc import Mapping
from itertools import batched
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel
from pydantic_core import PydanticCustomError

from customers import keys
from customers.contact_models import ActivityOut
from customers.dynamodb import BATCH_GET_ITEMS, Item, Table
from customers.keys import ABSENT
from customers.listing.query import DateFrom, DateTo, Limit, Offset, Words, validated, words
from customers.listing.walk import MAX_READ
from customers.models import ActivityType, MetaOut, PaginatedResponse, QueryOut, SortOut

TYPE_TOTALS = {"call": "calls_total", "whatsapp": "whatsapp_sent", "email": "emails_sent"}  # statistics, by type
FILTERS = {"type": "type", "status": "status_key", "outcome": "outcome_key"}  # attributes, by parameter


def _known_types(value: str) -> str:
    known = get_args(ActivityType)
    if not set(words(value)) <= {*known, ABSENT}:  # `null` is no mistake, but no activity lacks a type
        raise PydanticCustomError("enum", "Input should be some of: {known}", {"known": ", ".join(known)})
    return value


class ActivityParameters(BaseModel):
    """The query parameters of GET /customers/{customer_id}/activity, as OpenAPI describes them."""

    type: Annotated[Words, AfterValidator(_known_types)] | None = None
    status: Words | None = None
    outcome: Words | None = None
    include_deleted: bool = False
    limit: Limit = 10
    offset: Offset = 0
    date_from: DateFrom | None = None
    date_to: DateTo | None = None

    @classmethod
    def parse(cls, params: Mapping[str, str]) -> "ActivityParameters":
        """Raises `Invalid`."""
        return validated(cls, params)

    @property
    def filters(self) -> dict[str, tuple[str, ...]]:
        given = {name: words(getattr(self, name)) for name in FILTERS}
        return {name: entries for name, entries in given.items() if entries}


def list_activity(table: Table, id: str, stats: Item, query: ActivityParameters) -> PaginatedResponse[ActivityOut]:
    """One page of the activity of the customer `id`, whose stats item is `stats`. Raises `Unavailable`."""
    if query.filters.keys() <= {"type"} and not (query.date_from or query.date_to):
        types = query.filters.get("type", TYPE_TOTALS)
        total = sum(int(stats.get(TYPE_TOTALS[each], 0)) for each in types if each in TYPE_TOTALS)
        page = _page(table, id, query, wanted=min(query.limit, total - query.offset))
    else:
        found = [key for lot in table.pages(ProjectionExpression="pk, sk", **_asked(id, query)) for key in lot.items]
        total, page = len(found), _hydrated(table, found[query.offset : query.offset + query.limit])
    sort = SortOut(field="occurred_at", direction="desc")
    shown: dict[str, Any] = {"include_deleted": True} if query.include_deleted else {}
    shown |= {name: [None if each == ABSENT else each for each in entries] for name, entries in query.filters.items()}
    dates = {name: date for name in ("date_from", "date_to") if (date := getattr(query, name))}
    return PaginatedResponse[ActivityOut].model_construct(
        data=[ActivityOut.of(activity) for activity in page],
        meta=MetaOut(total=total, limit=query.limit, offset=query.offset, sort=sort),
        query=QueryOut.model_construct(filters=shown, **dates, sort=sort),
    )


def _asked(id: str, query: ActivityParameters) -> dict[str, Any]:
    """The Query of all that is listed, as `dynamodb.Table.query` takes it."""
    first, last = keys.activity_range(query.date_from, query.date_to)
    values = {":pk": keys.customer(id)["pk"], ":first": first, ":last": last}
    asked = {"KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last", "ScanIndexForward": False}
    conditions = list[str]()
    for name, entries in query.filters.items():
        marks = [f":{name}{i}" for i in range(len(entries))]
        values |= dict(zip(marks, entries, strict=True))
        conditions.append(f"#{name} IN ({', '.join(marks)})")
    if conditions:
        asked["FilterExpression"] = " AND ".join(conditions)
        asked["ExpressionAttributeNames"] = {f"#{name}": FILTERS[name] for name in query.filters}
    return {**asked, "values": values}


def _page(table: Table, id: str, query: ActivityParameters, *, wanted: int) -> list[Item]:
    """The `wanted` entries after the offset; each read is twice as long as the one before."""
    if wanted <= 0:
        return []
    asked, skip, start = _asked(id, query), query.offset, None
    if skip and not query.filters:
        _, start = _count_past(table, asked, skip)
        if start is None:
            return []
        skip = 0
    if skip:  # not to carry what is skipped
        asked["ProjectionExpression"] = "pk, sk"
    items, size = list[Item](), skip + query.limit
    while len(items) < skip + wanted:
        read = table.query(start=start, Limit=size, **asked)
        items += read.items
        start, size = read.last_key, min(2 * size, MAX_READ)
        if start is None:
            break
    page = items[skip : skip + wanted]
    return _hydrated(table, page) if skip else page


def _count_past(table: Table, asked: dict[str, Any], skip: int) -> tuple[int, Item | None]:
    """How many entries were passed, at most `skip`, and the key to go on from (None: the range has no more)."""
    passed, start = 0, None
    while passed < skip:
        page = table.query(start=start, Select="COUNT", Limit=skip - passed, **asked)
        passed += page.count
        start = page.last_key
        if start is None:
            break
    return passed, start


def _hydrated(table: Table, wanted: list[keys.Key]) -> list[Item]:
    """The activities in the order of their keys; one that has moved or gone since is left out."""
    found = {
        item["sk"]: item for batch in batched(wanted, BATCH_GET_ITEMS, strict=False) for item in table.batch_get(batch)
    }
    return [found[key["sk"]] for key in wanted if key["sk"] in found]
