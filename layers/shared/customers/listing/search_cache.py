"""The search cache: whole directories in memory, of which each search reads only what has changed since the last one.

An owner's first search loads its directory, which costs what one filtered search does. From then on a search reads,
side by side, the end of `by_updated`, which is a log of all changes but purges; the tombstones, which are the log of
those; and the exact counts. It begins `SLACK` before the last search, because that is how long a change may take from
its time stamp to its commit (a handler's timeout) and from there to the indexes, with the clocks' differences. Nothing
bounds an index's lag: so what is held must also agree with the counts, and is loaded anew after `MAX_AGE`.

Names and addresses are held in memory only, by owner, and no more than `max_bytes` of them.
"""

import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched
from threading import Lock
from typing import Any
from uuid import UUID

from customers import keys
from customers.dynamodb import CONTENTION_ATTEMPTS, SETTLE_SECONDS, Item, Table
from customers.errors import Unavailable
from customers.keys import ABSENT, State
from customers.listing import counts
from customers.listing.counts import Counts, Tally
from customers.listing.plan import Condition, KeyRange, request
from customers.listing.query import ListQuery
from customers.listing.search import Found, id_ranges
from customers.listing.search_columns import First, Part, Place, Row, id_bytes, microseconds, row_of

MAX_BYTES = 150_000_000
MIN_RECORDS = 200  # of an owner: to scan fewer costs hardly more than to ask what has changed
MAX_AGE = timedelta(minutes=30)  # less than tombstones live
SLACK = timedelta(seconds=SETTLE_SECONDS)
MAX_LOADING = timedelta(minutes=5)  # a load that was interrupted goes on for so long
RECORD_BYTES = 110  # in memory, about
CHANGED_BYTES = 500  # likewise, of a record that has changed since it was loaded
READERS = 16  # ranges that a load reads side by side: two of a shard, or it meets the shard's limit
TAIL_PAGES = 4  # of 1 MB that are read of the changes, or so many that they hold half of the directory
TAIL_PAGE_RECORDS = 8_000
CHANGED = 1_000  # records that are kept beside the others, or so large a part of them, before all are merged
CHANGED_PART = 64
STATES: tuple[State, State] = ("live", "deleted")


@dataclass(frozen=True, slots=True)
class News:
    """What has changed of an owner's records, and which were purged, as of `asked_at`."""

    asked_at: datetime
    changed: Sequence[tuple[State, Row]]
    purged: Sequence[bytes]


