"""Walks through a long list on a real engine, while others write; what they leave there; many writers of one owner."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Lock
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode
from uuid import NAMESPACE_OID, uuid5

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session

from customers import keys
from customers.dynamodb import Item, Table, encode
from customers.keys import Index
from customers.listing import fences, jumps, walk
from customers.models import Customer
from tests.engine.ledger import Ledger
from tests.engine.wire import Send, sending
from tests.handlers import Answer

RECORDS = 800
PAGE = 200
LEAVING = 10  # one in so many is deleted during a walk
CREATED = 500  # at once
CONFLICTS = 0.2  # of all transactions
LISTINGS = [
    {"sort_field": "created_at", "sort_dir": "desc"},
    {"sort_field": "name", "sort_dir": "desc"},
    {"sort_field": "status", "sort_dir": "asc"},
    {"sort_field": "created_at", "sort_dir": "desc", "status": "lead,vip"},  # merged
    {"sort_field": "name", "sort_dir": "asc", "status": "lead,null"},  # filtered
]

type Walked = Callable[[Ledger, Mapping[str, str]], Iterator[list[str]]]


def seed(ledger: Ledger, number: int = RECORDS, **fields: Any) -> list[Customer]:
    """Customers as if each had been made in a second of its own, months ago."""
    made, counts = list[Customer](), dict[tuple[str, str], Item]()
    for n in range(number):
        time = f"2026-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000000Z"
        known = {"name": f"N{n * 7919 % number:04}" if n % 5 else None, "status": ["lead", None, "vip"][n % 3]}
        customer = Customer(
            id=str(uuid5(NAMESPACE_OID, f"{ledger.owner} {n}")),
            owner_id=ledger.owner,
            customer_id=f"C-{n:04}",
            created_at=time,
            updated_at=time,
            **{**known, **fields},
        )
        made.append(customer)
        key = keys.count(ledger.owner, customer.id)
        counted = counts.setdefault((key["pk"], key["sk"]), {**key, "writes": 0})
        name = keys.count_name(customer.state, customer.status_key)
        counted |= {name: counted.get(name, 0) + 1, "writes": counted["writes"] + 1, "moved_at": time}
    unique = [{**keys.unique(ledger.owner, str(each.customer_id)), "id": each.id} for each in made]
    ledger.put([*(each.item() for each in made), *unique, *counts.values(), keys.owner(ledger.owner)])
    return made


def page(ledger: Ledger, query: str) -> Answer:
    answer = ledger.call("list_customers", query=query)
    assert answer.status == 200, answer
    return answer


def ids(answer: Answer) -> list[str]:
    return [each["id"] for each in answer.body["data"]]


def by_offset(ledger: Ledger, params: Mapping[str, str]) -> Iterator[list[str]]:
    """Pages until one is empty."""
    for offset in count(0, PAGE):
        found = ids(page(ledger, urlencode({**params, "limit": PAGE, "offset": offset})))
        if not found:
            return
        yield found


def by_cursor(ledger: Ledger, params: Mapping[str, str]) -> Iterator[list[str]]:
    """Pages until one has no next."""
    query: str | None = urlencode({**params, "limit": PAGE})
    while query is not None:
        answer = page(ledger, query)
        yield ids(answer)
        query = linked(answer).get("next")


def linked(answer: Answer) -> dict[str, str]:
    links = re.findall(r'</customers\??([^>]*)>; rel="(\w+)"', answer.headers.get("link", ""))
    return {relation: query for query, relation in links}


@dataclass
class Visitors:
    """Somebody who all the time makes customers that sort anywhere, and deletes some of them, as well as `leaving`.

    Goes on until `stop`.
    """

    ledger: Ledger
    leaving: list[str]
    stop: Event = field(default_factory=Event)
    writes: int = 0

    def __call__(self) -> None:
        chance, mine = random.Random(1), list[str]()  # noqa: S311 - no secret
        for n in count():
            if self.stop.is_set():
                return
            values = {"name": f"N{chance.randrange(RECORDS):04}", "status": chance.choice(["lead", "vip", None])}
            mine.append(self.ledger.create(f"C-{chance.randrange(RECORDS):04}-{n}", **values).id)
            for id in [*self.leaving[-1:], *(mine[-1:] if n % 2 else ())]:
                assert self.ledger.call("delete_customer", id).status == 204
            del self.leaving[-1:]
            self.writes += 1


@contextmanager
def visited(ledger: Ledger, leaving: list[str]) -> Iterator[Visitors]:
    visitors = Visitors(ledger, leaving)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(visitors)
        try:
            yield visitors
        finally:
            visitors.stop.set()
            writing.result()


@pytest.mark.parametrize("walked", [by_offset, by_cursor])
@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: " ".join(listing.values()))
def test_a_walk_has_each_record_that_stays_exactly_once_and_none_twice_while_others_come_and_go(
    ledger: Ledger, walked: Walked, listing: dict[str, str]
) -> None:
    made = seed(ledger)
    leaving = [each.id for each in made[::LEAVING]]
    statuses = listing.get("status", "lead,vip,null").split(",")
    staying = {each.id for each in made if each.id not in leaving and (each.status or "null") in statuses}
    seen = list[str]()
    with visited(ledger, leaving) as visitors:
        for found in walked(ledger, listing):
            seen += found
            before = visitors.writes
            while visitors.writes < before + 3:
                visitors.stop.wait(0.01)
    assert [id for id, times in Counter(seen).items() if times > 1] == []
    in_order = ids_in_order(made, listing["sort_field"], descending=listing["sort_dir"] == "desc")
    assert [id for id in seen if id in staying] == [id for id in in_order if id in staying]
    ledger.assert_true()


def ids_in_order(made: list[Customer], field: str, *, descending: bool) -> list[str]:
    """Absent values last."""

    def rank(customer: Customer) -> tuple[Any, ...]:
        value = str(getattr(customer, field) or "").lower()
        return (not value) is not descending, value, *([customer.created_at] if field == "status" else []), customer.id

    return [each.id for each in sorted(made, key=rank, reverse=descending)]


@pytest.mark.parametrize("walked", [by_offset, by_cursor])
@pytest.mark.parametrize("sort_field", ["created_at", "name"])
def test_a_walk_goes_on_to_the_end_though_many_that_it_has_passed_are_deleted(
    ledger: Ledger, walked: Walked, sort_field: str
) -> None:
    made = seed(ledger, 700)
    seen = list[str]()
    for found in walked(ledger, {"sort_field": sort_field}):
        seen += found
        for id in found[:60]:
            assert ledger.call("delete_customer", id).status == 204
    assert sorted(seen) == sorted(each.id for each in made)


# Where a walk goes on, when the record that it stopped at is gone


INDEXES: dict[str, Index] = {
    index.name: index for index in (*keys.SORT_INDEXES.values(), keys.CREATED_KEYS, keys.DIRECTORY, keys.BY_PURGE)
}


def partition(index: Index, customer: Customer) -> dict[str, str]:
    """The partition of an index that the customer is in."""
    if index == keys.BY_PURGE:
        return {"purge_shard": keys.purge_shard(customer.id)}
    own = {"owner_id": customer.owner_id, "state": customer.state}
    return own | ({"directory_shard": keys.directory_shard(customer.id)} if index == keys.DIRECTORY else {})


def asked(conditions: Mapping[str, str], index: Index | None, *, forward: bool) -> dict[str, Any]:
    """A Query of a whole partition."""
    return {
        "KeyConditionExpression": " AND ".join(f"#{name} = :{name}" for name in conditions),
        "ExpressionAttributeNames": {f"#{name}": name for name in conditions},
        "values": {f":{name}": value for name, value in conditions.items()},
        "ScanIndexForward": forward,
        **({"IndexName": index.name} if index else {}),
    }


def rest(table: Table, query: dict[str, Any], start: Item | None) -> list[tuple[str, str]]:
    found = table.pages(start=start, Limit=3, **query)
    return [(item["pk"], item["sk"]) for each in found for item in each.items]


@pytest.fixture
def table(ledger: Ledger) -> Table:
    return Table(ledger.api.environment["TABLE_NAME"], ledger.client)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("fate", ["deleted", "moved", "out of the index"])
@pytest.mark.parametrize("name", INDEXES)
def test_an_index_is_read_on_from_a_key_whose_record_is_gone(
    ledger: Ledger, table: Table, name: str, fate: str, *, forward: bool
) -> None:
    due = {"state": "deleted", "deleted_at": "2026-01-02T00:00:00.000000Z"} if name == "by_purge" else {}
    made = seed(ledger, 120, **due)
    if due:
        made = [Customer.from_item({**each.item(), "purge_at": each.created_at}) for each in made]
        ledger.put(each.item() for each in made)
    index = INDEXES[name]
    query = asked(partition(index, made[7]), index, forward=forward)
    whole = rest(table, query, None)
    page = table.query(Limit=4, **query)
    assert len(whole) >= 8
    assert page.last_key
    gone = {"pk": page.last_key["pk"], "sk": page.last_key["sk"]}
    (item,) = (each.item() for each in made if keys.customer(each.id) == gone)
    if name in {*INDEXES} - {"directory", "by_purge"}:
        assert keys.start_key(index, ledger.owner, "live", item) == page.last_key
    if fate == "deleted":
        ledger.remove([gone])
    elif fate == "moved":
        moved = {name: f"{value}~" for name, value in item.items() if name in index.sort and name not in {"pk", "id"}}
        ledger.put([{**item, **moved}])
    else:
        ledger.put([{name: value for name, value in item.items() if name not in {*index.sort} - {"pk"} | {"state"}}])
    others = [each for each in rest(table, query, page.last_key) if each != (gone["pk"], gone["sk"])]
    assert others == whole[4:]


@pytest.mark.parametrize("forward", [True, False])
def test_the_table_is_read_on_from_a_key_whose_item_is_gone(ledger: Ledger, table: Table, *, forward: bool) -> None:
    made = [keys.tombstone(ledger.owner, f"2026-01-01T00:00:{n:02}.000000Z", str(n)) for n in range(12)]
    ledger.put(made)
    query = asked({"pk": made[0]["pk"]}, None, forward=forward)
    page = table.query(Limit=4, **query)
    assert page.last_key
    ledger.remove([page.last_key])
    expected = [(each["pk"], each["sk"]) for each in (made if forward else made[::-1])]
    assert rest(table, query, page.last_key) == expected[4:]


# What a walk leaves


@pytest.fixture
def _small_steps() -> Iterator[None]:
    """As if a page some hundred records away were worth fences."""
    with patch.object(jumps, "FENCED_FROM", 150), patch.object(walk, "STRIDE", 50):
        yield


def places(ledger: Ledger) -> list[Item]:
    return [item for item in ledger.items() if item["sk"].startswith((keys.BOOKMARKS, keys.FENCES))]


@pytest.mark.usefixtures("_small_steps")
@pytest.mark.parametrize("scheduled", [False, True])
def test_a_purge_drops_the_owners_bookmarks_and_fences_and_the_list_stays_right(
    ledger: Ledger, table: Table, *, scheduled: bool
) -> None:
    bob = Ledger(ledger.api, ledger.client, "bob")
    seed(bob, 500)
    made = seed(ledger, 500)
    query = "sort_field=name&sort_dir=asc&limit=20&offset="
    in_order = ids_in_order(made, "name", descending=False)
    for offset in (160, 240, 330):
        assert ids(page(ledger, f"{query}{offset}")) == in_order[offset : offset + 20]
        page(bob, f"{query}{offset}")
    left = places(ledger)
    assert {(i["pk"], i["sk"].partition("#")[0]) for i in left} == {
        (f"OWNER#{owner}", kind) for owner in ("ada", "bob") for kind in ("BOOKMARK", "FENCES")
    }
    (behind,) = (i["behind"] for i in left if i["pk"] == "OWNER#ada" and i["sk"].endswith("#260"))
    gone = in_order[259]
    assert behind == [keys.text_key(str(next(each.name for each in made if each.id == gone)).lower()), gone]
    names = [p.values[1] for item in left for p in fences.Fences(table).find("ada", item["sk"].split("#")[1]).positions]
    assert names

    if scheduled:
        assert ledger.call("delete_customer", gone).status == 204
        ledger.client.update_item(
            TableName=table.name,
            Key=encode(keys.customer(gone)),
            UpdateExpression="SET purge_at = :due",
            ExpressionAttributeValues=encode({":due": "2026-01-02T00:00:00.000000Z"}),
        )
        assert ledger.api.app("purge_customers").lambda_handler({}, _Long())["purged"] == 1
    else:
        assert ledger.call("delete_customer", gone, query="purge=true").status == 204

    assert {item["pk"] for item in places(ledger)} == {"OWNER#bob"}
    del in_order[259]
    for offset in (160, 240, 250, 259, 330):
        assert ids(page(ledger, f"{query}{offset}")) == in_order[offset : offset + 20]
    bob.assert_true()


class _Long:
    """The context of a function that has ten minutes."""

    aws_request_id = "purge"

    def get_remaining_time_in_millis(self) -> int:
        return 600_000


# Many writers of one owner


@dataclass
class Conflicts:
    """Answers some of the transactions as DynamoDB does when they meet another one; those are not carried out."""

    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - no secret
    answered: Counter[str] = field(default_factory=Counter[str])
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, send: Send, session: URLLib3Session, request: Any) -> Any:
        if not request.headers["X-Amz-Target"].endswith(b".TransactWriteItems"):
            return send(session, request)
        with self._lock:
            conflict = self.chance.random() < CONFLICTS
            self.answered["conflict" if conflict else "carried out"] += 1
        return _conflict(request) if conflict else send(session, request)


def _conflict(request: Any) -> AWSResponse:
    """The answer to a transaction whose last write met another transaction."""
    writes = json.loads(request.body)["TransactItems"]
    reasons: list[dict[str, str]] = [{"Code": "None"}] * (len(writes) - 1)
    reasons.append({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"})
    error = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": f"Transaction cancelled [{', '.join(reason['Code'] for reason in reasons)}]",
        "CancellationReasons": reasons,
    }
    response: Any = AWSResponse(request.url, 400, HTTPHeaders(), None)
    response._content = json.dumps(error).encode()
    return response  # type: ignore[no-any-return]


def test_all_of_many_creates_at_once_for_one_owner_succeed_and_are_counted_once_though_a_fifth_meets_conflicts(
    ledger: Ledger,
) -> None:
    def create(n: int) -> int:
        values = {"customer_id": f"C-{n}", "status": ["lead", "vip"][n % 2]}
        return ledger.call("create_customer", body=values).status

    ledger.api.app("create_customer")
    with sending(Conflicts()) as wire, ThreadPoolExecutor(16) as pool:
        statuses = Counter(pool.map(create, range(CREATED)))
    assert statuses == {201: CREATED}
    assert wire.answered["carried out"] == CREATED
    assert wire.answered["conflict"] > CREATED * CONFLICTS / 2
    assert len(ledger.assert_true()) == CREATED  # which recounts them
    counted = [item for item in ledger.items() if item["sk"].startswith("COUNT#")]
    assert sum(int(item["writes"]) for item in counted) == CREATED
    answer = page(ledger, "include_aggregations=true")
    assert answer.body["meta"]["total"] == CREATED
    assert answer.body["aggregations"]["quick_filters"] == {
        "all": CREATED, "deleted": 0, "status:none": 0, "status:lead": CREATED / 2, "status:vip": CREATED / 2
    }  # fmt: skip
