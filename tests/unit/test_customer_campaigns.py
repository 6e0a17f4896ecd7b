"""GET /customers/{customer_id}/campaigns: the campaigns that a customer is enrolled in, in the envelope of a list."""

from itertools import chain
from typing import Any, get_args
from urllib.parse import urlencode
from uuid import UUID

import pytest

from customers.models import CampaignStatus
from tests.handlers import Answer, Api, event
from tests.unit.reads import campaign, enrolment, refused, tell, told, utc, uuid

FIELDS = ["created_at", "updated_at", "name", "status"]


@pytest.fixture
def id(api: Api) -> str:
    return api.create("C-1").id


def listed(api: Api, id: str, **params: Any) -> Answer:
    answer = api.call("list_customer_campaigns", id, query=urlencode(params))
    assert answer.status == 200, answer
    return answer


def found(api: Api, id: str, **params: Any) -> list[int]:
    """The numbers of a page's campaigns, in its order."""
    return [UUID(each["id"]).int for each in listed(api, id, **params).body["data"]]


def enrol(api: Api, id: str, *campaigns: dict[str, Any]) -> None:
    """Tell of campaigns 1, 2, … with these fields, and that the customer is in each of them."""
    for n, fields in enumerate(campaigns, start=1):
        tell(api, campaign(n, **fields), enrolment(id, n))


# the envelope


def test_a_page_is_the_envelope_of_a_list_with_every_field_of_its_campaigns(api: Api, id: str) -> None:
    tell(api, told("CampaignUpserted"), told("TargetUpserted", customer=id))
    of_event = event("CampaignUpserted")["detail"]
    sort = {"field": "created_at", "direction": "desc"}
    shown = {name: of_event[name] for name in of_event if name != "schema_version"}
    assert listed(api, id).body == {
        "data": [shown | {name: utc(of_event[name]) for name in ("created_at", "updated_at")}],
        "meta": {"total": 1, "limit": 10, "offset": 0, "sort": sort},
        "query": {"filters": {}, "sort": sort},
    }


def test_fields_that_were_not_told_are_left_out(api: Api, id: str) -> None:
    untold = ["agent_id", "agent_name", "phone_number_id", "phone_number", "whatsapp_channel_id", "goal"]
    enrol(api, id, dict.fromkeys(untold))
    (shown,) = listed(api, id).body["data"]
    assert shown.keys() == {"id", "name", "status", "created_at", "updated_at"}


def test_a_customer_in_no_campaign_has_an_empty_page(api: Api, id: str) -> None:
    body = listed(api, id).body
    assert (body["data"], body["meta"]["total"]) == ([], 0)


def test_the_query_is_echoed_as_it_was_understood(api: Api, id: str) -> None:
    body = listed(
        api, id, status="Running, done,RUNNING", q=" Spring ", sort_field="name", sort_dir="asc", limit=3
    ).body
    assert body["query"] == {
        "q": " Spring ",
        "filters": {"status": ["running", "done"]},
        "sort": {"field": "name", "direction": "asc"},
    }
    assert body["meta"] == {"total": 0, "limit": 3, "offset": 0, "sort": body["query"]["sort"]}


def test_blank_parameters_are_as_absent_ones(api: Api, id: str) -> None:
    enrol(api, id, {}, {})
    assert listed(api, id, status=" ", q="", sort_field="").body == listed(api, id).body
    assert listed(api, id, q="  ").body == listed(api, id, q="\u0301").body == listed(api, id).body


def test_parameters_that_are_unknown_are_ignored(api: Api, id: str) -> None:
    assert listed(api, id, colour="red", campaign_id="1").body == listed(api, id).body


# which campaigns


