"""Workbooks as programs write them, and as nobody should: a zip file of XML parts, made here of text."""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from xml.sax.saxutils import escape, quoteattr

type Value = str | int | float | bool | date | datetime | timedelta | "Formula" | "Error" | None

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
EPOCH = datetime(1899, 12, 30)

# By place: general, date, date and time, duration, text, number with two decimals, a format of one's own for dates.
STYLES = (
    f'{XML}<styleSheet xmlns="{MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<cellXfs count="7"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="46"/><xf numFmtId="49"/>'
    '<xf numFmtId="2"/><xf numFmtId="164"/></cellXfs></styleSheet>'
)


@dataclass(frozen=True)
class Formula:
    text: str
    cached: str | float | None  # None: it was never computed
    as_text: bool = False  # and would have been a text


@dataclass(frozen=True)
class Error:
    name: str


class Strings:
    """The table of shared texts. The first use of each gives it its number."""

    def __init__(self) -> None:
        self._numbers = dict[str, int]()
        self._uses = 0

    def number(self, text: str) -> int:
        self._uses += 1
        return self._numbers.setdefault(text, len(self._numbers))

    def xml(self) -> str:
        items = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in self._numbers)
        counts = f'count="{self._uses}" uniqueCount="{len(self._numbers)}"'
        return f'{XML}<sst xmlns="{MAIN}" {counts}>{items}</sst>'


def letters(column: int) -> str:
    """1 is A, 27 is AA."""
    name = ""
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def cell(value: Value, at: str = "", strings: Strings | None = None) -> str:
    """`at` is its reference, or empty for a cell without one; texts are in the cell unless there are shared ones."""
    attributes, content = _typed(value, strings)
    if at:
        attributes = f'r="{at}" {attributes}'
    return f"<c {attributes}>{content}</c>" if content else f"<c {attributes}/>"


def _typed(value: Value, strings: Strings | None) -> tuple[str, str]:
    """The attributes that say what a cell is, and what is in it."""
    match value:
        case None:
            typed = 's="0"', ""
        case str() if strings:
            typed = 't="s"', f"<v>{strings.number(value)}</v>"
        case str():
            typed = 't="inlineStr"', f'<is><t xml:space="preserve">{escape(value)}</t></is>'
        case Formula():
            typed = _computed(value)
        case Error(name):
            typed = 't="e"', f"<v>{escape(name)}</v>"
        case bool():
            typed = 't="b"', f"<v>{int(value)}</v>"
        case int() | float():
            typed = 's="0"', f"<v>{value!r}</v>"
        case _:
            typed = _dated(value)
    return typed


def _computed(formula: Formula) -> tuple[str, str]:
    written = f"<f>{escape(formula.text)}</f>"
    match formula.cached:
        case str() as cached:
            return 't="str"', f"{written}<v>{escape(cached)}</v>"
        case None:
            return ('t="str"', written) if formula.as_text else ('s="0"', f"{written}<v/>")
        case cached:
            return 's="0"', f"{written}<v>{cached!r}</v>"


def _dated(value: date | timedelta) -> tuple[str, str]:
    """A number of days, which a style makes a date or a duration."""
    if isinstance(value, timedelta):
        return 's="3"', f"<v>{value / timedelta(days=1)!r}</v>"
    if isinstance(value, datetime):
        return 's="2"', f"<v>{(value - EPOCH) / timedelta(days=1)!r}</v>"
    return 's="1"', f"<v>{(value - EPOCH.date()).days}</v>"


def grid(
    rows: Iterable[Sequence[Value]],
    strings: Strings | None = None,
    *,
    first_row: int = 1,
    first_column: int = 1,
    references: bool = True,
) -> str:
    """The rows of a sheet, with or without the references that say where they are. None is a cell that is left out."""
    lines = list[str]()
    for number, row in enumerate(rows, first_row):
        cells = "".join(
            cell(value, f"{letters(column)}{number}" if references else "", strings)
            for column, value in enumerate(row, first_column)
            if value is not None or not references
        )
        lines.append(f'<row r="{number}">{cells}</row>' if references else f"<row>{cells}</row>")
    return "".join(lines)


def sheet(rows: str, *, before: str = "", after: str = "") -> str:
    return f'{XML}<worksheet xmlns="{MAIN}" xmlns:r="{OFFICE}">{before}<sheetData>{rows}</sheetData>{after}</worksheet>'


def parts(*sheets: str, states: Sequence[str] = (), strings: str = "", styles: str = STYLES) -> dict[str, str]:
    """The parts of a workbook that has these sheets, by their paths. A state is visible, hidden or veryHidden."""
    states = [*states, *["visible"] * (len(sheets) - len(states))]
    numbers = range(1, len(sheets) + 1)
    relations = [("worksheet", f"worksheets/sheet{number}.xml") for number in numbers]
    relations += [("styles", "styles.xml")] + ([("sharedStrings", "sharedStrings.xml")] if strings else [])
    named = "".join(
        f'<sheet name="Sheet{number}" sheetId="{number}" state="{state}" r:id="rId{number}"/>'
        for number, state in zip(numbers, states, strict=True)
    )
    return {
        "[Content_Types].xml": f'{XML}<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(relations),
        "xl/styles.xml": styles,
        **({"xl/sharedStrings.xml": strings} if strings else {}),
        **{f"xl/worksheets/sheet{number}.xml": each for number, each in zip(numbers, sheets, strict=True)},
    }


def zipped(parts: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for path, content in parts.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 31, 9, 30, 0)), content, method)
    return file.getvalue()


def workbook(rows: Iterable[Sequence[Value]], *, shared: bool = True, before: str = "", after: str = "") -> bytes:
    """One sheet with these rows, the texts shared as Excel has them or in the cells as many libraries do."""
    strings = Strings() if shared else None
    page = sheet(grid(rows, strings), before=before, after=after)
    return zipped(parts(page, strings=strings.xml() if strings else ""))


def _relations(relations: Sequence[tuple[str, str]]) -> str:
    each = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target={quoteattr(target)}/>'
        for number, (kind, target) in enumerate(relations, 1)
    )
    return f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{each}</Relationships>'
