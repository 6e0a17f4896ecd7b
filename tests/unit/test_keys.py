"""Folding, index attributes and the packed directory entry."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers import keys
from customers.models import Customer
from tools.template import resources

TIME = "2026-01-31T09:30:00.000001Z"
texts = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60))
times = st.datetimes(datetime(1970, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC)).map(keys.timestamp)
records = st.fixed_dictionaries(
    {
        "customer_id": st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
        "created_at": times,
        "updated_at": times,
        **dict.fromkeys(("name", "surname", "email", "phone", "status"), texts),
    }
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [("Müller", "muller"), ("ÉCOLE", "ecole"), ("Straße", "strasse"), ("ＡＢ１", "ab1"), ("´", " "), ("\u0301", "")],
)
def test_fold_drops_case_accents_and_width(text: str, folded: str) -> None:
    assert keys.fold(text) == folded


@given(st.text())
def test_fold_is_stable_and_never_yields_a_capital_letter(text: str) -> None:
    folded = keys.fold(text)
    assert keys.fold(folded) == folded
    assert not [letter for letter in folded if "A" <= letter <= "Z"]


@given(records)
def test_a_directory_entry_unpacks_to_what_was_packed(record: dict[str, Any]) -> None:
    entry = keys.DirectoryEntry.of(record)
    assert keys.DirectoryEntry.unpack(entry.pack()) == entry


@given(records)
def test_index_attributes_fit_their_limits_and_sort_like_the_entry(record: dict[str, Any]) -> None:
    entry = keys.DirectoryEntry.of(record)
    attributes = entry.index_attributes()
    assert all(0 < len(attributes[name].encode()) <= 961 for name in attributes if name.endswith("_key"))
    for field, index in keys.SORT_INDEXES.items():
        assert entry.sort_value(field) == ({**record, **attributes})[index.sort[0]]


def test_long_sort_keys_are_cut_at_a_characters_boundary() -> None:
    key = keys.text_key("\N{GRINNING FACE}" * 255)
    assert key == "\N{GRINNING FACE}" * (keys.MAX_SORT_KEY_BYTES // 4)


@given(st.text(min_size=1))
def test_absent_sorts_after_everything_in_utf8(text: str) -> None:
    key = keys.text_key(keys.fold(text.encode(errors="ignore").decode()))
    assert key == keys.ABSENT or key.encode() < keys.ABSENT.encode()


@given(st.datetimes(), st.datetimes())
def test_timestamps_sort_as_their_times_do(one: datetime, other: datetime) -> None:
    first, second = one.replace(tzinfo=UTC), other.replace(tzinfo=UTC)
    assert (keys.timestamp(first) < keys.timestamp(second)) is (first < second)


def test_timestamps_are_utc() -> None:
    rome = timezone(timedelta(hours=1))
    assert keys.timestamp(datetime(2026, 1, 31, 10, 30, tzinfo=rome)) == "2026-01-31T09:30:00.000000Z"


def test_keys_of_two_owners_never_meet() -> None:
    assert keys.unique("a", "b#c") == keys.unique("a#b", "c")  # so no owner may have a `#` in its name
    assert not keys.is_owner_id("a#b")


def test_long_customer_ids_are_hashed_in_their_key_and_meet_no_other() -> None:
    long = "é" * 256 + "x"
    key = keys.unique("a", long)["pk"]
    assert len(key.encode()) < 1_024
    assert key != keys.unique("a", "é" * 256 + "y")["pk"]
    assert keys.SEPARATOR in key


def test_the_table_has_the_indexes_that_the_code_asks_for() -> None:
    (table,) = resources("AWS::DynamoDB::Table").values()
    declared = {
        index["IndexName"]: tuple(key["AttributeName"] for key in index["KeySchema"])
        for index in table["GlobalSecondaryIndexes"]
    }
    known = [*keys.SORT_INDEXES.values(), keys.CREATED_KEYS]
    expected = {index.name: ("owner_id", "state", *index.sort) for index in known}
    assert declared == expected | {
        keys.DIRECTORY.name: ("owner_id", "state", "directory_shard", *keys.DIRECTORY.sort),
        keys.BY_PURGE.name: ("purge_shard", *keys.BY_PURGE.sort),
    }


def test_a_customer_comes_back_from_its_item_as_it_went() -> None:
    customer = Customer(id="1", owner_id="ada", customer_id="C", created_at=TIME, updated_at=TIME, status="Lead")
    stored = {name: value for name, value in customer.item().items() if value is not None}
    assert Customer.from_item(stored) == customer