def test_a_campaign_is_listed_once_it_is_known_and_the_customer_enrolled_and_until_either_ends(
    api: Api, id: str
) -> None:
    tell(api, enrolment(id, 1), campaign(2), campaign(3), enrolment(id, 3), campaign(4), enrolment(id, 4))
    assert found(api, id) == [4, 3]
    tell(api, campaign(1), enrolment(id, 2), told("CampaignDeleted", id=uuid(3)))
    tell(api, told("TargetRemoved", customer=id, campaign_id=uuid(4)))
    assert found(api, id) == [2, 1]


def test_a_campaign_is_listed_as_it_is_now(api: Api, id: str) -> None:
    enrol(api, id, {"name": "Old", "status": "draft"})
    tell(api, campaign(1, name="New", status="done", goal=None, updated_at="2026-05-01T00:00:00Z"))
    (shown,) = listed(api, id, status="done").body["data"]
    assert (shown["name"], "goal" in shown, shown["updated_at"]) == ("New", False, utc("2026-05-01T00:00:00Z"))
    assert found(api, id, q="old") == found(api, id, status="draft") == []


def test_a_deleted_customer_has_none_until_it_is_restored(api: Api, id: str) -> None:
    enrol(api, id, {}, {})
    api.call("delete_customer", id)
    body = listed(api, id, include_deleted="true").body
    assert (body["data"], body["meta"]["total"]) == ([], 0)
    api.call("restore_customer", id)
    assert found(api, id) == [2, 1]


def test_more_campaigns_than_one_request_reads_are_all_counted_sorted_and_paged(api: Api, id: str) -> None:
    enrol(api, id, *({"name": f"N{n:03}", "status": ["paused", "done"][n % 2]} for n in range(1, 106)))
    pages = [found(api, id, sort_field="name", sort_dir="asc", limit=100, offset=offset) for offset in (0, 100)]
    assert [*chain(*pages)] == [*range(1, 106)]
    assert listed(api, id, status="done", limit=1).body["meta"]["total"] == 53
    assert found(api, id, q="n10", sort_field="name") == [105, 104, 103, 102, 101, 100]


# status


@pytest.fixture
def four(api: Api, id: str) -> str:
    """A customer in a campaign of each status: 1 is a draft, 2 runs, 3 is paused, 4 is done."""
    enrol(api, id, *({"status": status} for status in get_args(CampaignStatus)))
    return id


def test_status_is_a_comma_list_without_case(api: Api, four: str) -> None:
    expected = {
        "draft": [1],
        "RUNNING": [2],
        "paused,done": [4, 3],
        ' "paused" , Done,': [4, 3],
        "draft,draft": [1],
        ",": [4, 3, 2, 1],
        "draft,running,paused,done": [4, 3, 2, 1],
    }
    for status, campaigns in expected.items():
        assert found(api, four, status=status) == campaigns, status
        assert listed(api, four, status=status).body["meta"]["total"] == len(campaigns), status


def test_status_that_is_unknown_is_a_422_that_names_the_known(api: Api, id: str) -> None:
    for status in ("stopped", "draft,stopped", "null", '"draft,done"', "run"):
        problem = refused(api, "list_customer_campaigns", id, status=status)
        assert (problem["loc"], problem["type"]) == (["query", "status"], "enum"), status
        assert all(known in problem["msg"] for known in get_args(CampaignStatus)), status


# q


def test_q_finds_every_term_in_the_name_without_case_and_accents(api: Api, id: str) -> None:
    enrol(api, id, {"name": "Spring Renewal"}, {"name": "Back to École"}, {"name": "100% renewal"})
    expected = {
        "RENEWAL": [3, 1],
        "new": [3, 1],
        "ecole": [2],
        "École": [2],
        "renewal spring": [1],
        "renewal ecole": [],
        "0%": [3],
        "*": [],
        "iris": [],
        "running": [],
    }
    for q, campaigns in expected.items():
        body = listed(api, id, q=q).body
        assert ([UUID(each["id"]).int for each in body["data"]], body["query"]["q"]) == (campaigns, q)
        assert body["meta"]["total"] == len(campaigns), q


