"""One customer's detail, as events feed it: statistics, last call, campaigns; and who may read what was told."""

import json
from uuid import uuid4

import pytest

from tests.handlers import Api, event
from tests.unit.reads import (
    call,
    campaign,
    detail,
    enrolled,
    enrolment,
    last_call,
    sent,
    small_pages,
    tell,
    told,
    utc,
    uuid,
)
from tools.template import ROOT

SCHEMAS = json.loads((ROOT / "tests/contract/seed-openapi.json").read_text())["components"]["schemas"]
READS = ["get_customer_detail", "list_customer_campaigns", "list_customer_activity"]


@pytest.fixture
def id(api: Api) -> str:
    return api.create("C-1", name="Ada").id


# the contract


def test_a_detail_has_every_member_of_the_contract_as_it_was_told(api: Api, id: str) -> None:
    kinds = ("CampaignUpserted", "TargetUpserted", "CallUpserted", "MessageSent")
    tell(api, *(told(kind, customer=id) for kind in kinds))
    target, its_call = (
        {name: utc(value) if name.endswith("_at") else value for name, value in event(kind)["detail"].items()}
        for kind in ("TargetUpserted", "CallUpserted")
    )
    emailed_at = utc("2026-02-03T09:00:00Z")
    zeros = dict.fromkeys(SCHEMAS["CustomerDetailStatsOut"]["properties"], 0)
    counted = {"calls_total": 1, "calls_answered": 1, "emails_sent": 1, "last_contacted_at": emailed_at}
    of_campaign = {"campaign_name": "Spring renewal", "campaign_status": "running", "target_stage": target["stage"]}
    recorded = {"email_sent": 1, "last_contacted_at": emailed_at, "last_email_at": emailed_at}
    wanted = {
        name: {**target, **of_campaign, **recorded}[name] for name in SCHEMAS["CustomerDetailCampaignOut"]["properties"]
    }
    assert detail(api, id) == {
        "customer": api.call("get_customer", id).body,
        "stats": zeros | counted,
        "last_call": {name: its_call[name] for name in SCHEMAS["CustomerDetailCallOut"]["properties"]},
        "campaigns": [wanted],
    }


def test_a_detail_leaves_out_what_was_not_told(api: Api, id: str) -> None:
    call_schema, target_schema = SCHEMAS["CustomerDetailCallOut"], SCHEMAS["CustomerDetailCampaignOut"]
    bare_call, bare_target = (
        dict.fromkeys(schema["properties"].keys() - {*schema["required"]}) for schema in (call_schema, target_schema)
    )
    tell(api, campaign(1), enrolment(id, 1, **bare_target))
    tell(api, told("CallUpserted", **{**bare_call, "customer": id, "campaign_id": None, "status": "ended"}))
    body = detail(api, id)
    assert body["last_call"].keys() == {*call_schema["required"], "messages_count"}
    (target,) = body["campaigns"]
    assert target.keys() == {*target_schema["required"], "calls_made", "whatsapp_sent", "email_sent"}


def test_a_call_that_is_only_planned_is_counted_but_is_no_contact_and_no_last_call(api: Api, id: str) -> None:
    planned = {
        "campaign_id": uuid(1),
        "status": "Scheduled",
        "outcome": None,
        "dispatched_at": None,
        "finished_at": None,
    }
    tell(api, campaign(1), enrolment(id, 1, calls_made=0), call(id, 1, **planned))
    body = detail(api, id)
    assert (body["stats"]["calls_total"], body["campaigns"][0]["calls_made"]) == (1, 0)
    assert not {"last_call", "last_contacted_at"} & {*body, *body["stats"]}
    tell(api, call(id, 1, **planned | {"status": "ringing", "updated_at": "2026-06-01T00:00:00Z"}))
    body = detail(api, id)
    assert (body["last_call"]["status"], body["campaigns"][0]["calls_made"]) == ("ringing", 1)


def test_a_detail_without_events_has_neither_a_last_call_nor_a_last_contact(api: Api, id: str) -> None:
    body = detail(api, id)
    assert (body.keys(), body["campaigns"]) == ({"customer", "stats", "campaigns"}, [])
    assert body["stats"] == dict.fromkeys(
        SCHEMAS["CustomerDetailStatsOut"]["properties"].keys() - {"last_contacted_at"}, 0
    )


