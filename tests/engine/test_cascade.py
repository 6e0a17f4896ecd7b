"""A customer's targets follow its deletes and restores, however many there are and whatever is killed on the way."""

import json
from collections.abc import Callable
from itertools import batched
from typing import Any
from uuid import UUID

import pytest

from customers import keys
from customers.dynamodb import BATCH_WRITE_ITEMS, encode
from tests.engine.ledger import Ledger
from tests.engine.wire import Faults, Interleaving, all_orders, sending
from tests.handlers import Context
from tools.template import ROOT

MANY = 5_000
SEVERAL = 90  # more than two transactions hold
TARGET: dict[str, Any] = json.loads((ROOT / "events/TargetUpserted.json").read_text())["detail"]

type Marks = dict[str, str | None]  # the delete that took each target, by campaign


def campaign(number: int) -> str:
    return str(UUID(int=number))


def enrol(ledger: Ledger, id: str, number: int, *, removed: int = 0) -> None:
    """Put targets as the recorder writes them; of the first `removed` only the mark of their removal is left."""
    items: list[dict[str, Any]] = []
    for i in range(number):
        told = {
            "campaign_id": campaign(i),
            "revision": "2026-02-01",
            "created_at": "2026-02-01",
            "removed": i < removed,
        }
        enrolled = {"target_id": TARGET["target_id"], "stage": "new", "ai_label": "unknown"}
        items.append({**keys.target(id, campaign(i)), "enrolment": told if i < removed else enrolled | told})
    items.append({**keys.target(id, campaign(number))})  # as of a call that was counted and taken back
    for batch in batched(items, BATCH_WRITE_ITEMS, strict=False):
        puts = [{"PutRequest": {"Item": encode(item)}} for item in batch]
        ledger.client.batch_write_item(RequestItems={ledger.api.environment["TABLE_NAME"]: puts})


def marks(ledger: Ledger, id: str) -> Marks:
    items = {i["sk"]: i for i in ledger.items() if i["pk"] == keys.customer(id)["pk"]}
    return {keys.campaign_of(sk): i.get("deleted_at") for sk, i in items.items() if sk.startswith(keys.TARGETS)}


def deleted_at(ledger: Ledger, id: str) -> Any:
    return ledger.call("get_customer", id, query="include_deleted=true").body["deleted_at"]


def assert_settled(ledger: Ledger, id: str, number: int, *, removed: int) -> None:
    """All targets but the removed ones bear the mark of the customer's delete, or none does while it is live."""
    mark = deleted_at(ledger, id)
    expected = {campaign(i): None if i < removed or i == number else mark for i in range(number + 1)}
    assert marks(ledger, id) == expected


@pytest.fixture
def id(ledger: Ledger) -> str:
    return ledger.create("C-1").id


def test_a_delete_marks_the_targets_that_were_not_removed_and_a_restore_takes_these_marks(
    ledger: Ledger, id: str
) -> None:
    enrol(ledger, id, SEVERAL, removed=7)
    for operation in ("delete_customer", "restore_customer", "delete_customer"):
        assert ledger.call(operation, id).status in {200, 204}
        assert_settled(ledger, id, SEVERAL, removed=7)


@pytest.mark.parametrize("operation", ["delete_customer", "restore_customer"])
def test_a_cascade_killed_at_any_call_is_finished_by_the_same_request(ledger: Ledger, id: str, operation: str) -> None:
    enrol(ledger, id, SEVERAL, removed=7)
    other = {"delete_customer": "restore_customer", "restore_customer": "delete_customer"}[operation]
    killed = 0
    while True:
        ledger.call(other, id)
        with sending(Faults(range(killed, 1000), "dropped")) as wire:
            ledger.call(operation, id)
        assert ledger.call(operation, id).status in {200, 204}
        assert_settled(ledger, id, SEVERAL, removed=7)
        if killed >= len(wire.sent):
            break
        killed += 1
    assert killed > 5


@pytest.mark.parametrize("operation", ["delete_customer", "restore_customer"])
def test_a_cascade_killed_at_any_call_is_undone_by_the_opposite_request(
    ledger: Ledger, id: str, operation: str
) -> None:
    enrol(ledger, id, SEVERAL, removed=7)
    other = {"delete_customer": "restore_customer", "restore_customer": "delete_customer"}[operation]
    for killed in range(8):
        ledger.call(other, id)
        with sending(Faults(range(killed, 1000), "dropped")):
            ledger.call(operation, id)
        ledger.call(other, id)
        assert_settled(ledger, id, SEVERAL, removed=7)


def test_a_delete_and_a_restore_in_any_order_of_their_calls_leave_marks_that_the_next_request_sets_right(
    ledger: Ledger,
) -> None:
    def race(interleaving: Interleaving) -> None:
        ledger.clear()
        id = ledger.create("C-1").id
        enrol(ledger, id, 2, removed=1)
        ledger.call("delete_customer", id)
        ledger.call("restore_customer", id)
        interleaving.run(
            delete=lambda: ledger.call("delete_customer", id),
            restore=lambda: ledger.call("restore_customer", id),
        )
        ledger.assert_true()
        ledger.call("restore_customer" if deleted_at(ledger, id) is None else "delete_customer", id)
        assert_settled(ledger, id, 2, removed=1)

    assert all_orders(race) > 10


class Clock:
    """Time that passes with each request on the wire and not otherwise."""

    def __init__(self, milliseconds: int, each: int) -> None:
        self.left = milliseconds
        self._each = each

    def __call__(self, send: Callable[..., Any], session: Any, request: Any) -> Any:
        self.left -= self._each
        return send(session, request)


@pytest.fixture(scope="module")
def enrolled(api: Any, client: Any) -> tuple[Ledger, str]:
    ledger = Ledger(api, client)
    ledger.clear()
    id = ledger.create("C-1").id
    enrol(ledger, id, MANY, removed=100)
    return ledger, id


def test_deleting_and_restoring_5000_targets_takes_them_all(enrolled: tuple[Ledger, str]) -> None:
    ledger, id = enrolled
    for operation in ("delete_customer", "restore_customer"):
        assert ledger.call(operation, id, context=Context(lambda: 1 << 30)).status in {200, 204}
        assert_settled(ledger, id, MANY, removed=100)


def test_a_delete_with_more_targets_than_its_time_allows_answers_in_time_and_hides_them_all(
    enrolled: tuple[Ledger, str],
) -> None:
    ledger, id = enrolled
    clock = Clock(15_000, each=100)
    with sending(clock):
        answer = ledger.call("delete_customer", id, context=Context(lambda: clock.left))
    assert (answer.status, clock.left > 0) == (204, True)
    marked = [mark for mark in marks(ledger, id).values() if mark]
    assert 0 < len(marked) < MANY - 100
    detail = ledger.call("get_customer_detail", id, query="include_deleted=true").body
    assert (detail["customer"]["deleted_at"], detail["campaigns"]) == (marked[0], [])
    while len([mark for mark in marks(ledger, id).values() if mark]) < MANY - 100:
        clock.left = 15_000
        with sending(clock):
            ledger.call("delete_customer", id, context=Context(lambda: clock.left))
    assert_settled(ledger, id, MANY, removed=100)
    assert ledger.call("restore_customer", id, context=Context(lambda: 1 << 30)).status == 200
    assert_settled(ledger, id, MANY, removed=100)
