"""What of an XLSX file is handed to the parser: the parts that it needs for the first visible sheet, and no other.

python-calamine does not defend itself. So each of these parts is first read to its end, within bounds, and goes into a
zip file of our own, while what the parser is going to allocate for it is added up.
"""

import re
import zipfile
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from customers.sheets import markup
from customers.sheets.archive import MAX_PARTS, Archive, Part, damaged, unsafe
from customers.sheets.problems import UnreadableFile

MAX_ROWS = 1 << 20  # as in Excel
MAX_COLUMNS = 512
MAX_FORMAT_CHARS = 2_000  # 255 in Excel, whose markup may be longer

_SMALL_PART_BYTES = 16 << 20  # of a part without rows
_MAX_DIGITS = 9
_MAX_ERROR_CHARS = 16

_REFERENCE = re.compile("([A-Za-z]{1,3})([0-9]{1,7})")
_PARSED_ERRORS = {"", "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"}  # others the parser refuses
_UNPARSED = "an error that only its own program knows: mend it, or save the sheet as CSV"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a sheet is taken: bytes of XML, cells of the area from A1 to the last value, characters of texts."""

    unpacked: int
    cells: int
    text: int


# What a million rows of twenty columns are, and what an answer can wait for.
LARGE = Limits(unpacked=1 << 30, cells=20 << 20, text=256 << 20)
SMALL = Limits(unpacked=64 << 20, cells=1 << 20, text=32 << 20)


def unsupported() -> UnreadableFile:
    return UnreadableFile("unsupported_file", "The file is neither CSV nor XLSX")


def _too_large(what: str) -> UnreadableFile:
    return UnreadableFile("workbook_too_large", f"The sheet is too large: {what}. CSV files may be larger")


@dataclass(frozen=True, slots=True)
class Sheet:
    """`place` is the sheet's among all. `unreadable` has the cells that show something else than a value.

    Those are errors, and formulas that were never computed: by row a number whose bits are the columns. Rows and
    columns begin with 1. The parser takes all of them for blank.
    """

    place: int
    unreadable: Mapping[int, int]

    def unreadable_in(self, row: int) -> Iterator[int]:
        """The places of these cells in a row, from 0 on."""
        columns = self.unreadable.get(row, 0)
        return (place for place in range(columns.bit_length() - 1) if columns >> place + 1 & 1)


def copy_first_sheet(file: BinaryIO, into: BinaryIO, limits: Limits) -> Sheet:
    """Write a workbook whose only sheet is the first visible one of `file`.

    Raises `UnreadableFile`: unsupported_file, damaged_workbook, unsafe_workbook, workbook_too_large, no_sheet.
    """
    archive = Archive.of(file)
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copied:
        return _Copy(archive, copied, limits).first_sheet()


class _Copy:
    def __init__(self, archive: Archive, into: zipfile.ZipFile, limits: Limits) -> None:
        self._archive = archive
        self._into = into
        self._limits = limits
        self._left = limits.unpacked
        self._copied = set[Part]()

    def first_sheet(self) -> Sheet:
        if not self._archive.find("_rels/.rels"):
            raise unsupported()
        package, sheets, relations = _Relations(), _Sheets(), _Relations()
        self._copy("_rels/.rels", package)
        folder = package.folder
        if not self._archive.find(f"{folder}workbook.xml"):
            raise unsupported()
        self._copy(f"{folder}workbook.xml", sheets)
        self._copy(f"{folder}_rels/workbook.xml.rels", relations)
        self._copy(f"{folder}styles.xml", _Styles(), optional=True)
        place, target = sheets.first_visible(relations)
        strings = _Strings(self._limits)
        self._copy(f"{folder}sharedStrings.xml", strings, self._limits.unpacked, optional=True)
        path = target[1:] if target.startswith("/") else folder + target
        grid = _Grid(self._limits, strings.lengths)
        self._copy(path, grid, self._limits.unpacked)
        return Sheet(place, grid.unreadable)

    def _copy(self, name: str, reader: markup.Reader, most: int = _SMALL_PART_BYTES, *, optional: bool = False) -> None:
        part = self._archive.find(name)
        if not part and optional:
            return
        if not part or part in self._copied:  # nobody's relations refer to one part as two things
            raise damaged()
        self._copied.add(part)
        if part.size > min(most, self._left):
            raise _too_large(f"it has more than {self._limits.unpacked >> 20:,} MiB")
        self._left -= part.size
        with self._into.open(name, "w") as copy:
            for block in markup.read(self._archive.blocks(part), reader):
                copy.write(block)


class _Relations(markup.Reader):
    """Which parts a part refers to."""

    def __init__(self) -> None:
        super().__init__()
        self._found = dict[str, tuple[str, str]]()  # by id: the kind and the path
        self._document = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            kind = attributes.get("Type", "").rpartition("/")[2]
            self._found[attributes.get("Id", "")] = kind, attributes.get("Target", "")
            if len(self._found) > MAX_PARTS:
                raise unsafe("it has too many parts")
            if kind == "officeDocument":
                self._document = attributes.get("Target", "")

    @property
    def folder(self) -> str:
        """Where the workbook is: with the slash after it."""
        return "".join(self._document.rpartition("/")[:2]).removeprefix("/")

    def worksheet(self, id: str) -> str | None:
        """The path of the worksheet with this id, if it is one; not of a chart that has a sheet to itself."""
        kind, path = self._found.get(id, ("", ""))
        return path if kind == "worksheet" else None


class _Sheets(markup.Reader):
    """The sheets of a workbook: which are shown, and by which id they are referred to."""

    def __init__(self) -> None:
        super().__init__()
        self._found = list[tuple[str, bool]]()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            ids = [value for key, value in attributes.items() if key.rpartition(":")[2] == "id"]
            self._found.append((ids[-1] if ids else "", attributes.get("state", "visible") == "visible"))
            if len(self._found) > MAX_PARTS:
                raise unsafe("it has too many sheets")

    def first_visible(self, relations: _Relations) -> tuple[int, str]:
        """Its place among all sheets, and its path."""
        for place, (id, visible) in enumerate(self._found):
            if visible and (path := relations.worksheet(id)):
                return place, path
        raise UnreadableFile("no_sheet", "The workbook has no visible worksheet")


class _Styles(markup.Reader):
    """The formats of cells. The parser goes through a number format again for each style that has it."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt" and len(attributes.get("formatCode", "")) > MAX_FORMAT_CHARS:
            raise unsafe("a number format in it is far longer than any that a spreadsheet takes")


