"""The parts of a zip file that nobody is to trust: what its directory says is bounded, and then checked while reading.

Nothing is taken from the headers in front of the parts but how long these are, so that there is one directory only.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Self

from customers.sheets.problems import UnreadableFile

MAX_PARTS = 10_000
MAX_DIRECTORY_BYTES = 4 << 20
MAX_NAME_BYTES = 1_024
MAX_RATIO = 200  # of a part's bytes to its packed bytes; a sheet's is 5 to 50

_BLOCK_BYTES = 1 << 16
_FREE_RATIO_BYTES = 1 << 20  # a part of fewer bytes may have any ratio

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_HEADER = struct.Struct("<4s5H3L2H")
_MAX_COMMENT_BYTES = 65_535
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800
_STORED, _DEFLATED = 0, 8


def damaged() -> UnreadableFile:
    return UnreadableFile("damaged_workbook", "The workbook is damaged. A spreadsheet may be able to open and mend it")


def unsafe(why: str) -> UnreadableFile:
    return UnreadableFile("unsafe_workbook", f"The workbook is not taken: {why}")


@dataclass(frozen=True, slots=True)
class Part:
    """One file in the archive, as the directory has it: `size` bytes that are `packed` bytes there."""

    name: str
    method: int
    checksum: int
    packed: int
    size: int
    header: int  # where it begins


class Archive:
    """The directory of a zip file. Raises `UnreadableFile` for one that is damaged, or that no spreadsheet writes."""

    def __init__(self, file: BinaryIO, parts: Mapping[str, Part]) -> None:
        self._file = file
        self._parts = parts

    @classmethod
    def of(cls, file: BinaryIO) -> Self:
        """`file` stands anywhere."""
        entries, directory, start = _directory(file)
        parts = dict[str, Part]()
        place = 0
        for _ in range(entries):
            if len(directory) < place + _ENTRY.size:
                raise damaged()
            (signature, _, _, flags, method, _, _, checksum, packed, size, name, extra, comment, *_, header) = (
                _ENTRY.unpack_from(directory, place)
            )
            place += _ENTRY.size
            raw = directory[place : place + name]
            place += name + extra + comment
            if signature != b"PK\1\2" or len(raw) != name or name > MAX_NAME_BYTES:
                raise damaged()
            if flags & _ENCRYPTED:
                raise unsafe("it is encrypted")
            part = Part(_decoded(raw, flags), method, checksum, packed, size, header)
            if parts.setdefault(_folded(part.name), part) is not part:
                raise unsafe("two of its parts have one name")
        _check_apart(list(parts.values()), start)
        return cls(file, parts)

    def find(self, name: str) -> Part | None:
        """As spreadsheets find a part: whatever the case of its name, and with either slash."""
        return self._parts.get(_folded(name))

    def blocks(self, part: Part) -> Iterator[bytes]:
        """The part's bytes, in blocks. Raises `UnreadableFile` as soon as they are not what the directory says."""
        if part.size > max(_FREE_RATIO_BYTES, MAX_RATIO * part.packed):
            raise unsafe("a part of it is packed much more closely than any sheet is")
        done, checksum = 0, 0
        for block in self._unpacked(part):
            done += len(block)
            checksum = zlib.crc32(block, checksum)
            if done > part.size:
                raise unsafe("a part of it is larger than it says")
            yield block
        if (done, checksum) != (part.size, part.checksum):
            raise damaged()

    def _unpacked(self, part: Part) -> Iterator[bytes]:
        if part.method == _STORED:
            yield from self._packed(part)
            return
        if part.method != _DEFLATED:
            raise unsafe("a part of it is packed in a way that spreadsheets do not use")
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed in self._packed(part):
                rest = packed
                while rest and not inflate.eof:
                    yield inflate.decompress(rest, _BLOCK_BYTES)
                    rest = inflate.unconsumed_tail
        except zlib.error:
            raise damaged() from None
        while not inflate.eof and (block := inflate.decompress(b"", _BLOCK_BYTES)):
            yield block
        if not inflate.eof:
            raise damaged()

    def _packed(self, part: Part) -> Iterator[bytes]:
        self._file.seek(part.header)
        header = self._file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(b"PK\3\4"):
            raise damaged()
        *_, name, extra = _HEADER.unpack(header)
        self._file.seek(name + extra, 1)
        left = part.packed
        while left and (block := self._file.read(min(left, _BLOCK_BYTES))):
            left -= len(block)
            yield block


def _directory(file: BinaryIO) -> tuple[int, bytes, int]:
    """How many entries there are, their bytes, and where these begin."""
    length = file.seek(0, 2)
    tail_start = max(0, length - _END.size - _MAX_COMMENT_BYTES)
    file.seek(tail_start)
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) < place + _END.size:
        raise damaged()
    _, _, _, _, entries, size, start, _ = _END.unpack_from(tail, place)
    if entries > MAX_PARTS or size > MAX_DIRECTORY_BYTES:  # or zip64, which says so with the highest numbers
        raise unsafe("it has too many parts")
    if start + size > tail_start + place:
        raise damaged()
    file.seek(start)
    return entries, file.read(size), start


def _check_apart(parts: list[Part], end: int) -> None:
    """Raise `UnreadableFile` if parts share bytes: then few of them would be many."""
    parts.sort(key=lambda part: part.header)
    ends = [*(part.header for part in parts[1:]), end]
    if any(part.header + _HEADER.size + part.packed > next_ for part, next_ in zip(parts, ends, strict=True)):
        raise unsafe("parts of it overlap")


def _decoded(name: bytes, flags: int) -> str:
    return name.decode("utf-8" if flags & _UTF8_NAME else "cp437", "replace")


def _folded(name: str) -> str:
    return name.replace("\\", "/").removeprefix("/").casefold()
