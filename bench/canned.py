"""A table in memory that answers DynamoDB's requests and decides nothing: the same bytes for the same question."""

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from customers import keys
from customers.dynamodb import encode
from customers.models import Customer
from tools.table import EXAMPLE, put_example

RECORDS = 200  # of the example's owner
STATUSES = ("lead", "customer", "churned", "prospect", None)

type Item = dict[str, Any]  # typed, as DynamoDB has it


def records() -> list[Customer]:
    """The example, and those that a listing shows beside it: the newest first."""
    made = [EXAMPLE]
    for number in range(1, RECORDS):
        time = f"2026-01-{1 + number % 30:02}T{number % 24:02}:{number % 60:02}:07.{number * 4_999 % 1_000_000:06}Z"
        made.append(
            Customer(
                id=f"{number * 0x1000193 % 2**32:08x}-8f3b-4d8e-9f57-3d4b5f6a7c81",
                owner_id=EXAMPLE.owner_id,
                customer_id=f"CRM-{number:05}",
                name=f"Zoë Maria {number}",
                surname=f"Müller-Lüdenscheidt {number}",
                email=f"zoe.mueller.{number}@example.com",
                phone=f"+49 30 9018{number:04}",
                status=STATUSES[number % len(STATUSES)],
                agent_id="7b0e4e1e-54c5-4d0c-9a57-0d9d3f6f2a11" if number % 2 else None,
                created_at=time,
                updated_at=time,
            )
        )
    return sorted(made, key=lambda customer: (customer.created_at, customer.id), reverse=True)


class CannedTable:
    """Of a Query only its partition, the range of `sk` and its direction count; an index has all records in one order.

    Writes succeed and change nothing.
    """

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Item] = {}
        self._answers: dict[tuple[str, bytes], bytes] = {}
        put_example(self, "")
        for item in (encode(each) for each in (*self._counts(), *(each.item() for each in self._records))):
            self.put_item(TableName="", Item=item)

    @cached_property
    def _records(self) -> list[Customer]:
        return records()

    def _counts(self) -> Iterable[Mapping[str, Any]]:
        """As a table has them that has long been written to: of each state and status, in every shard."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for customer in self._records:
            key = keys.count(customer.owner_id, customer.id)
            count = found.setdefault((key["pk"], key["sk"]), {**key, "writes": 0, "moved_at": customer.updated_at})
            name = keys.count_name(customer.state, customer.status_key)
            count |= {"writes": count["writes"] + 1, name: count.get(name, 0) + 1}
        return found.values()

    def put_item(self, *, TableName: str, Item: Item) -> None:  # noqa: N803, ARG002 - a client's, for `put_example`
        self._items[Item["pk"]["S"], Item["sk"]["S"]] = Item

    def answer(self, operation: str, body: bytes) -> bytes:
        """The whole HTTP response to a request whose X-Amz-Target ends in `operation`."""
        key = operation, body
        if key not in self._answers:
            response = http_response(json.dumps(self._response(operation, json.loads(body)), ensure_ascii=False))
            if operation not in {"GetItem", "Query"}:  # with a token or a time in it
                return response
            self._answers[key] = response
        return self._answers[key]

    def _response(self, operation: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        match operation:
            case "GetItem":
                item = self._find(asked["Key"])
                return {"Item": item} if item else {}
            case "BatchGetItem":
                tables = asked["RequestItems"].items()
                found = {name: list(filter(None, map(self._find, each["Keys"]))) for name, each in tables}
                return {"Responses": found, "UnprocessedKeys": {}}
            case "Query":
                return self._query(asked)
            case "BatchWriteItem":
                return {"UnprocessedItems": {}}
            case _:
                return {}

    def _find(self, key: Item) -> Item | None:
        return self._items.get((key["pk"]["S"], key["sk"]["S"]))

    def _query(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        found = self._index(asked) if "IndexName" in asked else self._collection(asked)
        page = found[: asked.get("Limit", len(found))]
        if asked.get("Select") == "COUNT":
            return {"Count": len(page), "ScannedCount": len(page)}
        answer = {"Items": page, "Count": len(page), "ScannedCount": len(page)}
        if len(page) < len(found):
            answer["LastEvaluatedKey"] = {
                name: page[-1][name] for name in ("pk", "sk", "id", "owner_id", "state", "created_at")
            }
        return answer

    def _index(self, asked: Mapping[str, Any]) -> list[Item]:
        values = asked["ExpressionAttributeValues"].values()
        if {"S": "live"} not in values or {"S": EXAMPLE.owner_id} not in values:
            return []
        newest_first = [self._items[key["pk"], key["sk"]] for key in (keys.customer(each.id) for each in self._records)]
        return newest_first[:: -1 if asked.get("ScanIndexForward", True) else 1]

    def _collection(self, asked: Mapping[str, Any]) -> list[Item]:
        condition, values = asked["KeyConditionExpression"], asked["ExpressionAttributeValues"]
        named = [values[name]["S"] for name in re.findall(r":\w+", condition)]
        first, last = "", keys.ABSENT
        if "begins_with" in condition:
            first, last = named[1], named[1] + keys.ABSENT
        elif "BETWEEN" in condition:
            first, last = named[1:]
        return [self._items[pk, sk] for pk, sk in sorted(self._items) if pk == named[0] and first <= sk <= last]


def http_response(text: str, status: str = "200 OK") -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n"
        "x-amzn-RequestId: 5Q2JQN5G6UB4TCTS9MF9OLAUARVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
    )
    return head.encode() + body
