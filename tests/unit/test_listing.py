"""listing, end to end; and that no listing reads what its plan does not name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from threading import Barrier, Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID, uuid4

import pytest

from customers import keys
from customers.dynamodb import encode
from customers.models import Customer
from tests.handlers import Answer, Api

TEXT_FIELDS = ["name", "surname", "email", "phone", "status"]
QUICK_FILTERS_OF_NOTHING = {"all": 0, "deleted": 0, "status:none": 0}

type Store = Callable[..., str]


@pytest.fixture
def store(dynamodb: Any) -> Store:
    """Put a customer where the API would, with the id, times and state that a test needs; its id."""

    def stored(customer_id: str, *, owner: str = "demo-owner", n: int = 0, **fields: Any) -> str:
        time = fields.get("created_at", "2026-01-01T00:00:00.000000Z")
        known = {"id": str(UUID(int=n) if n else uuid4()), "owner_id": owner, "created_at": time, "updated_at": time}
        customer = Customer(**{**known, "customer_id": customer_id, **fields})
        for item in (customer.item(), keys.owner(owner)):
            dynamodb.put_item(TableName="customers", Item=encode(item))
        dynamodb.update_item(
            TableName="customers",
            Key=encode(keys.count(owner, customer.id)),
            UpdateExpression="ADD #name :one",
            ExpressionAttributeNames={"#name": keys.count_name(customer.state, customer.status_key)},
            ExpressionAttributeValues=encode({":one": 1}),
        )
        return customer.id

    return stored


def listed(api: Api, *, owner: str = "demo-owner", role: str = "user", **params: Any) -> Answer:
    answer = api.call("list_customers", query=urlencode(params), owner=owner, role=role)
    assert answer.status == 200, answer
    return answer


def found(api: Api, **params: Any) -> list[str]:
    """The customer_ids of a page, in its order."""
    return [each["customer_id"] for each in listed(api, **params).body["data"]]


def quick_filters(api: Api, **params: Any) -> dict[str, int]:
    answer = listed(api, include_aggregations="true", **params)
    return answer.body["aggregations"]["quick_filters"]  # type: ignore[no-any-return]


# sort_field


def test_sort_field_is_created_at_by_default_and_the_newest_comes_first(api: Api) -> None:
    for customer_id in ("C-2", "C-1", "C-3"):
        api.create(customer_id)
    assert found(api) == found(api, sort_field="created_at", sort_dir="desc") == ["C-3", "C-1", "C-2"]
    assert found(api, sort_dir="asc") == ["C-2", "C-1", "C-3"]


def test_sort_field_updated_at_moves_with_every_change(api: Api) -> None:
    first, _ = api.create("C-1"), api.create("C-2")
    assert found(api, sort_field="updated_at") == ["C-2", "C-1"]
    api.call("update_customer", first.id, {"name": "Ada"})
    assert found(api, sort_field="updated_at") == ["C-1", "C-2"]


def test_sort_field_orders_texts_without_case_and_accents_and_phones_by_their_digits(api: Api) -> None:
    ordered = {
        "name": ["ada", "Émile", "eva", "Zoë"],
        "surname": ["1st", "de Witt", "Straße", "strassen"],
        "email": ["ada@a.example", "ADA@b.example", "bob@a.example", "bób@b.example"],
        "phone": ["02-1", "+1 5", "(1) 6", "2"],
        "status": ["A", "b", "C d", "Łast"],
        "customer_id": ["a-1", "B-1", "c-1", "É-1"],
    }
    for record in reversed([*zip(*ordered.values(), strict=True)]):
        api.create(**dict(zip(ordered, record, strict=True)))
    for field, values in ordered.items():
        for direction, expected in (("asc", values), ("desc", values[::-1])):
            assert [each[field] for each in listed(api, sort_field=field, sort_dir=direction).body["data"]] == expected


def test_sort_field_that_is_unknown_is_a_422_that_names_the_known(api: Api) -> None:
    answer = api.call("list_customers", query="sort_field=agent_id")
    (problem,) = answer.body["detail"]
    assert (answer.status, problem["loc"], problem["type"]) == (422, ["query", "sort_field"], "enum")
    assert all(field in problem["msg"] for field in keys.SORT_INDEXES)


@pytest.mark.parametrize("search", [{}, {"q": "e"}])
def test_absent_values_come_last_in_both_directions(api: Api, search: dict[str, str]) -> None:
    api.create("none")
    api.create("some", **dict.fromkeys(TEXT_FIELDS, "9@example.com"))
    for field in TEXT_FIELDS:
        for direction in ("asc", "desc"):
            assert found(api, sort_field=field, sort_dir=direction, **search) == ["some", "none"], field


def test_a_cleared_value_is_absent_again(api: Api) -> None:
    first = api.create("first", name="A").id
    api.create("second", name="B")
    api.call("update_customer", first, {"name": None})
    assert found(api, sort_field="name", sort_dir="asc") == ["second", "first"]


@pytest.mark.parametrize("search", [{}, {"q": "c-"}])
def test_ties_break_by_id_in_the_direction_of_the_order(api: Api, store: Store, search: dict[str, str]) -> None:
    for n, customer_id in ((3, "c-1"), (1, "C-1"), (2, "Ć-1")):  # they sort alike
        store(customer_id, n=n, **dict.fromkeys(TEXT_FIELDS, "5@example.com"))
    for field in keys.SORT_INDEXES:
        for direction, expected in (("asc", [1, 2, 3]), ("desc", [3, 2, 1])):
            data = listed(api, sort_field=field, sort_dir=direction, **search).body["data"]
            assert [UUID(each["id"]).int for each in data] == expected, field


@pytest.mark.parametrize("search", [{}, {"q": "day"}])
def test_ties_of_a_status_break_by_creation(api: Api, store: Store, search: dict[str, str]) -> None:
    for n, day in ((1, 2), (2, 3), (3, 1)):
        store(f"day-{day}", n=n, status="vip", created_at=f"2026-01-0{day}T00:00:00.000000Z")
    assert found(api, sort_field="status", sort_dir="asc", **search) == ["day-1", "day-2", "day-3"]
    assert found(api, sort_field="status", sort_dir="desc", **search) == ["day-3", "day-2", "day-1"]


# limit, offset


def test_limit_and_offset_out_of_range_are_422_and_never_clamped(api: Api) -> None:
    for query in ("limit=0", "limit=201", "limit=-1", "limit=ten", "offset=-1", "offset=x"):
        answer = api.call("list_customers", query=query)
        assert answer.status == 422, query
        assert [problem["loc"] for problem in answer.body["detail"]] == [["query", query.partition("=")[0]]]


@pytest.mark.parametrize("search", [{}, {"q": "c"}])
def test_pages_by_offset_are_the_whole_list_without_gap_or_repetition(api: Api, search: dict[str, str]) -> None:
    for n in range(7):
        api.create(f"C-{n}", status="ab"[n % 2], name=f"N{n % 3}" if n % 3 else None)
    for field in ("created_at", "status", "name"):
        whole = found(api, sort_field=field, **search)
        pages = [found(api, sort_field=field, limit=3, offset=offset, **search) for offset in (0, 3, 6, 9)]
        assert (len(whole), [len(page) for page in pages]) == (7, [3, 3, 1, 0])
        assert [*chain(*pages)] == whole


def test_an_offset_past_the_end_is_an_empty_page_with_the_exact_total(api: Api) -> None:
    api.create("C-1")
    for offset in (1, 2, 10**30):
        body = listed(api, offset=offset).body
        assert (body["data"], body["meta"]["total"], body["meta"]["offset"]) == ([], 1, offset)


# q


@pytest.fixture
def people(api: Api) -> Api:
    api.create("CRM-77", name="Zoë", surname="Müller", email="zoe@example.com", phone="+39 02 1234-5", status="gold")
    api.create("ERP-05", name="Ada", surname="Straße", email="a.b@müller.example", phone="ext. 555", status="gold")
    api.create("X´Y", name="100% *", surname="O'Neil", phone="none")
    return api


def by_text(api: Api, *texts: str) -> dict[str, list[str]]:
    return {text: found(api, q=text, sort_dir="asc") for text in texts}


def test_q_finds_a_part_of_name_surname_email_or_customer_id_without_case_and_accents(people: Api) -> None:
    expected = {
        "zoe": ["CRM-77"],
        "ZOË": ["CRM-77"],
        "strasse": ["ERP-05"],
        "ller": ["CRM-77", "ERP-05"],
        "MULLER": ["CRM-77", "ERP-05"],
        "@example.com": ["CRM-77"],
        "crm-7": ["CRM-77"],
        "o'neil": ["X´Y"],
        "nobody": [],
    }
    assert by_text(people, *expected) == expected


def test_q_wants_every_term_in_any_order_and_any_field(people: Api) -> None:
    expected = {"muller zoe": ["CRM-77"], "zoe 1234 crm com": ["CRM-77"], "muller zoe ada": []}
    assert by_text(people, *expected) == expected


def test_q_matches_a_phone_by_terms_of_digits_only(people: Api) -> None:
    expected = {"390212345": ["CRM-77"], "2123": ["CRM-77"], "12 02": ["CRM-77"], "+39": [], "02-1": [], "34-5": []}
    assert by_text(people, *expected) == expected


def test_q_matches_neither_letters_of_a_phone_nor_a_status_nor_a_time_nor_across_fields(people: Api) -> None:
    texts = ("ext", "gold", "2026-", "zoemuller", "mullerzoe")
    assert not any(by_text(people, *texts).values())


def test_q_is_folded_first_and_split_after_as_the_record_was(people: Api) -> None:
    assert by_text(people, "x´y", "Y X", "y´") == {"x´y": ["X´Y"], "Y X": ["X´Y"], "y´": ["X´Y"]}


def test_q_takes_percent_and_star_literally(people: Api) -> None:
    expected = {"%": ["X´Y"], "*": ["X´Y"], "0% *": ["X´Y"], "z%": [], "z*": [], "_": [], ".*": []}
    assert by_text(people, *expected) == expected


@pytest.mark.parametrize("text", ["", "  ", "\u0301"])
def test_q_that_is_empty_is_no_search(people: Api, text: str) -> None:
    body = listed(people, q=text).body
    assert (body["meta"]["total"], "q" in body["query"]) == (3, False)


def test_q_forgets_what_a_record_was_called_before(people: Api) -> None:
    (record,) = listed(people, q="zoe").body["data"]
    people.call("update_customer", record["id"], {"name": "Eva", "email": None})
    assert by_text(people, "zoe", "eva") == {"zoe": [], "eva": ["CRM-77"]}


# status filter


@pytest.fixture
def statuses(api: Api) -> Api:
    for customer_id, status in {"1": "VIP", "2": "vip", "3": "Lead", "4": None, "5": "null", "6": "a,b"}.items():
        api.create(customer_id, status=status, name="Ada")
    return api


@pytest.mark.parametrize("search", [{}, {"q": "ada"}, {"sort_field": "customer_id"}, {"sort_field": "updated_at"}])
def test_status_filter_is_folded_equality_over_a_comma_list_where_null_is_unset(
    statuses: Api, search: dict[str, str]
) -> None:
    expected = {
        "vip": "12",
        "ViP": "12",
        "vip,lead": "123",
        "null": "4",
        '"null"': "5",
        "lead,null": "34",
        'vip, "a,b", null': "1246",
        "a,b": "",
        "vi": "",
        "": "123456",
    }
    for status, customer_ids in expected.items():
        body = listed(statuses, status=status, sort_dir="asc", **search).body
        assert "".join(each["customer_id"] for each in body["data"]) == customer_ids, status
        assert body["meta"]["total"] == len(customer_ids), status


def test_status_filter_by_status_keeps_the_order_of_statuses_and_the_unset_last(statuses: Api) -> None:
    for direction, expected in (("asc", "312" + "4"), ("desc", "213" + "4")):
        assert "".join(found(statuses, status="null,vip,lead", sort_field="status", sort_dir=direction)) == expected


def test_status_filter_follows_a_change_of_status(api: Api) -> None:
    id = api.create("C-1", status="lead").id
    api.call("update_customer", id, {"status": "vip"})
    assert (found(api, status="lead"), found(api, status="vip")) == ([], ["C-1"])


# dates


@pytest.fixture
def days(api: Api, store: Store) -> Api:
    """Three records from the first instant of a day to the first of the next; all updated months later."""
    for n, time in enumerate(("01T00:00:00.000000Z", "01T23:59:59.999999Z", "02T00:00:00.000000Z"), start=1):
        created = f"2026-01-{time}"
        store(str(n), created_at=created, updated_at="2026-06-01T00:00:00.000000Z", status="ab"[n % 2], name="Ada")
    return api


@pytest.mark.parametrize(
    ("dates", "customer_ids"),
    [
        ({"date_from": "2026-01-01", "date_to": "2026-01-01"}, {"1", "2"}),
        ({"date_from": "2026-01-02"}, {"3"}),
        ({"date_to": "2026-01-01T00:00:00Z"}, {"1"}),
        ({"date_from": "2026-01-01T23:59:59.999999Z", "date_to": "2026-01-02T00:00:00Z"}, {"2", "3"}),
        ({"date_from": "2026-01-02T01:00:00+01:00"}, {"3"}),
        ({"date_from": "2026-01-01T00:00:00.000001", "date_to": "2026-01-01T23:59:59"}, set[str]()),
        ({"date_from": "2026-06-01"}, set[str]()),
    ],
)
def test_dates_are_on_created_at_and_both_ends_are_inclusive(
    days: Api, dates: dict[str, str], customer_ids: set[str]
) -> None:
    for search in ({"q": "ada"}, *({"sort_field": field} for field in keys.SORT_INDEXES)):
        body = listed(days, **dates, **search).body
        assert {each["customer_id"] for each in body["data"]} == customer_ids
        assert body["meta"]["total"] == len(customer_ids)


def test_dates_and_statuses_narrow_together(days: Api) -> None:
    for search in ({}, {"q": "ada"}, {"sort_field": "name"}, {"sort_field": "status"}):
        body = listed(days, status="b", date_to="2026-01-01", **search).body
        assert ([each["customer_id"] for each in body["data"]], body["meta"]["total"]) == (["1"], 1)


def test_dates_are_echoed_normalised_to_utc(api: Api) -> None:
    query = listed(api, date_from="2026-01-01T01:00:00+01:00", date_to="2026-01-31").body["query"]
    assert query["date_from"] == "2026-01-01T00:00:00.000000Z"
    assert query["date_to"] == "2026-01-31T23:59:59.999999Z"


def test_dates_from_after_to_are_a_422(api: Api) -> None:
    answer = api.call("list_customers", query="date_from=2026-02-01&date_to=2026-01-31")
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["query", "date_to"])


# include_deleted, only_deleted


@pytest.fixture
def some_deleted(api: Api) -> Api:
    ids = {customer_id: api.create(customer_id, name="Ada", status="vip").id for customer_id in "1234"}
    for customer_id in "24":
        api.call("delete_customer", ids[customer_id])
    return api


SCOPES: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["3", "1"]),
    ({"include_deleted": "true"}, ["4", "3", "2", "1"]),
    ({"only_deleted": "true"}, ["4", "2"]),
    ({"only_deleted": "true", "include_deleted": "true"}, ["4", "2"]),
]


@pytest.mark.parametrize(("scope", "customer_ids"), SCOPES)
def test_include_deleted_widens_and_only_deleted_wins_with_totals_of_the_same_scope(
    some_deleted: Api, scope: dict[str, str], customer_ids: list[str]
) -> None:
    for search in ({}, {"q": "ada"}, {"status": "vip"}, {"sort_field": "customer_id"}):
        body = listed(some_deleted, **scope, **search).body
        assert [each["customer_id"] for each in body["data"]] == customer_ids
        assert body["meta"]["total"] == len(customer_ids)


def test_include_deleted_tells_deleted_rows_apart_by_deleted_at_and_version(some_deleted: Api) -> None:
    data = listed(some_deleted, include_deleted="true", sort_field="customer_id", sort_dir="asc").body["data"]
    assert [bool(each["deleted_at"]) for each in data] == [False, True, False, True]
    assert [each["version"] for each in data] == [1, 2, 1, 2]


def test_include_deleted_pages_are_merged_without_gap_or_repetition(some_deleted: Api) -> None:
    pages = [found(some_deleted, include_deleted="true", limit=1, offset=offset) for offset in range(5)]
    assert pages == [["4"], ["3"], ["2"], ["1"], []]


def test_a_restored_record_is_listed_and_a_purged_one_nowhere(some_deleted: Api) -> None:
    second, fourth = listed(some_deleted, only_deleted="true", sort_dir="asc").body["data"]
    some_deleted.call("restore_customer", second["id"])
    some_deleted.call("delete_customer", fourth["id"], query="purge=true")
    assert found(some_deleted) == ["3", "2", "1"]
    assert found(some_deleted, only_deleted="true") == found(some_deleted, q="ada", only_deleted="true") == []


def test_a_record_that_is_being_purged_is_listed_nowhere(api: Api, store: Store) -> None:
    store("C-1", state="purging", name="Ada")
    for search in ({}, {"q": "ada"}, {"sort_field": "name"}):
        assert found(api, include_deleted="true", **search) == []


# quick_filters


def test_quick_filters_are_there_only_when_they_are_asked_for(api: Api) -> None:
    assert "aggregations" not in listed(api).body
    assert listed(api, include_aggregations="true").body["aggregations"] == {
        "quick_filters": QUICK_FILTERS_OF_NOTHING,
        "extra": {},
    }


def test_quick_filters_count_all_deleted_and_each_status_as_a_filter_would_name_it(statuses: Api) -> None:
    statuses.call("delete_customer", listed(statuses, status="lead").body["data"][0]["id"])
    named = {"status:vip": 2, "status:none": 1, 'status:"null"': 1, 'status:"a,b"': 1}
    assert quick_filters(statuses) == {"all": 5, "deleted": 1, **named}
    assert quick_filters(statuses, q="ada") == {"all": 5, "deleted": 1, **named}


def test_quick_filters_have_q_and_dates_applied_but_not_the_status_filter(days: Api, store: Store) -> None:
    store("4", created_at="2026-01-02T00:00:00.000000Z", status="b", name="Bob")
    everything = {"all": 4, "deleted": 0, "status:none": 0, "status:a": 1, "status:b": 3}
    assert quick_filters(days) == quick_filters(days, status="a") == everything
    assert quick_filters(days, q="ada", status="a") == everything | {"all": 3, "status:b": 2}
    assert quick_filters(days, date_from="2026-01-02", status="a") == {
        **QUICK_FILTERS_OF_NOTHING,
        "all": 2,
        "status:b": 2,
    }


@pytest.mark.parametrize(("scope", "customer_ids"), SCOPES)
def test_quick_filters_have_the_scope_of_the_total_but_for_deleted(
    some_deleted: Api, scope: dict[str, str], customer_ids: list[str]
) -> None:
    in_scope = len(customer_ids)
    counted = {"all": in_scope, "deleted": 2, "status:none": 0, "status:vip": in_scope}
    for search in ({}, {"q": "ada"}, {"date_from": "2020-01-01"}):
        assert quick_filters(some_deleted, **scope, **search) == counted


def test_quick_filters_forget_a_status_that_nobody_has_any_more(api: Api) -> None:
    id = api.create("C-1", status="lead").id
    api.call("update_customer", id, {"status": None})
    assert quick_filters(api) == {"all": 1, "deleted": 0, "status:none": 1}


# owner_id


@pytest.fixture
def two_owners(api: Api) -> Api:
    for customer_id, owner in {"1": "ada", "2": "bob", "3": "ada", "4": "bob"}.items():
        api.create(customer_id, owner=owner, name="Eve", status=owner)
    return api


@pytest.mark.parametrize("search", [{}, {"q": "eve"}, {"sort_field": "customer_id"}])
def test_owner_id_is_no_way_out_of_a_callers_own_records(two_owners: Api, search: dict[str, str]) -> None:
    body = listed(two_owners, owner="bob", owner_id="ada", **search).body
    assert ([each["customer_id"] for each in body["data"]], body["meta"]["total"]) == (["4", "2"], 2)
    assert not any("owner_id" in each for each in (*body["data"], body["query"]["filters"]))


@pytest.mark.parametrize("search", [{}, {"q": "eve"}, {"sort_field": "customer_id"}, {"date_from": "2020-01-01"}])
def test_an_administrators_listing_is_that_of_all_owners_in_one_order(two_owners: Api, search: dict[str, str]) -> None:
    body = listed(two_owners, role="admin", include_aggregations="true", **search).body
    assert [each["customer_id"] + each["owner_id"] for each in body["data"]] == ["4bob", "3ada", "2bob", "1ada"]
    assert body["aggregations"]["quick_filters"]["all"] == body["meta"]["total"] == 4
    assert body["query"]["filters"] == {}


@pytest.mark.parametrize("search", [{}, {"q": "eve"}, {"sort_field": "customer_id"}])
def test_owner_id_is_a_filter_of_administrators(two_owners: Api, search: dict[str, str]) -> None:
    body = listed(two_owners, role="admin", owner_id="bob", **search).body
    assert [each["owner_id"] for each in body["data"]] == ["bob", "bob"]
    assert (body["meta"]["total"], body["query"]["filters"]) == (2, {"owner_id": "bob"})
    assert listed(two_owners, role="admin", owner_id="nobody", **search).body["meta"]["total"] == 0


def test_owner_id_that_cannot_be_one_is_a_422_for_administrators(api: Api) -> None:
    answer = api.call("list_customers", query="owner_id=a%23b", role="admin")
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["query", "owner_id"])


# The answer


def test_the_answer_has_meta_and_an_echo_of_the_query_as_it_was_understood(api: Api) -> None:
    body = listed(
        api, q="Àda", status="VIP,null", only_deleted="true", sort_field="name", sort_dir="asc", limit=3, offset=6
    ).body
    sort = {"field": "name", "direction": "asc"}
    assert body["meta"] == {"total": 0, "limit": 3, "offset": 6, "sort": sort}
    assert body["query"] == {"q": "Àda", "filters": {"status": ["vip", None], "only_deleted": True}, "sort": sort}


def test_the_answer_to_a_new_owner_is_an_empty_list(api: Api) -> None:
    sort = {"field": "created_at", "direction": "desc"}
    assert listed(api).body == {
        "data": [],
        "meta": {"total": 0, "limit": 10, "offset": 0, "sort": sort},
        "query": {"filters": {}, "sort": sort},
    }


def test_a_listed_record_is_the_record_that_get_shows(api: Api) -> None:
    id = api.create("C-1", name="Ada", status="VIP", phone="1", agent_id=str(uuid4())).id
    for search in ({}, {"sort_field": "name"}, {"q": "ada"}, {"status": "vip"}):
        assert listed(api, **search).body["data"] == [api.call("get_customer", id).body]


# What is read


@contextmanager
def listening(api: Api, event: str, handler: Callable[..., None]) -> Iterator[None]:
    """Call `handler` on an event of botocore in the listing's client, once the cursors' secret has been read."""
    api.app("list_customers").customers._cursors.prepare()
    events = api.app("list_customers").service.table._client.meta.events
    events.register(event, handler)
    yield
    events.unregister(event, handler)


def named(params: dict[str, Any]) -> str:
    """What a call to DynamoDB reads: an index, the counts of an owner, the registry of owners, or items by key."""
    if "RequestItems" in params:
        return "records"
    if "Item" in params:
        return f"PUT {_kind(params['Item'])}"
    if "Key" in params:
        return _kind(params["Key"])
    if "IndexName" in params:
        return ("COUNT " if params.get("Select") == "COUNT" else "") + str(params["IndexName"])
    return "owners" if {"S": keys.OWNERS} in params["ExpressionAttributeValues"].values() else "counts"


def _kind(key: dict[str, Any]) -> str:
    return str(key["sk"]["S"]).partition("#")[0].lower()


class Waves:
    """The calls in the order of their waves: a call goes out when all calls of its wave are there.

    Calls that should go side by side but go one after another wait for each other in vain, and the listing fails.
    """

    def __init__(self, *sizes: int) -> None:
        self.calls: list[dict[str, Any]] = []
        self._sizes = sizes
        self._barriers = [barrier for size in sizes for barrier in [Barrier(size, timeout=10)] * size]
        self._lock = Lock()

    def __call__(self, params: dict[str, Any], **_: object) -> None:
        with self._lock:
            number = len(self.calls)
            self.calls.append(params)
        if number < len(self._barriers):
            self._barriers[number].wait()

    @property
    def names(self) -> list[list[str]]:
        """By wave; what was called beyond the expected waves is one more."""
        names = iter([named(call) for call in self.calls])
        waves = [[name for _, name in zip(range(size), names, strict=False)] for size in self._sizes]
        return [sorted(wave) for wave in (*waves, list(names)) if wave]


def read(api: Api, waves: list[list[str]], query: str, **caller: str) -> Waves:
    """The calls of a listing that should come in these waves."""
    made = Waves(*map(len, waves))
    with listening(api, "before-parameter-build.dynamodb", made):
        listed(api, **dict(parse_qsl(query)), **caller)
    return made


@pytest.fixture
def read_past_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every offset above 1 were far."""
    for module in ("answer", "jumps"):
        monkeypatch.setattr(f"customers.listing.{module}.READ_PAST", 1)


