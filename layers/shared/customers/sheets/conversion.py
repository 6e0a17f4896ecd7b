"""Every file that is taken as UTF-8 CSV: what is CSV already is left as it is."""

import codecs
import csv
import io
import re
import tempfile
from collections.abc import Iterable, Iterator
from itertools import batched
from pathlib import Path
from typing import BinaryIO, cast

from customers.sheets.archive import damaged
from customers.sheets.formulas import NO_VALUE
from customers.sheets.problems import UnreadableFile
from customers.sheets.values import text_of
from customers.sheets.workbook import LARGE, Limits, Sheet, copy_first_sheet, unsupported

_BLOCK_BYTES = 1 << 18
_HEAD_BYTES = 512
_BATCH_ROWS = 1_000

_ZIP = b"PK\3\4"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = (
    b"PK\5\6",  # an empty archive
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\x1f\x8b",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"{\\rtf",
)
_MARKUP = (b"<!doctype", b"<html", b"<table", b"<?xml", b"<workbook")
_JSON = re.compile(rb"\[?\s*{\s*[\"}]")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def as_csv(file: BinaryIO, *, scratch: Path | None = None, limits: Limits = LARGE) -> BinaryIO:
    """The file itself, or what it says as CSV in a temporary file below `scratch` that goes away when it is closed.

    Of an XLSX file that is the first visible sheet. Rows keep their numbers. `file` stands at its beginning and is left
    there. Raises `UnreadableFile`: unsupported_file, unreadable_text, damaged_workbook, unsafe_workbook, no_sheet,
    workbook_too_large.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(_ZIP):
        return _written(_of_workbook(file, scratch, limits), scratch)
    if head.startswith(_OLE):
        message = (
            "The file is an old Excel workbook (.xls) or a protected one: save it as XLSX or CSV, without a password"
        )
        raise UnreadableFile("unsupported_file", message)
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if head.startswith(_OTHERS) or text.lower().startswith(_MARKUP):
        raise unsupported()
    if _JSON.match(text):
        raise UnreadableFile("unsupported_file", "JSON cannot be imported, nor lines of it: export as CSV")
    return _written(_of_utf16(file), scratch) if head.startswith(_UTF16) else file


def _written(text: Iterator[bytes], scratch: Path | None) -> BinaryIO:
    file = cast("BinaryIO", tempfile.TemporaryFile(dir=scratch))  # noqa: SIM115 - the caller closes it
    try:
        file.writelines(text)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _of_utf16(file: BinaryIO) -> Iterator[bytes]:
    """What Excel calls Unicode text. The byte order mark says in which order its bytes are."""
    decode = codecs.getincrementaldecoder("utf-16")().decode
    try:
        while block := file.read(_BLOCK_BYTES):
            yield decode(block).encode()
        decode(b"", final=True)
    except UnicodeError:
        raise UnreadableFile("unreadable_text", "The file is not the UTF-16 that it begins as") from None
    finally:
        file.seek(0)


def _of_workbook(file: BinaryIO, scratch: Path | None, limits: Limits) -> Iterator[bytes]:
    """Row by row. Cells are written as they are: the mark before a formula, which a CSV file had, is still there."""
    with tempfile.NamedTemporaryFile(suffix=".xlsx", dir=scratch) as copy:  # from another name the parser would guess
        sheet = copy_first_sheet(file, cast("BinaryIO", copy), limits)
        file.seek(0)
        copy.flush()
        line = io.StringIO(newline="")
        writer = csv.writer(line)
        for rows in batched(_rows(copy.name, sheet), _BATCH_ROWS, strict=False):
            writer.writerows(rows)
            yield line.getvalue().encode()
            line.seek(0)
            line.truncate()


def _rows(path: str, sheet: Sheet) -> Iterator[list[str]]:
    """The rows of a sheet, from row 1 on."""
    number, cells = 0, list[str]()
    for number, cells in enumerate(_parsed(path, sheet.place), 1):
        yield _with_errors(cells, sheet.unreadable_in(number)) if number in sheet.unreadable else cells
    for further in range(number + 1, max(sheet.unreadable, default=0) + 1):  # the parser ends with the last value
        yield _with_errors([""] * len(cells), sheet.unreadable_in(further))


def _with_errors(cells: list[str], places: Iterable[int]) -> list[str]:
    """Right of the last value there is no column that has a name."""
    for place in places:
        if place < len(cells):
            cells[place] = NO_VALUE  # for all of them: the parser does not say which it is
    return cells


def _parsed(path: str, place: int) -> Iterator[list[str]]:
    import python_calamine  # noqa: PLC0415 - only who reads a workbook pays for it

    try:
        sheet = python_calamine.load_workbook(path).get_sheet_by_index(place)
    except python_calamine.CalamineError:
        raise damaged() from None
    if sheet.start is not None:  # otherwise it has no rows, and the parser panics when asked for them
        before = [""] * sheet.start[1]  # it begins with row 1, but with the first column that has a value
        for row in sheet.iter_rows():
            yield before + [cell if type(cell) is str else text_of(cell) for cell in row]
