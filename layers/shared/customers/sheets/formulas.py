"""Cells of a CSV file that a spreadsheet would take for formulas, and what it writes for those that came to nothing.

What we write has one more apostrophe before a value that looks so, and what we read has one fewer: texts that have
apostrophes of their own come back as they were.
"""

import re

# A spreadsheet also skips a tab or a carriage return, and takes the full-width forms, when it looks for a formula.
_BEGINS = "=+\\-@\t\r＝＋－＠"  # noqa: RUF001
NO_VALUE = "#N/A"
_ERRORS = frozenset(
    ("#CALC!", "#DIV/0!", "#GETTING_DATA", NO_VALUE, "#NAME?", "#NULL!", "#NUM!", "#REF!", "#SPILL!", "#VALUE!")
)
_DANGEROUS = re.compile(f"'*([{_BEGINS}]|({'|'.join(map(re.escape, _ERRORS))})$)")
_MARKED = re.compile(f"'{_DANGEROUS.pattern}")


def is_error(cell: str) -> bool:
    """Whether a spreadsheet has written that there is no value."""
    return cell.strip() in _ERRORS


def neutralised(value: str) -> str:
    """A value as a cell of a CSV file that nobody's spreadsheet computes."""
    return f"'{value}" if _DANGEROUS.match(value) else value


def plain(cell: str) -> str:
    """The value of a cell that may have been neutralised."""
    return cell[1:] if _MARKED.match(cell) else cell
