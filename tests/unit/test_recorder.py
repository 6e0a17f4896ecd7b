"""What events leave in the table, one case at a time; tests/engine/test_event_streams.py mixes them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from customers import keys
from customers.dynamodb import Cancelled, Item, Table
from customers.errors import Unavailable
from customers.events import DETAIL_TYPES
from customers.recorder import ATTEMPTS, NEWEST_READ, Outcome, Recorder
from customers.repository import Repository
from tests.handlers import event

# Of most events in events/*.json it was told between the first two of these times.
OLDER, NEWER, NEWEST = "2026-02-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z"
CALL, EMAIL = event("CallUpserted")["detail"], event("MessageSent")["detail"]
CAMPAIGN, OTHER_CAMPAIGN = CALL["campaign_id"], str(UUID(int=1))
PLANNED = {"status": "planned", "outcome": None, "dispatched_at": None, "finished_at": None}

type Told = Callable[..., Outcome]
type Stored = Callable[[], dict[str, Item]]


@pytest.fixture
def id(repository: Repository) -> str:
    return repository.create("ada", {"customer_id": "C-1"}, None).customer.id


@pytest.fixture
def told(table: Table, id: str) -> Told:
    """Records the example of a detail type with changes, of a customer of this test."""

    def told(detail_type: str, **changes: Any) -> Outcome:
        detail = event(detail_type)["detail"] | {"customer": id} | changes
        return Recorder(table).record(DETAIL_TYPES[detail_type].model_validate(detail))

    return told


@pytest.fixture
def stored(table: Table, id: str) -> Stored:
    """The customer's items by sort key."""

    def stored() -> dict[str, Item]:
        values = {":pk": keys.customer(id)["pk"]}
        return {item["sk"]: item for item in table.query(KeyConditionExpression="pk = :pk", values=values).items}

    return stored


def activities(items: dict[str, Item]) -> list[str]:
    return [sk for sk in items if sk.startswith(keys.ACTIVITIES)]


def counters(item: Item) -> dict[str, int]:
    return {name: int(value) for name, value in item.items() if name.endswith(("_sent", "_made")) or "calls_" in name}


def target(items: dict[str, Item], campaign: str = CAMPAIGN) -> Item:
    return items[keys.TARGETS + campaign]


def delete(repository: Repository, id: str) -> str | None:
    """Since when the customer is deleted."""
    repository.delete(id, "ada", lambda _: None)
    return repository.get(id, "ada", include_deleted=True).deleted_at


@pytest.mark.parametrize("detail_type", DETAIL_TYPES)
def test_an_event_that_comes_again_is_stale_and_changes_nothing(told: Told, stored: Stored, detail_type: str) -> None:
    assert told(detail_type) == "recorded"
    once = stored()
    assert told(detail_type) == "stale"
    assert stored() == once


@pytest.mark.parametrize("detail_type", ["TargetUpserted", "CallUpserted", "MessageSent"])
def test_an_older_event_is_stale_and_changes_nothing(told: Told, stored: Stored, detail_type: str) -> None:
    told(detail_type)
    newer = stored()
    assert told(detail_type, updated_at=OLDER) == "stale"
    assert stored() == newer


def test_of_two_events_of_one_instant_one_is_believed_for_good(told: Told) -> None:
    outcomes = [told("CallUpserted", outcome=outcome) for outcome in ("busy", "failed", "busy", "failed")]
    assert outcomes[2:] == ["stale", "stale"]


@pytest.mark.parametrize("detail_type", ["TargetUpserted", "TargetRemoved", "CallUpserted", "MessageSent"])
def test_an_event_of_a_customer_that_does_not_exist_is_dropped_and_makes_no_ghost(
    told: Told, table: Table, detail_type: str
) -> None:
    nobody = str(UUID(int=1))
    assert told(detail_type, customer=nobody) == "dropped"
    assert not table.query(KeyConditionExpression="pk = :pk", values={":pk": keys.customer(nobody)["pk"]}).items


@pytest.mark.parametrize("detail_type", ["TargetUpserted", "CallUpserted"])
def test_an_event_of_a_half_purged_customer_is_dropped(
    told: Told, table: Table, stored: Stored, id: str, detail_type: str
) -> None:
    table.put({**keys.customer(id), "state": "purging"})
    assert told(detail_type) == "dropped"
    assert stored().keys() == {"#CUSTOMER"}


def test_an_event_of_a_deleted_customer_is_recorded_and_its_target_bears_the_mark_of_the_delete(
    told: Told, stored: Stored, repository: Repository, id: str
) -> None:
    deleted_at = delete(repository, id)
    assert {told("TargetUpserted"), told("CallUpserted")} == {"recorded"}
    assert target(stored())["deleted_at"] == deleted_at
    assert stored()["#STATS"]["calls_answered"] == 1


def test_a_target_that_was_removed_bears_no_mark_of_a_delete(
    told: Told, stored: Stored, repository: Repository, id: str
) -> None:
    told("TargetUpserted")
    delete(repository, id)
    told("TargetRemoved", removed_at=NEWER)
    assert "deleted_at" not in target(stored())


def test_a_call_is_counted_and_is_the_last_one(told: Told, stored: Stored) -> None:
    told("CallUpserted")
    (sk,) = activities(stored())
    stats = stored()["#STATS"]
    assert counters(stats) == {"calls_total": 1, "calls_answered": 1}
    assert (stats["last_contact"], stats["last_call"]["transcript_summary"]) == (sk, CALL["transcript_summary"])