@pytest.fixture
def five(api: Api) -> Api:
    """Three vips and two leads, one more who is deleted, and another owner's one."""
    for n, status in enumerate(["vip", "lead", "vip", "lead", "vip"]):
        api.create(f"C-{n}", name=f"Ada {n}", surname="L", email="a@example.com", phone="5", status=status)
    api.call("delete_customer", api.create("C-9", name="Ada", status="vip").id)
    api.create("C-1", name="Ada", owner="somebody-else")
    return api


PAGE = ["by_created", "counts"]
COUNTED = ["COUNT by_status", "COUNT by_status"]  # one for each status
BOTH_OWNERS = ["by_created", "by_created", "counts", "counts"]
LOOK = ["bookmark", "counts"]
LEFT = ["PUT bookmark"]
SEARCHED = ["directory"] * keys.DIRECTORY_SHARDS


@pytest.mark.parametrize(
    ("query", "waves"),
    [
        ("", [PAGE]),
        ("sort_dir=asc&limit=200", [PAGE]),
        ("include_aggregations=true", [PAGE]),
        ("only_deleted=true", [PAGE]),
        ("offset=1", [PAGE]),
        ("include_deleted=true", [["by_created", *PAGE]]),
        ("date_from=2020-01-01", [PAGE, ["COUNT created_keys"]]),
        ("date_from=2020-01-01&include_aggregations=true", [PAGE, ["COUNT by_status", *COUNTED]]),
        ("date_from=2020-01-01&status=vip", [["by_status", "counts"], ["COUNT by_status"], ["records"]]),
        ("status=vip", [["by_status", "counts"], ["records"]]),
        ("status=vip,lead", [["by_status", "by_status", "counts"], ["records"]]),
        *((f"sort_field={field}&limit=3", [[f"by_{field}", "counts"], ["records"]]) for field in TEXT_FIELDS),
        ("sort_field=updated_at", [["by_updated", "counts"], ["records"]]),
        ("sort_field=name&sort_dir=asc&status=lead", [["by_name", "counts"], ["records"]]),
        ("sort_field=name&sort_dir=asc&include_deleted=true", [["by_name", "by_name", "counts"], ["records"]]),
        ("sort_field=status&date_from=2020-01-01&limit=3", [["counts"], COUNTED, ["by_status"], ["records"]]),
        ("sort_field=name&date_from=2020-01-01&limit=3", [["by_name", "counts"], ["COUNT created_keys"], ["records"]]),
        ("q=ada", [["counts"], SEARCHED, ["records"]]),
        ("q=ada&sort_field=name&date_from=2020-01-01", [["counts"], SEARCHED, ["records"]]),
        ("q=ada&include_aggregations=true", [["counts"], [*SEARCHED, *SEARCHED], ["records"]]),
    ],
)
def test_a_listing_reads_what_its_plan_names_in_as_many_round_trips(
    five: Api, query: str, waves: list[list[str]]
) -> None:
    assert read(five, waves, query).names == waves


