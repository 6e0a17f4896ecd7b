"""Which column is which field, and what of a row is a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.sheets import FIELDS, READ_ONLY, SYNONYMS, Problem, Record, UnreadableFile, columns_of, values_of

NAMES = [*((field, field) for field in FIELDS), *((name, field) for field, names in SYNONYMS.items() for name in names)]


def header(*names: str) -> Record:
    return Record(1, list(names))


def refusal(*names: str) -> UnreadableFile:
    with pytest.raises(UnreadableFile) as refused:
        columns_of(header(*names))
    return refused.value


@pytest.mark.parametrize(("name", "field"), NAMES)
@pytest.mark.parametrize("typed", [str.upper, str.title, lambda name: name.replace(" ", "_").replace("e", "é") + " :"])
def test_a_column_is_found_however_its_name_is_typed(name: str, field: str, typed: type[str]) -> None:
    columns = columns_of(header("customer_id", typed(name)) if field != "customer_id" else header("", typed(name)))
    assert columns.places[field] == 1  # type: ignore[index]
    assert not columns.unknown


def test_no_name_is_two_fields() -> None:
    names = [name for name, _ in NAMES]
    assert len({*names, *READ_ONLY}) == len([*names, *READ_ONLY])


def test_what_we_write_ourselves_is_passed_over() -> None:
    columns = columns_of(header("customer_id", *READ_ONLY, "", "Town", "town ", "Town"))
    assert columns.places == {"customer_id": 0}
    assert columns.unknown == ("Town", "town")


def test_the_name_of_a_field_is_preferred_to_a_synonym() -> None:
    columns = columns_of(header("First name", "Name", "customer_id", "Forename"))
    assert columns.places == {"name": 1, "customer_id": 2}
    assert columns.unknown == ("First name", "Forename")


def test_a_header_without_customer_id_is_told_what_it_has() -> None:
    refused = refusal("Name", "E\0mail", "", "x" * 100)
    assert refused.code == "missing_column"
    assert refused.message == (
        "The first row must be the header, with a column customer_id; of a customer's fields row 1 names name, email"
    )
    assert refusal("Our customers, as of May").message.endswith("row 1 names none")


def test_a_field_that_two_columns_have_is_refused_with_both_names() -> None:
    refused = refusal("customer_id", "Mobile", "Telephone")
    assert (refused.code, refused.message) == (
        "duplicate_column",
        "More than one column is the phone: Mobile, Telephone",
    )
    assert refusal("customer_id", "email", "Email").code == "duplicate_column"


def test_a_header_that_is_missing_or_cannot_be_read_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="empty"):
        columns_of(None)
    with pytest.raises(UnreadableFile, match="first row") as refused:
        columns_of(Record(3, [], Problem("cell_too_long", "A cell is too long")))
    assert refused.value.code == "unreadable_header"


def test_values_are_those_of_fields_without_blanks_and_marks() -> None:
    columns = columns_of(header("name", "Town", "customer_id", "phone", "email"))
    assert values_of(Record(2, ["'=1", "Rome", "c-1", "' ", "'\t"]), columns) == {
        "name": "=1",
        "customer_id": "c-1",
        "phone": "' ",
    }
    assert values_of(Record(2, ["Ada"]), columns) == {"name": "Ada"}


@pytest.mark.parametrize(("cells", "key"), [(["", "'+1 "], "+1"), (["", " "], ""), (["Ada"], ""), ([], "")])
def test_a_key_is_trimmed_and_has_no_mark(cells: list[str], key: str) -> None:
    assert columns_of(header("name", "customer_id")).key_of(Record(2, cells)) == key


def test_a_row_with_more_values_than_columns_has_a_problem() -> None:
    columns = columns_of(header("customer_id", "name"))
    assert columns.problem_of(Record(2, ["c-1", "Ada", " ", ""])) is None
    problem = columns.problem_of(Record(2, ["c-1", "Ada", "", "surplus"]))
    assert problem == Problem("too_many_cells", "The row has more values than the header has columns (2)")


def test_a_record_that_could_not_be_read_keeps_its_problem() -> None:
    problem = Problem("unreadable_row", "")
    assert columns_of(header("customer_id")).problem_of(Record(2, [], problem)) is problem


@given(st.lists(st.text(), max_size=8))
def test_the_names_of_any_header_are_kept_and_those_unknown_are_among_them(names: list[str]) -> None:
    columns = columns_of(header("customer_id", *(f"x{name}" for name in names)))
    assert {*columns.unknown} <= {name.strip() for name in columns.names}
    assert len(columns.names) == len(names) + 1
