"""The directory search: reads the directory of each partition in ranges of id, and keeps what really matches."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain
from typing import Any

from customers import keys
from customers.dynamodb import Table
from customers.keys import ABSENT, DirectoryEntry, State
from customers.listing.counts import Tally
from customers.listing.plan import Condition, KeyRange, request
from customers.listing.query import ListQuery

RANGE_ENTRIES = 5_000  # of about 200 bytes: one page of 1 MB
MAX_RANGES = 16  # of one partition, which gives 3,000 read units a second
MAX_SERVER_TERMS = 8  # the longest; a filter has at most 4 KB and 300 operators


@dataclass(frozen=True, slots=True)
class Match:
    id: str
    state: State
    entry: DirectoryEntry


def find(table: Table, pool: Executor, query: ListQuery, by_owner: Mapping[str, Tally]) -> list[Match]:
    """All records of the counted states that match the terms and the dates, in no order."""
    asked = [
        (state, request(keys.DIRECTORY, owner_id, state, id_range, filters=filters(query.terms)))
        for owner_id, tally in by_owner.items()
        for state in query.counted_states
        for id_range in id_ranges(sum(number for (of, _), number in tally.items() if of == state))
    ]
    return list(chain.from_iterable(pool.map(lambda each: list(_matches(table, query, *each)), asked)))


def filters(terms: tuple[str, ...]) -> list[Condition]:
    """What the server can leave out: it knows no fields, so that a term may still be found in the wrong one."""
    return [Condition("d", "contains", (term,)) for term in sorted(terms, key=len)[-MAX_SERVER_TERMS:]]


def id_ranges(count: int) -> list[KeyRange]:
    """Ranges of `pk` that hold about RANGE_ENTRIES each of `count` records, since ids are random; none for none."""
    number = min(-(-count // RANGE_ENTRIES), MAX_RANGES)
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


def ordered(found: list[Match], query: ListQuery) -> list[Match]:
    """What is listed of the matches, in the order in which a walk would come upon it."""
    listed = [
        match
        for match in found
        if match.state in query.states and (not query.statuses or match.entry.status_key in query.statuses)
    ]

    def key(match: Match) -> tuple[object, ...]:
        value = match.entry.sort_value(query.sort_field)
        ties = (match.entry.created_at, match.id) if query.sort_field == "status" else (match.id,)
        return (value == ABSENT) is not query.descending, value, *ties  # absent last in both directions

    return sorted(listed, key=key, reverse=query.descending)
