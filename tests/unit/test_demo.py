"""The demo: legal, believable, made once, and counted like all else. A few of its customers stand for all."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from customers import keys
from customers.dynamodb import Table
from customers.events import DETAIL_TYPES, RESULTS
from customers.models import ActivityType, AiLabel, CampaignStatus, CustomerCreate, TargetStage
from customers.recorder import Recorder
from tests.engine.ledger import Ledger
from tests.handlers import Api
from tools import demo, demo_activity
from tools.demo_activity import Event

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


def test_the_demo_is_there_only_when_it_is_finished(table: Table) -> None:
    list(demo.seed(table, NOW))
    assert not demo.is_there(table)
    demo.finish(table)
    assert demo.is_there(table)


def test_a_demo_whose_customers_were_all_purged_is_still_there(api: Api, table: Table) -> None:
    for customer in demo.seed(table, NOW):
        api.call("delete_customer", customer.id, query="purge=true", owner=customer.owner_id)
    demo.finish(table)
    assert demo.is_there(table)


# What happens to them


def record(table: Table, events: Sequence[Event]) -> Counter[str]:
    """What the function makes of the events, and how many ended how."""
    recorder = Recorder(table)
    details = [DETAIL_TYPES[event["detail-type"]].model_validate(event["detail"]) for event in events]
    return Counter(recorder.record(detail) for detail in details)


@pytest.fixture
def events(table: Table, records: list[dict[str, Any]]) -> list[Event]:
    assert records
    return demo_activity.events(table, NOW)


@pytest.fixture
def some_events(monkeypatch: pytest.MonkeyPatch, events: list[Event], table: Table) -> list[Event]:
    """As many as can be recorded soon."""
    monkeypatch.setattr(demo_activity, "CONTACTED", {"ada": 4, "grace": 1})
    some = demo_activity.events(table, NOW)
    assert len(some) < len(events) / 4
    return some


def of_type(events: Sequence[Event], detail_type: str) -> list[dict[str, Any]]:
    return [event["detail"] for event in events if event["detail-type"] == detail_type]


def test_every_event_is_recorded_and_counted(ledger: Ledger, table: Table, some_events: list[Event]) -> None:
    assert record(table, some_events) == {"recorded": len(some_events)}
    ledger.assert_true()


def test_what_was_said_shows_in_the_customers_detail(api: Api, table: Table, some_events: list[Event]) -> None:
    record(table, some_events)
    (told, *_) = [call for call in of_type(some_events, "CallUpserted") if call["outcome"] == "answered"]
    detail = api.call("get_customer_detail", told["customer"], role="admin").body
    assert detail["stats"]["calls_answered"] > 0
    (campaign,) = [each for each in detail["campaigns"] if each["campaign_id"] == told["campaign_id"]]
    assert campaign["transcript_summary"] == told["transcript_summary"]


def test_something_of_every_kind_happens(events: list[Event]) -> None:
    calls, targets = of_type(events, "CallUpserted"), of_type(events, "TargetUpserted")
    assert {call["outcome"] for call in calls} == {*RESULTS}
    assert {"call", *(each["channel"] for each in of_type(events, "MessageSent"))} == {*get_args(ActivityType)}
    assert {each["status"] for each in of_type(events, "CampaignUpserted")} == {*get_args(CampaignStatus)}
    assert {each["stage"] for each in targets} == {*get_args(TargetStage)}
    assert {each.get("ai_label", "unknown") for each in targets} == {*get_args(AiLabel)}


def test_a_call_has_an_analysis_if_it_was_answered_and_only_then(events: list[Event]) -> None:
    for call in of_type(events, "CallUpserted"):
        assert ("transcript_summary" in call) == (call["outcome"] == "answered")


def test_only_the_newest_of_an_owner_are_told_of_deleted_ones_too(
    monkeypatch: pytest.MonkeyPatch, table: Table, records: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(demo_activity, "CONTACTED", {"ada": 30})
    told = {target["customer"] for target in of_type(demo_activity.events(table, NOW), "TargetUpserted")}
    newest = sorted((r for r in records if r["owner_id"] == "ada"), key=lambda r: r["created_at"])[-30:]
    assert told == {record["id"] for record in newest}
    assert any(record["state"] == "deleted" for record in newest)


def test_whatever_happens_happens_in_a_customers_life(records: list[dict[str, Any]], events: list[Event]) -> None:
    lives = {record["id"]: (record["created_at"], record.get("deleted_at", keys.timestamp(NOW))) for record in records}
    for event in events:
        times = [value for name, value in event["detail"].items() if name.endswith("_at")]
        first, last = lives.get(event["detail"].get("customer"), ("", keys.timestamp(NOW)))
        assert first <= min(times) <= max(times) <= last


def test_nobody_is_called_or_written_to_where_no_address_is_known(
    records: list[dict[str, Any]], events: list[Event]
) -> None:
    known = {record["id"]: {record.get("phone"), record.get("email")} - {None} for record in records}
    contacts = [*of_type(events, "CallUpserted"), *of_type(events, "MessageSent")]
    assert all(contact["external_to"] in known[contact["customer"]] for contact in contacts)


def test_a_making_that_was_interrupted_and_begun_anew_makes_nothing_twice(
    ledger: Ledger, table: Table, some_events: list[Event]
) -> None:
    record(table, some_events[: len(some_events) // 2])
    anew = demo_activity.events(table, NOW + timedelta(hours=1))
    record(table, anew)
    interrupted = told(ledger)
    ledger.remove(interrupted)
    record(table, anew)
    assert told(ledger) == interrupted


def told(ledger: Ledger) -> list[dict[str, Any]]:
    """The items that events have made, in order; how often each was written is no matter."""
    made = [item for item in ledger.items() if item["sk"].startswith(("ACTIVITY#", "POSITION#", "#"))]
    made = [item | {"writes": 0} for item in made if item["sk"] not in {"#CUSTOMER", "#KEY"}]
    return sorted(made, key=lambda item: (item["pk"], item["sk"]))
