"""Cells of a CSV file that a spreadsheet would take for formulas.

What we write has one more apostrophe before such a cell, and what we read has one fewer: texts that have apostrophes of
their own come back as they were.
"""

import re

# A spreadsheet also skips a tab or a carriage return, and takes the full-width forms, when it looks for a formula.
_BEGINS = "=+\\-@\t\r＝＋－＠"  # noqa: RUF001
_DANGEROUS = re.compile(f"'*[{_BEGINS}]")
_MARKED = re.compile(f"'+[{_BEGINS}]")


def neutralised(value: str) -> str:
    """A value as a cell of a CSV file that nobody's spreadsheet computes."""
    return f"'{value}" if _DANGEROUS.match(value) else value


def plain(cell: str) -> str:
    """The value of a cell that may have been neutralised."""
    return cell[1:] if _MARKED.match(cell) else cell
