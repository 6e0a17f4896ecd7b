"""The files of an export, read again: what was written is what was there."""

import csv
import io
import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from customers import sheets
from customers.exporting.writer import BOM, _csv, _ndjson
from customers.models import Customer, CustomerOut
from customers.sheets import FIELDS

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

# Whatever a field takes, and more often what spreadsheets and CSV readers stumble over.
text = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
marks = st.text(st.sampled_from("'=+-@＝＋－＠\",; \ufeff\u2028"), min_size=1, max_size=4)
value = st.one_of(text, st.builds(str.__add__, marks, text), marks).map(str.strip).filter(bool)
absent = st.none()
customer = st.builds(
    Customer,
    id=st.uuids().map(str),
    owner_id=st.sampled_from(["ada", "=ada", "-1"]),
    customer_id=value,
    created_at=st.just("2026-01-31T09:30:00.000000Z"),
    updated_at=st.just("2026-02-01T09:30:00.000000Z"),
    version=st.integers(1, 9),
    name=absent | value,
    surname=absent | value,
    email=absent | st.sampled_from(["a@example.com", "=ä@exämple.com", "'o@example.com"]),
    phone=absent | value,
    status=absent | value,
    agent_id=absent | st.uuids().map(str),
    deleted_at=absent | st.just("2026-02-02T09:30:00.000000Z"),
)
customers = st.lists(customer, max_size=6)


def of_csv(people: list[Customer], *, by_admin: bool = False) -> bytes:
    return b"".join(_csv(iter(people), by_admin))


@given(customers, st.booleans())
def test_a_csv_file_reads_back_to_the_same_values(people: list[Customer], by_admin: bool) -> None:
    file = io.BytesIO(of_csv(people, by_admin=by_admin))
    form = sheets.sniff(file)
    header, *read = [record for _, record in sheets.records(file, form)]
    columns = sheets.columns_of(header)
    assert (form.encoding, form.delimiter, form.start, columns.unknown) == ("utf-8", ",", len(BOM), ())
    assert [record.number for record in read] == list(range(2, len(people) + 2))
    for record, each in zip(read, people, strict=True):
        values = {name: value for name in FIELDS if (value := getattr(each, name)) is not None}
        assert sheets.values_of(record, columns) == values
        cells = dict(zip(columns.names, map(sheets.plain, record.cells), strict=True))
        assert cells == {name: str(getattr(each, name) or "") for name in columns.names}


@given(customers)
def test_no_cell_of_a_csv_file_is_a_formula(people: list[Customer]) -> None:
    rows = list(csv.reader(io.StringIO(of_csv(people, by_admin=True).decode("utf-8-sig"), newline=""), strict=True))
    assert len(rows) == len(people) + 1
    assert not [cell for row in rows for cell in row if cell.startswith(DANGEROUS)]


def test_a_csv_file_is_one_line_a_customer_that_ends_as_spreadsheets_have_it() -> None:
    ada = Customer(id="1", owner_id="ada", customer_id="C-1", created_at="then", updated_at="now", name='A "b", c')
    head = "customer_id,name,surname,email,phone,status,agent_id,id,created_at,updated_at,deleted_at,version"
    assert of_csv([ada]).decode() == f'\ufeff{head}\r\nC-1,"A ""b"", c",,,,,,1,then,now,,1\r\n'
    assert of_csv([ada], by_admin=True).decode().splitlines()[1].endswith(",1,then,now,,1,ada")


@given(customers, st.booleans())
def test_lines_of_json_are_what_the_api_shows(people: list[Customer], by_admin: bool) -> None:
    lines = b"".join(_ndjson(iter(people), by_admin)).decode().split("\n")
    assert lines.pop() == ""
    shown = [CustomerOut.of(each, show_owner=by_admin).model_dump(exclude_unset=True) for each in people]
    assert [json.loads(line) for line in lines] == shown
    assert all(("owner_id" in each) is by_admin for each in shown)


def test_many_customers_are_written_in_lots_in_their_order() -> None:
    ada = Customer(id="1", owner_id="ada", customer_id="", created_at="then", updated_at="then")
    people = [replace(ada, customer_id=f"C-{n}") for n in range(1_201)]
    rows = list(csv.DictReader(io.StringIO(of_csv(people).decode("utf-8-sig"), newline="")))
    assert [row["customer_id"] for row in rows] == [each.customer_id for each in people]
