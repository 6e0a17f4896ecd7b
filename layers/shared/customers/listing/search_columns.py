"""Records in memory, by column: about 100 bytes each, of which a term is looked for in all at once."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Self
from uuid import UUID

from customers import keys
from customers.dynamodb import Item
from customers.keys import ABSENT, SEPARATOR, TIME_LETTERS, DirectoryEntry, State
from customers.listing.query import ListQuery
from customers.listing.search import Match, reach

DENSE = 10  # where a term is in every so many lines, to look at each line is faster than to look for the next

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789abcdefghijklmnop")  # of base 26, as `int` takes them
_SEPARATOR = SEPARATOR.encode()
_ID_BYTES = 16
_FIELDS = [each.name for each in fields(DirectoryEntry)]

type Row = tuple[bytes, bytes, int, int, str]  # id, texts, created_at and updated_at in microseconds, status key
type Place = tuple[int, int]  # of a row: its part's number, its own number there


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Records of one state in the order of their ids, by column.

    A line of `lines` has the texts of a record; `starts` says where each begins, and where the last one ends.
    """

    state: State
    ids: bytes
    lines: bytes
    starts: array[int]
    created: array[int]
    updated: array[int]
    statuses: array[int]  # numbers of `status_keys`
    status_keys: tuple[str, ...]

    @classmethod
    def of(cls, state: State, rows: Sequence[Row]) -> Self:
        """Of rows in the order of their ids."""
        numbers = dict[str, int]()
        statuses = [numbers.setdefault(row[4], len(numbers)) for row in rows]
        return cls(
            state,
            ids=b"".join(row[0] for row in rows),
            lines=b"".join(row[1] + b"\n" for row in rows),
            starts=array("I", accumulate((len(row[1]) + 1 for row in rows), initial=0)),
            created=array("Q", (row[2] for row in rows)),
            updated=array("Q", (row[3] for row in rows)),
            statuses=array("B" if len(numbers) <= 256 else "I", statuses),  # noqa: PLR2004 - a byte
            status_keys=tuple(numbers),
        )

    def __len__(self) -> int:
        return len(self.created)

    @property
    def size(self) -> int:
        """In bytes."""
        columns = (self.starts, self.created, self.updated, self.statuses)
        return len(self.ids) + len(self.lines) + sum(len(column) * column.itemsize for column in columns)

    def id(self, row: int) -> bytes:
        return self.ids[_ID_BYTES * row : _ID_BYTES * (row + 1)]

    def line(self, row: int) -> bytes:
        return self.lines[self.starts[row] : self.starts[row + 1] - 1]

    def status(self, row: int) -> str:
        return self.status_keys[self.statuses[row]]

    def find(self, id: bytes) -> int | None:
        row = bisect_left(range(len(self)), id, key=self.id)
        return row if row < len(self) and self.id(row) == id else None

    def rows(self, hidden: Set[int]) -> Iterator[Row]:
        for row in range(len(self)):
            if row not in hidden:
                yield self.id(row), self.line(row), self.created[row], self.updated[row], self.status(row)

    def with_terms(self, terms: Sequence[bytes]) -> list[int]:
        """The rows with every term, which are folded, in ascending order.

        As in `search.matches`: no term has a separator, so none spans two texts; a phone is digits only, so only terms
        of digits are found in it.
        """
        longest, *others = sorted(terms, key=len, reverse=True)
        rows = self._with(longest)
        return [row for row in rows if all(term in self.line(row) for term in others)] if others else rows

    def _with(self, term: bytes) -> list[int]:
        rows, few = list[int](), len(self) // DENSE
        at = self.lines.find(term)
        while at >= 0:
            if len(rows) > few:
                text = term.decode()  # `in` is faster in a str, and so much that it pays to make them
                return [row for row, line in enumerate(self.lines.decode().split("\n")) if text in line]
            rows.append(bisect_right(self.starts, at) - 1)
            at = self.lines.find(term, self.starts[rows[-1] + 1])
        return rows

    def matching(self, query: ListQuery) -> list[int]:
        """The rows that the query's terms and dates leave, in ascending order."""
        rows = self.with_terms([term.encode() for term in query.terms])
        if not query.has_dates:
            return rows
        low = microseconds(query.date_from) if query.date_from else 0
        high = microseconds(query.date_to) if query.date_to else 1 << 64
        return [row for row in rows if low <= self.created[row] <= high]

    def of_statuses(self, rows: Sequence[int], wanted: Sequence[str]) -> Sequence[int]:
        """Those of the rows that have one of the statuses wanted; all if none is."""
        numbers = {number for number, key in enumerate(self.status_keys) if key in wanted}
        return [row for row in rows if self.statuses[row] in numbers] if wanted else rows

    def texts(self, rows: Sequence[int], field: int) -> list[bytes]:
        """The sort keys of a text of each row (`keys.text_key`); b"" for none."""
        if len(rows) * DENSE > len(self):
            lines = self.lines.split(b"\n")
            texts = [lines[row].split(_SEPARATOR, field + 1)[field] for row in rows]
        else:
            texts = [self.line(row).split(_SEPARATOR, field + 1)[field] for row in rows]
        if self.lines.isascii() and max(map(len, texts), default=0) <= keys.MAX_SORT_KEY_BYTES:
            return texts
        return [keys.text_key(text.decode()).encode() if text else text for text in texts]

    def match(self, row: int) -> Match:
        texts = self.line(row).decode().split(SEPARATOR)
        others = (self.status(row), timestamp(self.created[row]), timestamp(self.updated[row]))
        entry = DirectoryEntry(**dict(zip(_FIELDS, (*texts, *others), strict=True)))
        return Match(str(UUID(bytes=self.id(row))), self.state, entry)


