"""The search cache: what it reads, when it believes what it holds, and that it finds what the directory would."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Barrier, Lock
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers import keys
from customers.dynamodb import Item, Page, Table, encode
from customers.errors import Unavailable
from customers.keys import ABSENT, DirectoryEntry, State
from customers.listing import Listing, search, search_cache
from customers.listing.position import Position
from customers.listing.query import ListQuery, parse, terms_of
from customers.listing.search import Found, Match
from customers.listing.search_cache import MAX_AGE, MAX_LOADING, SLACK, Directory, News, SearchCache
from customers.listing.search_columns import Part, row_of
from customers.models import Customer
from customers.repository import Repository
from tests.handlers import ENVIRONMENT

OWNER = "ada"
UNIT_BYTES = 4096

# The searches' own work, in memory


NAMES = ["", "ada", "adam", "zoe x", "李", "é" * 3, "o'neil", "x" * 901, ABSENT]
STATUSES = [ABSENT, "vip", "lead", "z" * 50]
TIMES = [f"2026-01-0{day}T00:00:00.00000{day}Z" for day in range(1, 5)]
TERMS = ["a", "ad", "zoe", "x", "12", "1", "李", "nobody"]


@st.composite
def entries(draw: st.DrawFn) -> list[Match]:
    entry = st.builds(
        DirectoryEntry,
        name=st.sampled_from(NAMES),
        surname=st.sampled_from(NAMES),
        email=st.sampled_from(["", "ada@example.com", "zoe@example.com"]),
        customer_id=st.integers(0, 200).map(lambda n: f"c-{n}"),
        phone=st.sampled_from(["", "3912", "12"]),
        status_key=st.sampled_from(STATUSES),
        created_at=st.sampled_from(TIMES),
        updated_at=st.sampled_from(TIMES),
    )
    states: st.SearchStrategy[State] = st.sampled_from(["live", "live", "deleted"])
    match = st.builds(Match, id=st.uuids(version=4).map(str), state=states, entry=entry)
    return draw(st.lists(match, max_size=40, unique_by=lambda each: each.id))


@st.composite
def queries(draw: st.DrawFn) -> ListQuery:
    return ListQuery(
        owner_id=OWNER,
        states=draw(st.sampled_from([("live",), ("deleted",), ("live", "deleted")])),
        statuses=draw(st.sampled_from([(), (), ("vip", ABSENT)])),
        date_from=draw(st.sampled_from([None, TIMES[1]])),
        date_to=draw(st.sampled_from([None, TIMES[2]])),
        terms=tuple(draw(st.lists(st.sampled_from(TERMS), min_size=1, max_size=2, unique=True))),
        sort_field=draw(st.sampled_from(sorted(keys.SORT_INDEXES))),
        descending=draw(st.booleans()),
        limit=draw(st.sampled_from([1, 3, 50])),
        offset=draw(st.sampled_from([0, 0, 2, 10**30])),
        aggregations=draw(st.booleans()),
    )


def brute_force(matches: list[Match], query: ListQuery) -> Found:
    """What matches, and the page, by sorting everything."""
    found = [
        match
        for match in matches
        if match.state in query.counted_states
        and (query.date_from or "") <= match.entry.created_at <= (query.date_to or ABSENT)
        and all(search.matches(match.entry, term) for term in query.terms)
    ]

    def rank(values: tuple[str, ...]) -> tuple[object, ...]:
        return (values[0] == ABSENT) is not query.descending, *values

    listed = sorted(
        [m for m in found if m.state in query.states and (not query.statuses or m.entry.status_key in query.statuses)],
        key=lambda match: rank(search.order_values(match, query)),
        reverse=query.descending,
    )
    tally = Counter[tuple[str, str]]((match.state, match.entry.status_key) for match in found)
    if query.start is None:
        return Found(tally, listed[query.offset :][: query.limit])
    values = [search.order_values(match, query) for match in listed]
    at = values.index(query.start.values)
    if query.start.backward:
        return Found(tally, listed[max(at - query.wanted, 0) : at])
    return Found(tally, listed[at + 1 :][: query.wanted])


def parts_of(matches: list[Match]) -> list[Part]:
    """As a load makes them: by state and shard, here in two ranges of ids."""
    shelves = dict[tuple[str, str, bool], list[Match]]()
    for match in sorted(matches, key=lambda each: each.id):
        shelves.setdefault((match.state, keys.directory_shard(match.id), match.id > "8"), []).append(match)
    return [Part.of(shelf[0].state, [row_of(item(match), {}) for match in shelf]) for shelf in shelves.values()]


def item(match: Match) -> Item:
    return {"pk": keys.customer(match.id)["pk"], "d": match.entry.pack()}


@given(entries(), queries(), st.data())
def test_what_is_found_in_memory_and_its_order_equal_brute_force(
    matches: list[Match], query: ListQuery, data: st.DataObject
) -> None:
    directory = Directory(parts_of(matches), datetime(2027, 1, 1, tzinfo=UTC))
    assert directory.search(query) == brute_force(matches, query)
    everything = brute_force(matches, replace(query, offset=0, limit=1_000)).page
    if everything:
        beside = search.order_values(data.draw(st.sampled_from(everything)), query)
        for backward in (False, True):
            from_there = replace(query, start=Position(1, beside, backward))
            assert directory.search(from_there) == brute_force(matches, from_there)


@given(entries(), entries(), queries())
def test_what_has_changed_is_found_as_it_is_now_and_merging_it_changes_nothing(
    before: list[Match], later: list[Match], query: ListQuery
) -> None:
    directory = Directory(parts_of(before), datetime(2027, 1, 1, tzinfo=UTC))
    records = {match.id: match for match in before}
    time = "2027-01-01T00:00:00.000000Z"
    for old, new in zip(before, later, strict=False):  # half of them are new records, the others new versions
        id = new.id if len(new.entry.name) % 2 else old.id
        records[id] = Match(id, new.state, replace(new.entry, updated_at=time))
    purged = [match.id for match in before[::7]]
    changed = [(match.state, row_of(item(match), {})) for match in records.values() if match.entry.updated_at == time]
    for _ in range(2):  # the second time it is known
        fresh = directory.update(News(directory.loaded_at, changed, [UUID(id).bytes for id in purged]))
    now = [match for match in records.values() if match.id not in purged]
    assert fresh == 0
    assert directory.search(query) == brute_force(now, query)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_cache, "CHANGED", -1)
        directory.update(News(directory.loaded_at, [], []))
    assert directory.search(query) == brute_force(now, query)
    assert +directory.tally == Counter((match.state, match.entry.status_key) for match in now)


def test_a_record_takes_about_a_hundred_bytes() -> None:
    entry = DirectoryEntry("ada", "lovelace", "ada@example.com", "crm-0000001", "4477", "vip", TIMES[0], TIMES[0])
    part = Part.of("live", [row_of(item(Match(str(UUID(int=n)), "live", entry)), {}) for n in range(1_000)])
    texts = sum(map(len, (entry.name, entry.surname, entry.email, entry.customer_id, entry.phone))) + 5
    assert part.size / 1_000 < texts + 38


# What it reads, and when it believes what it holds


@dataclass
class Clock:
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go(self, time: timedelta) -> None:
        self.now += time


class WatchedTable(Table):
    """Notes what is read, by index ("" is the table), and its read units, as from the sizes of the entries.

    `hidden` records are in no index: they have not arrived. Reads of `directory` fail while `refusals` are left,
    and `refused_after` so many.
    """

    def __init__(self, name: str, client: Any) -> None:
        super().__init__(name, client)
        self.read = Counter[str]()
        self.units = 0.0
        self.hidden = set[str]()
        self.refusals = 0
        self.refused_after = 1_000
        self.at_once: Barrier | None = None
        self._watch = Lock()

    def query(self, *, start: Item | None = None, values: Any, **request: Any) -> Page:
        name = request.get("IndexName", "")
        with self._watch:
            self.read[name] += 1
            if name == "directory" and (self.refusals or self.read[name] > self.refused_after):
                self.refusals = max(self.refusals - 1, 0)
                raise Unavailable
        if self.at_once:
            self.at_once.wait(timeout=10)
        request.pop("ProjectionExpression", None)  # what is read for an answer is all that is there
        page = super().query(start=start, values=values, **request)
        with self._watch:
            self.units += _units(page.items, consistent=request.get("ConsistentRead", False))
        shown = [each for each in page.items if not name or keys.id_of(each["pk"]) not in self.hidden]
        return replace(page, items=shown, count=len(shown))

    def batch_get(self, keys: Any, *, consistent: bool = False) -> list[Item]:
        self.read["records"] += 1
        found = super().batch_get(keys, consistent=consistent)
        self.units += sum(_units([each], consistent=consistent) for each in found)
        return found

    def pause(self, attempt: int) -> None:
        """Not in a test."""


def _units(items: list[Item], *, consistent: bool) -> float:
    size = sum(len(name.encode()) + len(str(value).encode()) for each in items for name, value in each.items())
    return max(ceil(size / UNIT_BYTES), 1) * (1 if consistent else 0.5)


class People:
    """One owner's customers, told by their customer_id, and a function that searches them."""

    def __init__(self, table: WatchedTable, pool: ThreadPoolExecutor) -> None:
        self.table, self.pool, self.clock = table, pool, Clock()
        self.repository = Repository(table, retention_days=30, clock=self.clock)
        self.cache = self.started()

    def started(self, **options: Any) -> SearchCache:
        return SearchCache(**{"min_records": 0, "clock": self.clock, **options})

    def create(self, customer_id: str, owner: str = OWNER, **fields: Any) -> str:
        values = {"customer_id": customer_id, "name": "Ada", **fields}
        return self.repository.create(owner, values, None).customer.id

    def update(self, id: str, **changes: Any) -> None:
        self.repository.update(id, None, changes, lambda _: None)

    def delete(self, id: str) -> None:
        self.repository.delete(id, None, lambda _: None)

    def restore(self, id: str) -> None:
        self.repository.restore(id, None, lambda _: None, None)

    def purge(self, id: str) -> None:
        self.repository.purge(id, None, lambda _: None)

    def find(self, q: str = "ada", *owners: str, **options: Any) -> list[str]:
        query = ListQuery(**{"owner_id": OWNER, "terms": terms_of(q), "sort_field": "customer_id", **options})
        found = search.read(self.table, self.pool, replace(query, descending=False), owners or [OWNER], self.cache)
        return [match.entry.customer_id for match in found.page]

    def reads(self, q: str = "ada") -> Counter[str]:
        """What one search reads."""
        self.table.read.clear()
        self.find(q)
        return self.table.read


