"""How many records a range of dates has, as the difference of two ranks in the listing by created_at, newest first.

Each rank is counted from the nearest fence, so that a range of any length costs about what is between two fences.
Without fences a rank is counted from an end, which is no dearer than to count a range that begins there; on the way the
walk comes to know fences.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from customers import keys
from customers.dynamodb import Table
from customers.errors import WalkTooLong
from customers.keys import State, start_key
from customers.listing.plan import Condition, KeyRange, request, within
from customers.listing.position import Position
from customers.listing.query import ListQuery
from customers.listing.walk import STRIDE, Budget


def undated(query: ListQuery) -> ListQuery:
    """The listing in which the ranks are."""
    return replace(query, date_from=None, date_to=None, sort_field="created_at", descending=True)


@dataclass(slots=True)
class Dates:
    """Ranks of dates among the `total` records of an owner in one state; `fences` are in order.

    `passed` are the places that counting came to know.
    """

    table: Table
    owner_id: str
    state: State
    total: int
    fences: Sequence[Position]
    max_bytes: int
    passed: list[Position] = field(default_factory=list[Position])

    def number(self, query: ListQuery) -> int:
        """How many records the query's dates have.

        Raises `WalkTooLong`; then there are new places that bring the next try nearer to its end.
        """
        first, last = _after(query.date_to) if query.date_to else None, query.date_from
        above_first, below_first = self._around(first) if first else (0, 0)
        above_last, below_last = self._around(last) if last else (self.total, self.total)
        ranks_at_most = (below_first - above_first + below_last - above_last) / 2
        range_probably = (below_last + above_last - below_first - above_first) / 2
        if ranks_at_most > range_probably:
            with suppress(WalkTooLong):
                return self._count(None, within("created_at", query.date_from, query.date_to), Budget(self.max_bytes))
        budget = Budget(self.max_bytes)
        newer = self._since(first, budget, from_newest=False) if first else 0
        return (self._since(last, budget, from_newest=True) if last else self.total) - newer

    def _newer_fences(self, time: str) -> int:
        return bisect_left(self.fences, True, key=lambda fence: fence.values[0] < time)

    def _around(self, time: str) -> tuple[int, int]:
        """The ranks of the fences, or ends, on either side."""
        at = self._newer_fences(time)
        above = self.fences[at - 1].rank if at else 0
        return above, self.fences[at].rank if at < len(self.fences) else self.total

    def _since(self, time: str, budget: Budget, *, from_newest: bool) -> int:
        """How many records are not older than `time`; `from_newest`: from which end, where there is no fence."""
        at = self._newer_fences(time)
        above = self.fences[at - 1] if at else None
        below = self.fences[at] if at < len(self.fences) else None
        if above and below:
            middle = _seconds(above.values[0], below.values[0]) / 2
            from_above = _seconds(above.values[0], time) < middle
        else:
            from_above = above is not None or (below is None and from_newest)
        if from_above:
            rank = above.rank if above else 0
            return rank + self._count(above, within("created_at", time, None), budget, lambda number: rank + number)
        rank = below.rank if below else self.total + 1
        older = (Condition("created_at", "<", (time,)),)
        return rank - 1 - self._count(below, older, budget, lambda number: rank - number, towards_newer=True)

    def _count(
        self,
        start: Position | None,
        key_range: KeyRange,
        budget: Budget,
        rank_of: Callable[[int], int] | None = None,
        *,
        towards_newer: bool = False,
    ) -> int:
        """How many entries the range has from a place on; `rank_of` tells the rank of the n-th of them."""
        counted, last = 0, self._key(start)
        asked = request(keys.CREATED_KEYS, self.owner_id, self.state, key_range, backward=not towards_newer)
        while True:
            budget.require()
            page = self.table.query(start=last, Select="COUNT", Limit=STRIDE, **asked)
            budget.take(page.count)
            counted += page.count
            last = page.last_key
            if last is None:
                return counted
            if rank_of:
                self.passed.append(Position(rank_of(counted), (last["created_at"], last["id"])))

    def _key(self, position: Position | None) -> keys.Key | None:
        if position is None:
            return None
        sort = dict(zip(keys.CREATED_KEYS.sort, position.values, strict=True))
        return start_key(keys.CREATED_KEYS, self.owner_id, self.state, sort)


def _after(time: str) -> str | None:
    """The next timestamp; None after the last one."""
    try:
        return keys.timestamp(datetime.fromisoformat(time) + timedelta(microseconds=1))
    except OverflowError:
        return None


def _seconds(newer: str, older: str) -> float:
    return (datetime.fromisoformat(newer) - datetime.fromisoformat(older)).total_seconds()
