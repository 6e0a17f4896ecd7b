"""Cursors and links: a walk from page to page that no write disturbs and no client can take elsewhere."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from customers import keys
from customers.dynamodb import Table
from customers.errors import Invalid
from customers.listing.cursors import SIGNATURE_BYTES, Cursors
from customers.listing.position import Position
from tests.handlers import Answer, Api

LISTING = "0123456789abcdef01234567"
POSITION = Position(12, ("2026-01-01T00:00:00.000000Z", "3f0c6d2e-8f3b-4d8e-9f57-3d4b5f6a7c81"))
SORTS = [
    {"sort_field": field, "sort_dir": direction} for field in sorted(keys.SORT_INDEXES) for direction in ("asc", "desc")
]


def listed(api: Api, query: str = "", **caller: Any) -> Answer:
    answer = api.call("list_customers", query=query, **caller)
    assert answer.status == 200, answer
    return answer


def found(answer: Answer) -> str:
    """The customer_ids of a page, one letter each, in its order."""
    return "".join(each["customer_id"] for each in answer.body["data"])


def links(answer: Answer) -> dict[str, str]:
    """The queries of a page's links, by relation."""
    linked = re.findall(r'<([^<>]*)>; rel="(\w+)"(?:, |$)', answer.headers.get("link", ""))
    assert ", ".join(f'<{url}>; rel="{relation}"' for url, relation in linked) == answer.headers.get("link", "")
    assert all(url.partition("?")[0] == "/customers" for url, _ in linked)
    return {relation: url.partition("?")[2] for url, relation in linked}


def cursor(answer: Answer, relation: str = "next") -> str:
    return dict(parse_qsl(links(answer)[relation]))["cursor"]


def walked(api: Api, query: str, relation: str = "next", **caller: Any) -> list[str]:
    """The pages from a query on, each reached by the link of the one before it."""
    answer = listed(api, query, **caller)
    pages = [found(answer)]
    while relation in links(answer):
        answer = listed(api, links(answer)[relation], **caller)
        pages.append(found(answer))
    return pages


@pytest.fixture
def seven(api: Api) -> Api:
    """Customers A to G, with two of each status and some without a name."""
    for n, letter in enumerate("ABCDEFG"):
        api.create(letter, status=[None, "lead", "vip"][n % 3], name=[None, "Eva", "Ada"][n % 3], surname="L")
    return api


def assert_refused(answer: Answer) -> None:
    assert answer.status == 422, answer
    (problem,) = answer.body["detail"]
    assert (problem["loc"], problem["type"]) == (["query", "cursor"], "cursor_invalid")


# What a cursor is


def test_a_cursor_is_read_as_it_was_written(table: Table) -> None:
    cursors = Cursors(table)
    for position in (POSITION, Position(0, ("\U0010ffff", "é\u0301 #", ""), backward=True)):
        assert cursors.read(cursors.write(position, LISTING), LISTING) == position
    assert re.fullmatch(r"[\w-]+", cursors.write(POSITION, LISTING))  # as it is in a URL


def test_a_cursor_with_any_byte_changed_missing_or_added_is_refused(table: Table) -> None:
    cursors = Cursors(table)
    text = cursors.write(POSITION, LISTING)
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    forged = [raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :] for at in range(len(raw)) for bit in (1, 128)]
    forged += [raw[:at] for at in range(len(raw))] + [raw[1:], raw + b" ", raw[:SIGNATURE_BYTES] * 2]
    for each in forged:
        with pytest.raises(Invalid):
            cursors.read(urlsafe_b64encode(each).decode().rstrip("="), LISTING)


def test_a_cursor_with_any_letter_changed_is_refused_or_says_the_same(table: Table) -> None:
    """Base64 has a few ways to write the same bytes."""
    cursors = Cursors(table)
    text = cursors.write(POSITION, LISTING)
    for at in range(len(text)):
        for letter in "A_é\x00":
            with suppress(Invalid):
                assert cursors.read(text[:at] + letter + text[at + 1 :], LISTING) == POSITION