@pytest.fixture
def people(dynamodb: Any) -> Iterator[People]:
    with ThreadPoolExecutor(8) as pool:
        yield People(WatchedTable(ENVIRONMENT["TABLE_NAME"], dynamodb), pool)


WARM = Counter({"by_updated": 2, "": 2})  # live, deleted; counts, tombstones


def test_a_first_search_loads_the_directory_and_others_read_only_what_has_changed(people: People) -> None:
    people.create("c-1")
    assert people.reads()["directory"] == keys.DIRECTORY_SHARDS  # as there is nobody deleted
    assert people.reads() == people.reads("another") == WARM


def test_a_search_finds_at_once_what_was_written(people: People) -> None:
    id = people.create("c-1")
    expected: list[tuple[Callable[[], Any], list[str], list[str]]] = [
        (lambda: people.create("c-2"), ["c-1", "c-2"], []),
        (lambda: people.update(id, name="Zoë"), ["c-2"], []),
        (lambda: people.update(id, surname="Adams"), ["c-1", "c-2"], []),
        (lambda: people.delete(id), ["c-2"], ["c-1"]),
        (lambda: people.restore(id), ["c-1", "c-2"], []),
        (lambda: people.purge(id), ["c-2"], []),
    ]
    people.find()
    for write, live, deleted in expected:
        people.clock.go(timedelta(seconds=1))
        write()
        assert (people.find(), people.find(states=("deleted",))) == (live, deleted)
    assert people.reads() == WARM