class _Strings(markup.Reader):
    """The texts that cells refer to by number: how long each is."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.lengths = array("L")
        self._limits = limits
        self._is_root = True
        self._length: int | None = None  # of the text that is being read
        self._total = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._is_root and (name != "sst" or not self._is_count(attributes.get("uniqueCount", "0"))):
            raise damaged()
        self._is_root = False
        if name == "si":
            if self._length is not None:
                raise damaged()
            self._length = 0

    def text(self, text: str) -> None:
        if self._length is not None:
            self._length += len(text)

    def end(self, name: str) -> None:
        if name == "si" and self._length is not None:
            self.lengths.append(self._length)
            self._total += self._length
            self._length = None
            if self._total > self._limits.text:
                raise _too_large(f"its texts have more than {self._limits.text:,} characters")

    def _is_count(self, digits: str) -> bool:
        """Whether the parser can be let reserve room for so many."""
        return (
            digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS and int(digits) <= self._limits.cells
        )


class _Grid(markup.Reader):
    """The cells of a sheet: how large the area with values is, and how many characters they have.

    A text that many cells refer to counts for each of them. Goes from cell to cell as the parser does: a row or a cell
    that does not say where it is follows the last one.
    """

    def __init__(self, limits: Limits, shared: Sequence[int]) -> None:
        super().__init__()
        self.unreadable = defaultdict[int, int](int)
        self._limits = limits
        self._shared = shared
        self._numbers = dict[str, int]()  # of columns, by their letters
        self._digits = ""  # of the row's number
        self._row = 1
        self._column = 1
        self._cell_row = 1
        self._height = 0
        self._width = 0
        self._type: str | None = None  # of the cell
        self._is_reference = False  # the cell has the number of a shared text
        self._has_no_value = False  # the cell is an error, or a formula of which no value was read yet
        self._error = ""  # what it shows
        self._in_value = False
        self._is_counted = False  # a first piece of that number was read
        self._characters = 0

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > markup.MAX_DEPTH:
            raise markup.too_deep()
        if name == "c":
            reference = attributes.get("r")
            self._cell_row = self._row
            if reference is not None:
                column = self._numbers.get(reference.removesuffix(self._digits))
                self._column = column or self._place(reference)
            self._type = attributes.get("t")
            self._is_reference = self._type == "s"
            self._has_no_value = self._type == "e"
            self._error = ""
        elif name in {"v", "is"}:
            self._in_value = True
            self._is_counted = False
            self._has_no_value &= self._type != "str"  # an empty text is a value
            if self._cell_row > self._height or self._column > self._width:
                self._grow()
        elif name == "f":
            self._has_no_value = True
        elif name == "row":
            digits = attributes.get("r")
            if digits is not None:
                self._row = _number(digits)
                self._digits = digits
        elif ":" in name:
            self._depth -= 1
            self.opened(markup.local(name), attributes)

    def closed(self, name: str) -> None:
        self._depth -= 1
        if name == "c":
            if self._has_no_value:
                if self._error not in _PARSED_ERRORS:
                    raise UnreadableFile("damaged_workbook", f"Row {self._cell_row} has a cell with {_UNPARSED}")
                self._grow()
                self.unreadable[self._cell_row] |= 1 << self._column
            self._column += 1
        elif name in {"v", "is"}:
            self._in_value = False
        elif name == "row":
            self._row += 1
            self._column = 1
        elif ":" in name:
            self._depth += 1
            self.closed(markup.local(name))

    def text(self, text: str) -> None:
        if not self._in_value:
            return
        self._has_no_value = self._type == "e"
        if self._has_no_value:
            self._error = (self._error + text)[:_MAX_ERROR_CHARS]
        if not self._is_reference:
            self._characters += len(text)
        else:  # the parser takes what is before a reference to a character for the number, and what is no number for 0
            number = 0 if self._is_counted else _number(text)
            if number >= len(self._shared):
                raise damaged()
            self._characters += self._shared[number]
            self._is_counted = True
        if self._characters > self._limits.text:
            raise _too_large(f"its texts have more than {self._limits.text:,} characters")

    def _place(self, reference: str) -> int:
        """The column of a cell whose column is new, or whose row is not the one that it is in."""
        if not (match := _REFERENCE.fullmatch(reference)):
            raise damaged()
        letters, digits = match.groups()
        self._cell_row = _number(digits)
        column = 0
        for letter in letters.upper():
            column = column * 26 + ord(letter) - ord("A") + 1
        if digits == self._digits:
            self._numbers[letters] = column
        return column

    def _grow(self) -> None:
        self._height = max(self._height, self._cell_row)
        self._width = max(self._width, self._column)
        if self._height > MAX_ROWS or self._width > MAX_COLUMNS:
            raise _too_large(f"it has values beyond row {MAX_ROWS:,} or column {MAX_COLUMNS}")
        if self._height * self._width > self._limits.cells:
            raise _too_large(f"the area with values has more than {self._limits.cells:,} cells")


def _number(digits: str) -> int:
    """Raises `UnreadableFile` for what no spreadsheet writes as the number of a row or of a text."""
    if len(digits) > _MAX_DIGITS or not (digits.isascii() and digits.isdecimal()):
        raise damaged()
    return int(digits)
