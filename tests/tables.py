"""The table as template.yaml describes it, on any engine."""

from functools import cache
from typing import Any

from tools.template import resources


@cache
def definition() -> dict[str, Any]:
    (table,) = resources("AWS::DynamoDB::Table").values()
    return table


def create_table(client: Any, name: str) -> None:
    """Make the table, empty and ready."""
    table = definition()
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        **{part: table[part] for part in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")},
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
