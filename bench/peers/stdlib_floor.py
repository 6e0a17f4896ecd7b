"""The floor: the standard library, DynamoDB signed by hand. Only get and list."""

import json
from collections.abc import Mapping
from typing import Any

from bench.peers.requests import Answer, get_item, handled, limit_of, plain, query_counts, query_newest
from bench.peers.wire import call

FIELDS = (
    *("id", "customer_id", "name", "surname", "email", "phone", "status", "agent_id"),
    *("created_at", "updated_at", "deleted_at", "version"),
)
SORT = {"field": "created_at", "direction": "desc"}


def get_customer(event: Mapping[str, Any], owner: str) -> Answer:
    item = plain(json.loads(call("GetItem", get_item(event["pathParameters"]["customer_id"]))).get("Item", {}))
    if item.get("owner_id") != owner or item.get("state") != "live":
        return 404, '{"detail": "Customer not found"}'
    return 200, json.dumps(shown(item))


def list_customers(event: Mapping[str, Any], owner: str) -> Answer:
    limit = limit_of(event)
    page = json.loads(call("Query", query_newest(owner, limit)))["Items"]
    counts = json.loads(call("Query", query_counts(owner)))["Items"]
    numbers = (count.items() for count in map(plain, counts))
    total = sum(number for count in numbers for name, number in count if name.startswith("live#"))
    meta = {"total": total, "limit": limit, "offset": 0, "sort": SORT}
    data = [shown(plain(item)) for item in page]
    return 200, json.dumps({"data": data, "meta": meta, "query": {"filters": {}, "sort": SORT}})


def shown(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item.get(name) for name in FIELDS}


ROUTES = {"GET /customers/{customer_id}": get_customer, "GET /customers": list_customers}


def lambda_handler(event: Mapping[str, Any], _context: object) -> Any:
    return handled(event, ROUTES)
