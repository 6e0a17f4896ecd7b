"""The search cache beside brute force, in virtual time: writers at work, commits and indexes late, functions dying."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from random import Random
from threading import RLock
from typing import Any
from uuid import uuid4

import pytest

from customers import keys
from customers.dynamodb import Item, Page, Table
from customers.errors import ApiError
from customers.keys import ABSENT, DirectoryEntry
from customers.listing import search, search_cache
from customers.listing.query import ListQuery, terms_of
from customers.listing.search import Found, Match
from customers.listing.search_cache import SearchCache
from customers.models import Customer
from customers.repository import Repository

OWNER, OTHER = "ada", "bob"
LATE_COMMIT = 10  # seconds at the most from a time stamp to its commit
INDEX_LAG = 3  # seconds at the most from a commit to the indexes
SKEW = 0.5  # seconds that a writer's clock may be ahead
SEEDS, STEPS = 3, 400
PAGE_ITEMS = 7  # of an index; small, so that every read has several

NAMES = [None, "Ada", "Ádá", "Zoë", "Straße", "O'Brien", "adam"]
STATUSES = [None, "VIP", "lead", "École"]
TEXTS = ["a", "ad", "ada", "zoe", "ss", "o'b", "example", "c-1", "1", "12", "ada 1", "nobody", "+1"]

type Values = dict[str, Any]


@dataclass
class Clock:
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    stamps_late_by: float = 0

    def __call__(self) -> datetime:
        return self.now

    def stamp(self) -> datetime:
        """What a writer takes the time to be that commits now."""
        return self.now - timedelta(seconds=self.stamps_late_by)

    def go(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Index:
    """What `directory` and `by_updated` show: each version of a record from the time on when it has arrived."""

    clock: Clock
    random: Random
    versions: dict[str, list[tuple[datetime, Item | None]]] = field(default_factory=dict)

    def commit(self, id: str, item: Item | None) -> None:
        """A record's new version; None: it is gone, or half-purged."""
        known = self.versions.setdefault(id, [])
        arrival = self.clock.now + timedelta(seconds=self.random.uniform(0, INDEX_LAG))
        known.append((max(arrival, known[-1][0]) if known else arrival, item))

    def visible(self) -> Iterator[Item]:
        for versions in self.versions.values():
            arrived = [item for time, item in versions if time <= self.clock.now]
            if arrived and arrived[-1]:
                yield arrived[-1]


CONDITION = re.compile(r"(#?\w+) BETWEEN (:\w+) AND (:\w+)|(#?\w+) (=|>=) (:\w+)|contains\((\w+), (:\w+)\)")


def holds(item: Item, expression: str, values: Mapping[str, str]) -> bool:
    for between, low, high, attribute, operator, value, contained_in, term in CONDITION.findall(expression):
        if between and not values[low] <= item[between] <= values[high]:
            return False
        if operator == "=" and item[attribute.removeprefix("#")] != values[value]:
            return False
        if operator == ">=" and item[attribute] < values[value]:
            return False
        if contained_in and values[term] not in item[contained_in]:
            return False
    return True


class LateTable(Table):
    """A table whose indexes show what `index` does. `meanwhile` is called before each read of an index."""

    def __init__(self, name: str, client: Any, index: Index) -> None:
        super().__init__(name, client)
        self.index = index
        self.meanwhile: Callable[[], None] = lambda: None
        self.read = Counter[str]()
        self._lock = RLock()  # a purge queries as well

    def query(self, *, start: Item | None = None, values: Mapping[str, Any], **request: Any) -> Page:
        with self._lock:
            self.read[request.get("IndexName", "")] += 1
            if "IndexName" not in request:
                return super().query(start=start, values=values, **request)
            self.meanwhile()
            sort = itemgetter("updated_at" if request["IndexName"] == "by_updated" else "pk", "pk")
            asked = f"{request['KeyConditionExpression']} {request.get('FilterExpression', '')}"
            found = [item for item in self.index.visible() if holds(item, asked, values)]
            found = sorted((item for item in found if not start or sort(item) > sort(start)), key=sort)
            page = [{name: item[name] for name in ("pk", "d")} for item in found[:PAGE_ITEMS]]
            more = len(found) > PAGE_ITEMS
            return Page(page, len(page), len(page), found[PAGE_ITEMS - 1] if more else None)