def test_q_and_status_narrow_together(api: Api, id: str) -> None:
    enrol(api, id, {"name": "A", "status": "done"}, {"name": "A", "status": "draft"}, {"name": "B", "status": "done"})
    assert found(api, id, q="a", status="done") == [1]


# sort


@pytest.fixture
def sortable(api: Api, id: str) -> str:
    enrol(
        api,
        id,
        {
            "name": "beta",
            "status": "running",
            "created_at": "2026-01-03T00:00:00Z",
            "updated_at": "2026-02-01T00:00:00Z",
        },
        {
            "name": "Älpha",
            "status": "paused",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-02-03T00:00:00Z",
        },
        {
            "name": "Gamma",
            "status": "draft",
            "created_at": "2026-01-02T00:00:00Z",
            "updated_at": "2026-02-02T00:00:00Z",
        },
    )
    return id


def test_sort_goes_in_both_directions_by_each_field_without_case_and_accents(api: Api, sortable: str) -> None:
    orders = {"created_at": [2, 3, 1], "updated_at": [1, 3, 2], "name": [2, 1, 3], "status": [3, 2, 1]}
    for field, ascending in orders.items():
        assert found(api, sortable, sort_field=field, sort_dir="asc") == ascending, field
        assert found(api, sortable, sort_field=field, sort_dir="desc") == ascending[::-1], field
        assert found(api, sortable, sort_field=field) == ascending[::-1], field


def test_sort_is_by_creation_with_the_newest_first_by_default(api: Api, sortable: str) -> None:
    assert found(api, sortable) == found(api, sortable, sort_field="created_at", sort_dir="desc") == [1, 3, 2]
    assert found(api, sortable, sort_dir="asc") == [2, 3, 1]


def test_ties_break_by_id_in_the_direction_of_the_order(api: Api, id: str) -> None:
    enrol(api, id, {"name": "Same"}, {"name": "SAME"}, {"name": "same"})
    for field in FIELDS:
        assert found(api, id, sort_field=field, sort_dir="asc") == [1, 2, 3], field
        assert found(api, id, sort_field=field, sort_dir="desc") == [3, 2, 1], field


def test_sort_by_an_unknown_field_is_a_422_that_names_the_known(api: Api, id: str) -> None:
    problem = refused(api, "list_customer_campaigns", id, sort_field="goal")
    assert problem["loc"] == ["query", "sort_field"]
    assert all(field in problem["msg"] for field in FIELDS)


def test_sort_in_an_unknown_direction_is_422(api: Api, id: str) -> None:
    assert refused(api, "list_customer_campaigns", id, sort_dir="up")["loc"] == ["query", "sort_dir"]


# limit, offset


def test_pages_by_offset_are_the_whole_list_without_gap_or_repetition(api: Api, id: str) -> None:
    enrol(api, id, *({"name": "ab"[n % 2]} for n in range(7)))
    for field in FIELDS:
        pages = [found(api, id, sort_field=field, limit=3, offset=offset) for offset in (0, 3, 6, 9)]
        assert [len(page) for page in pages] == [3, 3, 1, 0]
        assert [*chain(*pages)] == found(api, id, sort_field=field)


def test_an_offset_past_the_end_is_an_empty_page_with_the_exact_total(api: Api, sortable: str) -> None:
    for offset in (3, 4, 10**30):
        body = listed(api, sortable, offset=offset).body
        assert (body["data"], body["meta"]["total"], body["meta"]["offset"]) == ([], 3, offset)


def test_everything_that_is_wrong_is_named_at_once(api: Api, id: str) -> None:
    answer = api.call("list_customer_campaigns", id, query="status=x&limit=0&offset=-1&sort_field=goal&sort_dir=up")
    assert answer.status == 422
    assert [problem["loc"][1] for problem in answer.body["detail"]] == [
        "status",
        "limit",
        "offset",
        "sort_field",
        "sort_dir",
    ]