@pytest.mark.parametrize(
    ("query", "waves"),
    [
        ("", [["owners"], BOTH_OWNERS]),
        ("owner_id=demo-owner", [PAGE]),
        ("sort_field=updated_at", [["owners"], ["by_updated", "by_updated", "counts", "counts"], ["records"]]),
        ("q=ada", [["owners"], ["counts", "counts"], [*SEARCHED, *SEARCHED], ["records"]]),
    ],
)
def test_an_administrators_listing_reads_what_its_plan_names_for_every_owner_side_by_side(
    five: Api, query: str, waves: list[list[str]]
) -> None:
    assert read(five, waves, query, role="admin").names == waves


@pytest.mark.usefixtures("read_past_one")
@pytest.mark.parametrize(
    ("query", "waves"),
    [
        ("offset=3&limit=2", [LOOK, ["by_created"]]),
        ("offset=2&limit=1", [LOOK, ["COUNT created_keys"], ["by_created"], LEFT]),
        ("offset=2&limit=2&date_from=2020-01-01", [LOOK, *[["COUNT created_keys"]] * 2, ["by_created"], LEFT]),
        ("offset=2&limit=2&include_deleted=true", [LOOK, ["created_keys"] * 2, ["by_created"] * 2, LEFT]),
        ("offset=2&limit=1&sort_field=name", [LOOK, ["COUNT by_name"], ["by_name"], [*LEFT, "records"]]),
        (
            "offset=2&limit=1&sort_field=status&status=vip,lead",
            [LOOK, ["COUNT by_status"], ["by_status"], [*LEFT, "records"]],
        ),
        ("offset=2&limit=1&status=vip,lead", [LOOK, ["by_status"] * 2, ["by_status"] * 2, [*LEFT, "records"]]),
    ],
)
def test_a_far_page_is_counted_past_or_read_by_keys_from_the_nearer_end(
    five: Api, query: str, waves: list[list[str]]
) -> None:
    assert read(five, waves, query).names == waves


