"""An export, carried out: customers from the table to a file in the bucket."""

from collections.abc import Mapping
from typing import Any

from customers.context import Context
from customers.exporting import Exporter

exporter = Exporter()


def lambda_handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    return exporter.run(event, context)
