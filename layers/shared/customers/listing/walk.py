"""The ordered walk: entries of an index in order, merged from its ranges and read only as far as the page's end."""

import heapq
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from operator import itemgetter
from typing import Any

from customers.dynamodb import Item, Page, Table
from customers.keys import State
from customers.listing.plan import READ_PAST, Plan, Segment, request

MIN_FILTERED_READ = 100  # entries of the first read of a filtered range; each further one reads twice as many
MAX_READ = 10_000  # entries; a page of 1 MB holds hardly more, and some engines take no number beyond 2**31

type Partition = tuple[str, State]  # owner_id, state


def read(
    table: Table,
    pool: Executor,
    plan: Plan,
    segments: Sequence[Segment],
    partitions: Sequence[Partition],
    *,
    offset: int,
    limit: int,
) -> list[Item]:
    """The page's entries: keys only if the plan is `hydrated`, otherwise whole items."""
    skip = offset
    entries = list[Item]()
    for segment in segments:
        requests = [
            request(plan.index, owner_id, state, key_range, filters=plan.filters, backward=plan.backward)
            for owner_id, state in partitions
            for key_range in segment
        ]
        start: Item | None = None
        if plan.skips == "a count" and skip > READ_PAST:
            counted, start = count_past(table, requests[0], skip)
            skip -= counted
            if start is None:
                continue
        for entry in _merged(table, pool, plan, requests, start=start, wanted=skip + limit - len(entries)):
            if skip:
                skip -= 1
                continue
            entries.append(entry)
            if len(entries) == limit:
                return entries
    return entries


def count_past(table: Table, asked: dict[str, Any], skip: int) -> tuple[int, Item | None]:
    """How many entries were passed, at most `skip`, and the key to go on from (None: the range has no more)."""
    passed, start = 0, None
    while passed < skip:
        page = table.query(start=start, Select="COUNT", Limit=skip - passed, **asked)
        passed += page.count
        start = page.last_key
        if start is None:
            break
    return passed, start


def _merged(
    table: Table, pool: Executor, plan: Plan, requests: Sequence[dict[str, Any]], *, start: Item | None, wanted: int
) -> Iterator[Item]:
    """The entries of all ranges in one order. The first reads go out side by side, the others when needed."""
    size = min(wanted, 2 * wanted // max(len(requests), 1) + 1)  # twice what a range holds of it on average
    if plan.filters:
        size = max(size, MIN_FILTERED_READ)
    projection = {"ProjectionExpression": ", ".join(plan.order)} if plan.hydrated else {}
    ranges = [{**asked, **projection} for asked in requests]
    firsts = [pool.submit(table.query, start=start, Limit=size, **asked) for asked in ranges]
    streams = [_entries(table, asked, size, first) for asked, first in zip(ranges, firsts, strict=True)]
    return heapq.merge(*streams, key=itemgetter(*plan.order), reverse=plan.backward)


def _entries(table: Table, asked: dict[str, Any], size: int, first: Future[Page]) -> Iterator[Item]:
    page = first.result()
    yield from page.items
    while page.last_key:
        size = min(2 * size, MAX_READ)
        page = table.query(start=page.last_key, Limit=size, **asked)
        yield from page.items
