"""How a far page is reached: from the nearest place that is known, be it an end, a bookmark or a fence.

Bookmarks and fences are looked for beside the counts. Either may be missing: then a page is only dearer to reach.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass

from customers import keys
from customers.dynamodb import Item, Table
from customers.errors import Unavailable
from customers.keys import ABSENT
from customers.listing import counts
from customers.listing.bookmarks import Bookmarks
from customers.listing.counts import Counts, Tally
from customers.listing.dated import Dates, undated
from customers.listing.fences import Fences, Laid, Standing
from customers.listing.plan import request
from customers.listing.position import Position
from customers.listing.query import ListQuery
from customers.listing.walk import Place, Values, Walk

READ_PAST = 100  # entries before the page that are read and dropped: cheaper than a round trip that skips them
FENCED_FROM = 6_000  # entries that a page skips: about one page of 1 MB, which is less than fences are worth
COUNTED_FIELDS = {"created_at", "status", "customer_id"}  # what a listing is sorted by that never changes uncounted


@dataclass(frozen=True, slots=True)
class Known:
    """What is being looked for of a listing; empty for one of several owners."""

    bookmark: Future[Position | None] | None = None
    fences: Future[Laid] | None = None
    updated_at: Future[str] | None = None

    def bookmarked(self) -> Position | None:
        return self.bookmark.result() if self.bookmark else None


@dataclass(frozen=True, slots=True)
class _Start:
    """A place with `rank` entries before it in the direction of `walk`, that many (`skip`) before the page."""

    walk: Walk
    place: Place
    skip: int
    rank: int


class Jumps:
    def __init__(self, table: Table, bookmarks: Bookmarks | None, fences: Fences | None) -> None:
        self._table, self._bookmarks, self._fences = table, bookmarks, fences

    def look(self, pool: Executor, query: ListQuery, *, countable: bool) -> Known:
        """Begin to look for what may be near the page of a far offset."""
        if query.owner_id is None or query.start or query.offset <= READ_PAST:
            return Known()
        bookmark = fences = updated_at = None
        if self._bookmarks:
            bookmark = pool.submit(self._bookmarks.find, query.owner_id, query.listing, query.offset)
        if self._fences and countable and query.offset >= FENCED_FROM:
            fences = pool.submit(self._fences.find, query.owner_id, query.listing)
            if query.sort_field not in COUNTED_FIELDS:
                updated_at = pool.submit(self._newest_update, query)
        return Known(bookmark, fences, updated_at)

    def page(self, walk: Walk, query: ListQuery, total: int, known: Known, counted: Counts) -> list[Item]:
        """The entries of a far page, of an offset below `total`. Raises `WalkTooLong`, and knows more the next time."""
        wanted = min(query.limit, total - query.offset)
        standing = _standing(counted, known.updated_at.result() if known.updated_at else "")
        fences = known.fences.result().standing_at(standing) if known.fences else ()
        start = min(_starts(walk, query.offset, wanted, total, fences), key=lambda each: each.skip)
        passed = list[Position]()

        def note(number: int, values: Values) -> None:
            rank = start.rank + number if start.walk is walk else start.rank - number + 1
            passed.append(Position(rank, values))

        try:
            place = start.walk.skip(start.place, start.skip, note)
        finally:
            if known.fences and passed:
                self._lay(query, standing, [*fences, *passed])
        entries = start.walk.read(place, wanted)
        return entries if start.walk is walk else entries[::-1]

    def dated(self, query: ListQuery, counted: Counts, max_bytes: int) -> Tally | None:
        """How many records the dates of a query have, where fences may know; None: not here. Raises `WalkTooLong`."""
        total = counts.total(counted.tally, query)
        if not self._fences or len(query.states) > 1 or query.needs_statuses or total < FENCED_FROM:
            return None
        ((state,), listed) = query.states, undated(query)
        owner_id, standing = str(query.owner_id), _standing(counted, "")
        fences = self._fences.find(owner_id, listed.listing).standing_at(standing)
        dates = Dates(self._table, owner_id, state, total, fences, max_bytes)
        try:
            return Counter({(state, ABSENT): dates.number(query)})
        finally:
            if dates.passed:
                self._lay(listed, standing, [*fences, *dates.passed])

    def leave(self, query: ListQuery, position: Position) -> None:
        """Remember where a page ended for the one after it."""
        if self._bookmarks and query.owner_id:
            with suppress(Unavailable):  # then the next page is only dearer
                self._bookmarks.leave(query.owner_id, query.listing, position)

    def _lay(self, query: ListQuery, before: Standing, positions: Sequence[Position]) -> None:
        """Keep what the walk came to know, if nothing has moved meanwhile nor shortly before."""
        owner_id = str(query.owner_id)
        if not self._fences or not self._fences.settled(before):
            return
        with suppress(Unavailable):
            updated_at = "" if query.sort_field in COUNTED_FIELDS else self._newest_update(query)
            if _standing(counts.read(self._table, owner_id), updated_at) == before:
                self._fences.lay(owner_id, query.listing, before, positions)

    def _newest_update(self, query: ListQuery) -> str:
        """Of the records in scope ("" of none)."""
        newest = [
            self._table.query(
                Limit=1,
                ProjectionExpression="updated_at",
                **request(keys.BY_UPDATED, str(query.owner_id), state, backward=True),
            )
            for state in query.states
        ]
        return max((item["updated_at"] for page in newest for item in page.items), default="")


def _standing(counted: Counts, updated_at: str) -> Standing:
    return Standing(counted.writes, counted.moved_at, updated_at)


def _starts(walk: Walk, offset: int, wanted: int, total: int, known: Sequence[Position]) -> Iterator[_Start]:
    """Every place from which the page could be reached. Towards the beginning, an entry known is itself left behind."""
    back, end = walk.reversed(), offset + wanted
    yield _Start(walk, Place(), skip=offset, rank=0)
    yield _Start(back, Place(), skip=total - end, rank=total)
    for position in known:
        if position.rank <= offset:
            yield _Start(walk, walk.place(position), skip=offset - position.rank, rank=position.rank)
        elif position.rank > end:
            yield _Start(back, back.place(position), skip=position.rank - 1 - end, rank=position.rank - 1)
