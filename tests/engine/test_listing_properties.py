"""Random lists of random data against a brute-force model, written without the code under test."""

import os
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import batched, count
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers import keys, listing
from customers.dynamodb import Table, encode
from customers.listing import Listing
from customers.listing.answer import Page
from customers.listing.bookmarks import Bookmarks
from customers.listing.fences import Fences
from customers.listing.search_cache import SearchCache
from customers.models import Customer

INDEX_LAG_SECONDS = 0.3 if "DYNAMODB_TEST_ENDPOINT" in os.environ else 0  # MiniStack's indexes have none

NAMES = [
    None,
    "Ada",
    "ada",
    "Ádá",
    "Zoë",
    "zoe x",
    "Straße",
    "STRASSE",
    "O'Brien",
    "100% *",
    "李",
    "ﬁn ",
    "\u0301",
    "é" * 255,
]
EMAILS = [None, "ada@example.com", "ADA@example.com", "100%@xn--80ak6aa92e.com", "zoë@müller.example"]
PHONES = [None, "+39 02 1234", "0039-021234", "1234", "extension", "٣٤", "３９"]
STATUSES = [None, "VIP", "vip", "Lead", "null", "None", "a,b", 'say "x"', "École", "´", "a#b", "\u0301", "z" * 50]
TIMES = [
    "2026-01-01T00:00:00.000000Z",
    "2026-01-01T23:59:59.999999Z",
    "2026-01-02T00:00:00.000000Z",
    "2026-01-02T12:00:00.000001Z",
    "2026-02-01T00:00:00.000000Z",
]
# As a client writes it, and what it means: a status as it is folded, None for unset.
STATUS_FILTERS = {
    "vip": "vip",
    " VIP ": "vip",
    "lead": "lead",
    "null": None,
    '"null"': "null",
    "none": "none",
    '"A,b"': "a,b",
    '"say ""x"""': 'say "x"',
    "ecole": "ecole",
    '" "': " ",
    "a#b": "a#b",
    "nobody": "nobody",
}
# As a client writes it, and the first and the last instant that it means.
DATES = {
    "2026-01-01": ("2026-01-01T00:00:00.000000Z", "2026-01-01T23:59:59.999999Z"),
    "2026-01-01T23:59:59.9999999Z": ("2026-01-01T23:59:59.999999Z", "2026-01-01T23:59:59.999999Z"),
    "2026-01-02": ("2026-01-02T00:00:00.000000Z", "2026-01-02T23:59:59.999999Z"),
    "2026-01-02T13:00:00.000001 01:00": ("2026-01-02T12:00:00.000001Z", "2026-01-02T12:00:00.000001Z"),
    "2026-02-28t00:00:00": ("2026-02-28T00:00:00.000000Z", "2026-02-28T00:00:00.000000Z"),
}
TERMS = [
    "ada",
    "ÁD",
    "zoe",
    "x",
    "strasse",
    "ss",
    "%",
    "*",
    "@",
    "39",
    "1234",
    "+39",
    "c-",
    "´",
    "e",
    "nobody",
    "\u0301",
]
SORT_FIELDS = ["created_at", "updated_at", "name", "surname", "email", "phone", "status", "customer_id"]
OWNERS = 2
BOOLEANS = st.sampled_from(["true", "false"])

# Sizes that only large data meet, made small: every way of reading is taken.
SMALL = {
    "answer.READ_PAST": 2,
    "jumps.READ_PAST": 2,
    "jumps.FENCED_FROM": 2,
    "walk.MIN_FILTERED_READ": 2,
    "walk.STRIDE": 2,
    "dated.STRIDE": 2,
    "gather.RECORD_ENTRIES": 1,
    "counts.MAX_COUNTED_STATUSES": 2,
    "search.RANGE_ENTRIES": 2,
    "search.MAX_SERVER_TERMS": 1,
    "answer.BATCH_GET_ITEMS": 3,
}


@dataclass(frozen=True)
class Asked:
    params: dict[str, str]
    by_admin: bool
    statuses: list[str | None]
    dates: tuple[str, str]


