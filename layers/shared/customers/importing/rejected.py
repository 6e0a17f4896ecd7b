"""The file of rejected rows: the original columns plus why, ready to be mended and imported again."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from customers.importing.rows import RowError
from customers.sheets import Columns, Record, is_error, neutralised, plain

BOM = "\ufeff".encode()  # without it Excel takes UTF-8 for the machine's own encoding
WHY = ("row", "code", "message")


def header(columns: Columns) -> list[str]:
    return [neutralised(name) for name in columns.names if name not in WHY] + [*WHY]


def lines(columns: Columns, records: Iterable[Record], errors: Sequence[RowError]) -> Iterator[list[str]]:
    """A line for each row that has errors: its cells, its number, the first error's code and all messages.

    Cells that no column has come last, so that the line still has too many when it is imported again.
    Of a record that could not be read the cells are empty. `errors` are in the order of the file.
    """
    by_number = {record.number: record for record in records}
    kept = [place for place, name in enumerate(columns.names) if name not in WHY]
    for number, of_row in groupby(errors, lambda error: error.row):
        all_of_row = list(of_row)
        record = by_number[number]
        cells = record.cells
        shown = [_shown(cells[place]) if place < len(cells) else "" for place in kept]
        said = [f"{error.field}: {error.message}" if error.field else error.message for error in all_of_row]
        yield [*shown, str(number), all_of_row[0].code, "; ".join(said), *map(_shown, columns.surplus_of(record))]


def as_csv_bytes(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors="replace")


def _shown(cell: str) -> str:
    """What is wrong in a cell stays wrong."""
    return cell if is_error(cell) else neutralised(plain(cell))
