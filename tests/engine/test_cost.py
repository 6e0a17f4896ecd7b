"""What each write costs in the engine's own figures, and that the README says the same."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from customers.importing.batches import BATCH_ROWS
from tests.engine.ledger import Ledger
from tests.handlers import OPERATIONS, Context
from tests.handlers import event as example
from tools.template import ROOT

pytestmark = pytest.mark.skipif(
    "DYNAMODB_TEST_ENDPOINT" in os.environ, reason="DynamoDB Local doubles what a transaction's index entries cost"
)
README = (ROOT / "README.md").read_text()

type Prepare = Callable[[Ledger], Callable[[], Any]]


def create(ledger: Ledger) -> Callable[[], Any]:
    ledger.create("C-0")  # the first one of a function also enters the owner
    return lambda: ledger.create("C-1", name="Ada", status="lead")


def update(changes: Mapping[str, str]) -> Prepare:
    def prepare(ledger: Ledger) -> Callable[[], Any]:
        id = create(ledger)().id
        return lambda: ledger.call("update_customer", id, changes)

    return prepare


def delete(ledger: Ledger) -> Callable[[], Any]:
    id = create(ledger)().id
    return lambda: ledger.call("delete_customer", id)


def purge(ledger: Ledger) -> Callable[[], Any]:
    id = create(ledger)().id
    return lambda: ledger.call("delete_customer", id, query="purge=true")


def restore(ledger: Ledger) -> Callable[[], Any]:
    id = create(ledger)().id
    ledger.call("delete_customer", id)
    return lambda: ledger.call("restore_customer", id)


def import_(*, known: bool) -> Prepare:
    def prepare(ledger: Ledger) -> Callable[[], Any]:
        ids = [f"N-{n:02}" for n in range(BATCH_ROWS)]
        for id in ids if known else ["C-0"]:
            ledger.api.upload(f"customer_id,name,status\n{id},Ada,lead".encode(), owner=ledger.owner)
        file = "customer_id,name,status\n" + "\n".join(f"{id},Bob,lead" for id in ids)
        return lambda: ledger.api.upload(file.encode(), owner=ledger.owner)

    return prepare


def told(detail_type: str, **changes: Any) -> Prepare:
    """An event of a customer that is enrolled in the event's campaign already."""

    def prepare(ledger: Ledger) -> Callable[[], Any]:
        id = create(ledger)().id
        record(ledger, "TargetUpserted", id)
        return lambda: record(ledger, detail_type, id, **changes)

    return prepare


def record(ledger: Ledger, detail_type: str, id: str, **changes: Any) -> None:
    event = example(detail_type)
    event["detail"] |= {"customer": id, **changes}
    message = {"messageId": "m", "body": json.dumps(event)}
    answer = ledger.api.app("record_activity").lambda_handler({"Records": [message]}, Context())
    assert answer == {"batchItemFailures": []}


WRITES: Mapping[str, Prepare] = {
    "create": create,
    "update of a name": update({"name": "Bob"}),
    "update of a status": update({"status": "customer"}),
    "delete": delete,
    "restore": restore,
    "purge of a live one": purge,
    "import: 40 new rows": import_(known=False),
    "import: 40 rows with a new name": import_(known=True),
    "event: an enrolment that has changed": told("TargetUpserted", updated_at="2026-03-01T00:00:00Z"),
    "event: a new call of a campaign": told("CallUpserted"),
    "event: a new message of no campaign": told("MessageSent", campaign_id=None),
}


@pytest.fixture
def consumed(ledger: Ledger) -> Iterator[list[float]]:
    """The write units of each request from now on."""
    units: list[float] = []

    def ask(params: dict[str, Any], **_: object) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "INDEXES"}

    def note(parsed: Mapping[str, Any], model: Any, **_: object) -> None:
        if model.name in {"TransactWriteItems", "BatchWriteItem"}:
            units.extend(each["CapacityUnits"] for each in parsed["ConsumedCapacity"])
        elif model.name == "PutItem":
            units.append(parsed["ConsumedCapacity"]["CapacityUnits"])

    clients = [ledger.api.app(operation).service.table._client for operation in OPERATIONS]
    clients.append(ledger.api.app("record_activity").inbox.table._client)
    for client in clients:
        client.meta.events.register("provide-client-params.dynamodb", ask, "ask")
        client.meta.events.register("after-call.dynamodb", note, "note")
    yield units
    for client in clients:
        client.meta.events.unregister("provide-client-params.dynamodb", ask, "ask")
        client.meta.events.unregister("after-call.dynamodb", note, "note")


@pytest.mark.parametrize("write", WRITES)
def test_a_write_costs_what_the_readme_says(ledger: Ledger, consumed: list[float], write: str) -> None:
    request = WRITES[write](ledger)
    consumed.clear()
    request()
    row = re.search(rf"^\| {write}[^|]*\|[^|]*\|[^|]*\| (\d+)", README, re.MULTILINE)
    assert row
    assert sum(consumed) == int(row[1])


def test_a_key_and_a_first_create_cost_what_the_readme_says_on_top(ledger: Ledger, consumed: list[float]) -> None:
    said = re.search(r"`Idempotency-Key` (\d+) write units, a function's first create for an owner (\d+)", README)
    assert said
    costs = []
    for n, headers in enumerate(({}, {}, {"idempotency-key": "k"})):
        consumed.clear()
        ledger.call("create_customer", body={"customer_id": f"C-{n}"}, headers=headers)
        costs.append(sum(consumed))
    first, plain, keyed = costs
    assert (keyed - plain, first - plain) == (int(said[1]), int(said[2]))
