"""GET /customers/{customer_id}/activity: calls, WhatsApp messages and emails of one customer in one timeline."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers.dynamodb import Item, Table
from customers.events import Activity, CallUpserted, MessageSent
from customers.listing import ActivityParameters, list_activity
from tests.handlers import Answer, Api, event
from tests.unit.reads import call, detail, refused, sent, small_pages, tell, told, utc, uuid


@pytest.fixture
def id(api: Api) -> str:
    return api.create("C-1").id


def listed(api: Api, id: str, **params: Any) -> Answer:
    answer = api.call("list_customer_activity", id, query=urlencode(params))
    assert answer.status == 200, answer
    return answer


def found(api: Api, id: str, **params: Any) -> list[str]:
    """The ids of a page, in its order."""
    return [each["id"] for each in listed(api, id, **params).body["data"]]


# the envelope


def test_a_page_is_the_envelope_of_a_list_with_whole_calls_and_messages(api: Api, id: str) -> None:
    tell(api, told("CallUpserted", customer=id), told("MessageSent", customer=id))
    mail = event("MessageSent")["detail"]
    last_call = detail(api, id)["last_call"]
    sort = {"field": "occurred_at", "direction": "desc"}
    shared = {"campaign_id": mail["campaign_id"]}
    texts = {name: mail[name] for name in ("external_from", "external_to", "subject", "text")}
    times = {name: utc(mail[name]) for name in ("sent_at", "updated_at")}
    assert listed(api, id).body == {
        "data": [
            {
                "type": "email",
                "id": mail["id"],
                "occurred_at": times["sent_at"],
                "status": "delivered",
                "message": texts | times,
                **shared,
            },
            {
                "type": "call",
                "id": last_call["id"],
                "occurred_at": last_call["dispatched_at"],
                "status": "completed",
                "outcome": "answered",
                "call": last_call,
                **shared,
            },
        ],
        "meta": {"total": 2, "limit": 10, "offset": 0, "sort": sort},
        "query": {"filters": {}, "sort": sort},
    }


def test_calls_carry_their_analysis(api: Api, id: str) -> None:
    analysis = {
        "call_successful": "success",
        "call_summary_title": "Wants a quote",
        "transcript_summary": "First line.\nSecond line.",
        "customer_sentiment": "positive",
        "customer_sentiment_rationale": "Laughed",
        "agent_goal_result": "reached",
        "agent_goal_rationale": "Agreed to a date",
        "follow_up_required": False,
        "escalation_required": True,
    }
    tell(api, call(id, 1, **analysis))
    for params in ({}, {"type": "call"}):
        (shown,) = listed(api, id, **params).body["data"]
        assert analysis.items() <= shown["call"].items()


def test_fields_that_were_not_told_are_left_out(api: Api, id: str) -> None:
    untold = dict.fromkeys(["campaign_id", "external_from", "external_to", "subject", "text", "updated_at", "status"])
    tell(api, sent(id, 1, "whatsapp", **untold))
    (shown,) = listed(api, id).body["data"]
    assert shown == {
        "type": "whatsapp",
        "id": "message-1",
        "occurred_at": utc("2026-02-02T14:00:00Z"),
        "status": "sent",
        "message": {"sent_at": utc("2026-02-02T14:00:00Z")},
    }


@pytest.mark.parametrize("params", [{}, {"type": "call"}, {"date_from": "2026-01-01"}])
def test_a_customer_without_activity_has_an_empty_page(api: Api, id: str, params: dict[str, str]) -> None:
    body = listed(api, id, **params).body
    assert (body["data"], body["meta"]["total"]) == ([], 0)


def test_the_query_is_echoed_as_it_was_understood(api: Api, id: str) -> None:
    params = {
        "type": "Email,CALL,email",
        "status": 'Délivered, null, "null", "a,b"',
        "outcome": " ANSWERED ",
        "date_from": "2026-02-01",
        "date_to": "2026-02-01T12:00:00+02:00",
    }
    body = listed(api, id, limit=3, offset=2, **params).body
    sort = {"field": "occurred_at", "direction": "desc"}
    assert body["query"] == {
        "filters": {
            "type": ["email", "call"],
            "status": ["delivered", None, "null", "a,b"],
            "outcome": ["answered"],
        },
        "date_from": "2026-02-01T00:00:00.000000Z",
        "date_to": "2026-02-01T10:00:00.000000Z",
        "sort": sort,
    }
    assert body["meta"] == {"total": 0, "limit": 3, "offset": 2, "sort": sort}


def test_blank_parameters_are_as_absent_ones(api: Api, id: str) -> None:
    tell(api, call(id, 1))
    blank = {"type": "", "status": " ", "outcome": ",", "date_from": "", "date_to": "  "}
    assert listed(api, id, **blank).body == listed(api, id).body


# the order


def test_the_newest_comes_first_whatever_its_type_and_the_order_of_arrival(api: Api, id: str) -> None:
    tell(api, call(id, 1, "2026-02-02T00:00:00Z"), sent(id, 4, "email", "2026-02-04T00:00:00Z"))
    tell(api, sent(id, 3, "whatsapp", "2026-02-03T00:00:00Z"), sent(id, 2, "email", "2026-02-01T00:00:00Z"))
    assert found(api, id) == found(api, id, date_from="2026-01-01") == ["message-4", "message-3", uuid(1), "message-2"]


def test_times_differ_by_microseconds_and_are_compared_in_utc(api: Api, id: str) -> None:
    tell(
        api,
        sent(id, 1, "email", "2026-02-02T00:00:00.000002Z"),
        sent(id, 2, "email", "2026-02-02T00:00:00.000001Z"),
    )
    tell(api, sent(id, 3, "email", "2026-02-02T01:00:00+02:00"), sent(id, 4, "email", "2026-02-02T00:00:00"))
    assert found(api, id) == ["message-1", "message-2", "message-4", "message-3"]


@pytest.mark.parametrize("params", [{}, {"type": "call,whatsapp,email"}])
def test_activity_of_one_instant_has_one_order_on_every_page(api: Api, id: str, params: dict[str, str]) -> None:
    tell(api, *(sent(id, n, channel) for n in (2, 1) for channel in ("email", "whatsapp")), call(id, 1), call(id, 2))
    whole = [(each["type"], each["id"]) for each in listed(api, id, **params).body["data"]]
    assert whole == sorted(whole, reverse=True)
    pages = [listed(api, id, limit=1, offset=offset, **params).body["data"] for offset in range(6)]
    assert [(each["type"], each["id"]) for each in chain(*pages)] == whole


@pytest.mark.parametrize(
    ("times", "occurred_at"),
    [
        ({"dispatched_at": "2026-02-02T02:00:00Z", "finished_at": "2026-02-02T03:00:00Z"}, "2026-02-02T02:00:00Z"),
        ({"dispatched_at": None, "finished_at": "2026-02-02T03:00:00Z"}, "2026-02-02T03:00:00Z"),
        ({"dispatched_at": None, "finished_at": None}, "2026-02-02T01:00:00Z"),
    ],
    ids=["dispatched", "finished", "only planned"],
)
def test_a_call_stands_where_it_was_made_or_else_planned(
    api: Api, id: str, times: dict[str, str | None], occurred_at: str
) -> None:
    tell(api, told("CallUpserted", customer=id, scheduled_at="2026-02-02T01:00:00Z", **times))
    (shown,) = listed(api, id).body["data"]
    assert shown["occurred_at"] == utc(occurred_at)


def test_a_correction_moves_an_activity_and_leaves_nothing_where_it_was(api: Api, id: str) -> None:
    tell(api, call(id, 1, "2026-02-01T00:00:00Z"), call(id, 2, "2026-02-02T00:00:00Z"))
    tell(api, call(id, 1, "2026-02-03T00:00:00Z", outcome="busy", updated_at="2026-02-03T00:00:00Z"))
    assert (found(api, id), listed(api, id).body["meta"]["total"]) == ([uuid(1), uuid(2)], 2)
    assert found(api, id, date_to="2026-02-01") == []
    assert (found(api, id, outcome="busy"), found(api, id, outcome="answered")) == ([uuid(1)], [uuid(2)])


def test_a_message_of_each_channel_may_have_the_id_of_another(api: Api, id: str) -> None:
    tell(api, sent(id, 1, "email"), sent(id, 1, "whatsapp"))
    body = listed(api, id).body
    assert ([each["type"] for each in body["data"]], body["meta"]["total"]) == (["whatsapp", "email"], 2)


# filters


@pytest.fixture
def mixed(api: Api, id: str) -> str:
    """A customer with activities "1" to "6", of which the last is the newest."""
    days = (f"2026-02-0{n}T12:00:00Z" for n in range(1, 7))
    tell(
        api,
        call(id, 1, next(days), status="Completed", outcome="Answered"),
        call(id, 2, next(days), status="completed", outcome="no_answer"),
        call(id, 3, next(days), status="failed", outcome=None),
        sent(id, 4, "whatsapp", next(days), status="Délivré", outcome="read"),
        sent(id, 5, "email", next(days), status="null", outcome='say "hi", ok'),
        sent(id, 6, "email", next(days), status=None, outcome=None),
    )
    return id


def numbers(body: Any) -> str:
    return "".join(each["id"][-1] for each in body["data"])


def test_filters_are_comma_lists_without_case_and_accents_where_null_is_unset(api: Api, mixed: str) -> None:
    expected = [
        ({"type": "call"}, "321"),
        ({"type": "Email"}, "65"),
        ({"type": "whatsapp,email"}, "654"),
        ({"type": "call,whatsapp,email"}, "654321"),
        ({"type": ' "call" ,'}, "321"),
        ({"status": "completed"}, "21"),
        ({"status": "COMPLETED,failed"}, "321"),
        ({"status": "delivre"}, "4"),
        ({"status": "sent"}, "6"),
        ({"status": "null"}, ""),
        ({"status": '"null"'}, "5"),
        ({"status": "complete"}, ""),
        ({"status": "unheard of"}, ""),
        ({"outcome": "answered"}, "1"),
        ({"outcome": "answered,read"}, "41"),
        ({"outcome": "null"}, "63"),
        ({"outcome": "null,NO_ANSWER"}, "632"),
        ({"outcome": '"null"'}, ""),
        ({"outcome": '"say ""hi"", ok", read'}, "54"),
        ({"outcome": 'say "hi", ok'}, ""),
        ({"type": "call", "status": "completed", "outcome": "answered"}, "1"),
        ({"type": "call", "outcome": "null"}, "3"),
        ({"type": "email", "status": "completed"}, ""),
    ]
    for params, shown in expected:
        body = listed(api, mixed, **params).body
        assert (numbers(body), body["meta"]["total"]) == (shown, len(shown)), params


def test_a_filter_may_have_fifty_entries_and_not_one_more(api: Api, mixed: str) -> None:
    fifty = ",".join(["answered", *(f"word {n}" for n in range(49))])
    assert numbers(listed(api, mixed, outcome=fifty, status=fifty.replace("answered", "completed")).body) == "1"
    assert refused(api, "list_customer_activity", mixed, outcome=fifty + ",more")["loc"] == ["query", "outcome"]


def test_a_type_that_is_unknown_is_a_422_that_names_the_known(api: Api, id: str) -> None:
    for type in ("phone", "call,phone", '"call,email"', "calls"):
        problem = refused(api, "list_customer_activity", id, type=type)
        assert (problem["loc"], problem["type"]) == (["query", "type"], "enum"), type
        assert all(known in problem["msg"] for known in ("call", "whatsapp", "email")), type


# dates


def test_dates_are_inclusive_at_both_ends_and_narrow_with_the_filters(api: Api, mixed: str) -> None:
    expected = [
        ({"date_from": "2026-02-04"}, "654"),
        ({"date_to": "2026-02-03"}, "321"),
        ({"date_from": "2026-02-02", "date_to": "2026-02-02"}, "2"),
        ({"date_from": "2026-02-02T12:00:00Z", "date_to": "2026-02-05T12:00:00Z"}, "5432"),
        ({"date_from": "2026-02-02T12:00:00.000001Z", "date_to": "2026-02-05T11:59:59.999999Z"}, "43"),
        ({"date_from": "2026-02-02T14:00:00+02:00", "date_to": "2026-02-02T12:00:00"}, "2"),
        ({"date_from": "2026-02-07"}, ""),
        ({"date_to": "2026-01-31"}, ""),
        ({"date_from": "0001-01-01", "date_to": "9999-12-31"}, "654321"),
        ({"date_from": "2026-02-02", "type": "call"}, "32"),
        ({"date_to": "2026-02-05", "outcome": "null"}, "3"),
    ]
    for params, shown in expected:
        body = listed(api, mixed, **params).body
        assert (numbers(body), body["meta"]["total"]) == (shown, len(shown)), params


@pytest.mark.parametrize("name", ["date_from", "date_to"])
def test_dates_that_are_none_are_422(api: Api, id: str, name: str) -> None:
    for text in ("yesterday", "2026-02-30", "2026-02", "1770000000", "2026-02-02T25:00:00Z", "null"):
        assert refused(api, "list_customer_activity", id, **{name: text})["loc"] == ["query", name], text


def test_dates_in_the_wrong_order_are_422(api: Api, id: str) -> None:
    problem = refused(api, "list_customer_activity", id, date_from="2026-02-02", date_to="2026-02-01")
    assert (problem["loc"], problem["type"]) == (["query", "date_to"], "date_range")


# limit, offset


PATHS: list[dict[str, str]] = [{}, {"type": "call,email,whatsapp"}, {"date_to": "2027-01-01"}]


def test_pages_by_offset_are_the_whole_timeline_without_gap_or_repetition(api: Api, mixed: str) -> None:
    for params in PATHS:
        bodies = [listed(api, mixed, limit=2, offset=offset, **params).body for offset in range(0, 8, 2)]
        assert [numbers(body) for body in bodies] == ["65", "43", "21", ""]
        assert {body["meta"]["total"] for body in bodies} == {6}
        assert numbers(listed(api, mixed, limit=3, offset=1, **params).body) == "543"


def test_pages_of_one_type_hold_only_that_and_count_only_that(api: Api, mixed: str) -> None:
    for pages in (nullcontext, small_pages):
        with pages():
            bodies = [listed(api, mixed, type="call", limit=2, offset=offset).body for offset in range(4)]
        assert [numbers(body) for body in bodies] == ["32", "21", "1", ""]
        assert {body["meta"]["total"] for body in bodies} == {3}


def test_pages_are_full_though_dynamodb_reads_less_at_a_time(api: Api, mixed: str) -> None:
    with small_pages():
        for params in PATHS:
            assert numbers(listed(api, mixed, limit=3, **params).body) == "654"
            assert numbers(listed(api, mixed, limit=5, offset=3, **params).body) == "321"
            assert listed(api, mixed, limit=1, **params).body["meta"]["total"] == 6


def test_an_offset_past_the_end_is_an_empty_page_with_the_exact_total(api: Api, mixed: str) -> None:
    for params in PATHS:
        for offset in (6, 7, 10**30):
            body = listed(api, mixed, offset=offset, **params).body
            assert (body["data"], body["meta"]["total"], body["meta"]["offset"]) == ([], 6, offset)


def test_an_offset_past_the_end_skips_nothing_to_find_that_out(
    api: Api, mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("customers.listing.activity._count_past")
    assert found(api, mixed, offset=6) == []


@pytest.mark.parametrize("operation", ["list_customer_activity", "list_customer_campaigns"])
def test_a_limit_or_an_offset_out_of_range_is_422_and_never_clamped(api: Api, id: str, operation: str) -> None:
    for name, value in (("limit", 0), ("limit", 201), ("limit", -1), ("limit", "ten"), ("offset", -1), ("offset", "x")):
        assert refused(api, operation, id, **{name: value})["loc"] == ["query", name], value
    assert api.call(operation, id, query="limit=200").body["meta"]["limit"] == 200


def test_everything_that_is_wrong_is_named_at_once(api: Api, id: str) -> None:
    answer = api.call("list_customer_activity", id, query="type=x&limit=0&offset=-1&date_from=x&date_to=y")
    assert answer.status == 422
    assert [problem["loc"][1] for problem in answer.body["detail"]] == [
        "type",
        "limit",
        "offset",
        "date_from",
        "date_to",
    ]


def test_a_filtered_page_of_more_than_one_request_reads_is_whole_and_in_order(api: Api, id: str, table: Table) -> None:
    for n in range(120):
        time = f"2026-02-02T{n // 60:02}:{n % 60:02}:00Z"
        table.put(MessageSent(**sent(id, n, "email", time)["detail"]).item())
    body = listed(api, id, status="delivered", limit=200).body
    assert [each["id"] for each in body["data"]] == [f"message-{n}" for n in reversed(range(120))]
    assert found(api, id, status="delivered", limit=110, offset=5) == [f"message-{n}" for n in range(114, 4, -1)]


def test_a_filtered_page_is_in_order_whatever_the_order_in_which_it_is_read(
    api: Api, mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_get = Table.batch_get
    monkeypatch.setattr(Table, "batch_get", lambda table, keys: batch_get(table, keys)[::-1])
    assert numbers(listed(api, mixed, date_from="2026-01-01").body) == "654321"


def test_an_activity_that_moves_while_it_is_listed_is_left_out(
    api: Api, mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_get = Table.batch_get

    def moving(table: Table, keys: Sequence[Mapping[str, str]]) -> list[Item]:
        tell(api, call(mixed, 2, "2026-03-01T00:00:00Z", updated_at="2026-03-01T00:00:00Z"))
        return batch_get(table, keys)

    monkeypatch.setattr(Table, "batch_get", moving)
    assert numbers(listed(api, mixed, type="call", date_from="2026-01-01").body) == "31"


# deleted customers


def test_the_activity_of_a_deleted_customer_is_shown_when_it_is_included(api: Api, mixed: str) -> None:
    before = listed(api, mixed).body
    api.call("delete_customer", mixed)
    tell(api, call(mixed, 7, "2026-03-01T00:00:00Z"))
    after = listed(api, mixed, include_deleted="true").body
    assert (after["data"][1:], after["meta"]["total"]) == (before["data"], 7)
    assert numbers(listed(api, mixed, include_deleted="true", type="call").body) == "7321"


# against a model

TIMES = [
    "2026-01-01T00:00:00.000000Z",
    "2026-01-01T23:59:59.999999Z",
    "2026-01-02T00:00:00.000000Z",
    "2026-01-02T12:00:00.000001Z",
    "2026-02-01T00:00:00.000000Z",
]
WORDS = ["Done", "done", "null", "a,b", "École"]
# A filter as a client writes it, and the words that it means; None is unset.
FILTERS: Mapping[str, set[str | None]] = {
    "done": {"Done", "done"},
    "null": {None},
    '"null"': {"null"},
    "DONE, null": {"Done", "done", None},
    '"A,b" , ecole,x': {"a,b", "École"},
    "a,b": set(),
}
# Dates as a client writes them, and the times between which what they mean lies.
RANGES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("", ""): ("", "9"),
    ("2026-01-02", ""): (TIMES[2], "9"),
    ("", "2026-01-01"): ("", TIMES[1]),
    ("2026-01-01", "2026-01-02"): (TIMES[0], "2026-01-02T23:59:59.999999Z"),
    ("2026-01-01T23:59:59.999999Z", "2026-01-02T00:00:00Z"): (TIMES[1], TIMES[2]),
    ("2026-01-03", "2026-01-31"): ("2026-01-03", "2026-01-31"),
}
TYPES: Mapping[str, set[str]] = {
    "": {"call", "whatsapp", "email"},
    "Call": {"call"},
    "email,whatsapp": {"whatsapp", "email"},
}


@dataclass(frozen=True)
class Contact:
    type: str
    time: str
    status: str
    outcome: str | None


@dataclass(frozen=True)
class Asked:
    type: str
    status: str | None
    outcome: str | None
    dates: tuple[str, str]
    limit: int
    offset: int

    @property
    def params(self) -> dict[str, str]:
        filters = {"type": self.type, "status": self.status or "", "outcome": self.outcome or ""}
        dates = dict(zip(("date_from", "date_to"), self.dates, strict=True))
        return {**filters, **dates, "limit": str(self.limit), "offset": str(self.offset)}

    def leaves(self, contact: Contact) -> bool:
        first, last = RANGES[self.dates]
        return (
            contact.type in TYPES[self.type]
            and (self.status is None or contact.status in FILTERS[self.status])
            and (self.outcome is None or contact.outcome in FILTERS[self.outcome])
            and first <= contact.time <= last
        )


contacts = st.lists(
    st.builds(
        Contact,
        type=st.sampled_from(["call", "whatsapp", "email"]),
        time=st.sampled_from(TIMES),
        status=st.sampled_from(WORDS),
        outcome=st.sampled_from([None, *WORDS]),
    ),
    max_size=12,
)
asked = st.builds(
    Asked,
    type=st.sampled_from([*TYPES]),
    status=st.none() | st.sampled_from([*FILTERS]),
    outcome=st.none() | st.sampled_from([*FILTERS]),
    dates=st.just(("", "")) | st.sampled_from([*RANGES]),
    limit=st.integers(1, 13),
    offset=st.integers(0, 13),
)


def recorded(id: str, n: int, contact: Contact) -> Activity:
    fields = {"status": contact.status, "outcome": contact.outcome}
    if contact.type == "call":
        return CallUpserted(**call(id, n, contact.time, **fields)["detail"])
    return MessageSent(**sent(id, n, contact.type, contact.time, **fields)["detail"])


@given(contacts, st.lists(asked, min_size=4, max_size=4), st.sampled_from([nullcontext, small_pages]))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_page_of_every_timeline_equals_a_brute_force_model(
    table: Table, made: list[Contact], queries: list[Asked], pages: Callable[[], AbstractContextManager[None]]
) -> None:
    id = str(uuid4())
    items = [recorded(id, n, contact).item() for n, contact in enumerate(made)]
    for item in items:
        table.put(item)
    stats = Counter(chain(*(item["counted"] for item in items)))
    by_id = {str(item["id"]): contact for item, contact in zip(items, made, strict=True)}
    newest_first = sorted(by_id.items(), key=lambda each: (each[1].time, each[1].type, each[0]), reverse=True)
    for query in queries:
        left = [(id, contact) for id, contact in newest_first if query.leaves(contact)]
        with pages():
            page = list_activity(table, id, stats, ActivityParameters.parse(query.params))
        shown = [(each.id, Contact(each.type, each.occurred_at, each.status, each.outcome)) for each in page.data]
        assert (shown, page.meta.total) == (left[query.offset : query.offset + query.limit], len(left)), query
