"""Events of other services, from the queue: campaigns, enrolments, calls and messages."""

from collections.abc import Mapping
from typing import Any

from customers.context import Context
from customers.inbox import Inbox

inbox = Inbox()


def lambda_handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    return inbox.receive(event, context)
