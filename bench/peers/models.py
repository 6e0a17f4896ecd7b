"""What the peers answer, typed as the contract describes it: an email, a uuid, a date-time."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, EmailStr, Field

from bench.peers.echo import Meta, Query

Limit = Annotated[int, Field(ge=1, le=200)]


class CustomerOut(BaseModel):
    id: UUID
    customer_id: str
    name: str | None = None
    surname: str | None = None
    email: EmailStr | None = None
    phone: str | None = None
    status: str | None = None
    agent_id: UUID | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    version: int


class Page(BaseModel):
    data: list[CustomerOut]
    meta: Meta
    query: Query = Query()


def is_visible(item: Mapping[str, Any] | None, owner: str) -> bool:
    return item is not None and item["owner_id"] == owner and item["state"] == "live"


def live(counts: Iterable[Mapping[str, Any]]) -> int:
    """How many customers the count items of an owner say are live."""
    return sum(int(number) for count in counts for name, number in count.items() if name.startswith("live#"))


class Taken(Exception):
    """The owner has another customer with this customer_id."""
