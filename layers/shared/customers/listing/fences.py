"""Fences: ranks that a long walk came to know, so that the next far jump starts at the nearest of them.

They are exact for as long as nothing in the listing has moved: the owner's counts tell that no record came or went, or
got another status or customer_id; for other sort fields the newest `updated_at` tells that none was changed. They are
kept only if nothing moved during the walk, nor shortly before it, when an index might not have shown it yet. They hold
what the listing is sorted by, a name for example, so a purge drops the owner's fences.
"""

import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from customers import keys
from customers.dynamodb import SETTLE_SECONDS, Table
from customers.listing.position import Position

KEPT_SECONDS = 86_400  # bounds what an index that lags for longer could do
MAX_BYTES = 100_000  # of one item; of what is more, every other fence is kept


@dataclass(frozen=True, slots=True)
class Standing:
    """By what fences are seen to stand: how often the owner's counts have moved, when last, the newest `updated_at`.

    The last one is "" where the counts alone tell.
    """

    writes: int
    moved_at: str
    updated_at: str = ""


class Fences:
    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def find(self, owner_id: str, listing: str) -> "Laid":
        found = self._table.get(keys.fences(owner_id, listing))
        if found is None:
            return Laid()
        ranks = json.loads(zlib.decompress(bytes(found["fences"])))
        return Laid(
            Standing(int(found["writes"]), found["moved_at"], found["newest_update"]),
            [Position(rank, tuple(values)) for rank, *values in ranks],
        )

    def settled(self, standing: Standing) -> bool:
        """Whether every index shows by now all that has moved."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        last = max(standing.moved_at, standing.updated_at)
        return last < keys.timestamp(now - timedelta(seconds=SETTLE_SECONDS))

    def lay(self, owner_id: str, listing: str, standing: Standing, positions: Sequence[Position]) -> None:
        """Keep these positions, which were found while all stood so, instead of those that were there."""
        ordered = sorted({position.rank: position for position in positions}.values(), key=lambda each: each.rank)
        while len(packed := _packed(ordered)) > MAX_BYTES:
            ordered = ordered[::2]
        item = {
            **keys.fences(owner_id, listing),
            "writes": standing.writes,
            "moved_at": standing.moved_at,
            "newest_update": standing.updated_at,  # `updated_at` is a key of an index, which takes no empty text
            "fences": packed,
            "expires_at": int(self._clock()) + KEPT_SECONDS,
        }
        self._table.put(item)


@dataclass(frozen=True, slots=True)
class Laid:
    """What fences there are, and how all stood when they were laid."""

    standing: Standing | None = None
    positions: Sequence[Position] = ()

    def standing_at(self, now: Standing) -> Sequence[Position]:
        """The positions, if they hold still."""
        return self.positions if self.standing == now else ()


def _packed(positions: Sequence[Position]) -> bytes:
    return zlib.compress(json.dumps([[position.rank, *position.values] for position in positions]).encode())
