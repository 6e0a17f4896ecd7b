"""From a `ListQuery` to its answer."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import batched
from typing import Any

from customers import keys
from customers.dynamodb import BATCH_GET_ITEMS, CONNECTIONS, Table
from customers.listing import counts, search, walk
from customers.listing.counts import Tally
from customers.listing.plan import Plan, plan, status_segments
from customers.listing.query import ListQuery
from customers.models import AggregationsOut, Customer, CustomerOut, MetaOut, PaginatedResponse, QueryOut, SortOut


def list_customers(table: Table, query: ListQuery) -> PaginatedResponse[CustomerOut]:
    """One page. What does not depend on each other is read side by side. Raises `Unavailable`."""
    planned = plan(query)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        owners = [query.owner_id] if query.owner_id else _owners(table)
        if planned.strategy == "search":
            found = search.find(table, pool, query, _counts(table, pool, owners))
            tally: Tally = Counter((match.state, match.entry.status_key) for match in found)
            page = search.ordered(found, query)[query.offset : query.offset + query.limit]
            customers = _hydrate(table, pool, query, [match.id for match in page])
        elif planned.totals_first:
            tally = _tally(table, pool, query, owners)
            within = query.offset < counts.total(tally, query)
            customers = _walk(table, pool, query, planned, owners, tally=tally) if within else []
        else:
            walking = pool.submit(_walk, table, pool, query, planned, owners)
            tally = _tally(table, pool, query, owners)
            customers = walking.result()
    return _response(query, customers, tally)


def _owners(table: Table) -> list[str]:
    pages = table.pages(KeyConditionExpression="pk = :pk", values={":pk": keys.OWNERS}, ProjectionExpression="sk")
    return [item["sk"] for page in pages for item in page.items]


def _counts(table: Table, pool: Executor, owners: Sequence[str]) -> dict[str, Tally]:
    return dict(zip(owners, pool.map(lambda owner_id: counts.of_owner(table, owner_id), owners), strict=True))


def _tally(table: Table, pool: Executor, query: ListQuery, owners: Sequence[str]) -> Tally:
    by_owner = _counts(table, pool, owners)
    if query.has_dates:
        return counts.in_range(table, pool, query, by_owner)
    return sum(by_owner.values(), Counter())


def _walk(
    table: Table, pool: Executor, query: ListQuery, planned: Plan, owners: Sequence[str], *, tally: Tally | None = None
) -> list[Customer]:
    segments = planned.segments or status_segments(query, counts.statuses_in_scope(tally or Counter(), query))
    partitions = [(owner_id, state) for owner_id in owners for state in query.states]
    entries = walk.read(table, pool, planned, segments, partitions, offset=query.offset, limit=query.limit)
    if planned.hydrated:
        return _hydrate(table, pool, query, [entry["id"] for entry in entries])
    return [Customer.from_item(entry) for entry in entries]


def _hydrate(table: Table, pool: Executor, query: ListQuery, ids: Sequence[str]) -> list[Customer]:
    """The records in the order of `ids`; without those that have left the scope since their entry was read."""
    wanted = [[keys.customer(id) for id in batch] for batch in batched(ids, BATCH_GET_ITEMS, strict=False)]
    found = {item["id"]: item for items in pool.map(table.batch_get, wanted) for item in items}
    return [Customer.from_item(found[id]) for id in ids if id in found and found[id]["state"] in query.states]


def _response(query: ListQuery, customers: Sequence[Customer], tally: Tally) -> PaginatedResponse[CustomerOut]:
    """Only what applies is set, because only what is set is sent."""
    sort = SortOut.model_construct(field=query.sort_field, direction="desc" if query.descending else "asc")
    meta = MetaOut.model_construct(total=counts.total(tally, query), limit=query.limit, offset=query.offset, sort=sort)
    echo: dict[str, Any] = {"q": query.q, "date_from": query.date_from, "date_to": query.date_to, "sort": sort}
    parts: dict[str, Any] = {
        "data": [CustomerOut.of(customer, show_owner=query.by_admin) for customer in customers],
        "meta": meta,
        "query": QueryOut.model_construct(
            filters=query.filters, **{name: value for name, value in echo.items() if value}
        ),
    }
    if query.aggregations:
        quick_filters = counts.quick_filters(tally, query)
        parts["aggregations"] = AggregationsOut.model_construct(quick_filters=quick_filters, extra={})
    return PaginatedResponse[CustomerOut].model_construct(**parts)
