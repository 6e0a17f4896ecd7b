"""The ordered walk: entries of an index in order, merged from its ranges and read only as far as the page's end."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import itemgetter
from typing import Any, Self

from customers.dynamodb import Item, Page, Table
from customers.errors import WalkTooLong
from customers.keys import Index, State, start_key
from customers.listing.plan import KeyRange, Plan, Segment, request
from customers.listing.position import Position
from customers.listing.query import ListQuery

MIN_FILTERED_READ = 100  # entries of the first read of a filtered range; each further one reads twice as many
MAX_READ = 10_000  # entries; a page of 1 MB holds hardly more, and some engines take no number beyond 2**31
STRIDE = 2_000  # entries that are counted past at a time, and so between two fences: 40 to 50 read units
ENTRY_BYTES = 160  # of an index that has keys only

type Partition = tuple[str, State]  # owner_id, state
type Values = tuple[str, ...]  # of a plan's order


@dataclass(frozen=True, slots=True)
class Place:
    """Where to read on: in which segment, and behind which entry (None: at its beginning)."""

    segment: int = 0
    behind: Values | None = None


@dataclass(slots=True)
class Budget:
    """How many bytes of an index one request may still take."""

    bytes: int

    def require(self) -> None:
        """Raises `WalkTooLong` if nothing is left."""
        if self.bytes <= 0:
            raise WalkTooLong

    def take(self, entries: int) -> None:
        self.bytes -= entries * ENTRY_BYTES


@dataclass(frozen=True, slots=True)
class Walk:
    """A plan's listing, read in its own direction or, `reversed`, from its end."""

    table: Table
    pool: Executor
    plan: Plan
    segments: Sequence[Segment]
    partitions: Sequence[Partition]
    budget: Budget = field(default_factory=lambda: Budget(1 << 62))

    def reversed(self) -> Self:
        plan = replace(self.plan, backward=not self.plan.backward)
        return replace(self, plan=plan, segments=self.segments[::-1])

    @property
    def countable(self) -> bool:
        """Whether entries can be skipped by counting them, because they come from one range at a time."""
        return not self.plan.filters and len(self.partitions) == 1 and max(map(len, self.segments), default=1) == 1

    def values(self, entry: Item) -> Values:
        return tuple(entry[name] for name in self.plan.order)

    def place(self, position: Position) -> Place:
        """Behind the entry of a position in this walk's direction; past the end if no segment has it."""
        known = dict(zip(self.plan.order, position.values, strict=True))
        for number, segment in enumerate(self.segments):
            if any(_holds(key_range, known) for key_range in segment):
                return Place(number, position.values)
        return Place(len(self.segments))

    def skip(
        self, place: Place, number: int, passed: Callable[[int, Values], None] = lambda _number, _values: None
    ) -> Place:
        """The place `number` entries further. `passed` is told every STRIDE how many were skipped, and up to where."""
        if not number:
            return place
        if not self.countable:
            skipped = list(islice(self._keys(place, number), number))
            return Place(len(self.segments)) if len(skipped) < number else self.place(self._at(skipped[-1]))
        left = number
        for at in range(place.segment, len(self.segments)):
            start = place.behind if at == place.segment else None
            while left:
                step = min(left, STRIDE)
                page = self._count(self.segments[at][0], start, step)
                left -= page.count
                if page.last_key is None:
                    break
                start = self.values(page.last_key)
                if left or step == STRIDE:
                    passed(number - left, start)
            else:
                return Place(at, start)
        return Place(len(self.segments))

    def read(self, place: Place, wanted: int) -> list[Item]:
        """The next `wanted` entries: keys only if the plan is `hydrated`, otherwise whole items."""
        return list(islice(self._entries(self.plan.index, place, wanted, keys_only=self.plan.hydrated), wanted))

    def page(self, query: ListQuery) -> list[Item]:
        """The entries of a page that begins at a cursor's place, or not far from the beginning; in order."""
        if query.start is None:
            return self.read(Place(), query.offset + query.limit)[query.offset :]
        walk = self.reversed() if query.start.backward else self
        entries = walk.read(walk.place(query.start), query.wanted)
        return entries[::-1] if query.start.backward else entries

    def sample(self, query: ListQuery) -> list[Item] | None:
        """The entries of a page near the beginning, unless it takes more than a first read of each filtered range."""
        few = replace(self, budget=Budget(MIN_FILTERED_READ * len(self.partitions) * ENTRY_BYTES))
        try:
            return few.page(query)
        except WalkTooLong:
            return None

    def _at(self, entry: Item) -> Position:
        return Position(0, self.values(entry))

    def _count(self, key_range: KeyRange, start: Values | None, limit: int) -> Page:
        self.budget.require()
        ((owner_id, state),) = self.partitions
        asked = request(self.plan.skipped, owner_id, state, key_range, backward=self.plan.backward)
        page = self.table.query(
            start=self._start(self.plan.skipped, (owner_id, state), key_range, start),
            Select="COUNT",
            Limit=limit,
            **asked,
        )
        self.budget.take(page.count)
        return page

    def _keys(self, place: Place, wanted: int) -> Iterator[Item]:
        return self._entries(self.plan.skipped, place, wanted, keys_only=True)

    def _entries(self, index: Index, place: Place, wanted: int, *, keys_only: bool) -> Iterator[Item]:
        for at in range(place.segment, len(self.segments)):
            behind = place.behind if at == place.segment else None
            for entry in self._merged(index, self.segments[at], behind, wanted, keys_only=keys_only):
                wanted -= 1
                yield entry

    def _merged(
        self, index: Index, segment: Segment, behind: Values | None, wanted: int, *, keys_only: bool
    ) -> Iterator[Item]:
        """The entries of all ranges in one order. The first reads go out side by side, the others when needed."""
        ranges = [(partition, key_range) for partition in self.partitions for key_range in segment]
        size = min(wanted, 2 * wanted // max(len(ranges), 1) + 1, MAX_READ)  # twice what a range has of it on average
        if self.plan.filters:
            size = max(size, MIN_FILTERED_READ)
        projection = {"ProjectionExpression": ", ".join(self.plan.order)} if keys_only else {}
        asked = [
            request(index, *partition, key_range, filters=self.plan.filters, backward=self.plan.backward) | projection
            for partition, key_range in ranges
        ]
        starts = [self._start(index, *each, behind) for each in ranges]
        if len(ranges) == 1:
            return self._stream(asked[0], size, self.table.query(start=starts[0], Limit=size, **asked[0]))
        firsts = [
            self.pool.submit(self.table.query, start=start, Limit=size, **each)
            for start, each in zip(starts, asked, strict=True)
        ]
        streams = [self._stream(each, size, first.result()) for each, first in zip(asked, firsts, strict=True)]
        return heapq.merge(*streams, key=itemgetter(*self.plan.order), reverse=self.plan.backward)

    def _stream(self, asked: dict[str, Any], size: int, page: Page) -> Iterator[Item]:
        while True:
            self.budget.take(page.scanned)
            yield from page.items
            if page.last_key is None:
                return
            self.budget.require()
            size = min(2 * size, MAX_READ)
            page = self.table.query(start=page.last_key, Limit=size, **asked)

    def _start(self, index: Index, partition: Partition, key_range: KeyRange, behind: Values | None) -> Item | None:
        """The key to read on from; the entry need not be in this range, nor be there any more."""
        if behind is None:
            return None
        owner_id, state = partition
        equal = {condition.attribute: condition.values[0] for condition in key_range if condition.operator == "="}
        return start_key(index, owner_id, state, dict(zip(self.plan.order, behind, strict=True)) | equal)


def _holds(key_range: KeyRange, known: dict[str, str]) -> bool:
    return all(c.holds(known[c.attribute]) for c in key_range if c.attribute in known)
