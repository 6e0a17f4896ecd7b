"""DynamoDB's JSON (`AttributeValue`) and Python's values; and how a client of botocore sends and reads it as it is.

botocore walks every request and answer along its description of the service, value by value, though all of it is JSON
already. An error's answer still goes botocore's way.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Set
from decimal import Clamped, Context, Decimal, Inexact, Overflow, Rounded, Underflow
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json

READS = ("GetItem", "Query", "BatchGetItem")  # whose answers hold items
# What a request holds besides text and numbers.
WRITTEN = (
    "BatchGetRequestMap",
    "BatchWriteItemRequestMap",
    "ExpressionAttributeNameMap",
    "ExpressionAttributeValueMap",
    "Key",
    "PutItemInputAttributeMap",
    "TransactWriteItemList",
)

# DynamoDB's numbers: 38 digits; what it would round is refused.
_NUMBERS = Context(Emin=-128, Emax=126, prec=38, traps=[Clamped, Overflow, Inexact, Rounded, Underflow])

type Item = dict[str, Any]


def encode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Python values to DynamoDB's typed ones; absent (None) attributes are left out."""
    return {name: encode_value(value) for name, value in item.items() if value is not None}


def decode(item: Mapping[str, Any]) -> Item:
    """DynamoDB's typed values to Python's: a number is an int, or a `Decimal` if it is none."""
    return {name: value["S"] if "S" in value else decode_value(value) for name, value in item.items()}


def encode_value(value: Any) -> dict[str, Any]:
    """Raises TypeError for what DynamoDB has no type for, and for a float, which would not come back as it was."""
    for each in type(value).__mro__:
        if each in _ENCODERS:
            kind, encoder = _ENCODERS[each]
            return {kind: encoder(value)}
    raise TypeError(f"DynamoDB has no type for {type(value).__name__}")


def decode_value(value: Mapping[str, Any]) -> Any:
    """Raises ValueError for what is no value of DynamoDB's."""
    ((kind, content),) = value.items()
    if kind not in _DECODERS:
        raise ValueError(f"DynamoDB sent a value of the unknown type {kind}")
    return _DECODERS[kind](content)


def _number_text(value: int | Decimal) -> str:
    number = _NUMBERS.create_decimal(value)
    if not number.is_finite():
        raise TypeError("DynamoDB knows neither infinity nor NaN")
    return str(number)


def _number(text: str) -> int | Decimal:
    try:
        return int(text)
    except ValueError:
        return _NUMBERS.create_decimal(text)


class _Base64(str):
    """Bytes as JSON has them. botocore, where it walks a request, encodes them itself: it is given the bytes."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b64decode(str.encode(self))


def _base64(content: bytes) -> str:
    return _Base64(b64encode(content).decode())


def _bytes(content: str | bytes) -> bytes:
    """They are bytes already where botocore has walked the answer."""
    return b64decode(str.encode(content)) if isinstance(content, str) else content


def _texts(values: Set[Any]) -> list[str]:
    if not all(isinstance(each, str) for each in values):
        raise TypeError("Sets are of text only")
    return list(values)


def _itself[Value](value: Value) -> Value:
    return value


_ENCODERS: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    str: ("S", _itself),
    int: ("N", _number_text),
    bool: ("BOOL", _itself),
    Decimal: ("N", _number_text),
    dict: ("M", lambda values: {name: encode_value(each) for name, each in values.items()}),
    list: ("L", lambda values: [encode_value(each) for each in values]),
    tuple: ("L", lambda values: [encode_value(each) for each in values]),
    type(None): ("NULL", lambda _: True),
    bytes: ("B", _base64),
    set: ("SS", _texts),
    frozenset: ("SS", _texts),
}
_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "S": _itself,
    "N": _number,
    "BOOL": _itself,
    "M": decode,
    "L": lambda values: [decode_value(each) for each in values],
    "NULL": lambda _: None,
    "B": _bytes,
    "SS": set,
}


def written_as_is(description: dict[str, Any]) -> None:
    """Change botocore's description of DynamoDB, so that what is JSON already is sent without a walk along it."""
    for name in WRITTEN:
        description["shapes"][name] = {"type": "structure", "document": True, "members": {}}
    for operation in description["operations"].values():
        operation.pop("operationContextParams", None)  # names of tables for endpoints by account: a search in each call


def read_as_is(client: Any) -> None:
    """Have a client of DynamoDB parse each answer that holds items in one go."""
    for operation in READS:
        client.meta.events.register(f"before-parse.dynamodb.{operation}", _read)


def _read(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Raises ValueError for a 200 that is no JSON object."""
    if response_dict["status_code"] == HTTPStatus.OK:
        answer = from_json(response_dict["body"])
        if not isinstance(answer, dict):
            raise ValueError("DynamoDB's answer is no JSON object")
        customized_response_dict.update(answer)
        response_dict["body"] = b"{}"
