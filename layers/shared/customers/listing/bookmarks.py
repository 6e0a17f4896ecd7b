"""Bookmarks: where a far page ended, so that the next one starts there instead of skipping all before it.

Whoever walks a list by offset thus reads what a cursor would, and, like it, each record exactly once while others
write. A bookmark is believed only as long as a walk may take from one page to the next: later an offset counts from the
beginning again. It holds what the listing is sorted by, a name for example, so a purge drops the owner's bookmarks.
"""

import time
from collections.abc import Callable

from customers import keys
from customers.dynamodb import Table
from customers.listing.position import Position

WALK_SECONDS = 300  # from one page to the next
KEPT_SECONDS = 3_600


class Bookmarks:
    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def find(self, owner_id: str, listing: str, rank: int) -> Position | None:
        """Where the page that ended at this rank did."""
        found = self._table.get(keys.bookmark(owner_id, listing, rank))
        if found is None or found["left_at"] < self._clock() - WALK_SECONDS:
            return None
        return Position(rank, tuple(found["behind"]))

    def leave(self, owner_id: str, listing: str, position: Position) -> None:
        now = int(self._clock())
        key = keys.bookmark(owner_id, listing, position.rank)
        self._table.put({**key, "behind": list(position.values), "left_at": now, "expires_at": now + KEPT_SECONDS})