def test_what_an_index_shows_late_is_found_then(people: People) -> None:
    people.create("c-1")
    people.find()
    people.table.hidden.add(people.create("c-2"))
    people.clock.go(SLACK / 2)
    assert people.find() == ["c-1"]
    people.table.hidden.clear()
    people.clock.go(SLACK / 3)
    assert (people.find(), people.reads()) == (["c-1", "c-2"], WARM)


def test_what_an_index_shows_too_late_is_missed_by_the_counts_and_loaded(people: People) -> None:
    people.create("c-1")
    people.find()
    people.table.hidden.add(people.create("c-2"))
    people.clock.go(SLACK + timedelta(seconds=1))
    assert people.find() == ["c-1"]
    people.table.hidden.clear()
    people.clock.go(SLACK + timedelta(seconds=1))
    assert people.find() == ["c-1", "c-2"]
    assert people.reads() == WARM


def test_a_difference_that_recent_writes_do_not_explain_ends_what_is_held(people: People) -> None:
    ids = [people.create(f"c-{n}") for n in range(5)]
    people.find()
    (directory,) = people.cache._directories.values()
    for id in ids:  # more than two writes could explain: one is counted, and one is new in the index
        directory._purge(UUID(id).bytes)
    people.create("c-5")  # one write, by which at most two numbers move
    assert people.find() == [f"c-{n}" for n in range(6)]


