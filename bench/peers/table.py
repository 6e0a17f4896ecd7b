"""The table through boto3's resource, as its documentation shows it."""

import os
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config

from bench.peers.echo import Meta
from bench.peers.models import CustomerOut, Page, Taken, is_visible, live
from bench.peers.new_customer import CustomerIn, record, transaction
from customers import keys

_config = Config(
    connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3}, tcp_keepalive=True
)
_table = boto3.resource("dynamodb", config=_config).Table(os.environ["TABLE_NAME"])


def get(id: str, owner: str) -> CustomerOut | None:
    item: Any = _table.get_item(Key=keys.customer(id), ConsistentRead=True).get("Item")
    return CustomerOut.model_validate(item) if is_visible(item, owner) else None


def newest(owner: str, limit: int) -> Page:
    """The newest customers of an owner, and how many there are."""
    page = _table.query(
        IndexName="by_created",
        KeyConditionExpression=Key("owner_id").eq(owner) & Key("state").eq("live"),
        ScanIndexForward=False,
        Limit=limit,
    )
    pk, prefix = keys.counts(owner)
    counts = _table.query(KeyConditionExpression=Key("pk").eq(pk) & Key("sk").begins_with(prefix), ConsistentRead=True)
    data = [CustomerOut.model_validate(item) for item in page["Items"]]
    return Page(data=data, meta=Meta(total=live(counts["Items"]), limit=limit))


def create(new: CustomerIn, owner: str) -> CustomerOut:
    """Raises `Taken`."""
    item = record(new, owner)
    client = _table.meta.client
    try:
        client.transact_write_items(TransactItems=transaction(_table.name, item))
    except client.exceptions.TransactionCanceledException as error:
        raise Taken from error
    return CustomerOut.model_validate(item)
