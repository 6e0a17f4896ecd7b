"""Cells of a CSV file that a spreadsheet would take for formulas, and what it writes for those that came to nothing.

What we write has one more apostrophe before a value that looks so, and what we read has one fewer: texts that have
apostrophes of their own come back as they were.
"""

import re

# A spreadsheet also skips a tab or a carriage return, and takes the full-width forms, when it looks for a formula.
_BEGINS = "=+\\-@\t\r＝＋－＠"  # noqa: RUF001
NO_VALUE = "#N/A"
# Excel's #REF!, #NAME?, #SPILL! and the like, some of them in other languages (#NV, #WERT!, #¡REF!); Google's #ERROR!;
# LibreOffice's Err:502.
_ERROR = re.compile(r"#(N/[ABD]|NV|GETTING_DATA|[¡¿]?[\w/]{2,12}[!?])|Err:\d{3}")
_DANGEROUS = re.compile(f"'*([{_BEGINS}]|({_ERROR.pattern})$)")
_MARKED = re.compile(f"'{_DANGEROUS.pattern}")


def is_error(cell: str) -> bool:
    """Whether a spreadsheet has written that there is no value."""
    return _ERROR.fullmatch(cell.strip()) is not None


def neutralised(value: str) -> str:
    """A value as a cell of a CSV file that nobody's spreadsheet computes."""
    return f"'{value}" if _DANGEROUS.match(value) else value


def plain(cell: str) -> str:
    """The value of a cell that may have been neutralised."""
    return cell[1:] if _MARKED.match(cell) else cell