def test_a_purged_record_is_hidden_though_an_index_still_shows_it(people: People, dynamodb: Any) -> None:
    ids = [people.create(f"c-{n}") for n in (1, 2)]
    header = people.table.get(keys.customer(ids[0]))
    people.find()
    people.purge(ids[0])
    dynamodb.put_item(TableName=people.table.name, Item=encode(header or {}))  # as an index sees it
    assert people.find() == ["c-2"]
    people.cache = people.started()  # one that is loaded from that index
    assert people.find() == ["c-2"]


def test_an_older_version_never_replaces_a_newer_one(people: People, dynamodb: Any) -> None:
    id = people.create("c-1")
    old = people.table.get(keys.customer(id))
    people.clock.go(timedelta(seconds=1))
    people.update(id, name="Zoë")
    assert people.find("zoe") == ["c-1"]
    dynamodb.put_item(TableName=people.table.name, Item=encode(old or {}))
    assert (people.find("zoe"), people.find("ada")) == (["c-1"], [])


def test_who_moved_while_the_directory_was_read_is_found_once() -> None:
    old = Match(str(uuid4()), "live", DirectoryEntry("ada", "", "", "c-1", "", ABSENT, TIMES[0], TIMES[0]))
    new = replace(old, state="deleted", entry=replace(old.entry, updated_at=TIMES[1]))
    begun = datetime.fromisoformat(TIMES[1]) + timedelta(seconds=1)
    for matches in ([old, new], [new, old]):
        parts = [part for match in matches for part in parts_of([match])]
        found = Directory(parts, begun).search(ListQuery(owner_id=OWNER, states=("live", "deleted"), terms=("ada",)))
        assert found == Found(Counter({("deleted", ABSENT): 1}), [new])


def test_what_is_held_is_loaded_anew_after_its_age(people: People) -> None:
    people.create("c-1")
    people.find()
    people.clock.go(MAX_AGE - timedelta(seconds=1))
    assert people.reads() == WARM
    people.clock.go(timedelta(seconds=1))
    assert people.reads()["directory"]


