"""The requests that the floors send, and what else they share: plain dictionaries, no framework."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from bench.peers.tokens import Unauthorized, owner_of

_TABLE = os.environ["TABLE_NAME"]
_SECRET = os.environ["JWT_SECRET"].encode()

type Answer = tuple[int, str]  # status and body


def get_item(id: str) -> bytes:
    key = {"pk": {"S": f"CUSTOMER#{id}"}, "sk": {"S": "#CUSTOMER"}}
    return json.dumps({"TableName": _TABLE, "Key": key, "ConsistentRead": True}).encode()


def query_newest(owner: str, limit: int) -> bytes:
    asked = {
        "TableName": _TABLE,
        "IndexName": "by_created",
        "KeyConditionExpression": "owner_id = :owner AND #state = :live",
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": {":owner": {"S": owner}, ":live": {"S": "live"}},
        "ScanIndexForward": False,
        "Limit": limit,
    }
    return json.dumps(asked).encode()


def query_counts(owner: str) -> bytes:
    asked = {
        "TableName": _TABLE,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
        "ExpressionAttributeValues": {":pk": {"S": f"OWNER#{owner}"}, ":prefix": {"S": "COUNT#"}},
        "ConsistentRead": True,
    }
    return json.dumps(asked).encode()


def plain(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An item's values without their types; of numbers there are only whole ones."""
    return {name: int(typed["N"]) if "N" in typed else typed.get("S") for name, typed in item.items()}


def handled(event: Mapping[str, Any], routes: Mapping[str, Callable[[Mapping[str, Any], str], Answer]]) -> Any:
    """The proxy response of the route's function, which gets the event and the owner."""
    try:
        owner = owner_of(event["headers"], _SECRET)
    except Unauthorized:
        return {"statusCode": 401, "headers": {"www-authenticate": "Bearer"}}
    status, body = routes[event["routeKey"]](event, owner)
    print(json.dumps({"route": event["routeKey"], "status": status}))
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": body}


def limit_of(event: Mapping[str, Any]) -> int:
    return int(event.get("queryStringParameters", {}).get("limit", 10))