@pytest.mark.usefixtures("read_past_one")
@pytest.mark.parametrize("query", ["offset=5", "offset=99&sort_field=name", "offset=99&status=vip,lead"])
def test_a_far_page_past_the_end_reads_no_index(five: Api, query: str) -> None:
    assert read(five, [LOOK], query).names == [LOOK]


def test_a_search_of_an_owner_without_records_reads_nothing_but_the_counts(api: Api) -> None:
    assert read(api, [["counts"]], "q=ada&include_aggregations=true").names == [["counts"]]


def test_dates_of_an_owner_without_records_count_nothing(api: Api) -> None:
    assert read(api, [PAGE], "date_from=2020-01-01").names == [PAGE]


def test_a_descending_page_reads_the_absent_values_only_when_the_present_do_not_fill_it(five: Api) -> None:
    waves = [["by_name", "counts"], ["by_name"], ["records"]]
    assert read(five, waves, "sort_field=name&limit=6").names == waves
    assert read(five, waves[::2], "sort_field=name&limit=5").names == waves[::2]


def test_a_quick_filter_of_dates_counts_every_status_and_a_filter_alone_only_its_own(five: Api) -> None:
    both = read(five, [["by_status", "counts"]], "status=vip&date_from=2020-01-01&include_aggregations=true")
    own = read(five, [["by_status", "counts"]], "status=vip&date_from=2020-01-01")
    counted = [sum(named(call) == "COUNT by_status" for call in made.calls) for made in (both, own)]
    assert counted == [3, 1]  # vip, lead and the deleted vip; only vip


