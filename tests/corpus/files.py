"""Files as people send them, each with what is to come of it.

A file is made when it is asked for: `FILES[name].content()`. What is to come of it is the code of a refusal, or by row
number a row's values or the code of its problem. Values are as they are read: whether they are valid is another matter.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial

from tests.corpus import xlsx
from tests.corpus.bombs import BOMBS

type Rows = Sequence[Sequence[xlsx.Value]]
type Values = Mapping[str, str]


@dataclass(frozen=True)
class File:
    content: Callable[[], bytes]
    rows: Mapping[int, Values | str] = field(default_factory=dict[int, Values | str])
    unknown: tuple[str, ...] = ()
    refused: str = ""


HEADER = ("customer_id", "name", "surname", "email", "phone")
ADA = ("c-1", "Ada", "Lovelace", "ada@example.com", "+44 20 7946 0001")
JOSE = ("c-2", "José", "Müller", "jose@example.com", "0039 02 1234")
PEOPLE = (HEADER, ADA, JOSE)


def values(row: Sequence[str], header: Sequence[str] = HEADER) -> Values:
    return {name: value for name, value in zip(header, row, strict=False) if value}


AS_SENT: Mapping[int, Values | str] = {2: values(ADA), 3: values(JOSE)}


def table(
    rows: Iterable[Sequence[str]] = PEOPLE,
    delimiter: str = ",",
    *,
    encoding: str = "utf-8",
    newline: str = "\r\n",
    quoting: int = csv.QUOTE_MINIMAL,
    before: str = "",
) -> Callable[[], bytes]:
    """A CSV file as the csv module writes it."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return lambda: (before + text.getvalue()).encode(encoding)