def row_of(item: Item, statuses: dict[str, str]) -> Row:
    """The row of an index entry; `statuses` keeps what the letters of each status stand for."""
    packed: str = item["d"]
    texts, _, letters = packed.rpartition(SEPARATOR)
    times, status = letters[: 2 * TIME_LETTERS].translate(_DIGITS), letters[2 * TIME_LETTERS :]
    if status not in statuses:
        statuses[status] = DirectoryEntry.unpack(packed).status_key
    return (
        id_bytes(keys.id_of(item["pk"])),
        texts.replace("\n", " ").encode(),  # a line is a record; no term has either
        int(times[:TIME_LETTERS], 26),
        int(times[TIME_LETTERS:], 26),
        statuses[status],
    )


def id_bytes(id: str) -> bytes:
    return bytes.fromhex(id.replace("-", ""))


def microseconds(time: str) -> int:
    return (datetime.fromisoformat(time) - _EPOCH) // _MICROSECOND


def timestamp(microseconds: int) -> str:
    return keys.timestamp(_EPOCH + microseconds * _MICROSECOND)


class First:
    """Keeps those rows that come first in a listing, or first from a cursor's place on, without sorting all.

    A row is told by (value, ties, part's number, row). Values and ties are in the order of what they stand for, but the
    value of an absent text, which is last in either direction.
    """

    def __init__(self, query: ListQuery) -> None:
        self._query = query
        self._field = query.sort_field
        self._absent = "" if query.descending else ABSENT
        self._backward = query.start is not None and query.start.backward
        self._falling = query.descending is not self._backward
        self._wanted = reach(query)
        self._place = self._key(*query.start.values) if query.start else None
        self._kept = list[tuple[Any, tuple[Any, ...], int, int]]()
        self._last: Any = None  # the value of the last one that can be among the first

    def offer(self, number: int, part: Part, rows: Sequence[int]) -> None:
        values = self._values(part, rows)
        if self._last is not None:
            falling, last = self._falling, self._last
            near = [i for i, value in enumerate(values) if (value >= last if falling else value <= last)]
            values, rows = [values[i] for i in near], [rows[i] for i in near]
        ties = [(part.created[row], part.id(row)) if self._field == "status" else (part.id(row),) for row in rows]
        offered = zip(values, ties, [number] * len(rows), rows, strict=True)
        if place := self._place:
            falling = self._falling
            self._kept += (each for each in offered if (each[:2] < place if falling else each[:2] > place))
        else:
            self._kept += offered
        if len(self._kept) > 2 * self._wanted + 1_000:  # so seldom that sorting costs little
            self._sort()

    def page(self) -> list[Place]:
        """The wanted page, in the listing's order."""
        self._sort()
        places = [each[2:] for each in self._kept]
        if self._query.start is None:
            return places[self._query.offset :]
        return places[::-1] if self._backward else places

    def _sort(self) -> None:
        self._kept.sort(reverse=self._falling)
        del self._kept[self._wanted :]
        if len(self._kept) == self._wanted:
            self._last = self._kept[-1][0]

    def _values(self, part: Part, rows: Sequence[int]) -> list[Any]:
        match self._field:
            case "created_at":
                return [part.created[row] for row in rows]
            case "updated_at":
                return [part.updated[row] for row in rows]
            case "status":
                of_status = [self._present(key) for key in part.status_keys]
                return [of_status[part.statuses[row]] for row in rows]
            case text:
                texts = part.texts(rows, _FIELDS.index(text))
                return [each or self._absent.encode() for each in texts] if self._absent else texts

    def _present(self, key: str) -> str:
        return self._absent if key == ABSENT else key

    def _key(self, value: str, *ties: str) -> tuple[Any, tuple[Any, ...]]:
        """The value and the ties of a place, as those of a row are."""
        *created, id = ties
        of_ties = (*map(microseconds, created), id_bytes(id))
        match self._field:
            case "created_at" | "updated_at":
                return microseconds(value), of_ties
            case "status":
                return self._present(value), of_ties
            case _:
                return self._present(value).encode(), of_ties
