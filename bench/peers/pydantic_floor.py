"""The floor with models: pydantic reads DynamoDB's own bytes, requests are signed by hand. Only get and list."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasPath, BaseModel, Field

from bench.peers.echo import Meta, Query
from bench.peers.requests import Answer, get_item, handled, limit_of, query_counts, query_newest
from bench.peers.wire import call


def _text(name: str, **options: Any) -> Any:
    return Field(validation_alias=AliasPath(name, "S"), **options)


class _Customer(BaseModel):
    id: str = _text("id")
    customer_id: str = _text("customer_id")
    name: str | None = _text("name", default=None)
    surname: str | None = _text("surname", default=None)
    email: str | None = _text("email", default=None)
    phone: str | None = _text("phone", default=None)
    status: str | None = _text("status", default=None)
    agent_id: str | None = _text("agent_id", default=None)
    created_at: str = _text("created_at")
    updated_at: str = _text("updated_at")
    deleted_at: str | None = _text("deleted_at", default=None)
    version: int = Field(validation_alias=AliasPath("version", "N"))
    owner_id: str = _text("owner_id", exclude=True)
    state: str = _text("state", exclude=True)


class _Found(BaseModel):
    item: _Customer | None = Field(None, alias="Item")


class _Customers(BaseModel):
    items: list[_Customer] = Field(alias="Items")


class _Counts(BaseModel):
    items: list[dict[str, dict[str, str]]] = Field(alias="Items")


class _Page(BaseModel):
    data: list[_Customer]
    meta: Meta
    query: Query = Query()


def get_customer(event: Mapping[str, Any], owner: str) -> Answer:
    customer = _Found.model_validate_json(call("GetItem", get_item(event["pathParameters"]["customer_id"]))).item
    if not customer or customer.owner_id != owner or customer.state != "live":
        return 404, '{"detail": "Customer not found"}'
    return 200, customer.model_dump_json()


def list_customers(event: Mapping[str, Any], owner: str) -> Answer:
    limit = limit_of(event)
    customers = _Customers.model_validate_json(call("Query", query_newest(owner, limit))).items
    counts = _Counts.model_validate_json(call("Query", query_counts(owner))).items
    total = sum(int(typed["N"]) for count in counts for name, typed in count.items() if name.startswith("live#"))
    return 200, _Page(data=customers, meta=Meta(total=total, limit=limit)).model_dump_json()


ROUTES = {"GET /customers/{customer_id}": get_customer, "GET /customers": list_customers}


def lambda_handler(event: Mapping[str, Any], _context: object) -> Any:
    return handled(event, ROUTES)