@st.composite
def data_sets(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Records of `OWNERS` owners, who are numbers here; their customer_ids are unique."""
    record = st.fixed_dictionaries(
        {
            "id": st.uuids().map(str),
            "owner": st.integers(0, OWNERS - 1),
            "state": st.sampled_from(["live"] * 3 + ["deleted"] * 2 + ["purging"]),
            "customer_id": st.sampled_from(["C-", "c-", "É", "1234-"]),
            "name": st.sampled_from(NAMES),
            "surname": st.sampled_from(NAMES),
            "email": st.sampled_from(EMAILS),
            "phone": st.sampled_from(PHONES),
            "status": st.sampled_from(STATUSES),
            "created_at": st.sampled_from(TIMES),
            "updated_at": st.sampled_from(TIMES),
        }
    )
    records = draw(st.lists(record, max_size=25, unique_by=lambda each: str(each["id"])))
    return [{**each, "customer_id": f"{each['customer_id']}{i}"} for i, each in enumerate(records)]


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    params: dict[str, str] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "sort_field": st.sampled_from(SORT_FIELDS),
                "sort_dir": st.sampled_from(["asc", "desc"]),
                "limit": st.sampled_from(["1", "2", "3", "7", "200"]),
                "offset": st.integers(0, 12).map(str),
                "include_deleted": BOOLEANS,
                "only_deleted": BOOLEANS,
                "include_aggregations": BOOLEANS,
                "q": st.lists(st.sampled_from(TERMS), max_size=2).map(" ".join),
                "owner_id": st.sampled_from(["0", "1", "2", ""]),
            },
        )
    )
    statuses = draw(st.lists(st.sampled_from(sorted(STATUS_FILTERS)), max_size=3))
    dates = sorted(draw(st.lists(st.sampled_from(sorted(DATES)), max_size=2)), key=lambda text: DATES[text])
    first, last = TIMES[0], DATES["2026-02-28t00:00:00"][1]
    if dates:
        params["date_from"], first = dates[0], DATES[dates[0]][0]
    if dates and (len(dates) == 2 or draw(st.booleans())):
        params["date_to"], last = dates[-1], DATES[dates[-1]][1]
        if draw(st.booleans()):
            del params["date_from"]
            first = TIMES[0]
    if statuses:
        params["status"] = ",".join(statuses)
    return Asked(params, draw(st.booleans()), [STATUS_FILTERS[status] for status in statuses], (first, last))


def fold(text: str | None) -> str:
    decomposed = unicodedata.normalize("NFKD", text or "")
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def digits(record: dict[str, Any]) -> str:
    return "".join(c for c in fold(record["phone"]) if c in "0123456789")


def found_by(record: dict[str, Any], terms: list[str]) -> bool:
    texts = [fold(record[field]) for field in ("name", "surname", "email", "customer_id")]
    return all(any(t in x for x in texts) or (not t.strip("0123456789") and t in digits(record)) for t in terms)


def in_order(records: list[dict[str, Any]], field: str, *, descending: bool) -> list[dict[str, Any]]:
    """By the field, then by id; by status, then by created_at, then by id; absent values always last."""

    def value(record: dict[str, Any]) -> str:
        if field == "phone":
            return digits(record)
        return str(record[field]) if field.endswith("_at") else fold(record[field]).encode()[:900].decode()

    def key(record: dict[str, Any]) -> list[str]:
        return [value(record), *([record["created_at"]] if field == "status" else []), record["id"]]

    present = sorted((r for r in records if value(r)), key=key, reverse=descending)
    return present + sorted((r for r in records if not value(r)), key=key, reverse=descending)


def shown(record: dict[str, Any], *, by_admin: bool) -> dict[str, Any]:
    fields = ["id", "customer_id", "name", "surname", "email", "phone", "status", "created_at", "updated_at", "version"]
    if by_admin:
        fields.append("owner_id")
    return {name: record[name] for name in fields if record[name] is not None} | {"deleted_at": record["deleted_at"]}


def name_of(status: str) -> str:
    special = status in {"", "null", "none"} or status != status.strip() or set(status) & set('",')
    if not status:
        return "status:none"
    return 'status:"' + status.replace('"', '""') + '"' if special else f"status:{status}"


def expected(records: list[dict[str, Any]], owner_id: str, query: Asked) -> dict[str, Any]:
    params = query.params
    reach = (params.get("owner_id") or None) if query.by_admin else owner_id
    states = {"live", "deleted"} if params.get("include_deleted") == "true" else {"live"}
    states = {"deleted"} if params.get("only_deleted") == "true" else states
    terms = fold(params.get("q")).split()
    matching = [
        r
        for r in records
        if reach in {None, r["owner_id"]}
        and r["state"] != "purging"
        and query.dates[0] <= r["created_at"] <= query.dates[1]
        and found_by(r, terms)
    ]
    scope = [r for r in matching if r["state"] in states]
    listed = [r for r in scope if not query.statuses or (fold(r["status"]) or None) in query.statuses]
    ordered = in_order(
        listed, params.get("sort_field", "created_at"), descending=params.get("sort_dir", "desc") == "desc"
    )
    offset, limit = int(params.get("offset", 0)), int(params.get("limit", 10))
    answer: dict[str, Any] = {
        "data": [shown(r, by_admin=query.by_admin) for r in ordered[offset : offset + limit]],
        "total": len(ordered),
    }
    if params.get("include_aggregations") == "true":
        answer["quick_filters"] = {
            "all": len(scope),
            "deleted": sum(r["state"] == "deleted" for r in matching),
            "status:none": 0,
            **Counter(name_of(fold(r["status"])) for r in scope),
        }
    return answer


@pytest.fixture(scope="module")
def table(client: Any, new_table: Callable[[], str]) -> Table:
    return Table(new_table(), client)


fresh = count()


def store(client: Any, table: Table, data_set: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Write a data set for owners that were never there; the owners, and the records as they are stored."""
    owners = [f"owner-{next(fresh)}" for _ in range(OWNERS + 1)]  # the last one has nothing
    records = list[dict[str, Any]]()
    numbers = dict[tuple[str, str], Counter[str]]()
    items = [dict[str, Any](keys.owner(owner)) for owner in owners]
    for values in data_set:
        own = {name: value for name, value in values.items() if name != "owner"}
        deleted_at = TIMES[-1] if own["state"] == "deleted" else None
        customer = Customer(**own, owner_id=owners[values["owner"]], deleted_at=deleted_at)
        items.append(customer.item())
        records.append({**own, "owner_id": customer.owner_id, "deleted_at": deleted_at, "version": 1})
        if customer.state != "purging":
            key = keys.count(customer.owner_id, customer.id)
            name = keys.count_name(customer.state, customer.status_key)
            numbers.setdefault((key["pk"], key["sk"]), Counter(writes=0))[name] += 1
    items += [{"pk": pk, "sk": sk, "moved_at": TIMES[-1], **counted} for (pk, sk), counted in numbers.items()]
    for batch in batched(items, 25, strict=False):
        left = {table.name: [{"PutRequest": {"Item": encode(item)}} for item in batch]}
        while left:
            left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]
    time.sleep(INDEX_LAG_SECONDS)
    return owners, records