@pytest.mark.parametrize("number", [0, 3, 184.5, 0.1])
def test_numbers_are_answered_as_they_were_told(api: Api, id: str, number: float) -> None:
    tell(api, campaign(1), enrolment(id, 1, ai_score=number), call(id, 1, duration_seconds=number))
    body = detail(api, id)
    assert (body["last_call"]["duration_seconds"], body["campaigns"][0]["ai_score"]) == (number, number)


def test_flags_that_were_told_as_false_are_shown(api: Api, id: str) -> None:
    flags = {"follow_up_required": False, "escalation_required": False}
    tell(api, campaign(1), enrolment(id, 1, **flags), call(id, 1, **flags))
    body = detail(api, id)
    for shown in (body["last_call"], body["campaigns"][0]):
        assert flags.items() <= shown.items()


# statistics


def test_statistics_count_each_call_by_its_result_and_each_message_by_its_channel(api: Api, id: str) -> None:
    results = ["answered", "answered", "failed", "no_answer", "busy", "timeout", "voicemail", None]
    calls = [call(id, n, outcome=result) for n, result in enumerate(results)]
    messages = [sent(id, n, channel) for n, channel in enumerate(["whatsapp", "email", "email", "email"])]
    tell(api, *calls, *messages)
    assert detail(api, id)["stats"] == {
        "calls_total": 8,
        "calls_answered": 2,
        "calls_failed": 1,
        "calls_no_answer": 1,
        "calls_busy": 1,
        "calls_timeout": 1,
        "calls_voicemail": 1,
        "whatsapp_sent": 1,
        "emails_sent": 3,
        "last_contacted_at": utc("2026-02-02T14:00:00Z"),
    }


def test_last_contacted_at_is_the_latest_contact_of_any_kind_and_no_plan(api: Api, id: str) -> None:
    plan = {"dispatched_at": None, "finished_at": None, "outcome": None, "status": "planned"}
    tell(api, call(id, 1, "2026-02-02T14:00:00Z"), sent(id, 1, "whatsapp", "2026-02-02T15:00:00Z"))
    tell(api, call(id, 2, scheduled_at="2026-02-09T09:00:00Z", **plan))
    assert detail(api, id)["stats"]["last_contacted_at"] == utc("2026-02-02T15:00:00Z")


# last call


def test_last_call_is_the_newest_whatever_the_order_of_arrival_and_no_message(api: Api, id: str) -> None:
    tell(api, call(id, 2, "2026-02-02T00:00:00Z"), call(id, 3, "2026-02-03T00:00:00Z"))
    tell(api, call(id, 1, "2026-02-01T00:00:00Z"), sent(id, 1, "whatsapp", "2026-02-04T00:00:00Z"))
    assert last_call(api, id) == uuid(3)


def test_last_call_shows_the_newest_that_was_told_of_it(api: Api, id: str) -> None:
    tell(api, call(id, 1, status="ringing", outcome=None, updated_at="2026-02-02T14:00:00Z"))
    tell(api, call(id, 1, status="completed", updated_at="2026-02-02T14:05:00Z"))
    tell(api, call(id, 1, status="dialing", updated_at="2026-02-02T13:59:00Z"))
    shown = detail(api, id)["last_call"]
    assert (shown["status"], shown["outcome"]) == ("completed", "answered")


def test_last_call_goes_back_to_the_one_before_when_a_correction_moves_it_into_the_past(api: Api, id: str) -> None:
    tell(api, call(id, 1, "2026-02-01T00:00:00Z"), call(id, 2, "2026-02-02T00:00:00Z"))
    tell(api, call(id, 2, "2026-01-01T00:00:00Z", updated_at="2026-02-03T00:00:00Z"))
    assert last_call(api, id) == uuid(1)
    tell(api, call(id, 2, "2026-02-02T00:00:00Z", updated_at="2026-02-04T00:00:00Z"))
    assert last_call(api, id) == uuid(2)


def test_last_call_passes_to_one_that_a_correction_moves_ahead(api: Api, id: str) -> None:
    tell(api, call(id, 1, "2026-02-01T00:00:00Z"), call(id, 2, "2026-02-02T00:00:00Z"))
    tell(api, call(id, 1, "2026-02-03T00:00:00Z", updated_at="2026-02-03T00:00:00Z"))
    assert last_call(api, id) == uuid(1)


# campaigns


def test_campaigns_come_by_their_newest_enrolment_first(api: Api, id: str) -> None:
    for n, day in ((1, 2), (2, 3), (3, 1)):
        tell(api, campaign(n), enrolment(id, n, created_at=f"2026-01-0{day}T00:00:00Z"))
    assert enrolled(api, id) == [2, 1, 3]


