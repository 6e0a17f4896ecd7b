"""How many records there are by state and status: the source of totals and quick filters."""

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Self

from customers import keys
from customers.dynamodb import Table
from customers.keys import ABSENT, State
from customers.listing.plan import equal, request, within
from customers.listing.query import ListQuery, written_status

MAX_COUNTED_STATUSES = 16  # of one partition: COUNT queries side by side; with more, one read of the whole range

type Tally = Counter[tuple[str, str]]  # by state and status key


@dataclass(frozen=True, slots=True)
class Counts:
    """The exact counts of an owner, as they are kept with every write.

    `writes` tells how often they have moved, and with them the members of a listing, or their status or customer_id;
    `moved_at` when they last did ("" for never).
    """

    tally: Tally = field(default_factory=Counter[tuple[str, str]])
    writes: int = 0
    moved_at: str = ""

    def __add__(self, other: Self) -> "Counts":
        return Counts(self.tally + other.tally, self.writes + other.writes, max(self.moved_at, other.moved_at))


def read(table: Table, owner_id: str) -> Counts:
    pk, prefix = keys.counts(owner_id)
    pages = table.pages(
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        values={":pk": pk, ":prefix": prefix},
        ConsistentRead=True,
    )
    tally: Tally = Counter()
    writes, moved_at = 0, ""
    for page in pages:
        for item in page.items:
            writes += int(item.get("writes", 0))
            moved_at = max(moved_at, item.get("moved_at", ""))
            for name, number in item.items():
                state, is_count, status = name.partition("#")
                if is_count:
                    tally[state, status] += int(number)
    return Counts(tally, writes, moved_at)


def of_owner(table: Table, owner_id: str) -> Tally:
    return read(table, owner_id).tally


def in_range(table: Table, pool: Executor, query: ListQuery, by_owner: Mapping[str, Tally]) -> Tally:
    """How many records of each state and status the range of dates holds; reads only where the counts say some are.

    Only the statuses of the filter are counted, if nothing asks for more; all as one, if nothing asks which they are.
    """
    asked = [
        each
        for owner_id, tally in by_owner.items()
        for state in query.counted_states
        for each in _requests(query, owner_id, state, _statuses(query, tally, state))
    ]
    return sum(pool.map(lambda each: _count(table, *each), asked), Counter())


def _statuses(query: ListQuery, tally: Tally, state: State) -> list[str]:
    wanted = () if query.aggregations else query.statuses
    return [status for (of, status), n in tally.items() if of == state and n > 0 and (not wanted or status in wanted)]


def _requests(
    query: ListQuery, owner_id: str, state: State, statuses: list[str]
) -> Iterable[tuple[dict[str, Any], tuple[State, str] | None]]:
    """Queries with the state and status that each counts; None: it reads the status of every entry."""
    created = within("created_at", query.date_from, query.date_to)
    if statuses and not query.needs_statuses:
        counted = request(keys.CREATED_KEYS, owner_id, state, created)
        yield {**counted, "Select": "COUNT"}, (state, ABSENT)
    elif len(statuses) <= MAX_COUNTED_STATUSES or (query.statuses and not query.aggregations):
        for status in statuses:
            counted = request(keys.BY_STATUS, owner_id, state, (equal("status_key", status), *created))
            yield {**counted, "Select": "COUNT"}, (state, status)
    else:
        read = request(keys.BY_CREATED, owner_id, state, created)
        yield {**read, "ProjectionExpression": "#state, status_key"}, None


def _count(table: Table, asked: dict[str, Any], counted: tuple[State, str] | None) -> Tally:
    tally: Tally = Counter()
    for page in table.pages(**asked):
        if counted:
            tally[counted] += page.count
        else:
            tally.update((item["state"], item["status_key"]) for item in page.items)
    return tally


def total(tally: Tally, query: ListQuery) -> int:
    return sum(
        number
        for (state, status), number in tally.items()
        if state in query.states and (not query.statuses or status in query.statuses)
    )


def statuses_in_scope(tally: Tally, query: ListQuery) -> dict[str, int]:
    """How many records in scope have each status, whatever the status filter is."""
    found = Counter[str]()
    for (state, status), number in tally.items():
        if state in query.states:
            found[status] += number
    return {status: number for status, number in sorted(found.items()) if number > 0}


def quick_filters(tally: Tally, query: ListQuery) -> dict[str, int]:
    """What each quick filter would show. `deleted` counts deleted records whatever the scope is."""
    statuses = statuses_in_scope(tally, query)
    return {
        "all": sum(statuses.values()),
        "deleted": sum(number for (state, _), number in tally.items() if state == "deleted"),
        f"status:{written_status(ABSENT)}": statuses.pop(ABSENT, 0),
        **{f"status:{written_status(status)}": number for status, number in statuses.items()},
    }