def test_a_cursor_of_another_listing_is_refused(table: Table) -> None:
    cursors = Cursors(table)
    with pytest.raises(Invalid):
        cursors.read(cursors.write(POSITION, LISTING), LISTING[::-1])


def test_a_cursor_that_was_signed_with_another_secret_is_refused(table: Table, dynamodb: Any) -> None:
    text = Cursors(table).write(POSITION, LISTING)
    assert Cursors(table).read(text, LISTING) == POSITION
    dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "CURSORS"}, "sk": {"S": "#SECRET"}})
    with pytest.raises(Invalid):
        Cursors(table).read(text, LISTING)


def test_the_secret_that_two_functions_make_at_once_is_one(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier, get = Barrier(2, timeout=10), Table.get

    def get_at_once(table: Table, key: Any) -> Any:
        item = get(table, key)
        barrier.wait()
        return item

    monkeypatch.setattr(Table, "get", get_at_once)
    first, second = Cursors(table), Cursors(table)
    assert not first.prepared
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Cursors.prepare, (first, second)))
    assert first.prepared
    assert second.read(first.write(POSITION, LISTING), LISTING) == POSITION
    monkeypatch.undo()
    assert Cursors(table).read(second.write(POSITION, LISTING), LISTING) == POSITION


def test_the_secret_is_read_beside_the_first_page_and_never_again(seven: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    customers = seven.app("list_customers").customers
    monkeypatch.setattr(customers, "_cursors", Cursors(customers._table))
    asked = list[str]()
    get = Table.get

    def noting(table: Table, key: Any) -> Any:
        asked.append(key["pk"])
        return get(table, key)

    monkeypatch.setattr(Table, "get", noting)
    for _ in range(2):
        listed(seven, links(listed(seven, "limit=2"))["next"])
    assert asked == [keys.CURSOR_SECRET["pk"]]


# What is refused


@pytest.mark.parametrize(
    "text", ["x", "A" * 3, "A" * 5, "é", "\x00", "!!!", "e30", " ", "=", "A" * 200_000, "-" * 64, "null", "../.."]
)
def test_what_is_no_cursor_is_a_422_at_the_cursor(seven: Api, text: str) -> None:
    if text.strip():
        assert_refused(seven.call("list_customers", query=urlencode({"cursor": text})))
    else:
        assert found(listed(seven, urlencode({"cursor": text}))) == found(listed(seven))


def test_a_cursor_that_is_blank_is_absent(seven: Api) -> None:
    assert found(listed(seven, "cursor=&limit=3&offset=1")) == "FED"


@pytest.mark.parametrize(
    "other",
    [
        "sort_dir=asc",
        "sort_field=name",
        "sort_field=updated_at",
        "status=vip",
        "status=vip,null",
        "date_from=2020-01-01",
        "include_deleted=true",
        "only_deleted=true",
        "q=l",
    ],
)
def test_a_cursor_goes_on_in_no_other_listing_of_the_same_owner(seven: Api, other: str) -> None:
    """Nor does one of the other listing go on in this one."""
    ours = cursor(listed(seven, "limit=1"))
    assert_refused(seven.call("list_customers", query=f"{other}&cursor={ours}"))
    if theirs := links(listed(seven, f"limit=1&{other}")).get("next"):
        assert_refused(seven.call("list_customers", query="cursor=" + dict(parse_qsl(theirs))["cursor"]))


def test_a_cursor_goes_on_for_no_other_owner_and_for_an_administrator_only_where_it_was_given(seven: Api) -> None:
    for letter in "xyz":
        seven.create(letter, owner="bob")
    ours = cursor(listed(seven, "limit=1"))
    of_all = cursor(listed(seven, "limit=1", role="admin"))
    of_bob = cursor(listed(seven, "limit=1&owner_id=bob", role="admin"))
    assert_refused(seven.call("list_customers", query=f"cursor={ours}", owner="bob"))
    assert_refused(seven.call("list_customers", query=f"cursor={of_all}"))
    assert_refused(seven.call("list_customers", query=f"cursor={of_bob}"))
    assert_refused(seven.call("list_customers", query=f"cursor={ours}", role="admin"))
    assert_refused(seven.call("list_customers", query=f"owner_id=bob&cursor={of_all}", role="admin"))
    assert found(listed(seven, f"owner_id=bob&cursor={of_bob}", role="admin")) == "yx"


def test_a_cursor_and_an_offset_are_not_taken_together(seven: Api) -> None:
    ours = cursor(listed(seven, "limit=2"))
    answer = seven.call("list_customers", query=f"cursor={ours}&offset=3")
    (problem,) = answer.body["detail"]
    assert (answer.status, problem["loc"], problem["type"]) == (422, ["query", "offset"], "cursor_and_offset")
    assert found(listed(seven, f"cursor={ours}&offset=0&limit=2")) == "ED"


# Where links lead


@pytest.mark.parametrize("search", [{}, {"q": "l"}, {"status": "lead,null"}, {"date_from": "2020-01-01"}])
def test_pages_by_next_are_those_by_offset_and_pages_by_prev_are_the_same_backward(
    seven: Api, search: dict[str, str]
) -> None:
    for sort in SORTS:
        query = urlencode(sort | search | {"limit": 3})
        whole = found(listed(seven, urlencode(sort | search)))
        forward = walked(seven, query)
        assert forward == [whole[at : at + 3] for at in range(0, len(whole), 3)], sort
        backward = walked(seven, f"{query}&offset={len(whole) - 1}", "prev")
        assert backward == [whole[-1], *(whole[max(at - 3, 0) : at] for at in range(len(whole) - 1, 0, -3))], sort


@pytest.mark.parametrize(
    ("query", "relations"),
    [
        ("", set[str]()),
        ("limit=7", set[str]()),
        ("limit=2", {"next"}),
        ("limit=2&offset=2", {"first", "prev", "next"}),
        ("limit=2&offset=6", {"first", "prev"}),
        ("limit=2&offset=7", {"first"}),
        ("status=nobody", set[str]()),
        ("status=nobody&offset=1", {"first"}),
    ],
)
def test_a_page_by_offset_has_the_links_that_lead_to_something(seven: Api, query: str, relations: set[str]) -> None:
    assert links(listed(seven, query)).keys() == relations


def test_a_page_by_cursor_has_the_links_that_lead_to_something(seven: Api) -> None:
    relations = list[set[str]]()
    answer = listed(seven, "limit=3")
    while "next" in links(answer):
        answer = listed(seven, links(answer)["next"])
        relations.append({*links(answer)})
    assert relations == [{"first", "prev", "next"}, {"first", "prev"}]
    while "prev" in links(answer):
        answer = listed(seven, links(answer)["prev"])
        relations.append({*links(answer)})
    assert relations[2:] == [{"first", "prev", "next"}, {"first", "next"}]


def test_links_are_relative_and_keep_all_but_the_place(seven: Api) -> None:
    given = {"limit": "2", "sort_field": "surname", "q": "L&é", "status": 'vip,"a,b"', "include_deleted": "true"}
    seven.create("h", surname="Lé", name="x&é", status="vip")
    given["q"] = "é"
    answer = listed(seven, urlencode(given | {"limit": "1", "offset": "1"}))
    for query in links(answer).values():
        parameters = parse_qsl(query)
        assert dict(parameters) == {name: dict(parameters).get(name) for name in dict(parameters)}
        kept = [(name, value) for name, value in parameters if name != "cursor"]
        assert kept == [*(given | {"limit": "1"}).items()]


def test_links_name_no_place_twice(seven: Api) -> None:
    answer = listed(seven, "offset=1&limit=2&offset=2")
    for _ in range(2):
        for relation, query in links(answer).items():
            names = [name for name, _ in parse_qsl(query)]
            assert names == ["limit"] + ["cursor"] * (relation != "first")
        answer = listed(seven, links(answer)["next"])


def test_the_first_link_is_the_list_from_its_beginning(seven: Api) -> None:
    answer = listed(seven, links(listed(seven, "limit=2&offset=3"))["next"])
    assert found(listed(seven, links(answer)["first"])) == "GF"
    assert links(listed(seven, "offset=3"))["first"] == ""


def test_the_offset_of_a_page_by_cursor_is_that_of_the_page_by_offset(seven: Api) -> None:
    answer = listed(seven, "limit=3")
    offsets = list[int]()
    for relation in ("next", "next", "prev", "prev"):
        answer = listed(seven, links(answer)[relation])
        offsets.append(answer.body["meta"]["offset"])
        assert answer.body["meta"]["total"] == 7
    assert offsets == [3, 6, 3, 0]


def test_a_page_size_may_change_from_page_to_page(seven: Api) -> None:
    answer, pages = listed(seven, "limit=1"), list[str]()
    for limit in (3, 2, 200):
        answer = listed(seven, f"limit={limit}&cursor={cursor(answer)}")
        pages.append(found(answer))
    assert pages == ["FED", "CB", "A"]
    assert found(listed(seven, f"limit=4&cursor={cursor(answer, 'prev')}")) == "EDCB"


def test_a_page_of_a_cursor_may_have_quick_filters(seven: Api) -> None:
    first = cursor(listed(seven, "limit=2"))
    answer = listed(seven, f"limit=2&include_aggregations=true&cursor={first}")
    assert (found(answer), answer.body["aggregations"]["quick_filters"]["all"]) == ("ED", 7)


# Cursors and writes


@pytest.mark.parametrize("write", ["delete", "purge", "restatus", "rename"])
def test_a_cursor_goes_on_behind_a_record_that_is_no_longer_there(seven: Api, write: str) -> None:
    """Whatever became of the record, those behind it come next, and those before it on the way back."""
    given = list[tuple[str, str]]()  # queries with a cursor, and what they should find beside the record itself
    for query in map(urlencode, [*SORTS, SORTS[-1] | {"q": "l"}]):
        whole = found(listed(seven, query))
        before, after = whole.split("D")
        if after:
            given.append((links(listed(seven, f"{query}&limit={len(before) + 1}"))["next"] + "&limit=9", after))
        if before:
            given.append((links(listed(seven, f"{query}&offset={len(before)}"))["prev"] + "&limit=9", before))
    record = listed(seven).body["data"]["GFEDCBA".index("D")]
    if write in {"delete", "purge"}:
        query = "purge=true" if write == "purge" else ""
        assert seven.call("delete_customer", record["id"], query=query).status == 204
    else:
        new = {"status": "new"} if write == "restatus" else {"name": "0", "email": "d@example.com", "phone": "1"}
        assert seven.call("update_customer", record["id"], new).status == 200
    for query, expected in given:
        assert found(listed(seven, query)).replace("D", "") == expected, query


def test_a_walk_by_cursor_has_each_record_once_though_others_come_and_go_before_it(seven: Api) -> None:
    answer = listed(seven, "limit=2")
    pages = [found(answer)]
    for letter in "xyz":
        seven.create(letter)
        seven.call("delete_customer", answer.body["data"][0]["id"])
        answer = listed(seven, links(answer)["next"])
        pages.append(found(answer))
    assert pages == ["GF", "ED", "CB", "A"]
    assert found(listed(seven, links(answer)["prev"])) == "DB"


def test_the_previous_page_of_what_is_now_the_beginning_is_empty(seven: Api) -> None:
    page = listed(seven, "limit=2&offset=2")
    for record in listed(seven, "limit=2").body["data"]:
        seven.call("delete_customer", record["id"])
    answer = listed(seven, links(page)["prev"])
    assert (found(answer), answer.body["meta"]["offset"], answer.body["meta"]["total"]) == ("", 0, 5)
    assert links(answer).keys() == {"first"}