class Directory:
    """An owner's directory as of `watermark`: parts that never change, and beside them what has changed since.

    A row that has a newer version, or was purged, is `hidden`.
    """

    def __init__(self, parts: Sequence[Part], loaded_at: datetime) -> None:
        self.loaded_at = loaded_at
        self.watermark = loaded_at
        self.agreed: int | None = None  # the number of writes when the counts last said the same
        self.tally: Tally = Counter()
        self._changed = dict[bytes, tuple[State, Row]]()
        self._purged = set[bytes]()
        self._take(parts)
        self._hide_moved(loaded_at - SLACK)

    @property
    def tail_pages(self) -> int:
        """Of changes that are read at the most; to load anew is less than more of them."""
        return max(TAIL_PAGES, self.tally.total() // TAIL_PAGE_RECORDS)

    @property
    def size(self) -> int:
        """In bytes, about."""
        changes = len(self._changed) + len(self._purged) + sum(map(len, self._hidden))
        return sum(part.size for part in self._parts) + CHANGED_BYTES * changes

    def _take(self, parts: Sequence[Part]) -> None:
        self._parts = [part for part in parts if len(part)]
        self._hidden = [set[int]() for _ in self._parts]
        self._recent: list[Part] | None = []
        self._shelves = defaultdict[tuple[State, str], list[tuple[bytes, int]]](list)  # first ids, by state and shard
        self.tally.clear()
        for number, part in enumerate(self._parts):
            self._shelves[part.state, _shard(part.id(0))].append((part.id(0), number))
            for status, rows in Counter(part.statuses).items():
                self.tally[part.state, part.status_keys[status]] += rows
        for shelf in self._shelves.values():
            shelf.sort()

    def _hide_moved(self, since: datetime) -> None:
        """Whoever moved to another state while it was loaded may have been met in both: the newer one is right."""
        from_then = microseconds(keys.timestamp(since))
        for part in self._parts:
            for row in [row for row, updated in enumerate(part.updated) if updated >= from_then]:
                other = self._find("deleted" if part.state == "live" else "live", part.id(row))
                if other and self._parts[other[0]].updated[other[1]] < part.updated[row]:
                    self._hide(other)

    def update(self, news: News) -> int:
        """Take over what has changed; how much of it was not known."""
        fresh = sum(self._change(state, row) for state, row in news.changed) + sum(map(self._purge, news.purged))
        self._merge()
        self.watermark = news.asked_at
        return fresh

    def agrees(self, counted: Counts, fresh: int) -> bool:
        """Whether the counts say the same, up to writes that the indexes may not show yet.

        One write moves two numbers at the most. `fresh` is what the last update brought, perhaps since the counts were
        read.
        """
        off = sum(abs(counted.tally[each] - self.tally[each]) for each in counted.tally.keys() | self.tally.keys())
        if not off:
            self.agreed = counted.writes
            return True
        if not fresh and counted.moved_at < keys.timestamp(self.watermark - SLACK):
            return False
        return self.agreed is None or off <= 2 * (counted.writes - self.agreed + fresh)

    def _change(self, state: State, row: Row) -> bool:
        """Take over a version of a record. False if it is none that is newer."""
        id, updated = row[0], row[3]
        if id in self._purged:
            return False
        if known := self._changed.get(id):
            if known[1][3] >= updated:
                return False
            self.tally[known[0], known[1][4]] -= 1
        elif place := self._found(id):
            if self._parts[place[0]].updated[place[1]] >= updated:
                return False
            self._hide(place)
        self._changed[id] = (state, row)
        self.tally[state, row[4]] += 1
        self._recent = None
        return True

    def _purge(self, id: bytes) -> bool:
        """Forget a record for good: no id is used again. False if that is done."""
        if id in self._purged:
            return False
        self._purged.add(id)
        if known := self._changed.pop(id, None):
            self.tally[known[0], known[1][4]] -= 1
            self._recent = None
        elif place := self._found(id):
            self._hide(place)
        return True

    def _found(self, id: bytes) -> Place | None:
        return next(filter(None, (self._find(state, id) for state in STATES)), None)

    def _find(self, state: State, id: bytes) -> Place | None:
        """Where a record is among the parts, if it is not hidden."""
        number = self._part_of(state, id)
        row = None if number is None else self._parts[number].find(id)
        return None if number is None or row is None or row in self._hidden[number] else (number, row)

    def _part_of(self, state: State, id: bytes) -> int | None:
        """The number of the part in whose range an id is, if its shard has any."""
        shelf = self._shelves.get((state, _shard(id)))
        return shelf[max(bisect_right(shelf, id, key=lambda each: each[0]) - 1, 0)][1] if shelf else None

    def _hide(self, place: Place) -> None:
        number, row = place
        self._hidden[number].add(row)
        self.tally[self._parts[number].state, self._parts[number].status(row)] -= 1

    def _merge(self) -> None:
        """Merge what has changed into new parts, if it is much."""
        if len(self._changed) <= max(CHANGED, self.tally.total() // CHANGED_PART):
            return
        added = defaultdict[int, list[Row]](list)  # by part
        apart = defaultdict[tuple[State, str], list[Row]](list)  # by shard: of those that had no record
        for id, (state, row) in self._changed.items():
            number = self._part_of(state, id)
            (apart[state, _shard(id)] if number is None else added[number]).append(row)
        parts = [
            Part.of(part.state, sorted([*part.rows(hidden), *added[number]])) if hidden or added[number] else part
            for number, (part, hidden) in enumerate(zip(self._parts, self._hidden, strict=True))
        ]
        parts += (Part.of(state, sorted(rows)) for (state, _), rows in apart.items())
        self._changed.clear()
        self._take(parts)

    def _beside(self) -> list[Part]:
        """What has changed, as parts: to be searched like the others."""
        if self._recent is None:
            by_state = defaultdict[State, list[Row]](list)
            for state, row in self._changed.values():
                by_state[state].append(row)
            self._recent = [Part.of(state, sorted(rows)) for state, rows in by_state.items()]
        return self._recent

    def search(self, query: ListQuery) -> Found:
        """What matches, and the wanted page of it."""
        parts = [*self._parts, *self._beside()]
        tally: Tally = Counter()
        first = First(query)
        for number, part in enumerate(parts):
            if part.state not in query.counted_states:
                continue
            rows = part.matching(query)
            if number < len(self._hidden) and (hidden := self._hidden[number]):
                rows = [row for row in rows if row not in hidden]
            for status, matching in Counter(map(part.statuses.__getitem__, rows)).items():
                tally[part.state, part.status_keys[status]] += matching
            if part.state in query.states:
                first.offer(number, part, part.of_statuses(rows, query.statuses))
        return Found(tally, [parts[number].match(row) for number, row in first.page()])


def _shard(id: bytes) -> str:
    return keys.directory_shard(str(UUID(bytes=id)))


@dataclass(frozen=True, slots=True)
class _Load:
    """A load under way: the parts that are complete, by the number of their range."""

    owner_id: str
    begun_at: datetime
    ranges: Sequence[tuple[State, KeyRange]]
    parts: dict[int, Part] = field(default_factory=dict[int, Part])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is being read; None for more than was to be read of it."""

    at: datetime
    changed: Mapping[State, Future[list[Row] | None]]
    purged: Future[list[bytes] | None]

    def news(self) -> News | None:
        changed, purged = {state: reading.result() for state, reading in self.changed.items()}, self.purged.result()
        if purged is None or None in changed.values():
            return None
        return News(self.at, [(state, row) for state, rows in changed.items() for row in rows or ()], purged)


class SearchCache:
    """The directories of the owners that were searched last. Threads may share it; they search one after another."""

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        min_records: int = MIN_RECORDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._max_bytes = max_bytes
        self._min_records = min_records
        self._clock = clock
        self._directories = dict[str, Directory]()  # by owner; the one that was searched last is the last
        self._load: _Load | None = None
        self._lock = Lock()

    def find(
        self, table: Table, pool: Executor, query: ListQuery, owners: Sequence[str]
    ) -> tuple[list[Found], Mapping[str, Tally]]:
        """See `search.Cache`. Raises `Unavailable`; what was loaded until then is there for the next search."""
        with self._lock:
            self._drop_old()
            counting = {owner_id: pool.submit(counts.read, table, owner_id) for owner_id in owners}
            asked = {
                owner_id: _ask(table, pool, owner_id, held.watermark, now=self._clock(), max_pages=held.tail_pages)
                for owner_id, held in self._directories.items()
                if owner_id in counting
            }
            found, others = list[Found](), dict[str, Tally]()
            for owner_id, reading in counting.items():
                counted = reading.result()
                directory = self._current(owner_id, asked.get(owner_id), counted)
                directory = directory or self._loaded(table, pool, owner_id, counted)
                if directory:
                    found.append(directory.search(query))
                    self._keep(owner_id, directory)
                else:
                    others[owner_id] = counted.tally
            return found, others

    def _drop_old(self) -> None:
        now = self._clock()
        self._directories = {o: each for o, each in self._directories.items() if each.loaded_at > now - MAX_AGE}
        if self._load and self._load.begun_at <= now - MAX_LOADING:
            self._load = None

    def _current(self, owner_id: str, asked: _Asked | None, counted: Counts) -> Directory | None:
        """The owner's directory brought up to date, if it is held and right. Until it is kept again it is not held."""
        news = asked.news() if asked else None  # if this cannot be read, what is held stays as it is
        directory = self._directories.pop(owner_id, None)
        if directory is None or news is None:
            return None
        return directory if directory.agrees(counted, directory.update(news)) else None

    def _loaded(self, table: Table, pool: Executor, owner_id: str, counted: Counts) -> Directory | None:
        """The owner's directory, read anew; None if that is not worth while."""
        size = RECORD_BYTES * counted.tally.total()
        if counted.tally.total() <= self._min_records or size > self._max_bytes:
            return None
        self._make_room(size)
        load = self._load
        if load is None or load.owner_id != owner_id:
            load = self._load = _Load(owner_id, self._clock(), _ranges(counted.tally))
        left = [number for number in range(len(load.ranges)) if number not in load.parts]
        lots = batched(left, -(-len(left) // READERS) or 1, strict=False)
        reading = [pool.submit(_read_ranges, table, load, lot) for lot in lots]
        wait(reading)  # all of them, though one may have failed: what they load serves the next search
        for each in reading:
            each.result()
        directory = Directory([load.parts[number] for number in sorted(load.parts)], load.begun_at)
        if news := _ask(table, pool, owner_id, load.begun_at, now=self._clock(), max_pages=sys.maxsize).news():
            directory.agrees(counted, directory.update(news))  # it is right in any case: as right as the indexes are
        self._load = None
        return directory

    def _keep(self, owner_id: str, directory: Directory) -> None:
        if directory.size <= self._max_bytes:
            self._make_room(directory.size)
            self._directories[owner_id] = directory

    def _make_room(self, size: int) -> None:
        while self._directories and sum(each.size for each in self._directories.values()) + size > self._max_bytes:
            del self._directories[next(iter(self._directories))]


def _ask(table: Table, pool: Executor, owner_id: str, since: datetime, *, now: datetime, max_pages: int) -> _Asked:
    first = keys.timestamp(since - SLACK)
    changed = {state: pool.submit(_changed, table, owner_id, state, first, max_pages) for state in STATES}
    return _Asked(now, changed, pool.submit(_purged, table, owner_id, first, max_pages))


def _changed(table: Table, owner_id: str, state: State, since: str, max_pages: int) -> list[Row] | None:
    asked = request(keys.BY_UPDATED, owner_id, state, (Condition("updated_at", ">=", (since,)),))
    rows, statuses = list[Row](), dict[str, str]()
    for number, page in enumerate(table.pages(ProjectionExpression="pk, d", **asked)):
        if number == max_pages:
            return None
        rows += [row_of(item, statuses) for item in page.items]
    return rows


def _purged(table: Table, owner_id: str, since: str, max_pages: int) -> list[bytes] | None:
    first = keys.tombstone(owner_id, since, "")
    pages = table.pages(
        KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
        ProjectionExpression="sk",
        values={":pk": first["pk"], ":first": first["sk"], ":last": keys.TOMBSTONES + ABSENT},
    )
    ids = list[bytes]()
    for number, page in enumerate(pages):
        if number == max_pages:
            return None
        ids += [id_bytes(keys.tombstone_of(item["sk"])) for item in page.items]
    return ids


def _ranges(tally: Tally) -> list[tuple[State, KeyRange]]:
    numbers = {state: sum(number for (of, _), number in tally.items() if of == state) for state in STATES}
    return [(state, id_range) for state in STATES for id_range in id_ranges(numbers[state])]


def _read_ranges(table: Table, load: _Load, numbers: Sequence[int]) -> None:
    for number in numbers:
        state, id_range = load.ranges[number]
        rows, statuses = list[Row](), dict[str, str]()
        for items in _patiently(table, request(keys.DIRECTORY, load.owner_id, state, id_range)):
            rows += [row_of(item, statuses) for item in items]
        load.parts[number] = Part.of(state, rows)


def _patiently(table: Table, asked: dict[str, Any]) -> Iterator[list[Item]]:
    """The items of every page. One that is refused, because others read this shard as well, is read after a pause."""
    start, refused = None, 0
    while True:
        try:
            page = table.query(start=start, ProjectionExpression="pk, d", **asked)
        except Unavailable:
            refused += 1
            if refused == CONTENTION_ATTEMPTS:
                raise
            table.pause(refused)
            continue
        yield page.items
        start, refused = page.last_key, 0
        if start is None:
            return