@pytest.mark.parametrize(
    ("query", "entries"),
    [
        ("limit=2", {"by_created": 2}),
        ("limit=2&offset=1", {"by_created": 3}),
        ("limit=2&include_deleted=true", {"by_created": 3}),
        ("limit=2&sort_field=name", {"by_name": 2, "records": 2}),
        ("limit=2&status=vip", {"by_status": 2, "records": 2}),
        ("limit=2&q=ada", {"directory": 5, "records": 2}),
    ],
)
def test_a_page_reads_no_more_entries_than_it_needs(five: Api, query: str, entries: dict[str, int]) -> None:
    seen = dict[str, int]()

    def before(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        context["named"] = named(params)

    def after(parsed: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        number = parsed["ScannedCount"] if "ScannedCount" in parsed else len(parsed["Responses"]["customers"])
        seen[context["named"]] = seen.get(context["named"], 0) + number

    with listening(five, "before-parameter-build.dynamodb", before), listening(five, "after-call.dynamodb", after):
        listed(five, **dict(parse_qsl(query)))
    seen.pop("counts")
    assert seen == entries


@pytest.mark.parametrize(
    ("query", "projection"),
    [("", None), ("status=vip", "created_at, id"), ("sort_field=name", "name_key, id"), ("q=ada", "pk, d")],
)
def test_an_index_is_asked_for_keys_only_unless_it_has_whole_records(
    five: Api, query: str, projection: str | None
) -> None:
    calls = [call for call in read(five, [], query).calls if "IndexName" in call]
    assert {call.get("ProjectionExpression") for call in calls} == {projection}


def test_counts_are_read_consistently(five: Api) -> None:
    assert [call["ConsistentRead"] for call in read(five, [], "").calls if named(call) == "counts"] == [True]


@pytest.mark.parametrize("query", ["sort_field=name", "q=ada"])
def test_a_record_that_leaves_the_scope_while_it_is_listed_is_left_out(five: Api, query: str) -> None:
    (newest,) = listed(five, limit=1).body["data"]

    def delete(**_: object) -> None:
        five.call("delete_customer", newest["id"])

    with listening(five, "before-parameter-build.dynamodb.BatchGetItem", delete):
        assert newest["customer_id"] not in found(five, **dict(parse_qsl(query)))
