"""FastAPI, SQLAlchemy and PostgreSQL: the listing as it is written where a server that never sleeps is no matter.

For each sort field there is a B-tree with the owner before it and the tie-breaker behind it, for `q` a trigram index
over the folded text. Totals are counted, because PostgreSQL keeps none.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from mangum import Mangum
from pydantic import BaseModel, Field
from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Text,
    Uuid,
    create_engine,
    func,
    select,
    tuple_,
)
from sqlalchemy import Table as SqlTable

from bench.peers.models import CustomerOut, Limit
from bench.peers.postgres_schema import COLUMNS, NULLABLE, TABLE
from bench.peers.tokens import Unauthorized, owner_of
from customers import keys

customers = SqlTable(
    TABLE,
    MetaData(),
    *(
        Column(name, {"uuid": Uuid, "text": Text, "integer": Integer}.get(kind.split()[0], DateTime(timezone=True)))
        for name, kind in COLUMNS.items()
    ),
)
SHOWN = [customers.c[name] for name in CustomerOut.model_fields]
SORTS = {name: f"{name}_key" for name in ("name", "surname", "email", "phone", "customer_id", "status")}
secret = os.environ["JWT_SECRET"].encode()
url = os.environ["DATABASE_URL"]


class ListQuery(BaseModel):
    limit: Limit = 10
    offset: Annotated[int, Field(ge=0)] = 0
    sort_field: Literal["created_at", "updated_at", "name", "surname", "email", "phone", "customer_id", "status"] = (
        "created_at"
    )
    sort_dir: Literal["asc", "desc"] = "desc"
    status: str | None = None
    q: str | None = None
    date_from: datetime | None = None
    date_to: datetime | None = None
    include_deleted: bool = False
    include_aggregations: bool = False
    after: str | None = None  # the id of the last record of the page before, with its time: `<created_at>,<id>`


class Meta(BaseModel):
    total: int
    limit: int
    offset: int


class Aggregations(BaseModel):
    quick_filters: dict[str, int]


class Page(BaseModel):
    data: list[CustomerOut]
    meta: Meta
    aggregations: Aggregations | None = None


@cache
def engine() -> Engine:
    return create_engine(url, isolation_level="AUTOCOMMIT")


async def authenticated(request: Request) -> str:
    try:
        return owner_of(request.headers, secret)
    except Unauthorized:
        raise HTTPException(401, "Not authenticated", {"www-authenticate": "Bearer"}) from None


async def list_customers(owner: Annotated[str, Depends(authenticated)], query: Annotated[ListQuery, Query()]) -> Page:
    scope = _scope(owner, query)
    wanted = select(*SHOWN).where(*scope, *_statuses(query), *_behind(query)).order_by(*_order(query))
    with engine().connect() as connection:
        rows = connection.execute(wanted.limit(query.limit).offset(query.offset)).mappings().all()
        counted = _counted(connection, owner, query)
    page = Page(
        data=[CustomerOut.model_validate(dict(row)) for row in rows],
        meta=Meta(total=counted["total"], limit=query.limit, offset=query.offset),
    )
    if query.include_aggregations:
        page.aggregations = Aggregations(quick_filters={name: n for name, n in counted.items() if name != "total"})
    return page


def _scope(owner: str, query: ListQuery) -> list[ColumnElement[bool]]:
    """All conditions but that on the status."""
    conditions = [customers.c.owner_id == owner]
    if not query.include_deleted:
        conditions.append(customers.c.deleted_at.is_(None))
    if query.date_from:
        conditions.append(customers.c.created_at >= query.date_from)
    if query.date_to:
        conditions.append(customers.c.created_at <= query.date_to)
    terms = keys.fold(query.q or "").split()
    return [*conditions, *(customers.c.search.contains(term, autoescape=True) for term in terms)]


def _statuses(query: ListQuery) -> Sequence[ColumnElement[bool]]:
    return [customers.c.status_key == keys.fold(query.status)] if query.status else []


def _behind(query: ListQuery) -> Sequence[ColumnElement[bool]]:
    """Keyset pagination of the newest first."""
    if not query.after:
        return []
    time, _, id = query.after.partition(",")
    return [tuple_(customers.c.created_at, customers.c.id) < (datetime.fromisoformat(time), UUID(id))]


def _order(query: ListQuery) -> list[Any]:
    first = customers.c[SORTS.get(query.sort_field, query.sort_field)]
    columns = [first, *([customers.c.created_at] if query.sort_field == "status" else []), customers.c.id]
    if query.sort_dir == "asc":
        return [column.asc() for column in columns]
    key, *ties = columns
    falling = key.desc().nulls_last() if key.name.removesuffix("_key") in _NULLABLE_FIELDS else key.desc()
    return [falling, *(column.desc() for column in ties)]


_NULLABLE_FIELDS = {"status", *(key.removesuffix("_key") for key in NULLABLE)}


def _counted(connection: Any, owner: str, query: ListQuery) -> dict[str, int]:
    """The total; with aggregations the quick filters as well, from one pass over the scope."""
    if not query.include_aggregations:
        counting = select(func.count()).select_from(customers).where(*_scope(owner, query), *_statuses(query))
        return {"total": connection.execute(counting).scalar_one()}
    everything = query.model_copy(update={"include_deleted": True})
    deleted = customers.c.deleted_at.is_not(None)
    counting = (
        select(customers.c.status_key, deleted, func.count())
        .where(*_scope(owner, everything))
        .group_by(customers.c.status_key, deleted)
    )
    counts = connection.execute(counting).all()
    wanted = keys.fold(query.status) if query.status else None
    in_scope = [(status, number) for status, gone, number in counts if query.include_deleted or not gone]
    filters = {"all": sum(number for _, number in in_scope), "status:none": 0}
    filters["deleted"] = sum(number for _, gone, number in counts if gone)
    for status, number in in_scope:
        name = f"status:{status or 'none'}"
        filters[name] = filters.get(name, 0) + number
    total = sum(number for status, number in in_scope if not wanted or status == wanted)
    return {**filters, "total": total}


app = FastAPI(title="Customers", openapi_url=None)
app.add_api_route("/customers", list_customers, methods=["GET"])
lambda_handler = Mangum(app, lifespan="off")
