"""`make put-events`: events from files, put on a stack's bus as other services put theirs."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from itertools import batched
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from customers.events import Unreadable, read
from tools import stack
from tools.stack import Stack, StackError

ENTRIES = 10  # of one PutEvents

type Event = Mapping[str, Any]  # as EventBridge delivers it


class EventFileError(ValueError):
    """A file that holds no event, or one that would not be understood; the message says which, and why."""


def put(on: Stack, events: Sequence[Event]) -> None:
    """Put `events` on the bus of a stack, in their order. Raises `StackError` for the first that it refuses."""
    if "BusName" not in on.outputs:
        raise StackError("This stack has no event bus: deploy it again")
    client: Any = boto3.client("events")
    for batch in batched(events, ENTRIES, strict=False):
        entries = [
            {
                "EventBusName": on.outputs["BusName"],
                "Source": event["source"],
                "DetailType": event["detail-type"],
                "Detail": json.dumps(event["detail"]),
            }
            for event in batch
        ]
        try:
            answer = client.put_events(Entries=entries)
        except (BotoCoreError, ClientError) as error:
            raise StackError(f"The events cannot be put on the bus: {error}") from None
        if answer["FailedEntryCount"]:
            reason = next(entry for entry in answer["Entries"] if "ErrorCode" in entry)
            raise StackError(
                f"The bus has refused {answer['FailedEntryCount']} of {len(entries)} events: "
                f"{reason['ErrorCode']} {reason.get('ErrorMessage', '')}".rstrip()
            )


def from_file(path: Path, customer: str | None, *, force: bool) -> Event:
    """The event in a file, about `customer` if it is about one. `force` takes what would not be understood.

    Raises `EventFileError`.
    """
    try:
        event = json.loads(path.read_text())
    except OSError as error:
        raise EventFileError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise EventFileError(f"{path} is not JSON") from None
    match event:
        case {"source": str(), "detail-type": str(), "detail": dict(detail)}:
            pass
        case _:
            raise EventFileError(f"{path} is no event: it needs a source, a detail-type and a detail")
    if customer and "customer" in detail:
        detail["customer"] = customer
    understood = read(json.dumps({**event, "id": str(uuid4())}))  # as EventBridge gives it one
    if isinstance(understood, Unreadable) and not force:
        raise EventFileError(
            f"{path} would not be understood (FORCE=1 puts it anyway): {'; '.join(understood.problems)}"
        )
    return {**event, "detail": detail}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make put-events", description="Put events on the bus.")
    stack.add_argument(parser)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="an event as EventBridge delivers it")
    parser.add_argument("--customer", metavar="ID", help="whom they are about, instead of whom the files name")
    parser.add_argument("--force", action="store_true", help="also what would not be understood")
    arguments = parser.parse_args()
    if not arguments.files:
        parser.error("name the files: make put-events FILES=events/CallUpserted.json CUSTOMER=<id>")
    events, problems = list[Event](), list[str]()
    for path in arguments.files:
        try:
            events.append(from_file(path, arguments.customer, force=arguments.force))
        except EventFileError as error:
            problems.append(str(error))
    if problems:
        print(*problems, "Nothing was put on the bus", sep="\n", file=sys.stderr)
        return 1
    try:
        put(stack.chosen(arguments.stack), events)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Put on the bus: {', '.join(event['detail-type'] for event in events)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
