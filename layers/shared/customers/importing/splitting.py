"""A CSV file to chunks of whole rows, each a range of bytes that a worker reads by itself.

The file is read from front to end with flat memory: of a row nothing is kept but a hash of its customer_id, to find
those that come twice.
"""

import hashlib
import os
from array import array
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from customers.sheets import Columns, Csv, UnreadableFile, columns_of, records, sniff

CHUNK_ROWS = 5_000  # a few seconds' work of one worker
CHUNK_BYTES = 8 << 20  # a worker has them in memory
MAX_ROWS = 1_000_000
MAX_HEADER_BYTES = 65_536  # it is stored with the import
PARTITIONS = 256  # of the hashes: one of them at a time is looked through


@dataclass(frozen=True, slots=True)
class Chunk:
    """`rows` rows in `length` bytes from `start` on; the first of them has the number `row`."""

    start: int
    length: int
    row: int
    rows: int


@dataclass(frozen=True, slots=True)
class Split:
    """A file's chunks, and by their places in that list the rows whose customer_id an earlier row of the file has."""

    form: Csv
    columns: Columns
    chunks: list[Chunk]
    duplicates: dict[int, list[int]]

    @property
    def total(self) -> int:
        return sum(chunk.rows for chunk in self.chunks)


def split(file: BinaryIO) -> Split:
    """Raises `UnreadableFile`, also for a file of more than MAX_ROWS rows."""
    form = sniff(file)
    file.seek(0)
    found = records(file, form)
    _, header = next(found, (0, None))
    columns = columns_of(header)
    if sum(len(name.encode()) + 1 for name in columns.names) > MAX_HEADER_BYTES:
        raise UnreadableFile("header_too_long", f"The names of the columns have more than {MAX_HEADER_BYTES:,} bytes")
    seen = _Seen()
    firsts = list[tuple[int, int, int]]()  # of each chunk: its first byte, its first row's number, the rows before it
    for count, (start, record) in enumerate(found):
        if count == MAX_ROWS:
            raise UnreadableFile("too_many_rows", f"The file has more than {MAX_ROWS:,} rows")
        if not firsts or count - firsts[-1][2] == CHUNK_ROWS or start - firsts[-1][0] >= CHUNK_BYTES:
            firsts.append((start, record.number, count))
        seen.add(columns.key_of(record), record.number)
        total = count + 1
    if not firsts:
        return Split(form, columns, [], {})
    ends = [*firsts[1:], (file.seek(0, os.SEEK_END), 0, total)]
    chunks = [
        Chunk(start, end - start, row, until - before)
        for (start, row, before), (end, _, until) in zip(firsts, ends, strict=True)
    ]
    return Split(form, columns, chunks, seen.by_chunk([chunk.row for chunk in chunks]))


class _Seen:
    """The customer_ids of a file, as 64-bit hashes: two of a million are alike with a chance of 1 in 37 million."""

    def __init__(self) -> None:
        self._hashes = [array("Q") for _ in range(PARTITIONS)]
        self._rows = [array("L") for _ in range(PARTITIONS)]

    def add(self, key: str, row: int) -> None:
        """`key` is empty for a row that has none."""
        if key:
            number = int.from_bytes(hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest())
            self._hashes[number % PARTITIONS].append(number)
            self._rows[number % PARTITIONS].append(row)

    def by_chunk(self, first_rows: list[int]) -> dict[int, list[int]]:
        """The rows with a key that was there before, in the chunks that begin with these rows."""
        found = defaultdict[int, list[int]](list)
        for row in sorted(self._later()):
            found[bisect(first_rows, row) - 1].append(row)
        return found

    def _later(self) -> Iterator[int]:
        for hashes, rows in zip(self._hashes, self._rows, strict=True):
            before = set[int]()
            for number, row in zip(hashes, rows, strict=True):
                if number in before:
                    yield row
                before.add(number)
