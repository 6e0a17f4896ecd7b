"""Records of a CSV file, read from any record on, in memory that does not grow with the file.

Where a record ends depends on its own bytes only, as the csv module reads them. So whoever reads a range of bytes that
begins and ends between two records sees just what the reader of the whole file sees there.

A record that is not well-formed or has more than MAX_RECORD_BYTES is its first line, and the next line begins another
record: a quote that is never closed costs one row and not the rest of the file.
"""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from customers.sheets.encodings import Encoding, decoder
from customers.sheets.problems import Problem, Record, UnreadableFile

MAX_CELL_CHARS = 32_767  # as in Excel
MAX_RECORD_BYTES = 1 << 20
MAX_REREAD = 512 << 20  # for records that are not well-formed, in bytes, of which a line has 100 more: a few seconds
_LINE_COST = 100
_BLOCK_BYTES = 1 << 18

CELL_TOO_LONG = Problem("cell_too_long", f"A cell has more than {MAX_CELL_CHARS:,} characters")
ROW_TOO_LONG = Problem("unreadable_row", f"The row has more than {MAX_RECORD_BYTES:,} bytes")
BAD_QUOTES = Problem(
    "unreadable_row", "The row's quotes do not add up: one is not closed, or text follows a closed one"
)

# Nobody else in a Lambda function reads CSV files. Our own limit is MAX_RECORD_BYTES.
csv.field_size_limit(2 * MAX_RECORD_BYTES)


@dataclass(frozen=True, slots=True)
class Csv:
    """How a file is written. `start` is how many bytes are before its first record."""

    encoding: Encoding
    delimiter: str
    start: int = 0


def records(file: BinaryIO, form: Csv, *, number: int = 1) -> Iterator[tuple[int, Record]]:
    """Each record, and the bytes before it, counted from where the file stands. The first has this number.

    Records without any value are counted but left out. Raises `UnreadableFile` when too much had to be read again.
    """
    lines = _Lines(file, form)
    offset = form.start
    while lines.has_more():
        try:
            for cells in csv.reader(lines.of_records(), delimiter=form.delimiter, strict=True):
                size = lines.size
                if size > MAX_CELL_CHARS and (problem := _too_long(cells, size)):
                    yield offset, Record(number, [], problem)
                    size += lines.skip()
                elif any(map(str.strip, cells)):
                    yield offset, Record(number, cells)
                lines.taken.clear()
                offset += size
                number += 1
        except csv.Error:
            yield offset, Record(number, [], BAD_QUOTES)
            offset += lines.give_back()
            number += 1


def _too_long(cells: list[str], size: int) -> Problem | None:
    if max(map(len, cells), default=0) > MAX_CELL_CHARS:
        return CELL_TOO_LONG
    return ROW_TOO_LONG if size > MAX_RECORD_BYTES else None


class _Lines:
    """Lines of a file, some of which may be given back. `taken` are those of the record that is being read."""

    def __init__(self, file: BinaryIO, form: Csv) -> None:
        file.read(form.start)
        self.taken = list[bytes]()
        self.size = 0  # bytes of `taken`
        self._file = file
        self._decode = decoder(form.encoding)
        self._given_back = deque[bytes]()
        self._fresh = _lines(file)
        self._reread = 0

    def has_more(self) -> bool:
        """Whether there is a further line."""
        if not self._given_back and (line := next(self._fresh, None)) is not None:
            self._given_back.append(line)
        return bool(self._given_back)

    def of_records(self) -> Iterator[str]:
        """Line after line as text, to the end of the file or the first record that gets too long.

        A line that is too long by itself is cut, and ends its record.
        """
        for line in chain(self._again(), self._fresh):
            size = len(line) + (self.size if self.taken else 0)
            if size > MAX_RECORD_BYTES:
                if self.taken:
                    self._given_back.appendleft(line)
                    return
                self.taken.append(line)
                self.size = size
                yield line[:MAX_RECORD_BYTES].decode(errors="replace")  # of which only the cells' lengths will matter
                if self.taken:
                    yield '"'  # the reader wants more: the cut went through a quoted cell, which so has its end
                return
            self.taken.append(line)
            self.size = size
            yield self._decode(line)

    def skip(self) -> int:
        """Read to the end of a line that was cut. Answers how many more bytes that was."""
        skipped, line = 0, self.taken[-1]
        while not line.endswith((b"\n", b"\r")) and (line := next(self._fresh, b"")):
            skipped += len(line)
        return skipped

    def give_back(self) -> int:
        """Give back all that was taken but the first line, to its end. Answers how many bytes that has."""
        first, *others = self.taken
        size = len(first) + (0 if others else self.skip())
        self._given_back.extendleft(reversed(others))
        self._reread += self.size - len(first) + _LINE_COST * len(others)
        if self._reread > MAX_REREAD:
            raise UnreadableFile("unreadable_rows", f"Too many rows cannot be read. {BAD_QUOTES.message}")
        self.taken.clear()
        return size

    def _again(self) -> Iterator[bytes]:
        while self._given_back:
            yield self._given_back.popleft()


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their ends: LF, CR or CRLF. One above MAX_RECORD_BYTES in pieces, of which the last has its end."""
    rest = b""
    while block := file.read(_BLOCK_BYTES):
        *lines, rest = (rest + block).splitlines(keepends=True)
        yield from lines
        if rest.endswith(b"\n"):
            yield rest
            rest = b""
        elif len(rest) > MAX_RECORD_BYTES + 1:  # its last byte stays: it may be a CR whose LF is still to come
            yield rest[: MAX_RECORD_BYTES + 1]
            rest = rest[MAX_RECORD_BYTES + 1 :]
    if rest:
        yield rest
