"""Records of CSV files: whatever their dialect, from any record on."""

import csv
import io
import tracemalloc
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.sheets import Csv, Record, UnreadableFile, as_csv, csv_text, is_error, neutralised, plain, records, sniff

COMMA = Csv("utf-8", ",")
MEGABYTE = 1 << 20

characters = st.sampled_from("a ,;\t\"'\r\n=@\0é＝😀") | st.characters(exclude_categories=["Cs"])
cells = st.text(characters, max_size=8)
tables = st.lists(st.lists(cells, min_size=1, max_size=5), max_size=12)
written = st.lists(
    st.sampled_from(["a", "é", ",", '"', '""', '",', ',"', "\n", "\r\n", "\r", " ", "\0", "x\n"]), max_size=60
)


def read(content: bytes, form: Csv = COMMA, number: int = 1) -> list[tuple[int, Record]]:
    return list(records(io.BytesIO(content), form, number=number))


def seen(content: bytes) -> list[Sequence[str]]:
    """The cells of the records that have values, read as an import reads a file."""
    with as_csv(io.BytesIO(content)) as file:
        return [record.cells for _, record in records(file, sniff(file))]


class Endless(io.RawIOBase):
    """A file of so many bytes, all but the first of them alike, that is never in memory."""

    def __init__(self, begins: bytes, then: bytes, length: int) -> None:
        self._next, self._then, self._left = begins, then, length

    def read(self, size: int = -1) -> bytes:
        block = (self._next + self._then * size)[: min(size, self._left)]
        self._next, self._left = b"", self._left - len(block)
        return block


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@given(
    tables,
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_table_is_read_as_it_was_written(
    encoding: str, rows: list[list[str]], delimiter: str, newline: str, quoting: int
) -> None:
    header = ["customer_id", "name"]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([header, *rows])
    assert seen(text.getvalue().encode(encoding)) == [header, *(row for row in rows if any(map(str.strip, row)))]


@given(st.binary(max_size=200))
def test_every_byte_of_windows_1252_is_read_and_none_is_another(content: bytes) -> None:
    text = content.translate(None, delete=b'\r\n,"')
    ((_, record),) = read(b"x" + text, Csv("cp1252", ","))
    assert len(record.cells[0]) == len(text) + 1
    assert record.cells[0].encode("cp1252", "ignore") == b"x" + text.translate(None, delete=b"\x81\x8d\x8f\x90\x9d")


@given(written, st.sets(st.integers(0, 60)))
def test_pieces_between_records_are_read_as_the_whole_is(pieces: list[str], cuts: set[int]) -> None:
    content = "".join(pieces).encode()
    whole = read(content)
    starts = [(offset, record.number) for place, (offset, record) in enumerate(whole) if place in cuts]
    bounds = [(0, 1), *starts, (len(content), 0)]
    parts = [
        (start + offset, record)
        for (start, number), (end, _) in pairwise(bounds)
        for offset, record in read(content[start:end], number=number)
    ]
    assert parts == whole


@given(written, st.integers(1, 7))
def test_where_blocks_end_makes_no_difference(pieces: list[str], size: int) -> None:
    content = "".join(pieces).encode()
    with pytest.MonkeyPatch.context() as patch:
        whole = read(content)
        patch.setattr(csv_text, "_BLOCK_BYTES", size)
        assert read(content) == whole


@given(written, st.integers(0, 12))
def test_limits_hold_wherever_blocks_end(pieces: list[str], longest: int) -> None:
    """With limits of a few bytes, so that lines, cells and records are too long in every way there is."""
    content = "".join(pieces).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "MAX_RECORD_BYTES", longest + 4)
        patch.setattr(csv_text, "MAX_CELL_CHARS", longest)
        whole = read(content)
        patch.setattr(csv_text, "_BLOCK_BYTES", 3)
        assert read(content) == whole
        starts = [offset for offset, _ in whole]
        for (start, record), end in zip(whole, [*starts[1:], len(content)], strict=False):
            assert read(content[start:end], number=record.number) == [(0, record)]


def test_a_record_keeps_its_number_after_blank_lines_and_quoted_newlines() -> None:
    found = read(b'a\n\n"b\nb"\n,\nc')
    assert [(offset, record.number) for offset, record in found] == [(0, 1), (3, 3), (11, 5)]


def test_offsets_count_what_is_before_the_header() -> None:
    content = b"\xef\xbb\xbfsep=;\r\ncustomer_id;name\r\nc-1;Ada\r\n"
    form = sniff(io.BytesIO(content))
    assert form == Csv("utf-8", ";", 10)
    assert [content[offset:].split(b"\r\n")[0] for offset, _ in read(content, form)] == [
        b"customer_id;name",
        b"c-1;Ada",
    ]


def test_a_quote_that_is_not_closed_costs_one_row() -> None:
    found = [record for _, record in read(b'a,"b\n' + b"c,d\n" * 50_000)]
    assert found[0].problem
    assert len(found) == 50_001


def test_a_file_of_quotes_that_do_not_add_up_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "MAX_REREAD", 10 * MEGABYTE)
    with pytest.raises(UnreadableFile) as refused:
        read(b'x"y,"z\n' * 100_000)
    assert refused.value.code == "unreadable_rows"


@pytest.mark.parametrize(
    ("begins", "then"),
    [(b"", b"x"), (b'"', b"x"), (b'"', b"x\n"), (b'a,"', b'""'), (b"", b","), (b"", b"\r\n"), (b'"', b",")],
)
def test_memory_does_not_grow_with_the_file(begins: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "MAX_RECORD_BYTES", 32_000)
    monkeypatch.setattr(csv_text, "_BLOCK_BYTES", 8_000)
    peaks = list[int]()
    for length in (100_000, 400_000):
        tracemalloc.start()
        deque(records(Endless(begins, then, length), COMMA), maxlen=0)  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2


@pytest.mark.parametrize("cell", ["#N/A", " #REF! ", "#NAME?", "#ERROR!", "#NV", "#WERT!", "#¡REF!", "Err:502"])
def test_an_error_of_a_spreadsheet_is_no_value_and_a_value_that_looks_so_is_marked(cell: str) -> None:
    assert is_error(cell)
    assert not is_error(neutralised(cell.strip()))
    assert plain(neutralised(cell.strip())) == cell.strip()


@pytest.mark.parametrize("cell", ["", "#1", "# REF!", "#", "#!", "Err: 502", "'#N/A", "#NVA", "A#REF!"])
def test_other_texts_are_values(cell: str) -> None:
    assert not is_error(cell)


@given(st.text() | cells)
def test_a_neutralised_value_comes_back_and_begins_no_formula(value: str) -> None:
    assert plain(neutralised(value)) == value
    assert not neutralised(value).startswith(tuple("=+-@\t\r＝＋－＠"))


def test_a_file_stays_where_it_was_when_its_form_is_found_out() -> None:
    file = io.BytesIO(b"customer_id,name\n")
    sniff(file)
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("customer_id;a,b;c,d", ";"),
        ("a,b,c", ","),
        ("customer_id\tx,y,z", "\t"),
        ('"a;b;c",customer_id', ","),
        ("x", ","),
    ],
)
def test_the_delimiter_is_that_which_makes_most_of_the_header(header: str, delimiter: str) -> None:
    assert sniff(io.BytesIO(header.encode())).delimiter == delimiter
