"""`make table`: the table of template.yaml in a DynamoDB engine on this machine, for `sam local invoke`.

With it comes the customer that the events in `events/` name, so that each of them finds what it asks for.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import AnyHttpUrl

from customers import keys
from customers.dynamodb import encode
from customers.importing import ImportCreate
from customers.models import Customer
from customers.settings import LOOPBACK_HOSTS
from tools.template import ROOT, resources

# The key pair of AWS's documentation: the only one that ExtendDB takes; the other engines take any.
ACCOUNT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}
# Whose token the events carry, and the record that their paths name.
EXAMPLE = Customer(
    id="3f0c6d2e-8f3b-4d8e-9f57-3d4b5f6a7c81",
    owner_id="demo-owner",
    customer_id="CRM-0001",
    name="Ada",
    surname="Lovelace",
    email="ada@example.com",
    phone="+44 7700 900123",
    status="customer",
    created_at="2026-01-31T09:30:00.000000Z",
    updated_at="2026-01-31T09:30:00.000000Z",
)
EXAMPLE_IMPORT = "8c1f2d6a-4b7e-4c1d-9a53-2f6e0b9d7c14"
EXAMPLE_EXPORT = "4e0a7c52-91d3-4f0e-8b6c-7d5e3a1f2c90"
EXAMPLE_ASKED: Mapping[str, Any] = {"asked": {}, "by_admin": False, "attempts": 0, "read": 0, "rows": 0}
FAR_FUTURE = 4_102_444_800  # 2100-01-01, when the token expires


@cache
def definition() -> Mapping[str, Any]:
    """What CreateTable needs of the table in template.yaml."""
    (table,) = resources("AWS::DynamoDB::Table").values()
    return {part: table[part] for part in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")}


def create_table(client: Any, name: str) -> None:
    """Make the table, empty and ready."""
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **definition())
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


def put_example(client: Any, name: str) -> None:
    """Put what the events name into an empty table: the customer and what is kept about it, an import, an export."""
    now = keys.timestamp(datetime.now(UTC))  # an export that nobody has begun for long would be lost
    common = {"owner_id": EXAMPLE.owner_id, "created_at": now, "expires_at": FAR_FUTURE}
    count = {"writes": 1, keys.count_name(EXAMPLE.state, EXAMPLE.status_key): 1}
    for item in (
        EXAMPLE.item(),
        {**keys.unique(EXAMPLE.owner_id, EXAMPLE.customer_id), "id": EXAMPLE.id},
        {**keys.count(EXAMPLE.owner_id, EXAMPLE.id), **count},
        keys.owner(EXAMPLE.owner_id),
        {
            **keys.import_(EXAMPLE_IMPORT),
            "id": EXAMPLE_IMPORT,
            **common,
            "state": "waiting",
            **ImportCreate().model_dump(),
        },
        {**keys.export(EXAMPLE_EXPORT), "id": EXAMPLE_EXPORT, **common, "state": "queued", **EXAMPLE_ASKED},
    ):
        client.put_item(TableName=name, Item=encode(item))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make table", description=__doc__.partition("\n")[0])
    parser.add_argument("--endpoint", type=AnyHttpUrl, required=True, help="where the engine listens")
    endpoint: AnyHttpUrl = parser.parse_args().endpoint
    if endpoint.host not in LOOPBACK_HOSTS:
        parser.error(f"{endpoint} is not on this machine")
    name = json.loads((ROOT / "events" / "env.json").read_text())["Parameters"]["TABLE_NAME"]
    try:
        client = boto3.client(
            "dynamodb",
            endpoint_url=str(endpoint),
            region_name=ACCOUNT["AWS_DEFAULT_REGION"],
            aws_access_key_id=ACCOUNT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ACCOUNT["AWS_SECRET_ACCESS_KEY"],
        )
        create_table(client, name)
        put_example(client, name)
    except (BotoCoreError, ClientError) as error:
        print(f"No table was made at {endpoint}: {error}", file=sys.stderr)
        return 1
    print(f"{endpoint} has the table {name}, with one customer")
    return 0


if __name__ == "__main__":
    sys.exit(main())