def test_a_call_that_moves_in_time_is_nowhere_else(told: Told, stored: Stored) -> None:
    told("CallUpserted")
    told("CallUpserted", dispatched_at=NEWER, updated_at=NEWER)
    told("CallUpserted", dispatched_at=OLDER, updated_at=NEWEST)
    (sk,) = activities(stored())
    assert keys.activity_time(sk) == "2026-02-01T00:00:00.000000Z"
    assert stored()[f"POSITION#call#{CALL['id']}"]["activity"] == sk
    assert (stored()["#STATS"]["last_contact"], stored()["#STATS"]["last_call"]["sk"]) == (sk, sk)
    assert target(stored())["last_contact"] == sk


def test_a_contact_that_moves_back_in_time_gives_way_to_a_later_one(told: Told, stored: Stored) -> None:
    told("MessageSent")
    told("CallUpserted", dispatched_at=NEWER, updated_at=NEWER)
    told("CallUpserted", dispatched_at=OLDER, updated_at=NEWEST)
    call, message = activities(stored())
    assert stored()["#STATS"]["last_contact"] == target(stored())["last_contact"] == message
    assert stored()["#STATS"]["last_call"]["sk"] == call


def test_a_correction_takes_back_what_was_counted(told: Told, stored: Stored) -> None:
    told("CallUpserted")
    told("CallUpserted", outcome="No answer", updated_at=NEWER)
    assert counters(stored()["#STATS"]) == {"calls_total": 1, "calls_no_answer": 1}


def test_a_contact_that_was_none_gives_way_to_the_one_before_it(told: Told, stored: Stored) -> None:
    told("MessageSent", sent_at=OLDER)
    told("CallUpserted")
    told("CallUpserted", **PLANNED, updated_at=NEWER)
    message, _ = activities(stored())
    assert stored()["#STATS"]["last_contact"] == target(stored())["last_contact"] == message
    assert "last_call" not in stored()["#STATS"]
    assert counters(target(stored())) == {"email_sent": 1}


def test_the_contact_before_is_found_however_many_plans_come_after_it(told: Told, stored: Stored) -> None:
    told("MessageSent", sent_at=OLDER)
    for n in range(NEWEST_READ + 1):
        told("CallUpserted", **PLANNED, id=str(UUID(int=n)), scheduled_at=NEWER)
    told("CallUpserted", scheduled_at=NEWER, dispatched_at=NEWER)
    told("CallUpserted", **PLANNED, scheduled_at=NEWER, updated_at=NEWER)
    message, *calls = activities(stored())
    assert len(calls) == NEWEST_READ + 2
    assert stored()["#STATS"]["last_contact"] == message


def test_a_call_of_another_campaign_is_counted_there(told: Told, stored: Stored) -> None:
    told("MessageSent")
    told("CallUpserted", dispatched_at=NEWER)
    told("CallUpserted", dispatched_at=NEWER, campaign_id=OTHER_CAMPAIGN, updated_at=NEWER)
    message, call = activities(stored())
    left, joined = target(stored()), target(stored(), OTHER_CAMPAIGN)
    assert (counters(left), left["last_contact"], left["last_email"]) == ({"email_sent": 1}, message, message)
    assert (counters(joined), joined["last_contact"]) == ({"calls_made": 1}, call)


def test_the_counters_of_a_target_do_not_wait_for_its_enrolment(told: Told, stored: Stored) -> None:
    told("CallUpserted")
    assert counters(target(stored())) == {"calls_made": 1}
    told("TargetUpserted")
    assert counters(target(stored())) == {"calls_made": 1}
    assert target(stored())["enrolment"]["stage"] == "in_progress"


def test_a_whatsapp_message_and_an_email_of_one_id_are_two_contacts(told: Told, stored: Stored) -> None:
    for channel in ("whatsapp", "email"):
        told("MessageSent", channel=channel)
    assert len(activities(stored())) == 2
    assert counters(stored()["#STATS"]) == {"whatsapp_sent": 1, "emails_sent": 1}
    assert counters(target(stored())) == {"whatsapp_sent": 1, "email_sent": 1}


def test_a_status_that_changes_is_no_second_message(told: Told, stored: Stored) -> None:
    told("MessageSent")
    told("MessageSent", status="read", updated_at=NEWER)
    (sk,) = activities(stored())
    assert stored()[sk]["status"] == "read"
    assert counters(stored()["#STATS"]) == {"emails_sent": 1}


def test_a_target_that_was_removed_comes_back_by_a_newer_event_only(told: Told, stored: Stored) -> None:
    told("TargetRemoved", removed_at=NEWER)
    assert told("TargetUpserted") == "stale"
    assert told("TargetUpserted", updated_at=NEWER) == "stale"
    assert target(stored())["enrolment"]["removed"]
    assert told("TargetUpserted", updated_at=NEWEST) == "recorded"
    assert not target(stored())["enrolment"]["removed"]


def test_a_campaign_that_was_deleted_comes_back_by_a_newer_event_only(told: Told, table: Table) -> None:
    def removed() -> object:
        return (table.get(keys.campaign(CAMPAIGN)) or {})["removed"]

    told("CampaignDeleted", deleted_at=NEWER)
    assert (told("CampaignUpserted"), told("CampaignUpserted", updated_at=NEWER), removed()) == ("stale", "stale", True)
    assert (told("CampaignUpserted", updated_at=NEWEST), removed()) == ("recorded", False)


def test_a_customer_whose_statistics_never_rest_is_left_to_a_later_delivery(
    told: Told, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[object]()

    def moved(_: Table, writes: object) -> None:
        tried.append(writes)
        raise Cancelled({"stats": {}}, [])

    monkeypatch.setattr(Table, "transact", moved)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(Unavailable):
        told("CallUpserted")
    assert len(tried) == ATTEMPTS
    assert not activities(stored())