def test_too_many_changes_are_not_read_but_the_directory(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    people.create("c-1")
    people.find()
    people.create("c-2")
    monkeypatch.setattr(search_cache, "TAIL_PAGES", 0)
    assert people.reads()["directory"]
    assert people.find() == ["c-1", "c-2"]


def test_an_owner_is_never_shown_anothers_customers(people: People) -> None:
    people.create("c-1")
    people.create("b-1", owner="bob")
    for owner, expected in ((OWNER, ["c-1"]), ("bob", ["b-1"])) * 2:
        assert people.find("ada", owner) == expected
    people.create("b-2", owner="bob")
    assert people.find("ada") == ["c-1"]


@pytest.mark.parametrize("min_records", [0, 1, 9])
def test_several_owners_are_found_in_one_order_whoever_of_them_is_held(people: People, min_records: int) -> None:
    people.cache = people.started(min_records=min_records)
    for owner, numbers in (("ada", (1, 4)), ("bob", (2,)), ("eve", (3, 5))):
        for n in numbers:
            people.create(f"c-{n}", owner=owner)
    for _ in range(2):
        assert people.find("ada", "ada", "bob", "eve", owner_id=None, offset=1, limit=3) == ["c-2", "c-3", "c-4"]
    assert set(people.cache._directories) == {0: {"ada", "bob", "eve"}, 1: {"ada", "eve"}, 9: set[str]()}[min_records]


def test_owners_of_few_records_are_read_filtered_every_time(people: People) -> None:
    people.cache = people.started(min_records=2)
    people.create("c-1")
    people.create("c-2")
    assert people.reads()["directory"] == people.reads()["directory"] == keys.DIRECTORY_SHARDS
    people.create("c-3")
    assert (people.find(), people.reads()) == (["c-1", "c-2", "c-3"], WARM)


def test_the_owner_that_was_not_searched_for_longest_makes_room(people: People) -> None:
    for owner in ("ada", "bob", "eve"):
        people.create("c-1", owner=owner)
    people.find("ada", "ada")
    (directory,) = people.cache._directories.values()
    people.cache = people.started(max_bytes=directory.size + search_cache.RECORD_BYTES)  # one, and one to be loaded
    for owner in ("ada", "bob", "ada", "eve"):
        people.find("ada", owner)
    assert list(people.cache._directories) == ["ada", "eve"]


def test_an_owner_of_more_records_than_fit_is_not_held(people: People) -> None:
    people.cache = people.started(max_bytes=search_cache.RECORD_BYTES)
    people.create("c-1")
    people.create("c-2")
    assert people.find() == ["c-1", "c-2"]
    assert not people.cache._directories


def test_a_refused_page_is_asked_for_again(people: People) -> None:
    people.create("c-1")
    people.table.refusals = 3
    assert people.find() == ["c-1"]


def test_a_load_that_fails_answers_nothing_and_the_next_search_goes_on_with_it(people: People) -> None:
    for n in range(9):
        people.create(f"c-{n}")
    people.table.refused_after = 5
    with pytest.raises(Unavailable):
        people.find()
    assert not people.cache._directories
    people.create("c-9")  # meanwhile
    people.table.refused_after = 1_000
    assert 0 < people.reads()["directory"] < keys.DIRECTORY_SHARDS
    assert people.find() == [f"c-{n}" for n in range(10)]


def test_a_load_that_failed_long_ago_begins_anew(people: People) -> None:
    people.create("c-1")
    people.table.refusals = 1_000
    with pytest.raises(Unavailable):
        people.find()
    people.table.refusals = 0
    people.clock.go(MAX_LOADING)
    assert people.reads()["directory"] == keys.DIRECTORY_SHARDS


def test_what_cannot_be_brought_up_to_date_is_not_shown_and_not_lost(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.create("c-1")
    people.find()
    with monkeypatch.context() as patch:
        patch.setattr(people.table, "pages", _unavailable)
        with pytest.raises(Unavailable):
            people.find()
    assert (people.find(), people.reads()) == (["c-1"], WARM)


def _unavailable(**_: object) -> None:
    raise Unavailable


def test_threads_may_share_it(people: People) -> None:
    for n in range(5):
        people.create(f"c-{n}")
    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(people.find, ["ada"] * 12))
    assert answers == [[f"c-{n}" for n in range(5)]] * 12


def test_a_search_of_a_thousand_records_takes_two_round_trips_and_at_most_twelve_units(
    people: People, dynamodb: Any
) -> None:
    time = keys.timestamp(people.clock.now)
    counted = Counter[tuple[str, str]]()
    for n in range(1_000):
        values: Any = {"name": f"Ada {n}", "surname": "Lovelace", "email": f"ada.{n}@example.com", "status": "lead"}
        customer = Customer(
            id=str(uuid4()), owner_id=OWNER, customer_id=f"c-{n}", created_at=time, updated_at=time, **values
        )
        dynamodb.put_item(TableName=people.table.name, Item=encode(customer.item()))
        key = keys.count(OWNER, customer.id)
        counted[key["pk"], key["sk"]] += 1
    for (pk, sk), number in counted.items():
        count = {"pk": pk, "sk": sk, "writes": number, keys.count_name("live", "lead"): number, "moved_at": time}
        dynamodb.put_item(TableName=people.table.name, Item=encode(count))
    people.clock.go(timedelta(minutes=5))
    listing = Listing(people.table, max_walk_megabytes=30, search_cache=people.started(min_records=500))
    query = parse({"q": "ada", "sort_field": "name"}, owner_id=OWNER, is_admin=False)
    listing.page(query)
    people.create("c-new")
    people.clock.go(timedelta(seconds=1))
    people.table.read.clear()
    people.table.units, people.table.at_once = 0, Barrier(4)  # whoever does not ask at once with three others fails
    assert listing.page(query).answer.meta.total == 1_001
    assert people.table.read == WARM + Counter({"records": 1})
    assert people.table.units <= 12
