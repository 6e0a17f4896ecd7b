"""From a `ListQuery` to its answer: the page, its totals, and cursors to the pages beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import batched
from typing import Any
from urllib.parse import urlencode

from customers import keys
from customers.dynamodb import BATCH_GET_ITEMS, CONNECTIONS, Item, Table
from customers.listing import counts, gather, search
from customers.listing.bookmarks import Bookmarks
from customers.listing.counts import Counts, Tally
from customers.listing.cursors import Cursors
from customers.listing.fences import Fences
from customers.listing.jumps import READ_PAST, Jumps
from customers.listing.plan import plan, status_segments
from customers.listing.position import Position
from customers.listing.query import ListQuery
from customers.listing.walk import Budget, Values, Walk
from customers.models import AggregationsOut, Customer, CustomerOut, MetaOut, PaginatedResponse, QueryOut, SortOut

MEGABYTE = 1 << 20

Answer = PaginatedResponse[CustomerOut]  # held, or the class would be made and built again for each request: 5 ms


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, and its neighbours by relation (RFC 8288): a cursor for each, None for the first page."""

    answer: Answer
    neighbours: Mapping[str, str | None]

    def headers(self, path: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """The header `link` to the neighbours of what was asked for at `path` with these parameters, if it has any."""
        same = {name: value for name, value in parameters.items() if name not in {"cursor", "offset"}}
        links = [
            f'<{path}{"?" if query else ""}{query}>; rel="{relation}"'
            for relation, cursor in self.neighbours.items()
            for query in [urlencode(same | ({"cursor": cursor} if cursor else {}))]
        ]
        return {"link": ", ".join(links)} if links else {}


@dataclass(frozen=True, slots=True)
class _Found:
    """A page: the places of its first and its last entry, if any; whether there is another page behind a cursor's.

    `customers` are the records that are still there.
    """

    ends: tuple[Values, Values] | None
    number: int
    more: bool
    customers: Sequence[Customer]
    tally: Tally


class Listing:
    """Lists customers of a table. What makes that cheaper may be missing: answers are as right without it."""

    def __init__(
        self,
        table: Table,
        *,
        max_walk_megabytes: int,
        bookmarks: Bookmarks | None = None,
        fences: Fences | None = None,
        search_cache: search.Cache | None = None,
    ) -> None:
        self._table = table
        self._max_walk_bytes = max_walk_megabytes * MEGABYTE
        self._jumps = Jumps(table, bookmarks, fences)
        self._search_cache = search_cache
        self._cursors = Cursors(table)
        # For single calls only: one that waited for others could keep them from their threads.
        self._pool = ThreadPoolExecutor(CONNECTIONS)

    def page(self, query: ListQuery) -> Page:
        """What does not depend on each other is read side by side.

        Raises `Invalid` for a cursor that is none of this listing's, `Unavailable`, `WalkTooLong`.
        """
        prepared = None if self._cursors.prepared else self._pool.submit(self._cursors.prepare)
        if query.cursor:
            start = self._cursors.read(query.cursor, query.listing)
            query = replace(query, start=start, offset=start.rank)
        owners = [query.owner_id] if query.owner_id else self._owners()
        found = self._search(query, owners) if query.terms else self._walk(query, owners)
        if prepared:
            prepared.result()
        return self._page(query, found)

    def _owners(self) -> list[str]:
        pages = self._table.pages(
            KeyConditionExpression="pk = :pk", values={":pk": keys.OWNERS}, ProjectionExpression="sk"
        )
        return [item["sk"] for page in pages for item in page.items]

    def _search(self, query: ListQuery, owners: Sequence[str]) -> _Found:
        found = search.read(self._table, self._pool, query, owners, self._search_cache)
        shown = found.page[query.shown]
        ends = (search.order_values(shown[0], query), search.order_values(shown[-1], query)) if shown else None
        customers = self._hydrated(query, [match.id for match in shown])
        return _Found(ends, len(shown), len(found.page) > len(shown), customers, found.tally)

    def _walk(self, query: ListQuery, owners: Sequence[str]) -> _Found:
        planned = plan(query)
        partitions = [(owner_id, state) for owner_id in owners for state in query.states]
        walk = Walk(self._table, self._pool, planned, planned.segments, partitions, Budget(self._max_walk_bytes))
        entries, tally = self._entries(query, walk, owners)
        shown = entries[query.shown]
        ends = (walk.values(shown[0]), walk.values(shown[-1])) if shown else None
        leaving, end = None, query.offset + query.limit  # where whoever walks goes on, though others may have deleted
        more = len(entries) > len(shown) or end < counts.total(tally, query)
        if ends and more and not query.start and end > READ_PAST:
            leaving = self._pool.submit(self._jumps.leave, query, Position(end, ends[1]))
        if shown and "owner_id" in shown[0]:  # the whole record, and not only its key
            customers = [Customer.from_item(entry) for entry in shown]
        else:
            customers = self._hydrated(query, [entry["id"] for entry in shown])
        if leaving:
            leaving.result()
        return _Found(ends, len(shown), len(entries) > len(shown), customers, tally)

    def _entries(self, query: ListQuery, walk: Walk, owners: Sequence[str]) -> tuple[Sequence[Item], Tally]:
        """The page's entries, of which some have the whole record, and the totals."""
        counting = {owner: self._pool.submit(counts.read, self._table, owner) for owner in owners}
        near = query.start is not None or query.offset <= READ_PAST
        if near and walk.segments and not walk.plan.filters:
            entries = walk.page(query)
            return entries, self._tally(query, _results(counting))
        known = self._jumps.look(self._pool, query, countable=walk.countable)
        sample = walk.sample(query) if walk.plan.filters and near and not query.start else None
        by_owner = _results(counting)
        tally = self._tally(query, by_owner)
        total = counts.total(tally, query)
        if bookmark := known.bookmarked():  # whoever walks goes on behind the last page, whatever came or went before
            query, near = replace(query, start=bookmark), True
        if query.start is None and query.offset >= total:
            return [], tally
        if sample is not None:
            return sample, tally
        if walk.plan.filters:
            among = sum(counts.total(each.tally, replace(query, statuses=())) for each in by_owner.values())
            if gather.worthwhile(query, total, among):
                return gather.page(self._table, self._pool, query, walk.plan, walk.partitions), tally
        if not walk.segments:
            statuses = {*counts.statuses_in_scope(tally, query), *(query.start.values[:1] if query.start else ())}
            walk = replace(walk, segments=status_segments(query, statuses))
        if near:
            return walk.page(query), tally
        return self._jumps.page(walk, query, total, known, sum(by_owner.values(), Counts())), tally

    def _tally(self, query: ListQuery, by_owner: Mapping[str, Counts]) -> Tally:
        """How many records of each state and status there are, within the dates."""
        if not query.has_dates:
            return sum((each.tally for each in by_owner.values()), Counter())
        dated = self._jumps.dated(query, by_owner[query.owner_id], self._max_walk_bytes) if query.owner_id else None
        tallies = {owner: each.tally for owner, each in by_owner.items()}
        return dated or counts.in_range(self._table, self._pool, query, tallies)

    def _hydrated(self, query: ListQuery, ids: Sequence[str]) -> list[Customer]:
        """The records in the order of `ids`; without those that have left the scope since their entry was read."""
        lots = [[keys.customer(id) for id in lot] for lot in batched(ids, BATCH_GET_ITEMS, strict=False)]
        read = self._pool.map if len(lots) > 1 else map
        found = {item["id"]: item for items in read(self._table.batch_get, lots) for item in items}
        return [Customer.from_item(found[id]) for id in ids if id in found and found[id]["state"] in query.states]

    def _page(self, query: ListQuery, found: _Found) -> Page:
        start, more = query.start, found.more
        if start and start.backward:
            query = replace(query, offset=max(start.rank - found.number, 1) if more else 0)
        end = query.offset + found.number
        has_next = start.backward or more if start else more or end < counts.total(found.tally, query)
        has_previous = (more or not start.backward) if start else query.offset > 0
        links = dict[str, str | None]()
        if start or query.offset:
            links["first"] = None
        if found.ends and has_previous:
            links["prev"] = self._cursors.write(Position(query.offset, found.ends[0], backward=True), query.listing)
        if found.ends and has_next:
            links["next"] = self._cursors.write(Position(end, found.ends[1]), query.listing)
        return Page(_answer(query, found.customers, found.tally), links)


def _results(reading: Mapping[str, Future[Counts]]) -> Mapping[str, Counts]:
    return {owner: future.result() for owner, future in reading.items()}


def _answer(query: ListQuery, customers: Sequence[Customer], tally: Tally) -> Answer:
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
    return Answer.model_construct(**parts)
