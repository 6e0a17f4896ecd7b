"""What a customer's reads cost once it has 10,000 calls, in round trips and in read units."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, chain
from math import ceil
from typing import Any
from uuid import UUID

import pytest

from customers import keys
from customers.dynamodb import BATCH_WRITE_ITEMS, encode
from customers.events import CallUpserted, CampaignUpserted, TargetUpserted
from tests.engine.wire import Faults, sending
from tests.handlers import Api, event

CALLS = 10_000
CAMPAIGNS = 2
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
UNIT_BYTES = 4096  # of a consistent read; an eventually consistent one costs half
TELLS_UNITS = "DYNAMODB_TEST_ENDPOINT" in os.environ  # MiniStack says 0.5 of every read, other engines are right

pytestmark = pytest.mark.xdist_group("calls")  # they share what takes seconds to put

type Item = dict[str, Any]
type Read = Callable[[str], tuple[Any, Spent]]


@dataclass
class Spent:
    """What one request has sent, and the read units of that: by the size of what came back, and as the engine told."""

    sent: list[str] = field(default_factory=list)
    computed: float = 0
    told: float = 0

    @property
    def units(self) -> float:
        return self.told if TELLS_UNITS else self.computed

    def ask(self, params: Item, context: Item, **_: object) -> Item:
        context["unit"] = 1 if params.get("ConsistentRead") else 0.5
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def note(self, parsed: Item, context: Item, **_: object) -> None:
        one_by_one = [[item] for item in chain(*parsed.get("Responses", {}).values())]
        rounded_up_together = [parsed["Items"]] if "Items" in parsed else one_by_one
        self.computed += sum(
            context["unit"] * ceil(sum(map(item_bytes, lot)) / UNIT_BYTES) for lot in rounded_up_together
        )
        consumed = parsed.get("ConsumedCapacity", [])
        self.told += sum(each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed]))


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item as AWS's documentation counts it ("DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Mapping[str, Any]) -> int:
    match value:
        case {"S": text}:
            return len(text.encode())
        case {"N": digits}:
            return ceil(len(digits) / 2) + 1
        case {"M": members}:
            return 3 + len(members) + item_bytes(members)
        case {"L": members}:
            return 3 + len(members) + sum(map(value_bytes, members))
    return 1


def calls(id: str) -> list[Item]:
    """The items of a customer's calls, an hour apart, with an analysis of some sentences each."""
    example = event("CallUpserted")["detail"]
    sentences = {"transcript_summary": example["transcript_summary"] * 5, "customer": id}
    times = [FIRST + n * timedelta(hours=1) for n in range(CALLS)]
    return [
        CallUpserted(**{**example, **sentences, "id": UUID(int=n), "dispatched_at": keys.timestamp(time)}).item()
        for n, time in enumerate(times)
    ]


@pytest.fixture(scope="module")
def id(api: Api, client: Any) -> str:
    """A customer in some campaigns, with so many calls."""
    id = api.create("C-1", name="Ada", surname="Lovelace", email="ada@example.com", phone="+44 7700 900123").id
    items = calls(id)
    newest = items[-1]
    counts = {"calls_total": CALLS, "calls_answered": CALLS, "writes": CALLS}
    items.append({**keys.stats(id), **counts, "last_contact": newest["sk"], "last_call": newest})
    for n in range(CAMPAIGNS):
        numbered = {"id": UUID(int=n), "campaign_id": UUID(int=n), "customer": id}
        campaign = CampaignUpserted(**{**event("CampaignUpserted")["detail"], **numbered})
        target = TargetUpserted(**{**event("TargetUpserted")["detail"], **numbered})
        items.append({**keys.campaign(str(campaign.id)), **campaign.told(), "removed": False})
        counters = {"calls_made": CALLS // CAMPAIGNS, "last_contact": newest["sk"]}
        enrolment = {**target.told(), "removed": False}
        items.append({**keys.target(id, str(target.campaign_id)), **counters, "enrolment": enrolment})
    for batch in batched(items, BATCH_WRITE_ITEMS, strict=False):
        left = {api.environment["TABLE_NAME"]: [{"PutRequest": {"Item": encode(item)}} for item in batch]}
        while left:
            left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]
    return id


@pytest.fixture
def read(api: Api, id: str) -> Read:
    """Reads the customer by an operation: the answer's body, and what it took."""

    def asked(operation: str) -> tuple[Any, Spent]:
        spent = Spent()
        events = api.app(operation).service.table._client.meta.events
        events.register("provide-client-params.dynamodb", spent.ask, "ask")
        events.register("after-call.dynamodb", spent.note, "note")
        with sending(Faults(range(0))) as wire:
            answer = api.call(operation, id)
        events.unregister("provide-client-params.dynamodb", spent.ask, "ask")
        events.unregister("after-call.dynamodb", spent.note, "note")
        assert answer.status == 200, answer
        spent.sent = wire.sent
        return answer.body, spent

    return asked


def test_a_detail_takes_two_round_trips_and_at_most_three_units(read: Read) -> None:
    body, spent = read("get_customer_detail")
    assert (body["stats"]["calls_total"], len(body["campaigns"])) == (CALLS, CAMPAIGNS)
    assert body["last_call"]["id"] == str(UUID(int=CALLS - 1))
    assert spent.sent == ["Query", "BatchGetItem"]
    assert spent.units <= 3


def test_the_first_page_of_the_activity_takes_at_most_three_units(read: Read) -> None:
    body, spent = read("list_customer_activity")
    assert [each["id"] for each in body["data"]] == [str(UUID(int=CALLS - n)) for n in range(1, 11)]
    assert body["meta"]["total"] == CALLS
    assert spent.sent == ["Query", "Query"]
    assert spent.units <= 3


@pytest.mark.skipif(not TELLS_UNITS, reason="MiniStack tells 0.5 of every read")
@pytest.mark.parametrize("operation", ["get_customer_detail", "list_customer_activity", "list_customer_campaigns"])
def test_units_computed_from_sizes_are_those_that_the_engine_tells(read: Read, operation: str) -> None:
    _, spent = read(operation)
    assert spent.computed == spent.told
