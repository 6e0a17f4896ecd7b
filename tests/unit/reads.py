"""What the tests of the reads around a customer share: events, how they are told, and what is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode
from uuid import UUID

from customers.dynamodb import Page, Table
from tests.handlers import Api, event, message

type Event = dict[str, Any]


def told(detail_type: str, **fields: Any) -> Event:
    """The example event of a type with other fields; one of None is not told."""
    example = event(detail_type)
    detail = {name: value for name, value in {**example["detail"], **fields}.items() if value is not None}
    return {**example, "detail": detail}


def tell(api: Api, *events: Event) -> None:
    """Have events recorded, as one batch of the queue."""
    assert api.deliver([message(each["detail-type"], each["detail"]) for each in events]) == []


def uuid(n: int) -> str:
    return str(UUID(int=n))


def campaign(n: int, **fields: Any) -> Event:
    return told("CampaignUpserted", id=uuid(n), **{"name": f"Campaign {n}", **fields})


def enrolment(id: str, n: int, **fields: Any) -> Event:
    """The customer `id` in campaign `n`."""
    return told("TargetUpserted", customer=id, campaign_id=uuid(n), **fields)


def call(id: str, n: int, time: str = "2026-02-02T14:00:00Z", /, **fields: Any) -> Event:
    """A call that was dispatched at `time`."""
    return told("CallUpserted", customer=id, id=uuid(n), **{"dispatched_at": time, **fields})


def sent(id: str, n: int, channel: str, time: str = "2026-02-02T14:00:00Z", /, **fields: Any) -> Event:
    return told("MessageSent", customer=id, id=f"message-{n}", channel=channel, sent_at=time, **fields)


def utc(text: str) -> str:
    """A time of an event as it is answered."""
    return text.removesuffix("Z") + ".000000Z"


@contextmanager
def small_pages() -> Iterator[None]:
    """As if two items filled the megabyte that DynamoDB reads at a time."""
    query = Table.query

    def two_at_most(table: Table, **request: Any) -> Page:
        return query(table, **request | {"Limit": min(request.get("Limit", 2), 2)})

    with patch.object(Table, "query", two_at_most):
        yield


def refused(api: Api, operation: str, id: str, **params: Any) -> dict[str, Any]:
    """The only thing that is wrong with a query."""
    answer = api.call(operation, id, query=urlencode(params))
    assert answer.status == 422, answer
    (problem,) = answer.body["detail"]
    return problem  # type: ignore[no-any-return]


def detail(api: Api, id: str, **options: Any) -> Any:
    answer = api.call("get_customer_detail", id, **options)
    assert answer.status == 200, answer
    return answer.body


def last_call(api: Api, id: str) -> str:
    return str(detail(api, id)["last_call"]["id"])


def enrolled(api: Api, id: str, **options: Any) -> list[int]:
    """The campaigns that a detail shows, in its order."""
    return [UUID(each["campaign_id"]).int for each in detail(api, id, **options)["campaigns"]]
