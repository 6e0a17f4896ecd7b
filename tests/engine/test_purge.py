"""The scheduled purge on a real engine: what is due goes without a trace, once, whatever is killed on the way.

PURGE_TEST_CUSTOMERS=30000 runs the first tests at that size; a third of the customers are due.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest

from customers import keys
from customers.dynamodb import BATCH_WRITE_ITEMS, Item, encode
from customers.errors import Unavailable
from customers.events import CallUpserted, TargetUpserted
from customers.models import Customer
from tests.engine.ledger import Ledger
from tests.engine.wire import Faults, Interleaving, all_orders, sending
from tests.handlers import Context, event
from tools.table import EXAMPLE

CUSTOMERS = int(os.environ.get("PURGE_TEST_CUSTOMERS", "240"))
CANARY = "Canaria"  # in every text of a customer that is due
BORN = "2026-01-31T09:30:00.000000Z"
NOW = datetime.now(UTC)
YESTERDAY, TOMORROW = (keys.timestamp(NOW + timedelta(days=days)) for days in (-1, 1))


def customers() -> Iterator[Customer]:
    """A third live, a third deleted but not due, and a third due."""
    for n in range(CUSTOMERS):
        deleted, due = n % 3 > 0, n % 3 == 2
        yield Customer(
            id=str(uuid5(NAMESPACE_OID, str(n))),
            owner_id=f"owner-{n % 5}",
            customer_id=f"{CANARY if due else 'C'}-{n}",
            name=CANARY if due else "Ada",
            status=f"{CANARY} {n % 7}" if due else "lead",
            created_at=BORN,
            updated_at=BORN,
            state="deleted" if deleted else "live",
            deleted_at=BORN if deleted else None,
            purge_at=(YESTERDAY if due else TOMORROW) if deleted else None,
        )


def collection(customer: Customer) -> Iterator[Item]:
    """What is kept about a customer beside its record, as the functions write it."""
    times = {"created_at": BORN, "updated_at": BORN}
    campaign_id = UUID(int=1)
    yield {**keys.unique(customer.owner_id, customer.customer_id), "id": customer.id}
    target = TargetUpserted(
        customer=UUID(customer.id),
        campaign_id=campaign_id,
        target_id=UUID(int=2),
        stage="new",
        ai_reason=customer.name,
        **times,
    )
    mark = {"deleted_at": customer.deleted_at}
    yield {
        **keys.target(customer.id, str(campaign_id)),
        "enrolment": {**target.told(), "removed": False},
        **mark,
    }
    call = CallUpserted(
        id=UUID(int=3),
        customer=UUID(customer.id),
        attempt_no=1,
        status="failed",
        conv_id=customer.name,
        scheduled_at=BORN,
        **times,
    ).item()
    yield call
    yield {**keys.position(customer.id, "call", call["id"]), "activity": call["sk"]}
    counts = {"calls_total": 1, "calls_failed": 1, "writes": 1}
    yield {**keys.stats(customer.id), **counts, "last_contact": call["sk"], "last_call": call}
    request = keys.idempotency(customer.owner_id, customer.customer_id)
    yield {**request, "fingerprint": "", "id": customer.id, "expires_at": 4_102_444_800}
    yield {**keys.idempotency_pointer(customer.id, request), "expires_at": 4_102_444_800}


@dataclass(frozen=True)
class Seeded:
    ledger: Ledger
    due: frozenset[str]
    others: frozenset[str]

    def purge(self, context: Context | None = None, **order: bool) -> dict[str, Any]:
        return run(self.ledger, context, **order)

    def assert_only_the_others_are_left(self) -> None:
        assert self.ledger.assert_true().keys() == self.others
        for item in self.ledger.items():
            if not item["sk"].startswith("TOMBSTONE#"):
                assert not self.due & {item.get("id"), keys.id_of(item["pk"])}
            assert CANARY.lower() not in str(item).lower()


def run(ledger: Ledger, context: Context | None = None, **order: bool) -> dict[str, Any]:
    answer: dict[str, Any] = ledger.api.app("purge_customers").lambda_handler(
        order, context or Context(lambda: 600_000)
    )
    return answer


@pytest.fixture
def seeded(ledger: Ledger) -> Seeded:
    made, counts = list(customers()), Counter[tuple[str, str, str]]()
    items = [item for each in made for item in (each.item(), *collection(each))]
    for each in made:
        count = keys.count(each.owner_id, each.id)
        counts[count["pk"], count["sk"], keys.count_name(each.state, each.status_key)] += 1
    by_item: dict[tuple[str, str], Item] = {}
    for (pk, sk, name), number in counts.items():
        by_item.setdefault((pk, sk), {"pk": pk, "sk": sk, "writes": 1})[name] = number
    owners = [f"owner-{n}" for n in range(5)]
    items += [*by_item.values(), *map(keys.owner, owners)]
    items += [{**keys.bookmark(owner, "by name", rank), "behind": [CANARY]} for owner in owners for rank in range(30)]
    items += [{**keys.fences(owner, listing), "fences": CANARY} for owner in owners for listing in ("name", "email")]

    def put(batch: tuple[Item, ...]) -> None:
        requests = [{"PutRequest": {"Item": encode(item)}} for item in batch]
        ledger.client.batch_write_item(RequestItems={ledger.api.environment["TABLE_NAME"]: requests})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, batched(items, BATCH_WRITE_ITEMS, strict=False)))
    due = frozenset(each.id for each in made if each.purge_at == YESTERDAY)
    return Seeded(ledger, due, frozenset(each.id for each in made) - due)


def test_exactly_what_is_due_goes_and_leaves_nothing(seeded: Seeded) -> None:
    assert seeded.purge() == {
        "dry_run": False, "purged": len(seeded.due), "spared": 0, "failed": 0, "remaining": 0, "customers": []
    }  # fmt: skip
    seeded.assert_only_the_others_are_left()


def test_runs_that_are_killed_at_random_are_finished_by_the_next_ones(seeded: Seeded) -> None:
    chance, kills = random.Random(1), 0  # noqa: S311 - no secret
    while True:
        with sending(Faults(range(chance.randrange(1, 3 * CUSTOMERS), 1 << 60), "dropped")) as wire:
            context = Context(partial(_left_until_killed, wire))
            with suppress(Unavailable):
                if not seeded.purge(context)["remaining"]:
                    break
        kills += 1
    assert kills
    seeded.assert_only_the_others_are_left()


def _left_until_killed(wire: Faults) -> int:
    return 600_000 if len(wire.sent) < wire.at.start else 0


def test_two_runs_at_once_do_each_customer_once(seeded: Seeded) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: seeded.purge(), range(2))
    assert first["purged"] + second["purged"] == len(seeded.due)
    assert (first["remaining"], second["remaining"]) == (0, 0)
    seeded.assert_only_the_others_are_left()


def test_a_dry_run_says_what_is_due_and_touches_nothing(seeded: Seeded) -> None:
    before = seeded.ledger.items()
    report = seeded.purge(dry_run=True)
    assert set(report["customers"]) == set(sorted(report["customers"])[:1_000]) <= seeded.due
    assert (report["purged"], report["remaining"]) == (0, len(seeded.due))
    assert seeded.ledger.items() == before


def test_a_run_without_time_begins_nothing_and_says_how_many_remain(seeded: Seeded) -> None:
    report = seeded.purge(Context(lambda: 29_000))
    assert (report["purged"], report["remaining"]) == (0, len(seeded.due))
    assert seeded.ledger.assert_true().keys() == seeded.due | seeded.others


def test_a_run_that_comes_to_the_end_of_its_time_stops_and_says_how_many_remain(seeded: Seeded) -> None:
    wire = Faults(range(0))
    with sending(wire):
        report = seeded.purge(Context(lambda: 60_000 - 200 * len(wire.sent)))
    assert 0 < report["purged"] < len(seeded.due)
    assert report["purged"] + report["remaining"] == len(seeded.due)
    assert seeded.ledger.assert_true().keys() < seeded.due | seeded.others


def test_a_purge_that_was_killed_half_way_is_the_first_that_is_due(seeded: Seeded) -> None:
    half = min(seeded.due)
    with sending(Faults(range(2, 1000), "dropped")):  # after the transaction that makes it unreachable
        assert seeded.ledger.call("delete_customer", half, query="purge=true", role="admin").status == 503
    lots = seeded.ledger.api.app("purge_customers").retention.customers.due(NOW)
    assert next(filter(None, lots)) == [half]
    assert seeded.purge()["purged"] == len(seeded.due)
    seeded.assert_only_the_others_are_left()


def made_due(ledger: Ledger) -> str:
    """One customer that was deleted so long ago that it is due."""
    id = ledger.create("C-1", status="lead").id
    batch = event("record_activity")
    for message in batch["Records"]:
        message["body"] = message["body"].replace(EXAMPLE.id, id)
    assert ledger.api.app("record_activity").lambda_handler(batch, Context()) == {"batchItemFailures": []}
    ledger.call("delete_customer", id)
    ledger.client.update_item(
        TableName=ledger.api.environment["TABLE_NAME"],
        Key=encode(keys.customer(id)),
        UpdateExpression="SET purge_at = :due",
        ExpressionAttributeValues=encode({":due": YESTERDAY}),
    )
    return id


def test_the_scheduled_purge_and_a_restore_in_any_order_of_their_calls_lose_no_restore_and_leave_no_ghost(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "PURGE_SHARDS", 1)  # or the number of calls would hang on the customer's id
    outcomes = Counter[tuple[int, int, int]]()

    def race(interleaving: Interleaving) -> None:
        ledger.clear()
        id = made_due(ledger)
        answers = interleaving.run(purge=lambda: run(ledger), restore=lambda: ledger.call("restore_customer", id))
        report, restored = answers["purge"], answers["restore"].status
        outcomes[restored, report["purged"], report["spared"]] += 1
        left = ledger.assert_true()
        assert left.keys() == ({id} if restored == 200 else set())
        if restored == 200:
            assert ledger.call("get_customer_detail", id).body["campaigns"]

    assert all_orders(race) > 10
    assert set(outcomes) == {(200, 0, 1), (200, 0, 0), (404, 1, 0)}
