"""XML that nobody is to trust, read with the parser that Python has, in blocks and flat memory.

What passes is well-formed UTF-8 without a document type, so without entities, and not nested deeply; no text and no tag
of it is without bounds. So the parser that reads it afterwards sees the same elements as we do.
"""

from collections.abc import Iterable, Iterator
from typing import Never
from xml.parsers import expat

from customers.sheets.archive import damaged, unsafe
from customers.sheets.problems import UnreadableFile

MAX_DEPTH = 100
MAX_RUN_BYTES = 1 << 20  # from the beginning of one tag to that of the next

_ENCODINGS = {"utf-8", "utf8", "us-ascii", "ascii"}


class Reader:
    """Is told what is in a part, by names without prefixes. This one lets everything pass; others may raise.

    `opened` and `closed` are what the parser calls: who overrides them has to see to prefixes and depth.
    """

    def __init__(self) -> None:
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        pass

    def end(self, name: str) -> None:
        pass

    def text(self, text: str) -> None:
        pass

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise too_deep()
        self.start(local(name), attributes)

    def closed(self, name: str) -> None:
        self._depth -= 1
        self.end(local(name))


def local(name: str) -> str:
    """Without a prefix."""
    return name.rpartition(":")[2]


def not_utf8() -> UnreadableFile:
    return unsafe("a part of it is not UTF-8")


def too_deep() -> UnreadableFile:
    return unsafe("its markup is nested too deeply")


def read(blocks: Iterable[bytes], reader: Reader) -> Iterator[bytes]:
    """The same blocks, each when the reader has been told what is in it.

    Raises `UnreadableFile`: unsafe_workbook, damaged_workbook, and what the reader raises.
    """
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = reader.opened
    parser.EndElementHandler = reader.closed
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.XmlDeclHandler = _check_declaration
    run = 0
    try:
        for block in blocks:
            last = block.rfind(b"<")
            run = run + len(block) if last < 0 else len(block) - last
            if run > MAX_RUN_BYTES:
                raise unsafe("a value in it is far longer than a cell's")
            if b"\0" in block:  # which is in every < of UTF-16
                raise not_utf8()
            parser.Parse(block, False)
            yield block
        parser.Parse(b"", True)
    except expat.ExpatError:
        raise damaged() from None


def _refuse_doctype(*_: object) -> Never:
    raise unsafe("it declares a document type or entities")


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding and encoding.lower() not in _ENCODINGS:
        raise not_utf8()