@dataclass
class World:
    """Two owners' customers, who writes them, and the functions that search them."""

    table: LateTable
    pool: Executor
    random: Random
    clock: Clock
    owners: tuple[str, str]
    ids: dict[str, list[str]] = field(default_factory=dict)
    purged: set[str] = field(default_factory=set)
    caches: list[SearchCache] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repository = Repository(self.table, retention_days=30, clock=self.clock.stamp)
        self.ids = {owner: [] for owner in self.owners}
        self.caches = [self.cache(), self.cache()]

    def cache(self) -> SearchCache:
        return SearchCache(min_records=0, clock=self.clock)

    def values(self) -> Values:
        fields = {"name": NAMES, "surname": NAMES, "status": STATUSES, "email": [None, "ada@example.com"]}
        return {name: self.random.choice(values) for name, values in fields.items()}

    def write(self) -> None:
        """One write of somebody, perhaps with an old time stamp; what an owner's record does not allow is not done."""
        self.clock.stamps_late_by = self.random.choice([0, self.random.uniform(-SKEW, LATE_COMMIT)])
        owner = self.random.choice(self.owners)
        known = self.ids[owner]
        if not known or self.random.random() < max(0.1, 1 - len(known) / 40):
            key = f"c-{self.random.getrandbits(40)}"
            created = self.repository.create(owner, {"customer_id": key, **self.values()}, None)
            known.append(created.customer.id)
            self.committed(created.customer.id)
            return
        id = self.random.choice(known)
        try:
            match self.random.choice(["update", "update", "delete", "restore", "purge"]):
                case "update":
                    self.repository.update(id, owner, self.values(), lambda _: None)
                case "delete":
                    self.repository.delete(id, owner, lambda _: None)
                case "restore":
                    self.repository.restore(id, owner, lambda _: None, None)
                case "purge":
                    self.repository.purge(id, owner, lambda _: None)
                    known.remove(id)
                    self.purged.add(id)
        except ApiError:
            return
        self.committed(id)

    def committed(self, id: str) -> None:
        item = self.table.get(keys.customer(id))
        versions = self.table.index.versions.get(id)
        newest = versions[-1][1] if versions else None
        if item is None or newest is None or newest["version"] != item["version"]:
            self.table.index.commit(id, item)

    def query(self, owner: str) -> ListQuery:
        choose = self.random.choice
        return ListQuery(
            owner_id=owner,
            states=choose([("live",), ("live", "deleted"), ("deleted",)]),
            statuses=choose([(), (), ("vip", ABSENT)]),
            terms=terms_of(choose(TEXTS)),
            sort_field=choose(sorted(keys.SORT_INDEXES)),
            descending=choose([True, False]),
            limit=choose([1, 3, 10]),
            offset=choose([0, 0, 2]),
            aggregations=choose([True, False]),
        )

    def ask(self, query: ListQuery, cache: SearchCache | None) -> Found:
        return search.read(self.table, self.pool, query, [query.owner_id or ""], cache)

    def expected(self, query: ListQuery, *, purged: Set[str]) -> Found:
        """What the indexes show at this time, but for what was `purged`."""
        customers = [Customer.from_item(item) for item in self.table.index.visible()]
        matches = [
            Match(customer.id, customer.state, entry)
            for customer in customers
            for entry in [DirectoryEntry.of(vars_of(customer))]
            if customer.owner_id == query.owner_id
            and customer.id not in purged
            and customer.state in query.counted_states
            and all(search.matches(entry, term) for term in query.terms)
        ]
        shown = [
            match
            for match in matches
            if match.state in query.states and (not query.statuses or match.entry.status_key in query.statuses)
        ]

        def rank(match: Match) -> tuple[object, ...]:
            value, *ties = search.order_values(match, query)
            return (value == ABSENT) is not query.descending, value, *ties

        page = sorted(shown, key=rank, reverse=query.descending)[query.offset :][: query.limit]
        return Found(Counter((match.state, match.entry.status_key) for match in matches), page)


def vars_of(customer: Customer) -> Values:
    return {name: getattr(customer, name) for name in Customer.__slots__}


@pytest.fixture(scope="module")
def name(new_table: Callable[[], str]) -> str:
    return new_table()


@pytest.fixture(params=range(SEEDS))
def world(request: pytest.FixtureRequest, client: Any, name: str) -> Iterator[World]:
    random, clock = Random(request.param), Clock()  # noqa: S311 - no secret
    table = LateTable(name, client, Index(clock, random))
    owners = (f"{OWNER}-{uuid4()}", f"{OTHER}-{uuid4()}")
    with ThreadPoolExecutor(8) as pool:
        yield World(table, pool, random, clock, owners)


def test_a_search_finds_what_the_indexes_show_whoever_writes_and_however_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_cache, "CHANGED", 5)
    random, searches = world.random, 0
    for _ in range(STEPS):
        world.clock.go(random.choice([0, 0.1, 1, random.uniform(0, 8)]))
        if random.random() < 0.02:
            world.clock.go(random.choice([40, 600, 2_000]))
        for _ in range(random.choice([0, 1, 1, 3])):
            world.write()
        if random.random() < 0.03:
            world.caches[random.randrange(2)] = world.cache()  # a function died
        query = world.query(random.choice(world.owners))
        cache = random.choice(world.caches)
        if random.random() < 0.1:
            world.table.meanwhile = lambda: world.write() if random.random() < 0.2 else None
            world.ask(query, cache)  # others write between its reads: what it should find cannot be said, but after it
            world.table.meanwhile = lambda: None
        before = world.table.read["directory"]
        assert world.ask(query, cache) == world.expected(query, purged=world.purged)
        searches += world.table.read["directory"] == before
        if random.random() < 0.05:
            assert world.ask(query, None) == world.expected(query, purged=set())
    assert searches > STEPS / 2  # read only what had changed


@pytest.mark.parametrize("world", [0], indirect=True)
def test_without_slack_some_searches_would_be_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can tell."""
    monkeypatch.setattr(search_cache, "SLACK", timedelta())
    monkeypatch.setattr(search_cache.Directory, "agrees", lambda *_: True)
    wrong = 0
    for _ in range(100):
        world.clock.go(world.random.choice([0.1, 1]))
        world.write()
        query = world.query(world.owners[0])
        wrong += world.ask(query, world.caches[0]) != world.expected(query, purged=world.purged)
    assert wrong