def test_campaigns_of_one_instant_have_a_fixed_order(api: Api, id: str) -> None:
    for n in (2, 3, 1):
        tell(api, campaign(n), enrolment(id, n))
    assert enrolled(api, id) == [3, 2, 1]


def test_campaigns_of_a_detail_are_the_hundred_newest(api: Api, id: str) -> None:
    for n in range(103):
        created_at = f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z"
        tell(api, campaign(n), enrolment(id, n, created_at=created_at))
    assert enrolled(api, id) == [*range(102, 2, -1)]


def test_campaigns_and_statistics_are_read_to_the_end_however_much_there_is(api: Api, id: str) -> None:
    tell(api, call(id, 1), *(each for n in range(5) for each in (campaign(n), enrolment(id, n))))
    whole = detail(api, id)
    assert (len(whole["campaigns"]), whole["stats"]["calls_total"]) == (5, 1)
    with small_pages():
        assert detail(api, id) == whole


def test_campaigns_that_are_not_known_yet_or_deleted_are_not_shown(api: Api, id: str) -> None:
    tell(api, enrolment(id, 1), campaign(2), enrolment(id, 2))
    assert enrolled(api, id) == [2]
    tell(api, campaign(1), told("CampaignDeleted", id=uuid(2)))
    assert enrolled(api, id) == [1]


def test_campaigns_that_a_customer_was_taken_out_of_are_not_shown_until_it_is_enrolled_anew(api: Api, id: str) -> None:
    tell(api, campaign(1), campaign(2), enrolment(id, 1), enrolment(id, 2))
    tell(api, told("TargetRemoved", customer=id, campaign_id=uuid(1)), call(id, 1, campaign_id=uuid(1)))
    assert enrolled(api, id) == [2]
    tell(api, enrolment(id, 1, updated_at="2026-03-02T00:00:00Z"))
    assert enrolled(api, id) == [2, 1]


def test_campaigns_that_called_without_an_enrolment_are_not_shown(api: Api, id: str) -> None:
    tell(api, campaign(1), call(id, 1, campaign_id=uuid(1)))
    assert enrolled(api, id) == []


def test_campaigns_are_shown_with_what_is_so_now(api: Api, id: str) -> None:
    tell(
        api,
        campaign(1),
        enrolment(id, 1),
        campaign(1, name="Renamed", status="done", updated_at="2026-03-01T00:00:00Z"),
    )
    tell(api, enrolment(id, 1, stage="succeeded", ai_score=None, updated_at="2026-03-01T00:00:00Z"))
    (shown,) = detail(api, id)["campaigns"]
    assert (shown["campaign_name"], shown["campaign_status"]) == ("Renamed", "done")
    assert (shown["target_stage"], "ai_score" in shown) == ("succeeded", False)


COUNTERS = {"calls_made": "call", "whatsapp_sent": "whatsapp", "email_sent": "email"}


@pytest.mark.parametrize("counter", COUNTERS)
@pytest.mark.parametrize(("reported", "shown"), [(0, 2), (2, 2), (5, 5)])
def test_of_what_was_reported_and_what_was_recorded_the_greater_is_counted(
    api: Api, id: str, counter: str, reported: int, shown: int
) -> None:
    contacts = [
        call(id, n, campaign_id=uuid(1))
        if counter == "calls_made"
        else sent(id, n, COUNTERS[counter], campaign_id=uuid(1))
        for n in range(2)
    ]
    tell(api, campaign(1), enrolment(id, 1, **{**dict.fromkeys(COUNTERS, 0), counter: reported}), *contacts)
    (target,) = detail(api, id)["campaigns"]
    assert {name: target[name] for name in COUNTERS} == {**dict.fromkeys(COUNTERS, 0), counter: shown}


@pytest.mark.parametrize(("reported", "shown"), [(None, "10"), ("09", "10"), ("11", "11")])
def test_of_the_times_that_were_reported_and_recorded_the_later_is_shown(
    api: Api, id: str, reported: str | None, shown: str
) -> None:
    told_at = reported and f"2026-02-{reported}T00:00:00Z"
    tell(api, campaign(1), enrolment(id, 1, last_contacted_at=told_at, last_email_at=told_at))
    tell(api, sent(id, 1, "email", "2026-02-10T00:00:00Z", campaign_id=uuid(1)))
    (target,) = detail(api, id)["campaigns"]
    assert {target["last_contacted_at"], target["last_email_at"]} == {utc(f"2026-02-{shown}T00:00:00Z")}