def forget(client: Any, table: Table, owners: list[str]) -> None:
    """Take the owners from the registry: the next data set is then all that an administrator lists."""
    for owner in owners:
        client.delete_item(TableName=table.name, Key=encode(keys.owner(owner)))


@pytest.fixture(params=["as it is", "as if all data were large"])
def sizes(request: pytest.FixtureRequest) -> Iterator[None]:
    patches = [patch(f"customers.listing.{name}", size) for name, size in SMALL.items()]
    if request.param == "as it is":
        patches = []
    for each in patches:
        each.start()
    yield
    for each in patches:
        each.stop()


ACCELERATORS: dict[str, Callable[[Table], dict[str, Any]]] = {
    "bookmarks": lambda table: {"bookmarks": Bookmarks(table)},
    "fences": lambda table: {"fences": Fences(table)},
    "search cache": lambda _table: {"search_cache": SearchCache(min_records=0)},
}


@pytest.fixture(params=["all", "none", *ACCELERATORS])
def lister(request: pytest.FixtureRequest, table: Table) -> Listing:
    """Listings with every accelerator, without any, and without each."""
    used = {"none": set[str](), "all": {*ACCELERATORS}}.get(request.param, {*ACCELERATORS} - {request.param})
    options = {name: value for each in used for name, value in ACCELERATORS[each](table).items()}
    return Listing(table, max_walk_megabytes=1_000, **options)


def ask(lister: Listing, owner_id: str, query: Asked) -> tuple[dict[str, Any], Page]:
    """What is asserted of an answer, and all of it."""
    page = lister.page(listing.parse(query.params, owner_id=owner_id, is_admin=query.by_admin))
    answer = page.answer.model_dump(exclude_unset=True)
    got = {"data": answer["data"], "total": answer["meta"]["total"]}
    if "aggregations" in answer:
        got["quick_filters"] = answer["aggregations"]["quick_filters"]
    return got, page


def behind(query: Asked, cursor: str | None) -> Asked:
    params = {name: value for name, value in query.params.items() if name != "offset"}
    return replace(query, params={**params, "cursor": cursor} if cursor else params)


@pytest.mark.usefixtures("sizes")
@given(data_sets(), st.lists(asked(), min_size=4, max_size=4))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_list_of_every_data_equals_a_brute_force_model(
    client: Any, table: Table, lister: Listing, data_set: list[dict[str, Any]], queries: list[Asked]
) -> None:
    owners, records = store(client, table, data_set)
    try:
        for query in queries:
            if owner := query.params.get("owner_id"):
                query.params["owner_id"] = owners[int(owner)]
            for _ in range(2):  # the second time with what the first one left
                got, page = ask(lister, owners[0], query)
                assert got == expected(records, owners[0], query), query
            neighbours = page.neighbours
            for relation, cursor in neighbours.items():
                got, page = ask(lister, owners[0], behind(query, cursor))
                shown = beside(query, relation)
                assert got == expected(records, owners[0], shown), (query, relation)
                assert set(page.neighbours) == relations(shown, cursor, got["total"]), (query, relation)
            assert set(neighbours) == relations(query, None, got["total"]), query
    finally:
        forget(client, table, owners)


def beside(query: Asked, relation: str) -> Asked:
    """The page that a link leads to, by offset; the previous one is shorter at the beginning."""
    offset, limit = int(query.params.get("offset", 0)), int(query.params.get("limit", 10))
    if relation == "first":
        return behind(query, None)
    at = max(offset - limit, 0)
    moved = {"offset": str(offset + limit)} if relation == "next" else {"offset": str(at), "limit": str(offset - at)}
    return replace(query, params={**query.params, **moved})


def relations(shown: Asked, cursor: str | None, total: int) -> set[str]:
    """The links of a page, which was reached by an offset or by a cursor."""
    offset, limit = int(shown.params.get("offset", 0)), int(shown.params.get("limit", 10))
    has = {"first": bool(cursor or offset), "prev": 0 < offset < total, "next": offset + limit < total}
    return {relation for relation, is_there in has.items() if is_there}
