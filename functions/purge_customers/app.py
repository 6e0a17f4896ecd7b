"""On a schedule: purge the customers whose retention has ended; `{"dry_run": true}` lists them."""

from collections.abc import Mapping
from typing import Any

from customers.context import Context
from customers.retention import Retention

retention = Retention()


def lambda_handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    return retention.run(event, context).model_dump()
