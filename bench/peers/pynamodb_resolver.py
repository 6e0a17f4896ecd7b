"""AWS Lambda Powertools' resolver over PynamoDB's models."""

import os
from collections.abc import Iterator
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.operand import Path
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from bench.peers.echo import Meta
from bench.peers.models import CustomerOut, Page, Taken, live
from bench.peers.new_customer import CustomerIn, record
from bench.peers.resolver import handler_over
from customers import keys


class _Item(Model):
    class Meta:
        table_name = os.environ["TABLE_NAME"]
        region = os.environ["AWS_REGION"]
        host = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")
        connect_timeout_seconds, read_timeout_seconds = 1, 2

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _Unique(_Item):
    id = UnicodeAttribute()


class _Newest(GlobalSecondaryIndex["_Customer"]):
    """PynamoDB knows two key attributes: `state`, the second of this index's partition, and none to sort by."""

    class Meta:
        index_name = "by_created"
        projection = AllProjection()

    owner_id = UnicodeAttribute(hash_key=True)
    state = UnicodeAttribute(range_key=True)


class _Customer(_Item):
    newest = _Newest()
    id = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    state = UnicodeAttribute()
    customer_id = UnicodeAttribute()
    name = UnicodeAttribute(null=True)
    surname = UnicodeAttribute(null=True)
    email = UnicodeAttribute(null=True)
    phone = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    agent_id = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    deleted_at = UnicodeAttribute(null=True)
    version = NumberAttribute()
    name_key = UnicodeAttribute()
    surname_key = UnicodeAttribute()
    email_key = UnicodeAttribute()
    phone_key = UnicodeAttribute()
    customer_id_key = UnicodeAttribute()
    status_key = UnicodeAttribute()
    directory_shard = UnicodeAttribute()
    d = UnicodeAttribute()

    def shown(self) -> CustomerOut:
        return CustomerOut.model_validate(self.attribute_values)


class _Store:
    def get(self, id: str, owner: str) -> CustomerOut | None:
        key = keys.customer(id)
        try:
            customer = _Customer.get(key["pk"], key["sk"], consistent_read=True)
        except _Customer.DoesNotExist:
            return None
        return customer.shown() if customer.owner_id == owner and customer.state == "live" else None

    def newest(self, owner: str, limit: int) -> Page:
        live_ones = _Newest.state == "live"
        found = _Customer.newest.query(owner, live_ones, scan_index_forward=False, limit=limit)
        data = [customer.shown() for customer in found]
        return Page(data=data, meta=Meta(total=live(_counts(owner)), limit=limit))

    def create(self, new: CustomerIn, owner: str) -> CustomerOut:
        item = record(new, owner)
        customer = _Customer(**keys.customer(item["id"]), **item)
        unique = _Unique(**keys.unique(owner, item["customer_id"]), id=item["id"])
        count = Path([keys.count_name("live", item["status_key"])])
        moves = [Path("moved_at").set(item["created_at"]), Path("writes").add(1), count.add(1)]
        try:
            with TransactWrite(connection=_connection()) as transaction:
                transaction.save(customer, _Item.pk.does_not_exist())
                transaction.save(unique, _Item.pk.does_not_exist())
                transaction.update(_Item(**keys.count(owner, item["id"])), moves)
        except TransactWriteError as error:
            raise Taken from error
        return CustomerOut.model_validate(item)


def _connection() -> Any:
    """The models' own connection; another one would make a second client."""
    return _Customer._get_connection().connection  # noqa: SLF001


def _counts(owner: str) -> Iterator[dict[str, int]]:
    """The numbers of an owner's count items, whose names no model can know."""
    pk, prefix = keys.counts(owner)
    found = _connection().query(
        _Customer.Meta.table_name, pk, range_key_condition=Path("sk").startswith(prefix), consistent_read=True
    )
    for item in found["Items"]:
        yield {name: int(value["N"]) for name, value in item.items() if "N" in value}


lambda_handler = handler_over(_Store())
