"""Middle step of a large import, for each chunk: its rows become customers."""

from collections.abc import Mapping
from typing import Any

from customers.context import Context
from customers.importing import Steps

steps = Steps()


def lambda_handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    return steps.apply(event, context)
