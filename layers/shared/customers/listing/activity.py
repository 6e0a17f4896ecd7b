"""The timeline of one customer: GET /customers/{customer_id}/activity, newest first.

Without a filter a page costs what it holds, and the total is what the statistics say. With one, the range of dates is
read once from its newer end, keys only on the wire, because nothing counts what a filter would leave.
"""

from collections.abc import Mapping
from itertools import batched
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel
from pydantic_core import PydanticCustomError

from customers import keys
from customers.dynamodb import BATCH_GET_ITEMS, Item, Table
from customers.keys import ABSENT
from customers.listing.query import DateFrom, DateTo, Limit, Offset, Words, validated, words
from customers.listing.walk import count_past
from customers.models import (
    ActivityOut,
    ActivityType,
    CustomerDetailStatsOut,
    MetaOut,
    PaginatedResponse,
    QueryOut,
    SortOut,
)

FILTERS = {"type": "type", "status": "status_key", "outcome": "outcome_key"}  # attributes, by parameter


def _known_types(value: str) -> str:
    known = get_args(ActivityType)
    if not set(words(value)) <= set(known):
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
    if query.filters or query.date_from or query.date_to:
        found = _matching(table, id, query)
        total, page = len(found), _hydrated(table, found[query.offset : query.offset + query.limit])
    else:
        counted = CustomerDetailStatsOut.of(stats)
        total = counted.calls_total + counted.whatsapp_sent + counted.emails_sent
        page = _page(table, id, query) if query.offset < total else []
    sort = SortOut(field="occurred_at", direction="desc")
    shown = {name: [None if each == ABSENT else each for each in entries] for name, entries in query.filters.items()}
    dates = {name: date for name in ("date_from", "date_to") if (date := getattr(query, name))}
    return PaginatedResponse[ActivityOut].model_construct(
        data=[ActivityOut.of(activity) for activity in page],
        meta=MetaOut(total=total, limit=query.limit, offset=query.offset, sort=sort),
        query=QueryOut.model_construct(filters=shown, **dates, sort=sort),
    )


def _asked(id: str, query: ActivityParameters) -> dict[str, Any]:
    first, last = keys.activity_range(query.date_from, query.date_to)
    return {
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "values": {":pk": keys.customer(id)["pk"], ":first": first, ":last": last},
        "ScanIndexForward": False,
    }


def _page(table: Table, id: str, query: ActivityParameters) -> list[Item]:
    asked, start = _asked(id, query), None
    if query.offset:
        _, start = count_past(table, asked, query.offset)
        if start is None:
            return []
    items = list[Item]()
    for page in table.pages(start=start, Limit=query.limit, **asked):
        items += page.items
        if len(items) >= query.limit:
            break
    return items[: query.limit]


def _matching(table: Table, id: str, query: ActivityParameters) -> list[keys.Key]:
    """The keys of all that the filters leave, newest first."""
    asked = _asked(id, query)
    conditions = list[str]()
    for name, entries in query.filters.items():
        marks = [f":{name}{i}" for i in range(len(entries))]
        asked["values"] |= dict(zip(marks, entries, strict=True))
        conditions.append(f"#{name} IN ({', '.join(marks)})")
    if conditions:
        asked["FilterExpression"] = " AND ".join(conditions)
        asked["ExpressionAttributeNames"] = {f"#{name}": FILTERS[name] for name in query.filters}
    return [item for page in table.pages(ProjectionExpression="pk, sk", **asked) for item in page.items]


def _hydrated(table: Table, wanted: list[keys.Key]) -> list[Item]:
    """The activities in the order of their keys; one that has moved or gone since is left out."""
    found = {
        item["sk"]: item for batch in batched(wanted, BATCH_GET_ITEMS, strict=False) for item in table.batch_get(batch)
    }
    return [found[key["sk"]] for key in wanted if key["sk"] in found]
