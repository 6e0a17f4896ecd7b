"""Workbooks: what is taken of them, and that nothing reaches the parser that was not looked at."""

import csv
import io
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.sheets import UnreadableFile, as_csv, records, sniff
from customers.sheets.archive import Archive
from customers.sheets.values import text_of
from customers.sheets.workbook import MAX_ROWS, SMALL, Limits
from tests.corpus import xlsx

ROWS = [["customer_id", "name"], ["c-1", "Ada"]]
PAGE = xlsx.sheet(xlsx.grid(ROWS))
PARTS = xlsx.parts(PAGE)
SHEET = "xl/worksheets/sheet1.xml"

# What XML can say. A spreadsheet escapes the rest, and reads _x000D_ as an escape.
values = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="_￾￿") | st.just("\n"), min_size=1)
tables = st.lists(st.lists(values | st.integers(-(10**14), 10**14) | st.booleans(), min_size=1, max_size=4), max_size=6)


def rows(content: bytes, limits: Limits = SMALL) -> list[list[str]]:
    with as_csv(io.BytesIO(content), limits=limits) as file:
        return list(csv.reader(io.StringIO(file.read().decode(), newline="")))


def refusal(content: bytes, limits: Limits = SMALL) -> str:
    with pytest.raises(UnreadableFile) as refused:
        rows(content, limits)
    return refused.value.code


def as_texts(table: Sequence[Sequence[object]]) -> list[list[str]]:
    return [[str(value).lower() if isinstance(value, bool) else str(value) for value in row] for row in table]


@given(tables, st.booleans(), st.booleans())
def test_a_table_is_read_as_it_was_written(table: list[list[xlsx.Value]], shared: bool, references: bool) -> None:
    strings = xlsx.Strings() if shared else None
    page = xlsx.sheet(xlsx.grid(table, strings, references=references))
    content = xlsx.zipped(xlsx.parts(page, strings=strings.xml() if strings else ""))
    found = [row[: len(sent)] for row, sent in zip(rows(content), table, strict=True)]
    assert found == as_texts(table)


def test_the_original_is_left_open_at_its_beginning() -> None:
    file = io.BytesIO(xlsx.zipped(PARTS))
    as_csv(file).close()
    assert file.tell() == 0


def test_temporary_files_are_gone_when_the_result_is_closed(tmp_path: Path) -> None:
    as_csv(io.BytesIO(xlsx.zipped(PARTS)), scratch=tmp_path).close()
    with pytest.raises(UnreadableFile):
        as_csv(io.BytesIO(xlsx.zipped(PARTS)[:-50]), scratch=tmp_path)
    assert not [*tmp_path.iterdir()]


def test_other_sheets_and_what_else_is_in_a_workbook_are_not_looked_at() -> None:
    content = xlsx.zipped(xlsx.parts(PAGE, "<not xml") | {"xl/media/image1.png": b"\x89PNG", "docProps/app.xml": "<"})
    assert rows(content) == ROWS


def test_paths_are_found_as_spreadsheets_find_them() -> None:
    parts = {path.replace("xl/", "XL\\"): part for path, part in PARTS.items()}
    relations = parts["XL\\_rels/workbook.xml.rels"].replace('Target="w', 'Target="/xl/w')
    assert rows(xlsx.zipped(parts | {"XL\\_rels/workbook.xml.rels": relations})) == [
        ["customer_id", "name"],
        ["c-1", "Ada"],
    ]


@pytest.mark.parametrize("path", ["xl/workbook.xml", "_rels/.rels"])
def test_a_package_without_a_workbook_is_no_workbook(path: str) -> None:
    assert refusal(xlsx.zipped({name: part for name, part in PARTS.items() if name != path})) == "unsupported_file"


def test_a_workbook_without_its_sheet_is_damaged() -> None:
    assert refusal(xlsx.zipped({name: part for name, part in PARTS.items() if name != SHEET})) == "damaged_workbook"


def test_a_chart_that_has_a_sheet_to_itself_is_not_the_first_sheet() -> None:
    parts = xlsx.parts("<chart/>", PAGE)
    relations = parts["xl/_rels/workbook.xml.rels"].replace("/worksheet", "/chartsheet", 1)
    assert rows(xlsx.zipped(parts | {"xl/_rels/workbook.xml.rels": relations}))[1] == ["c-1", "Ada"]


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="A0"><v>1</v></c>',
        '<c r="1A"><v>1</v></c>',
        '<c r="AAAA1"><v>1</v></c>',
        '<c r="A4294967297"><v>1</v></c>',
        '<c r="&#65;1"><v>1</v><c></c></c>',
        '<c r="A1" t="s"><v>1</v></c>',
        '<c r="A1" t="s"><v> 0</v></c>',
        '<c r="A1" t="s"><v>1e0</v></c>',
        '<c r="A1" t="e"><v>#MADE UP</v></c>',
        '<c r="A1" t="madeup"><v>1</v></c>',
        '<c r="A1" r="A2"><v>1</v></c>',
        '<c r="A1"><v>1</c></v>',
        '<c r="A1"><v>&made-up;</v></c>',
    ],
)
def test_cells_that_no_spreadsheet_writes_are_refused(cell: str) -> None:
    strings = xlsx.Strings()
    strings.number("only one")
    page = xlsx.sheet(f'<row r="1">{cell}</row>')
    assert refusal(xlsx.zipped(xlsx.parts(page, strings=strings.xml()))) == "damaged_workbook"