def test_a_call_moves_the_last_contact_of_its_campaign_and_not_its_last_email(api: Api, id: str) -> None:
    tell(api, campaign(1), campaign(2), *(enrolment(id, n, last_contacted_at=None) for n in (1, 2)))
    tell(api, call(id, 1, "2026-02-10T00:00:00Z", campaign_id=uuid(1)))
    other, called = detail(api, id)["campaigns"]
    assert (called["last_contacted_at"], "last_email_at" in called) == (utc("2026-02-10T00:00:00Z"), False)
    assert (other["calls_made"], "last_contacted_at" in other) == (1, False)


# deleted customers


def test_a_deleted_customer_keeps_its_statistics_and_shows_no_campaigns(api: Api, id: str) -> None:
    tell(api, campaign(1), enrolment(id, 1), call(id, 1))
    before = detail(api, id)
    api.call("delete_customer", id)
    after = detail(api, id, query="include_deleted=true")
    assert (after["stats"], after["last_call"]) == (before["stats"], before["last_call"])
    assert (after["campaigns"], after["customer"]["deleted_at"] is None) == ([], False)
    api.call("restore_customer", id)
    assert detail(api, id) == {**before, "customer": api.call("get_customer", id).body}


def test_events_for_a_deleted_customer_are_recorded_and_show_no_campaigns_until_it_is_restored(
    api: Api, id: str
) -> None:
    api.call("delete_customer", id)
    tell(api, campaign(1), enrolment(id, 1), call(id, 1))
    body = detail(api, id, query="include_deleted=true")
    assert (body["stats"]["calls_total"], body["last_call"]["id"], body["campaigns"]) == (1, uuid(1), [])
    api.call("restore_customer", id)
    assert enrolled(api, id) == [1]


@pytest.mark.parametrize("operation", READS)
def test_reads_of_a_deleted_customer_are_404_unless_it_is_included(api: Api, id: str, operation: str) -> None:
    api.call("delete_customer", id)
    answer = api.call(operation, id)
    assert (answer.status, answer.body["code"]) == (404, "customer_deleted")
    assert api.call(operation, id, query="include_deleted=true").status == 200


# whose it is


@pytest.fixture
def of_ada(api: Api) -> str:
    """A customer of ada's, of whom everything was told."""
    id = api.create("C-1", owner="ada").id
    tell(api, campaign(1), enrolment(id, 1), call(id, 1, campaign_id=uuid(1)), sent(id, 1, "email"))
    return id


@pytest.mark.parametrize("operation", READS)
def test_reads_are_the_owners_and_the_administrators(api: Api, of_ada: str, operation: str) -> None:
    own = api.call(operation, of_ada, owner="ada")
    seen = api.call(operation, of_ada, owner="root", role="admin")
    if operation == "get_customer_detail":
        assert seen.body["customer"].pop("owner_id") == "ada"
    assert (own.status, seen.status, seen.body) == (200, 200, own.body)


@pytest.mark.parametrize("operation", READS)
def test_reads_want_the_scope_to_read(api: Api, of_ada: str, operation: str) -> None:
    answer = api.call(operation, of_ada, owner="ada", scope="customers:write customers:purge")
    assert (answer.status, answer.body["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("query", ["", "include_deleted=true"])
@pytest.mark.parametrize("operation", READS)
def test_reads_of_somebody_elses_customer_are_the_404_of_one_that_never_was(
    api: Api, of_ada: str, operation: str, query: str
) -> None:
    theirs, never = (api.call(operation, id, owner="bob", query=query) for id in (of_ada, str(uuid4())))
    assert theirs.status == 404
    assert theirs == never


@pytest.mark.parametrize("operation", READS)
def test_reads_of_a_purged_customer_are_the_404_of_one_that_never_was(api: Api, of_ada: str, operation: str) -> None:
    api.call("delete_customer", of_ada, query="purge=true", owner="ada")
    tell(api, call(of_ada, 2), enrolment(of_ada, 2))
    purged, never = (
        api.call(operation, id, owner="ada", query="include_deleted=true") for id in (of_ada, str(uuid4()))
    )
    assert purged == never


@pytest.mark.parametrize("operation", READS)
def test_reads_show_nothing_of_another_customer_in_the_same_campaign(api: Api, of_ada: str, operation: str) -> None:
    other = api.create("C-2", owner="ada").id
    body = api.call(operation, other, owner="ada").body
    assert (body.get("data", []), body.get("campaigns", []), "last_call" in body) == ([], [], False)
    assert api.call(operation, of_ada, owner="ada").body != body
