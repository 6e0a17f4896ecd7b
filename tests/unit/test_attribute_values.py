"""Values to DynamoDB's JSON and back, and what botocore makes of a client that sends and reads it as it is."""

import json
from decimal import Decimal, Inexact
from io import BytesIO
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.awsrequest import AWSResponse, HeadersDict
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.attribute_values import decode, decode_value, encode, encode_value
from customers.dynamodb import Table
from customers.errors import Unavailable

NUMBERS = st.integers(-(10**37), 10**37) | st.decimals("-1e9", "1e9", places=6)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text() | st.binary()
VALUES = st.recursive(SCALARS, lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=20)


@settings(deadline=None)
@given(VALUES | st.frozensets(st.text(), min_size=1))
def test_a_value_comes_back_as_it_was_also_by_way_of_json(value: Any) -> None:
    sent = encode_value(value)
    assert decode_value(json.loads(json.dumps(sent))) == decode_value(sent) == value


@settings(deadline=None)
@given(VALUES)
def test_a_value_is_written_as_boto3_writes_it(value: Any) -> None:
    ours, theirs = as_bytes(encode_value(value)), TypeSerializer().serialize(value)
    assert ours == theirs
    assert TypeDeserializer().deserialize(ours) == TypeDeserializer().deserialize(theirs)


def as_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """As botocore's own walk has bytes."""
    ((kind, content),) = value.items()
    if kind == "B":
        return {kind: content.encode()}
    if kind == "L":
        return {kind: [as_bytes(each) for each in content]}
    if kind == "M":
        return {kind: {name: as_bytes(each) for name, each in content.items()}}
    return value


def test_an_absent_attribute_is_left_out() -> None:
    assert encode({"a": None, "b": ""}) == {"b": {"S": ""}}


@pytest.mark.parametrize("value", [1.5, object(), {1, 2}, Decimal("NaN"), Decimal("Infinity")])
def test_what_dynamodb_has_no_type_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encode_value(value)


@pytest.mark.parametrize("value", [10**38 + 1, Decimal("1." + "1" * 38)])
def test_a_number_that_dynamodb_would_round_is_refused(value: int | Decimal) -> None:
    with pytest.raises(Inexact):
        encode_value(value)


def test_a_whole_number_is_an_int_and_another_is_exact() -> None:
    found = decode({"a": {"N": "-12"}, "b": {"N": "0.1"}, "c": {"N": "1E+2"}})
    assert found == {"a": -12, "b": Decimal("0.1"), "c": 100}
    assert isinstance(found["a"], int)


@pytest.mark.parametrize("value", [{"X": "1"}, {}, {"S": "a", "N": "1"}])
def test_what_is_no_value_of_dynamodb_is_refused(value: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"unknown type|values to unpack"):
        decode_value(value)


@pytest.mark.usefixtures("dynamodb")
def test_a_client_of_ours_writes_and_reads_every_kind_of_value(table: Table) -> None:
    item = {
        "pk": "a",
        "sk": "b",
        "s": "ä",
        "n": 1,
        "d": Decimal("0.5"),
        "t": True,
        "x": b"\xff\0",
        "v": {"l": [1, "2"]},
    }
    ours = Table(table.name)
    ours.put({**item, "set": {"a", "b"}})
    for each in (ours, table):  # the other one is botocore's own
        assert each.get({"pk": "a", "sk": "b"}) == {**item, "set": {"a", "b"}}
        page = each.query(KeyConditionExpression="pk = :pk", values={":pk": "a"}, Limit=1)
        assert (page.items, page.count) == ([{**item, "set": {"a", "b"}}], 1)
        assert each.batch_get([{"pk": "a", "sk": "b"}]) == page.items


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[1]", b'"text"', b"<html></html>"])
def test_a_corrupted_answer_is_a_503(table: Table, body: bytes) -> None:
    def answer(request: Any, **_: object) -> Any:
        raw = BytesIO(body)
        raw.stream = lambda: iter([body])  # type: ignore[attr-defined]
        headers: Any = HeadersDict()
        return AWSResponse(request.url, 200, headers, raw)

    ours = Table(table.name)
    events: Any = ours._client.meta.events
    events.register_first("before-send.dynamodb", answer)
    with pytest.raises(Unavailable):
        ours.get({"pk": "a", "sk": "b"})
