"""A filtered listing of few records: all of them are read and sorted here, where a walk would pass too many others."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from itertools import batched, chain, dropwhile, islice
from typing import Any

from customers import keys
from customers.dynamodb import BATCH_GET_ITEMS, Item, Table
from customers.keys import ABSENT
from customers.listing.plan import Plan, equal, request, within
from customers.listing.query import ListQuery
from customers.listing.walk import Partition, Values

MAX_GATHERED = 2_000  # records
RECORD_ENTRIES = 25  # as many entries of an index cost what one record does: half a read unit


def worthwhile(query: ListQuery, total: int, among: int) -> bool:
    """Whether `total` records are less to read than what a walk to the page would pass of the `among` in scope."""
    passed = (query.offset + query.limit) * among / max(total, 1)
    return total <= MAX_GATHERED and total * RECORD_ENTRIES < passed


def page(table: Table, pool: Executor, query: ListQuery, planned: Plan, partitions: Sequence[Partition]) -> list[Item]:
    """The whole items of the page of an offset, or behind (before) a cursor's place, in order. Raises `Unavailable`."""

    def values(item: Item) -> Values:
        return tuple(item[name] for name in planned.order)

    def rank(of: Values) -> tuple[object, ...]:
        return (of[0] == ABSENT) is not query.descending, *of  # absent last in both directions

    backward = query.start is not None and query.start.backward
    ordered = iter(
        sorted(
            _items(table, pool, query, partitions),
            key=lambda item: rank(values(item)),
            reverse=query.descending is not backward,
        )
    )
    if query.start is None:
        return list(islice(ordered, query.offset, query.offset + query.limit))
    behind = rank(query.start.values)
    ascending = query.descending is backward
    rest = dropwhile(lambda item: rank(values(item)) <= behind if ascending else rank(values(item)) >= behind, ordered)
    found = list(islice(rest, query.wanted))
    return found[::-1] if backward else found


def _items(table: Table, pool: Executor, query: ListQuery, partitions: Sequence[Partition]) -> Iterator[Item]:
    """The records that the filters leave: by their statuses, whose index has keys only, or by their dates."""
    created = within("created_at", query.date_from, query.date_to)
    ranges = [(equal("status_key", status), *created) for status in query.statuses] or [created]
    index = keys.BY_STATUS if query.statuses else keys.BY_CREATED
    asked = [request(index, *partition, key_range) for partition in partitions for key_range in ranges]
    projection: dict[str, Any] = {"ProjectionExpression": "id"} if query.statuses else {}
    found = chain.from_iterable(pool.map(lambda each: _all(table, each | projection), asked))
    if not query.statuses:
        yield from found
        return
    wanted = [[keys.customer(item["id"]) for item in lot] for lot in batched(found, BATCH_GET_ITEMS, strict=False)]
    for items in pool.map(table.batch_get, wanted):
        yield from (item for item in items if item["state"] in query.states)


def _all(table: Table, asked: dict[str, Any]) -> list[Item]:
    return [item for page in table.pages(**asked) for item in page.items]