@pytest.mark.parametrize(
    "strings", ["<x/>", "<sst><si><si/></si></sst>", '<sst uniqueCount="-1"/>', '<sst uniqueCount="²"/>']
)
def test_shared_texts_that_would_be_counted_otherwise_are_refused(strings: str) -> None:
    assert refusal(xlsx.zipped(xlsx.parts(PAGE, strings=strings))) == "damaged_workbook"


@pytest.mark.parametrize("row", [MAX_ROWS + 1, 9_999_999])
def test_a_row_that_spreadsheets_do_not_have_is_refused(row: int) -> None:
    page = xlsx.sheet(f'<row r="{row}"><c><v>1</v></c></row>')
    assert refusal(xlsx.zipped(xlsx.parts(page))) == "workbook_too_large"


@pytest.mark.parametrize("limits", [Limits(100, 9, 99), Limits(9999, 3, 99), Limits(9999, 9, 9)])
def test_a_sheet_that_is_larger_than_is_asked_for_is_refused(limits: Limits) -> None:
    strings = xlsx.Strings()
    page = xlsx.sheet(xlsx.grid([["customer_id", "name"], ["c-1", "c-1"]], strings))
    content = xlsx.zipped(xlsx.parts(page, strings=strings.xml()))
    assert refusal(content, limits) == "workbook_too_large"
    assert rows(content, Limits(9999, 4, 99))


def test_texts_that_are_shared_count_each_time() -> None:
    strings = xlsx.Strings()
    page = xlsx.sheet(xlsx.grid([["x" * 10]] * 10, strings))
    content = xlsx.zipped(xlsx.parts(page, strings=strings.xml()))
    assert refusal(content, Limits(9999, 99, 99)) == "workbook_too_large"
    assert len(rows(content, Limits(9999, 99, 100))) == 10


@given(
    st.integers(0, 2**32),
    st.binary(min_size=1, max_size=4),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
@settings(max_examples=300)
def test_a_changed_archive_is_refused_or_says_the_same(place: int, change: bytes, method: int) -> None:
    """Bytes that make no difference are those of times and of what nobody reads."""
    content = xlsx.zipped(PARTS, method)
    place = 4 + place % (len(content) - 4)  # before that it says what it is
    with suppress(UnreadableFile):
        assert rows(content[:place] + change + content[place + len(change) :]) == ROWS


@pytest.mark.parametrize("path", PARTS)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["", "<", ">", "/", '"', "<c>", "</c>", "<row>", "A1", "9", "x", "&#65;", " ", "<v>"]),
)
def test_a_changed_part_is_refused_or_read(path: str, place: int, change: str) -> None:
    part = PARTS[path]
    place %= len(part)
    with suppress(UnreadableFile):
        rows(xlsx.zipped(PARTS | {path: part[:place] + change + part[place + 1 :]}))


def test_an_archive_with_a_comment_is_read() -> None:
    file = io.BytesIO(xlsx.zipped(PARTS))
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"made by hand" * 100
    assert rows(file.getvalue())[1] == ["c-1", "Ada"]


def test_parts_are_read_as_they_were_packed() -> None:
    """Sizes around those of blocks, which end in the middle of what the packer wrote."""
    parts = {f"{size}": bytes(range(256)) * (size // 256) + b"0" * size for size in (0, 1, 65_535, 65_536, 200_000)}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        archive = Archive.of(io.BytesIO(xlsx.zipped(parts, method)))
        for name, content in parts.items():
            part = archive.find(name)
            assert part
            assert b"".join(archive.blocks(part)) == content


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (39021234567.0, "39021234567"),
        (-0.0, "0"),
        (1e22, "10000000000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1.5e-9, "0.0000000015"),
        (7, "7"),
        (time(9, 30), "09:30:00"),
        (timedelta(hours=-1, seconds=-1), "-01:00:01"),
        (timedelta(days=40), "960:00:00"),
    ],
)
def test_a_typed_cell_is_written_as_a_person_would(cell: float | time | timedelta, text: str) -> None:
    assert text_of(cell) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value_and_has_no_exponent(number: float) -> None:
    assert float(text_of(number)) == number
    assert "e" not in text_of(number)


def test_the_rows_of_a_workbook_are_records_with_its_row_numbers() -> None:
    page = xlsx.sheet(xlsx.grid([["customer_id"], [None], ["c-1"]], first_row=3, first_column=2))
    with as_csv(io.BytesIO(xlsx.zipped(xlsx.parts(page)))) as file:
        assert [record.number for _, record in records(file, sniff(file))] == [3, 5]
