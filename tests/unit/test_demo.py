"""The demo customers: legal, believable, made once, and counted like all others. A few of them stand for all."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from customers import keys
from customers.dynamodb import Table
from customers.models import CustomerCreate
from tests.engine.ledger import Ledger
from tests.handlers import Api
from tools import demo

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
OWNERS = {"ada": 36, "grace": 9}


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as show everything; moto takes half a minute for all 300."""
    monkeypatch.setattr(demo, "OWNERS", OWNERS)


@pytest.fixture
def ledger(api: Api, dynamodb: Any) -> Ledger:
    return Ledger(api, dynamodb)


@pytest.fixture
def records(ledger: Ledger, table: Table) -> list[dict[str, Any]]:
    list(demo.seed(table, NOW))
    return [item for item in ledger.items() if item["sk"] == "#CUSTOMER"]


def test_each_of_the_two_owners_gets_their_number_of_customers(records: list[dict[str, Any]]) -> None:
    assert Counter(record["owner_id"] for record in records) == OWNERS


def test_whatever_is_drawn_is_legal_input_and_stored_as_it_would_be() -> None:
    chance = random.Random(0)  # noqa: S311 - no secret
    for number in range(2_000):
        values = demo._values(chance, number)
        assert CustomerCreate.model_validate(values).model_dump(mode="json") == values
        assert (values["email"] or "").isascii()


def test_customers_have_come_in_order_over_the_last_18_months(records: list[dict[str, Any]]) -> None:
    for owner in OWNERS:
        own = sorted((r["customer_id"], r["created_at"]) for r in records if r["owner_id"] == owner)
        times = [time for _, time in own]
        assert times == sorted(times)
        assert times[0] > keys.timestamp(NOW - timedelta(days=30 * demo.MONTHS))
        assert times[0] < keys.timestamp(NOW - timedelta(days=365))


def test_nothing_has_happened_before_its_customer_came_or_after_now(records: list[dict[str, Any]]) -> None:
    for record in records:
        times = [record["created_at"], record["updated_at"], keys.timestamp(NOW)]
        assert times == sorted(times)
    assert len({record["updated_at"] for record in records}) == len(records)


def test_some_are_changed_and_some_deleted_and_none_is_due_for_purge(records: list[dict[str, Any]]) -> None:
    deleted = [record for record in records if record["state"] == "deleted"]
    assert 0 < len(deleted) < len(records) / 4
    assert all(record["purge_at"] > keys.timestamp(NOW + timedelta(days=14)) for record in deleted)
    assert any(record["version"] > 1 and record["state"] == "live" for record in records)


@pytest.mark.usefixtures("records")
def test_counts_equal_a_recount_and_nothing_is_half_written(ledger: Ledger) -> None:
    assert len(ledger.assert_true()) == sum(OWNERS.values())


@pytest.mark.usefixtures("records")
def test_seeding_again_adds_nothing_and_changes_nothing(ledger: Ledger, table: Table) -> None:
    before = ledger.items()
    assert not list(demo.seed(table, NOW + timedelta(days=1)))
    assert ledger.items() == before


def test_every_machine_gets_the_same_customers(ledger: Ledger, table: Table, records: list[dict[str, Any]]) -> None:
    ledger.clear()
    fields = ("owner_id", *CustomerCreate.model_fields)
    made = [tuple(getattr(customer, name) for name in fields) for customer in demo.seed(table, NOW)]
    assert sorted(map(str, made)) == sorted(str(tuple(record.get(name) for name in fields)) for record in records)


def test_the_demo_is_there_only_when_it_is_complete(table: Table) -> None:
    seeding = demo.seed(table, NOW)
    assert not demo.is_there(table)
    list(islice(seeding, sum(OWNERS.values()) - 1))  # interrupted before the last one
    assert not demo.is_there(table)
    list(demo.seed(table, NOW))
    assert demo.is_there(table)


def test_a_demo_whose_customers_were_all_purged_is_still_there(api: Api, table: Table) -> None:
    for customer in demo.seed(table, NOW):
        api.call("delete_customer", customer.id, query="purge=true", owner=customer.owner_id)
    assert demo.is_there(table)