def plainly(text: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    return lambda: text.encode(encoding)


def one_sheet(rows: str, *, before: str = "", after: str = "", strings: str = "") -> Callable[[], bytes]:
    return lambda: xlsx.zipped(xlsx.parts(xlsx.sheet(rows, before=before, after=after), strings=strings))


def sheets(*each: Rows, states: Sequence[str] = ()) -> Callable[[], bytes]:
    return lambda: xlsx.zipped(xlsx.parts(*(xlsx.sheet(xlsx.grid(rows)) for rows in each), states=states))


def excel(rows: Rows = PEOPLE, *, shared: bool = True, before: str = "", after: str = "") -> Callable[[], bytes]:
    return partial(xlsx.workbook, rows, shared=shared, before=before, after=after)


CSV = {
    "excel-utf-8.csv": File(table(encoding="utf-8-sig"), AS_SENT),
    "excel-semicolons-cp1252.csv": File(table(delimiter=";", encoding="cp1252"), AS_SENT),
    "excel-unicode-text.txt": File(table(delimiter="\t", encoding="utf-16"), AS_SENT),
    "utf-16-big-endian.csv": File(table(before="\ufeff", encoding="utf-16-be"), AS_SENT),
    "excel-macintosh.csv": File(table(newline="\r", delimiter=";", encoding="cp1252"), AS_SENT),
    "excel-declares-its-separator.csv": File(table(delimiter="|", before="sep=|\r\n", encoding="utf-8-sig"), AS_SENT),
    "google-sheets.csv": File(table(), AS_SENT),
    "libreoffice-everything-quoted.csv": File(table(newline="\n", quoting=csv.QUOTE_ALL), AS_SENT),
    "tabs.tsv": File(table(delimiter="\t", newline="\n"), AS_SENT),
    "no-newline-at-the-end.csv": File(plainly("customer_id,name\nc-1,Ada"), {2: {"customer_id": "c-1", "name": "Ada"}}),
    "newlines-in-quotes.csv": File(
        plainly('customer_id,name\r\nc-1,"Ada\r\nByron"\r\nc-2,"José\nLuis"\r\nc-3,"a ""quoted"" name"\r\n'),
        {
            2: {"customer_id": "c-1", "name": "Ada\r\nByron"},
            3: {"customer_id": "c-2", "name": "José\nLuis"},
            4: {"customer_id": "c-3", "name": 'a "quoted" name'},
        },
    ),
    "commas-in-semicolons.csv": File(
        plainly("customer_id;name;surname\nc-1;Ada, Countess;Lovelace\n"),
        {2: {"customer_id": "c-1", "name": "Ada, Countess", "surname": "Lovelace"}},
    ),
    "one-column.csv": File(plainly("customer_id\nc-1\nc-2\n"), {2: {"customer_id": "c-1"}, 3: {"customer_id": "c-2"}}),
    "blank-lines.csv": File(
        plainly("\r\n\r\ncustomer_id,name\r\n\r\nc-1,Ada\r\n , \r\n,,\r\nc-2,José\r\n\r\n\r\n"),
        {5: {"customer_id": "c-1", "name": "Ada"}, 8: {"customer_id": "c-2", "name": "José"}},
    ),
    "ragged.csv": File(
        plainly("customer_id,name,surname\nc-1\nc-2,José\nc-3,Zoë,Smith,,\nc-4,Max,Meier,surplus\n"),
        {
            2: {"customer_id": "c-1"},
            3: {"customer_id": "c-2", "name": "José"},
            4: {"customer_id": "c-3", "name": "Zoë", "surname": "Smith"},
            5: "too_many_cells",
        },
    ),
    "spaces-around.csv": File(
        plainly(" Customer_ID , Name \nc-1 , Ada\n"), {2: {"customer_id": "c-1 ", "name": " Ada"}}
    ),
    "synonyms.csv": File(
        plainly("Customer No.;First Name;LAST-NAME;E-Mail;Téléphone;Agent;Fax\nc-1;Ada;Lovelace;a@example.com;1;;2\n"),
        {2: {"customer_id": "c-1", "name": "Ada", "surname": "Lovelace", "email": "a@example.com", "phone": "1"}},
        unknown=("Fax",),
    ),
    "exact-name-and-synonym.csv": File(
        plainly("customer_id,phone,mobile\nc-1,1,2\n"), {2: {"customer_id": "c-1", "phone": "1"}}, unknown=("mobile",)
    ),
    "unknown-columns.csv": File(
        plainly("customer_id,city,,City,city\nc-1,Rome,x,y,z\n"), {2: {"customer_id": "c-1"}}, unknown=("city", "City")
    ),
    "our-own-export.csv": File(
        plainly(
            "\ufeffcustomer_id,name,phone,id,created_at,updated_at,deleted_at,version,owner_id\r\n"
            "c-1,Ada,'+44 20,8f14e45f,2026-01-31T09:30:00.000000Z,2026-01-31T09:30:00.000000Z,,1,ada\r\n"
        ),
        {2: {"customer_id": "c-1", "name": "Ada", "phone": "+44 20"}},
    ),
    "our-own-rejected-rows.csv": File(
        plainly("\ufeffcustomer_id,email,row,code,message\r\nc-1,ada@,2,value_error,email: not valid\r\n"),
        {2: {"customer_id": "c-1", "email": "ada@"}},
    ),
    "formulas.csv": File(
        plainly("customer_id,name,surname\nc-1,=1+1,'=1+1\nc-2,''=1+1,'plain\nc-3,@sum,'\n"),
        {
            2: {"customer_id": "c-1", "name": "=1+1", "surname": "=1+1"},
            3: {"customer_id": "c-2", "name": "'=1+1", "surname": "'plain"},
            4: {"customer_id": "c-3", "name": "@sum", "surname": "'"},
        },
    ),
    "duplicates.csv": File(
        plainly("customer_id,name\nc-1,Ada\nc-1,Zoë\n"),
        {2: {"customer_id": "c-1", "name": "Ada"}, 3: {"customer_id": "c-1", "name": "Zoë"}},
    ),
    "row-without-key.csv": File(
        plainly("customer_id,name\n,Ada\nc-2,José\n"), {2: {"name": "Ada"}, 3: {"customer_id": "c-2", "name": "José"}}
    ),
    "nul.csv": File(
        plainly("customer_id,name\nc-1,A\0da\nc-2,José\n"),
        {2: {"customer_id": "c-1", "name": "A\0da"}, 3: {"customer_id": "c-2", "name": "José"}},
    ),
    "undefined-in-cp1252.csv": File(
        lambda: b"customer_id,name\nc-1,Jos\xe9\nc-2,\x81\n",
        {2: {"customer_id": "c-1", "name": "José"}, 3: {"customer_id": "c-2", "name": "\x81"}},
    ),
    "quote-never-closed.csv": File(
        plainly('customer_id,name\nc-1,"Ada\nc-2,José\nc-3,Zoë\n'),
        {
            2: "unreadable_row",
            3: {"customer_id": "c-2", "name": "José"},
            4: {"customer_id": "c-3", "name": "Zoë"},
        },
    ),
    "text-after-quotes.csv": File(
        plainly('customer_id,name\nc-1,"Ada" Byron\nc-2,5" José\n'),
        {2: "unreadable_row", 3: {"customer_id": "c-2", "name": '5" José'}},
    ),
    "cell-too-long.csv": File(
        plainly(f"customer_id,name\nc-1,{'x' * 32_767}\nc-2,{'x' * 32_768}\nc-3,Zoë\n"),
        {2: {"customer_id": "c-1", "name": "x" * 32_767}, 3: "cell_too_long", 4: {"customer_id": "c-3", "name": "Zoë"}},
    ),
    "cell-of-ten-megabytes.csv": File(
        lambda: b"customer_id,name\nc-1," + b"x" * (10 << 20) + b"\nc-2,Zo\n",
        {2: "cell_too_long", 3: {"customer_id": "c-2", "name": "Zo"}},
    ),
    "cell-of-ten-megabytes-in-quotes.csv": File(
        lambda: b'customer_id,name\r\nc-1,"' + b'""' * (5 << 20) + b'"\r\nc-2,Zo\r\n',
        {2: "cell_too_long", 3: {"customer_id": "c-2", "name": "Zo"}},
    ),
    "ten-million-commas.csv": File(
        lambda: b"customer_id,name\nc-1" + b"," * 10_000_000 + b"\nc-2,Zo\n",
        {2: "unreadable_row", 3: {"customer_id": "c-2", "name": "Zo"}},
    ),
    "header-only.csv": File(table([HEADER])),
    "empty.csv": File(lambda: b"", refused="empty_file"),
    "only-a-byte-order-mark.csv": File(plainly("\ufeff"), refused="empty_file"),
    "only-blank-lines.csv": File(plainly("\r\n\r\n,,\r\n"), refused="empty_file"),
    "no-key-column.csv": File(plainly("name,email\nAda,ada@example.com\n"), refused="missing_column"),
    "no-header.csv": File(table([ADA, JOSE]), refused="missing_column"),
    "one-column-twice.csv": File(plainly("customer_id,name,Name\nc-1,Ada,Ada\n"), refused="duplicate_column"),
    "two-synonyms.csv": File(plainly("customer_id,mobile,telephone\nc-1,1,2\n"), refused="duplicate_column"),
    "header-never-closed.csv": File(plainly('"customer_id,name\nc-1,Ada\n'), refused="unreadable_header"),
    "half-a-character.csv": File(lambda: b"\xff\xfec\0u\0s", refused="unreadable_text"),
    "json.csv": File(plainly('[{"customer_id": "c-1"}]'), refused="unsupported_file"),
    "customers.ndjson": File(plainly('\ufeff\n{"customer_id": "c-1"}\n'), refused="unsupported_file"),
    "web-page.xls": File(plainly("\n<html><table><tr><td>customer_id</td></tr></table>"), refused="unsupported_file"),
    "binary.csv": File(lambda: bytes(range(256)) * 40, refused="unsupported_file"),
    "picture.png": File(lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", refused="unsupported_file"),
    "document.pdf": File(plainly("%PDF-1.7\n1 0 obj\n"), refused="unsupported_file"),
    "excel-97.xls": File(lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, refused="unsupported_file"),
}

STRINGS = xlsx.Strings()
LIBREOFFICE = "".join(
    f'<row r="{number}" customFormat="false" ht="12.8" hidden="false" customHeight="false" outlineLevel="0">'
    + "".join(xlsx.cell(value, f"{xlsx.letters(place)}{number}", STRINGS) for place, value in enumerate(row, 1))
    + "</row>"
    for number, row in enumerate(PEOPLE, 1)
)
PREFIXED = (
    xlsx.sheet(xlsx.grid(PEOPLE))
    .replace("<", "<x:").replace("<x:/", "</x:").replace("<x:?", "<?").replace("xmlns=", "xmlns:x=")
)  # fmt: skip

XLSX = {
    "excel.xlsx": File(excel(before='<dimension ref="A1:E3"/>'), AS_SENT),
    "excel-strict-inline.xlsx": File(excel(shared=False), AS_SENT),
    "excel-stored.xlsx": File(lambda: xlsx.zipped(xlsx.parts(xlsx.sheet(xlsx.grid(PEOPLE))), 0), AS_SENT),
    "libreoffice.xlsx": File(one_sheet(LIBREOFFICE, strings=STRINGS.xml()), AS_SENT),
    "google-sheets.xlsx": File(
        excel((*PEOPLE, *[[None] * 5] * 900), before="<sheetViews/>", after='<drawing r:id="rId1"/>'), AS_SENT
    ),
    "without-references.xlsx": File(one_sheet(xlsx.grid(PEOPLE, references=False)), AS_SENT),
    "prefixed.xlsx": File(lambda: xlsx.zipped(xlsx.parts(PREFIXED)), AS_SENT),
    "wrong-dimension.xlsx": File(excel(before='<dimension ref="A1:XFD1048576"/>'), AS_SENT),
    "dimension-of-one-cell.xlsx": File(excel(before='<dimension ref="A1"/>'), AS_SENT),
    "hidden-first-sheet.xlsx": File(
        sheets([["customer_id"], ["secret"]], [["x"]], PEOPLE, [["x"]], states=["hidden", "veryHidden"]), AS_SENT
    ),
    "everything-hidden.xlsx": File(sheets(PEOPLE, states=["hidden"]), refused="no_sheet"),
    "empty-rows-and-columns.xlsx": File(
        one_sheet(xlsx.grid(PEOPLE, first_row=4, first_column=3)), {5: values(ADA), 6: values(JOSE)}
    ),
    "gaps.xlsx": File(
        excel((HEADER, [None], ("c-1", None, "Lovelace"), [], ("c-2",))),
        {3: {"customer_id": "c-1", "surname": "Lovelace"}, 5: {"customer_id": "c-2"}},
    ),
    "merged-cells.xlsx": File(
        excel((HEADER, ("c-1", "Ada", None)), after='<mergeCells count="1"><mergeCell ref="B2:C2"/></mergeCells>'),
        {2: {"customer_id": "c-1", "name": "Ada"}},
    ),
    "formatted-far-away.xlsx": File(
        one_sheet(xlsx.grid(PEOPLE) + '<row r="1048576"><c r="XFD1048576" s="4"/></row>'), AS_SENT
    ),
    "typed.xlsx": File(
        excel(
            (
                ("customer_id", "name", "surname", "phone", "status"),
                (1001, 0.1, True, 39021234567, date(2026, 1, 31)),
                ("0007", 1e-07, False, 3.9021234567e10, datetime(2026, 1, 31, 9, 30)),
                (123456789012345678, -5, 1e21, "+39 02 1234", timedelta(hours=30, minutes=5)),
                (2.0, 1 / 3, 100.5, 0, timedelta(hours=9, minutes=30)),
            )
        ),
        {
            2: {
                "customer_id": "1001",
                "name": "0.1",
                "surname": "true",
                "phone": "39021234567",
                "status": "2026-01-31",
            },
            3: {
                "customer_id": "0007",
                "name": "0.0000001",
                "surname": "false",
                "phone": "39021234567",
                "status": "2026-01-31T09:30:00",
            },
            4: {
                "customer_id": "123456789012345680",
                "name": "-5",
                "surname": "1000000000000000000000",
                "phone": "+39 02 1234",
                "status": "30:05:00",
            },
            5: {
                "customer_id": "2",
                "name": "0.3333333333333333",
                "surname": "100.5",
                "phone": "0",
                "status": "09:30:00",
            },
        },
    ),
    "formulas.xlsx": File(
        excel(
            (
                ("customer_id", "name", "surname"),
                ("c-1", xlsx.Formula('CONCAT("A","da")', "Ada"), xlsx.Formula("1+1", 2.0)),
                ("c-2", "=1+1", "'=1+1"),
            )
        ),
        {
            2: {"customer_id": "c-1", "name": "Ada", "surname": "2"},
            3: {"customer_id": "c-2", "name": "=1+1", "surname": "=1+1"},
        },
    ),
    "errors.xlsx": File(
        excel((("customer_id", "name"), ("c-1", xlsx.Error("#N/A")), (xlsx.Error("#REF!"), "Zoë"))),
        {2: {"customer_id": "c-1", "name": "#N/A"}, 3: {"customer_id": "#N/A", "name": "Zoë"}},
    ),
    "never-computed.xlsx": File(
        excel(
            (
                (None, "customer_id", "name", "surname"),
                (None, "c-1", xlsx.Formula("A1", ""), xlsx.Formula("A1", None)),
                (None, "c-2", "José", None, xlsx.Formula("right of all columns", None)),
                (None, "c-3", xlsx.Formula("A1", None, as_text=True)),
                [],
                (None, xlsx.Formula("A1", None)),
            )
        ),
        {
            2: {"customer_id": "c-1", "surname": "#N/A"},
            3: {"customer_id": "c-2", "name": "José"},
            4: {"customer_id": "c-3", "name": "#N/A"},
            6: {"customer_id": "#N/A"},
        },
    ),
    "nothing-computed.xlsx": File(
        one_sheet(xlsx.grid([[xlsx.Formula("A1", None)]], first_row=3, first_column=3)), refused="empty_file"
    ),
    "error-of-another-program.xlsx": File(
        excel((("customer_id", "name"), ("c-1", xlsx.Error("#ERROR!")))), refused="damaged_workbook"
    ),
    "newlines-and-spaces.xlsx": File(
        excel((("customer_id", "name", "surname"), ("c-1", "Ada\nByron", " x "), ("c-2", 'a "b", c', "d;e"))),
        {
            2: {"customer_id": "c-1", "name": "Ada\nByron", "surname": " x "},
            3: {"customer_id": "c-2", "name": 'a "b", c', "surname": "d;e"},
        },
    ),
    "synonyms.xlsx": File(
        excel((("Customer Number", "Given Name", "Town"), (7, "Ada", "Rome"))),
        {2: {"customer_id": "7", "name": "Ada"}},
        unknown=("Town",),
    ),
    "header-only.xlsx": File(excel((HEADER,))),
    "no-rows.xlsx": File(excel(()), refused="empty_file"),
    "no-key-column.xlsx": File(excel((("name",), ("Ada",))), refused="missing_column"),
    "cut-off.xlsx": File(lambda: excel()()[:-100], refused="damaged_workbook"),
    "changed-byte.xlsx": File(lambda: excel(shared=False)().replace(b"\x9d", b"\x9c"), refused="damaged_workbook"),
    "word.docx": File(
        lambda: xlsx.zipped(
            {"_rels/.rels": '<R><Relationship Type="x/officeDocument" Target="word/document.xml"/></R>'}
        ),
        refused="unsupported_file",
    ),
    "libreoffice.ods": File(
        lambda: xlsx.zipped({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}),
        refused="unsupported_file",
    ),
    "protected-workbook.xlsx": File(
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, refused="unsupported_file"
    ),
}

FILES: Mapping[str, File] = {
    **CSV,
    **XLSX,
    **{name: File(content, refused=code) for name, (content, code) in BOMBS.items()},
}
