"""How a CSV file is written: found out, since nothing says it."""

import re
from typing import BinaryIO

from customers.sheets.columns import known_names
from customers.sheets.csv_text import Csv, records
from customers.sheets.encodings import encoding_of
from customers.sheets.problems import Record, UnreadableFile

_BOM = b"\xef\xbb\xbf"
_DELIMITERS = ",;\t"

# Excel's own way to say it. Spreadsheets do not show that line, so that the header below it is row 1.
_DECLARED = re.compile(rb'"?sep=([\t!#$%&*,./:;@\\^_`|~-])"?(?:\r\n|\r|\n)', re.IGNORECASE)

_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")


def sniff(file: BinaryIO) -> Csv:
    """The encoding, the delimiter and what is before the header, of a file that stands (and is left) at its beginning.

    All of it is read, in blocks: it is UTF-8 only if all of it is. The delimiter is the one with which the first row
    names the most fields of a customer, then the one with which it has the most cells.
    Raises `UnreadableFile`: it is empty, or it is no text.
    """
    begins = file.tell()
    encoding = encoding_of(file)
    file.seek(begins)
    start = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
    file.seek(begins + start)
    if declared := _DECLARED.match(file.read(16)):
        forms = [Csv(encoding, declared[1].decode(), start + declared.end())]
    else:
        forms = [Csv(encoding, delimiter, start) for delimiter in _DELIMITERS]
    headers = [(_header(file, begins, form), form) for form in forms]
    file.seek(begins)
    return max(headers, key=lambda each: (known_names(each[0].cells), len(each[0].cells)))[1]


def _header(file: BinaryIO, begins: int, form: Csv) -> Record:
    file.seek(begins)
    _, header = next(records(file, form), (0, None))
    if header is None:
        raise UnreadableFile("empty_file", "The file is empty")
    if any(map(_CONTROL.search, header.cells)):
        raise UnreadableFile("unsupported_file", "The file is neither CSV nor XLSX")
    return header
