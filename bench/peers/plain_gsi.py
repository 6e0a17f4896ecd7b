"""What is often written for DynamoDB: an index for each sort field, and for all else a Query that is read to its end.

An offset is skipped by reading, a total is a COUNT of the partition, a search is a filter `contains`.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import boto3
from boto3.dynamodb.conditions import Attr, ConditionBase, Key
from botocore.config import Config

from bench.peers.tokens import Unauthorized, owner_of
from customers import keys

BATCH = 100  # keys of one BatchGetItem

secret = os.environ["JWT_SECRET"].encode()
resource = boto3.resource("dynamodb", config=Config(read_timeout=600))  # a local engine takes its time
table = resource.Table(os.environ["TABLE_NAME"])

type Parameters = Mapping[str, str]


def lambda_handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    try:
        owner = owner_of(event["headers"], secret)
    except Unauthorized:
        return _response(401, {"message": "Not authenticated"})
    asked = dict(parse_qsl(event["rawQueryString"]))
    limit, offset = int(asked.get("limit", 10)), int(asked.get("offset", 0))
    states = ("live", "deleted") if asked.get("include_deleted") == "true" else ("live",)
    counted = _counted(owner, asked, {*states, "deleted"} if "include_aggregations" in asked else set(states))
    page = _read(owner, states, asked, offset + limit)[offset:]
    body: dict[str, Any] = {"data": _records(page)}
    of_scope = {status: sum(counted[state, status] for state in states) for _, status in counted}
    wanted = keys.status_key(asked["status"]) if "status" in asked else None
    total = sum(number for status, number in of_scope.items() if not wanted or status == wanted)
    body["meta"] = {"total": total, "limit": limit, "offset": offset}
    if "include_aggregations" in asked:
        body["aggregations"] = {"quick_filters": _quick_filters(counted, of_scope)}
    return _response(200, body)


def _read(owner: str, states: tuple[str, ...], asked: Parameters, number: int) -> list[dict[str, Any]]:
    """The first entries of the list; those of two states are sorted together."""
    index = keys.BY_CREATED if "q" in asked else keys.SORT_INDEXES[asked.get("sort_field", "created_at")]
    falling = asked.get("sort_dir", "desc") == "desc"
    found = list[dict[str, Any]]()
    for state in states:
        entries = list[dict[str, Any]]()
        for condition in _key_ranges(index, asked, falling=falling):
            request = _request(owner, state, index, asked, condition) | {"ScanIndexForward": not falling}
            if "FilterExpression" not in request:
                request["Limit"] = number
            for page in _pages(request):
                entries += page["Items"]
                if len(entries) >= number:
                    break
        found += entries[:number]
    if len(states) > 1:
        found.sort(key=lambda item: [item[name] for name in index.sort], reverse=falling)
    return found[:number]


def _key_ranges(index: keys.Index, asked: Parameters, *, falling: bool) -> list[ConditionBase | None]:
    """Of the sort key: dates where it is a date, else all of it; what is absent comes last."""
    first = index.sort[0]
    if first == "created_at" and "date_from" in asked:
        return [Key(first).between(*_dates(asked))]
    if falling and first.endswith("_key"):
        return [Key(first).lt(keys.ABSENT), Key(first).eq(keys.ABSENT)]
    return [None]


def _dates(asked: Parameters) -> tuple[str, str]:
    first, last = (keys.timestamp(datetime.fromisoformat(asked[name])) for name in ("date_from", "date_to"))
    return first, last


def _request(
    owner: str, state: str, index: keys.Index, asked: Parameters, condition: ConditionBase | None
) -> dict[str, Any]:
    """A Query of one partition, with what its key does not say as a filter."""
    key: ConditionBase = Key("owner_id").eq(owner) & Key("state").eq(state)
    filters: list[ConditionBase] = [Attr("d").contains(term) for term in keys.fold(asked.get("q", "")).split()]
    if "status" in asked:
        filters.append(Attr("status_key").eq(keys.status_key(asked["status"])))
    if "date_from" in asked and index.sort[0] != "created_at":
        filters.append(Attr("created_at").between(*_dates(asked)))
    request: dict[str, Any] = {
        "IndexName": index.name,
        "KeyConditionExpression": key & condition if condition else key,
    }
    for each in filters:
        request["FilterExpression"] = request["FilterExpression"] & each if "FilterExpression" in request else each
    return request


def _counted(owner: str, asked: Parameters, states: set[str]) -> Counter[tuple[str, str]]:
    """How many there are by state and status; without aggregations of one status or of all ("")."""
    counted = Counter[tuple[str, str]]()
    aggregated = "include_aggregations" in asked
    unfiltered = {name: value for name, value in asked.items() if name != "status"}
    index = keys.BY_CREATED
    for state in states:
        for condition in _key_ranges(index, asked, falling=True):
            request = _request(owner, state, index, unfiltered if aggregated else asked, condition)
            for page in _pages(request if aggregated else {**request, "Select": "COUNT"}):
                if aggregated:
                    counted.update((state, item["status_key"]) for item in page["Items"])
                else:
                    counted[state, keys.status_key(asked.get("status"))] += page["Count"]
    return counted


def _pages(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    while True:
        page: Any = table.query(**request)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}


def _records(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The whole records, in their order: an index of keys has only their ids."""
    if all("owner_id" in entry and "version" in entry for entry in entries):
        return [_shown(entry) for entry in entries]
    found = dict[str, dict[str, Any]]()
    for start in range(0, len(entries), BATCH):
        wanted = [{"pk": entry["pk"], "sk": entry["sk"]} for entry in entries[start : start + BATCH]]
        answer: Any = resource.batch_get_item(RequestItems={table.name: {"Keys": wanted}})
        found |= {item["pk"]: item for item in answer["Responses"][table.name]}
    return [_shown(found[entry["pk"]]) for entry in entries]


def _shown(item: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "customer_id", "name", "surname", "email", "phone", "status", "agent_id", "created_at", "updated_at")
    return {name: item[name] for name in names if name in item}


def _quick_filters(counted: Counter[tuple[str, str]], of_scope: Mapping[str, int]) -> dict[str, int]:
    deleted = sum(number for (state, _), number in counted.items() if state == "deleted")
    by_status = {f"status:{'none' if status == keys.ABSENT else status}": n for status, n in of_scope.items()}
    return {"all": sum(of_scope.values()), "deleted": deleted, "status:none": 0, **by_status}


def _response(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
