"""The directory search: what of the owners' directories matches a text, how much of it, and the page that is asked for.

Without a cache the directory of each partition is read in ranges of id, filtered by the server.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

from customers import keys
from customers.dynamodb import Table
from customers.keys import ABSENT, DirectoryEntry, State
from customers.listing import counts
from customers.listing.counts import Tally
from customers.listing.plan import Condition, KeyRange, equal, request
from customers.listing.query import ListQuery

RANGE_ENTRIES = 5_000  # of about 200 bytes: one page of 1 MB
MAX_RANGES = 16  # of one shard, which gives 3,000 read units a second
MAX_SERVER_TERMS = 8  # the longest; a filter has at most 4 KB and 300 operators


@dataclass(frozen=True, slots=True)
class Match:
    id: str
    state: State
    entry: DirectoryEntry


@dataclass(frozen=True, slots=True)
class Found:
    """How many records of the counted states match, whatever their status; and the wanted page of them, in order."""

    tally: Tally
    page: list[Match]


class Cache(Protocol):
    def find(
        self, table: Table, pool: Executor, query: ListQuery, owners: Sequence[str]
    ) -> tuple[list[Found], Mapping[str, Tally]]:
        """What is asked for of each owner that it knows, as if there were no other; the counts of all other owners."""
        ...


def read(table: Table, pool: Executor, query: ListQuery, owners: Sequence[str], cache: Cache | None = None) -> Found:
    """Raises `Unavailable`."""
    if cache:
        found, others = cache.find(table, pool, query if len(owners) == 1 else _from_the_beginning(query), owners)
        if found and len(owners) == 1:
            return found[0]
    else:
        found, others = [], _counts(table, pool, owners)
    matches = find(table, pool, query, others)
    found.append(Found(Counter((match.state, match.entry.status_key) for match in matches), matches))
    tally = sum((each.tally for each in found), Counter())
    return Found(tally, _page(chain.from_iterable(each.page for each in found), query))


def _from_the_beginning(query: ListQuery) -> ListQuery:
    """What has to be known of one of several owners: all that may be on the page or before it."""
    return query if query.start else replace(query, offset=0, limit=reach(query))


def _counts(table: Table, pool: Executor, owners: Sequence[str]) -> Mapping[str, Tally]:
    return dict(zip(owners, pool.map(lambda owner_id: counts.of_owner(table, owner_id), owners), strict=True))


def find(table: Table, pool: Executor, query: ListQuery, by_owner: Mapping[str, Tally]) -> list[Match]:
    """All records of the counted states that match the terms and the dates, in no order."""
    asked = [
        (state, request(keys.DIRECTORY, owner_id, state, id_range, filters=filters(query.terms)))
        for owner_id, tally in by_owner.items()
        for state in query.counted_states
        for id_range in id_ranges(sum(number for (of, _), number in tally.items() if of == state))
    ]
    newest = dict[str, Match]()  # one that moved to another state meanwhile may have been met in both
    for match in chain.from_iterable(pool.map(lambda each: list(_matches(table, query, *each)), asked)):
        known = newest.setdefault(match.id, match)
        if known.entry.updated_at < match.entry.updated_at:
            newest[match.id] = match
    return list(newest.values())


def filters(terms: tuple[str, ...]) -> list[Condition]:
    """What the server can leave out: it knows no fields, so that a term may still be found in the wrong one."""
    return [Condition("d", "contains", (term,)) for term in sorted(terms, key=len)[-MAX_SERVER_TERMS:]]


def id_ranges(count: int) -> list[KeyRange]:
    """Ranges of the directory that hold about RANGE_ENTRIES each of `count` records; none for none.

    Ids are random, and so are their shards.
    """
    per_shard = min(-(-count // (RANGE_ENTRIES * keys.DIRECTORY_SHARDS)), MAX_RANGES)
    shards = range(keys.DIRECTORY_SHARDS)
    return [(equal("directory_shard", str(shard)), *ids) for shard in shards for ids in _ids(per_shard)]


def _ids(number: int) -> list[KeyRange]:
    if number <= 1:
        return [()] * number
    starts = [keys.customer(f"{i * 0x10000 // number:04x}" if i else "")["pk"] for i in range(number)]
    ends = [*starts[1:], keys.customer("g")["pk"]]  # no id is as short as a bound, so none is in two ranges
    return [(Condition("pk", "BETWEEN", bounds),) for bounds in zip(starts, ends, strict=True)]


def _matches(table: Table, query: ListQuery, state: State, asked: dict[str, Any]) -> Iterator[Match]:
    for page in table.pages(ProjectionExpression="pk, d", **asked):
        for item in page.items:
            entry = DirectoryEntry.unpack(item["d"])
            after, before = query.date_from or "", query.date_to or ABSENT
            if after <= entry.created_at <= before and all(matches(entry, term) for term in query.terms):
                yield Match(keys.id_of(item["pk"]), state, entry)


def matches(entry: DirectoryEntry, term: str) -> bool:
    """Whether a folded term is a part of one of the fields; only digits are looked for in the phone."""
    return (
        term in entry.name
        or term in entry.surname
        or term in entry.email
        or term in entry.customer_id
        or (term.isascii() and term.isdigit() and term in entry.phone)
    )


def order_values(match: Match, query: ListQuery) -> tuple[str, ...]:
    """The values of the listing's order, which a `Position` next to this match has."""
    ties = (match.entry.created_at, match.id) if query.sort_field == "status" else (match.id,)
    return (match.entry.sort_value(query.sort_field), *ties)


def _page(found: Iterable[Match], query: ListQuery) -> list[Match]:
    """The wanted ones of what is listed of the matches: behind the offset, or next to the cursor's place."""

    def rank(values: tuple[str, ...]) -> tuple[object, ...]:
        return (values[0] == ABSENT) is not query.descending, *values  # absent last in both directions

    listed = [
        (rank(order_values(match, query)), match)
        for match in found
        if match.state in query.states and (not query.statuses or match.entry.status_key in query.statuses)
    ]
    backward = query.start is not None and query.start.backward
    falling = query.descending is not backward
    if query.start:
        place = rank(query.start.values)
        listed = [each for each in listed if (each[0] < place if falling else each[0] > place)]
    first = heapq.nlargest if falling else heapq.nsmallest
    page = [match for _, match in first(reach(query), listed, key=lambda each: each[0])]
    if query.start is None:
        return page[query.offset :]
    return page[::-1] if backward else page


def reach(query: ListQuery) -> int:
    """How many of what is listed must be known to know the page: from the beginning, or from the cursor's place."""
    return query.wanted if query.start else query.offset + query.limit
