"""Far pages: bookmarks, fences, totals of dates by rank, walks that are too long, and what all of them read."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from customers import keys
from customers.dynamodb import BATCH_WRITE_ITEMS, SETTLE_SECONDS, Table, encode
from customers.errors import Unavailable, WalkTooLong
from customers.keys import State
from customers.listing import Listing, bookmarks, fences, parse
from customers.listing.answer import Page
from customers.listing.bookmarks import WALK_SECONDS, Bookmarks
from customers.listing.fences import Fences, Standing
from customers.listing.position import Position
from customers.listing.walk import ENTRY_BYTES
from customers.models import Customer
from customers.repository import Repository
from tests.handlers import Api

BORN = datetime(2026, 1, 1, tzinfo=UTC)
RECORDS = 40
# Sizes that only large data meet, made small.
SMALL = {
    "answer.READ_PAST": 2,
    "jumps.READ_PAST": 2,
    "jumps.FENCED_FROM": 6,
    "walk.STRIDE": 3,
    "dated.STRIDE": 3,
    "walk.MIN_FILTERED_READ": 4,
}


@dataclass
class World:
    """A table, the records that `store` put there and their counts, and a clock for all who use it."""

    table: Table
    listing: Listing
    now: float = field(default_factory=(BORN + timedelta(days=1)).timestamp)
    customers: list[Customer] = field(default_factory=list[Customer])
    counts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict[tuple[str, str], dict[str, Any]])
    read: Counter[str] = field(default_factory=Counter[str])  # entries that were looked at, by what was asked

    def __post_init__(self) -> None:
        events = self.table._client.meta.events
        events.register("before-parameter-build.dynamodb", _name)
        events.register("after-call.dynamodb", self._count)
        self.repository = Repository(self.table, retention_days=30, clock=lambda: datetime.fromtimestamp(self.now, UTC))
        self.listing._cursors.prepare()

    def _count(self, parsed: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        self.read[context["named"]] += parsed.get("ScannedCount", 1)

    def store(self, number: int, *, owner: str = "ada", state: State = "live", **fields: Any) -> None:
        """As if that many customers had been made, one a minute."""
        items: list[dict[str, Any]] = [dict(keys.owner(owner))]
        for _ in range(number):
            n = len(self.customers)
            time = keys.timestamp(BORN + timedelta(minutes=n))
            values = {"name": f"N{n * 7 % 11}", "status": ["lead", "vip", None][n % 3], **fields}
            id = str(UUID(int=n * 0x9E3779B97F4A7C15F39CC0605CEDC834 % (1 << 128)))
            customer = Customer(
                id=id, owner_id=owner, customer_id=f"C-{n}", created_at=time, updated_at=time, state=state, **values
            )
            self.customers.append(customer)
            items.append(customer.item())
            key = keys.count(owner, id)
            count = self.counts.setdefault((key["pk"], key["sk"]), {**key, "writes": 0})
            name = keys.count_name(state, customer.status_key)
            count[name] = count.get(name, 0) + 1
            count["writes"] += 1
            count["moved_at"] = time
        for batch in batched([*items, *self.counts.values()], BATCH_WRITE_ITEMS, strict=False):
            requests: Any = {self.table.name: [{"PutRequest": {"Item": encode(item)}} for item in batch]}
            assert not self.table._client.batch_write_item(RequestItems=requests)["UnprocessedItems"]

    def page(self, *, owner: str = "ada", admin: bool = False, **params: Any) -> Page:
        asked = parse({name: str(value) for name, value in params.items()}, owner_id=owner, is_admin=admin)
        return self.listing.page(asked)

    def found(self, **params: Any) -> list[int]:
        return [int(str(each.customer_id).removeprefix("C-")) for each in self.page(**params).answer.data]

    def total(self, **params: Any) -> int:
        return self.page(**params).answer.meta.total

    @contextmanager
    def reading(self) -> Iterator[Counter[str]]:
        """What is read meanwhile."""
        read = Counter[str]()
        before = self.read.copy()
        yield read
        read += self.read - before

    def left(self, prefix: str) -> list[dict[str, Any]]:
        """The owner's bookmarks or fences."""
        pages = self.table.pages(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            values={":pk": "OWNER#ada", ":prefix": prefix},
        )
        return [item for page in pages for item in page.items]


def _name(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    key = params.get("Key") or params.get("Item")
    if key:
        name = ("PUT " if "Item" in params else "") + key["sk"]["S"].partition("#")[0].lower()
    elif "IndexName" in params:
        name = ("COUNT " if params.get("Select") == "COUNT" else "") + params["IndexName"]
    else:
        name = "records" if "RequestItems" in params else "counts"
    context["named"] = name


type NewWorld = Callable[..., World]


@pytest.fixture
def new_world(table: Table, monkeypatch: pytest.MonkeyPatch) -> NewWorld:
    """Makes the world with accelerators (or without one of None), in which a walk may take so many entries."""
    for name, size in SMALL.items():
        monkeypatch.setattr(f"customers.listing.{name}", size)

    def made(max_entries: int = 1_000, **missing: None) -> World:
        world: World

        def clock() -> float:
            return world.now

        options: dict[str, Any] = {"bookmarks": Bookmarks(table, clock), "fences": Fences(table, clock)} | missing
        listing = Listing(table, max_walk_megabytes=1, **options)
        listing._max_walk_bytes = max_entries * ENTRY_BYTES
        world = World(table, listing)
        return world

    return made


@pytest.fixture
def world(new_world: NewWorld) -> World:
    """A day after forty customers were made."""
    world = new_world()
    world.store(RECORDS)
    return world


@pytest.fixture
def fenced(new_world: NewWorld) -> World:
    """Likewise, where nobody leaves bookmarks."""
    world = new_world(bookmarks=None)
    world.store(RECORDS)
    return world


def newest(first: int, last: int) -> list[int]:
    """The numbers of the records from offset `first` to before `last` of the forty, newest first."""
    return list(range(RECORDS - 1, -1, -1))[first:last]


# Bookmarks


def test_a_far_page_leaves_a_bookmark_and_the_next_one_skips_nothing(world: World) -> None:
    assert world.found(offset=10, limit=5) == newest(10, 15)
    with world.reading() as read:
        assert world.found(offset=15, limit=5) == newest(15, 20)
    assert read.keys() == {"counts", "bookmark", "fences", "by_created", "PUT bookmark"}
    assert read["by_created"] in {5, 6}


def test_a_near_page_and_the_last_page_leave_no_bookmark(world: World) -> None:
    for page in ({"limit": 2}, {"offset": 1, "limit": 1}, {"offset": 35, "limit": 5}, {"offset": 38, "limit": 5}):
        world.found(**page)
    assert world.left(keys.BOOKMARKS) == []
    world.found(offset=1, limit=2)
    assert [item["sk"].rpartition("#")[2] for item in world.left(keys.BOOKMARKS)] == ["3"]


@pytest.mark.parametrize(("seconds", "skipped"), [(WALK_SECONDS - 1, 0), (WALK_SECONDS + 1, 15)])
def test_a_bookmark_is_believed_as_long_as_a_walk_takes_from_page_to_page(
    new_world: NewWorld, seconds: int, skipped: int
) -> None:
    world = new_world(fences=None)
    world.store(RECORDS)
    world.found(offset=10, limit=5)
    world.now += seconds
    with world.reading() as read:
        assert world.found(offset=15, limit=5) == newest(15, 20)
    assert read["COUNT created_keys"] == skipped


@pytest.mark.parametrize("move", ["come", "go"])
@pytest.mark.parametrize("listed", [{}, {"sort_field": "name"}, {"status": "lead,vip,null"}])
def test_a_walk_by_offset_has_each_record_once_though_many_come_or_go_before_it(
    world: World, listed: dict[str, str], move: str
) -> None:
    """The last pages, too, go on behind the last one, and not from the list's end or where an offset says it ends."""
    whole, seen = world.found(limit=200, **listed), list[int]()
    for offset in range(0, RECORDS, 4):
        page = world.found(offset=offset, limit=4, **listed)
        seen += page
        if move == "go":
            world.repository.delete(world.customers[page[0]].id, "ada", lambda _: None)
        else:
            world.store(1, name="Zz")
    assert seen == whole


@pytest.mark.parametrize(
    "other", [{"sort_dir": "asc"}, {"sort_field": "name"}, {"status": "vip,lead,null"}, {"date_from": "2020-01-01"}]
)
def test_a_bookmark_of_one_listing_is_none_of_another(world: World, other: dict[str, str]) -> None:
    whole = world.found(limit=200, **other)
    world.found(offset=10, limit=5)
    with world.reading() as read:
        assert world.found(offset=15, limit=5, **other) == whole[15:20]
    assert read["bookmark"] == 1
    assert read["COUNT created_keys"] + read["COUNT by_name"] + read["by_status"] >= 15


def test_a_bookmark_that_can_not_be_left_or_found_fails_no_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(Table, "put", unavailable)
    assert world.found(offset=10, limit=5) == newest(10, 15)
    assert world.left(keys.BOOKMARKS) == []


def test_a_bookmark_is_left_of_one_owners_listing_only(world: World) -> None:
    world.store(5, owner="bob")
    assert len(world.found(offset=10, limit=5, admin=True)) == 5
    assert world.left(keys.BOOKMARKS) == []
    world.found(offset=10, limit=5, admin=True, owner_id="ada")
    (left,) = world.left(keys.BOOKMARKS)
    assert left["expires_at"] == int(world.now) + bookmarks.KEPT_SECONDS


def test_pages_by_cursor_neither_look_for_bookmarks_nor_leave_them(world: World) -> None:
    cursor = world.page(offset=10, limit=5).neighbours["next"]
    with world.reading() as read:
        assert world.found(limit=5, cursor=cursor) == newest(15, 20)
    assert set(read) == {"counts", "by_created"}


# Fences


def test_a_far_jump_leaves_fences_and_the_next_one_starts_at_the_nearest(fenced: World) -> None:
    assert fenced.found(offset=18, limit=2) == newest(18, 20)
    with fenced.reading() as read:
        assert fenced.found(offset=17, limit=1) == newest(17, 18)
    assert read["COUNT created_keys"] <= 3


def test_fences_serve_from_both_sides_and_add_up(fenced: World) -> None:
    fenced.found(offset=18, limit=2)
    fenced.found(offset=20, limit=2)  # from the older end
    for offset in range(6, 36):
        for limit in (1, 2, 4):
            with fenced.reading() as read:
                assert fenced.found(offset=offset, limit=limit) == newest(offset, offset + limit)
            assert read["COUNT created_keys"] <= 3, offset


@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("sort_field", ["created_at", "status", "customer_id", "name", "updated_at", "email"])
@pytest.mark.parametrize("scope", [{}, {"date_from": "2026-01-01T00:05:00"}, {"only_deleted": "true"}])
def test_every_jump_with_fences_of_earlier_jumps_finds_what_a_whole_list_has(
    fenced: World, sort_field: str, sort_dir: str, scope: dict[str, str]
) -> None:
    fenced.store(15, state="deleted")
    listed = {"sort_field": sort_field, "sort_dir": sort_dir, **scope}
    whole = fenced.found(limit=200, **listed)
    for offset in (20, 9, 30, 14, 7, 25, 8, 13, 33):
        assert fenced.found(offset=offset, limit=3, **listed) == whole[offset : offset + 3], offset


def writes(world: World, id: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """What moves the listing by created_at, or (the last ones) another."""
    customers, now = world.repository, lambda _: None
    yield "create", lambda: customers.create("ada", {"customer_id": "C-1000"}, None)
    yield "delete", lambda: customers.delete(id, "ada", now)
    yield "restore", lambda: customers.restore(id, "ada", now, None)
    yield "purge", lambda: customers.purge(world.customers[1].id, "ada", now)
    yield "status", lambda: customers.update(id, "ada", {"status": "new"}, now)
    yield "customer_id", lambda: customers.update(id, "ada", {"customer_id": "C-2000"}, now)
    yield "name", lambda: customers.update(id, "ada", {"name": "A0"}, now)
    yield "email", lambda: customers.update(id, "ada", {"email": "a@example.com"}, now)


@pytest.mark.parametrize("sort_field", ["created_at", "status", "customer_id", "name", "updated_at"])
def test_no_write_leaves_a_fence_standing_in_a_listing_that_it_moves(fenced: World, sort_field: str) -> None:
    uncounted = {"name", "email"}
    for name, write in writes(fenced, fenced.customers[5].id):
        fenced.found(sort_field=sort_field, offset=18, limit=2)
        laid = fences_of(fenced, sort_field)
        write()
        whole = fenced.found(sort_field=sort_field, limit=200)
        with fenced.reading() as read:
            assert fenced.found(sort_field=sort_field, offset=17, limit=1) == whole[17:18], name
        stands = sort_field in {"created_at", "status", "customer_id"} and name in uncounted
        assert (sum(n for index, n in read.items() if index.startswith("COUNT")) <= 3) is stands, name
        fenced.now += SETTLE_SECONDS + 1
        fenced.found(sort_field=sort_field, offset=18, limit=2)
        assert (fences_of(fenced, sort_field) == laid) is stands, name


def fences_of(world: World, sort_field: str) -> Any:
    listing = parse({"sort_field": sort_field}, owner_id="ada", is_admin=False).listing
    return world.listing._jumps._fences.find("ada", listing).standing  # type: ignore[union-attr]


def test_fences_are_laid_only_once_every_index_has_settled(fenced: World) -> None:
    fenced.repository.create("ada", {"customer_id": "C-1000"}, None)
    for seconds in (0, SETTLE_SECONDS):
        fenced.now += seconds
        fenced.found(offset=18, limit=2)
        assert fenced.left(keys.FENCES) == []
    fenced.now += 1
    fenced.found(offset=18, limit=2)
    assert len(fenced.left(keys.FENCES)) == 1


def test_fences_are_laid_only_if_no_updated_at_is_new_where_the_order_hangs_on_it(fenced: World) -> None:
    fenced.repository.update(fenced.customers[5].id, "ada", {"name": "A0"}, lambda _: None)
    fenced.found(offset=18, limit=2, sort_field="name")
    assert fenced.left(keys.FENCES) == []
    fenced.found(offset=18, limit=2)
    assert len(fenced.left(keys.FENCES)) == 1


@pytest.mark.parametrize("moment", range(1, 6))
def test_fences_are_not_laid_if_anything_moved_during_the_walk(fenced: World, moment: int) -> None:
    """A deletion before the n-th of the walk's five counts."""
    counted = 0

    def delete(params: dict[str, Any], **_: object) -> None:
        nonlocal counted
        if params.get("Select") == "COUNT":
            counted += 1
            if counted == moment:
                fenced.now += 60
                fenced.repository.delete(fenced.customers[39].id, "ada", lambda _: None)
                fenced.now += 60

    fenced.table._client.meta.events.register("before-parameter-build.dynamodb.Query", delete)
    fenced.found(offset=14, limit=2)
    assert counted == 5
    assert fenced.left(keys.FENCES) == []


def test_fences_that_can_not_be_laid_fail_no_page(fenced: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Table.put

    def unavailable(table: Table, item: dict[str, Any]) -> None:
        if item["sk"].startswith(keys.FENCES):
            raise Unavailable
        put(table, item)

    monkeypatch.setattr(Table, "put", unavailable)
    assert fenced.found(offset=18, limit=2) == newest(18, 20)
    assert fenced.left(keys.FENCES) == []


def test_fences_are_laid_of_no_listing_that_is_merged_or_filtered(fenced: World) -> None:
    fenced.store(5, state="deleted")
    for params in (
        {"include_deleted": "true"},
        {"status": "vip,lead"},
        {"sort_field": "name", "status": "vip,lead"},
        {"owner_id": "", "admin": True},
    ):
        assert len(fenced.found(**{"offset": 15, "limit": 2, **params})) == 2
    assert fenced.left(keys.FENCES) == []


def test_fences_that_take_too_much_are_thinned_and_still_right(fenced: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "MAX_BYTES", 150)
    for offset in (18, 20, 9, 30):
        assert fenced.found(offset=offset, limit=2) == newest(offset, offset + 2)
    (item,) = fenced.left(keys.FENCES)
    assert 0 < len(bytes(item["fences"])) <= 150
    for offset in range(6, 38):
        assert fenced.found(offset=offset, limit=2) == newest(offset, offset + 2)


def test_fences_are_found_as_they_were_laid(table: Table) -> None:
    own = Fences(table, lambda: 1_000_000.0)
    standing = Standing(7, "2026-01-01T00:00:00.000000Z", "é")
    positions = [Position(2_500 * n, (f"\U0010ffff{n}", "id é")) for n in range(1, 400)]
    own.lay("ada", "listing", standing, positions[::-1] + positions[:1])
    laid = own.find("ada", "listing")
    assert (laid.standing, laid.positions) == (standing, positions)
    assert laid.standing_at(standing) == positions
    for other in (replace(standing, writes=8), replace(standing, moved_at=""), replace(standing, updated_at="")):
        assert laid.standing_at(other) == ()
    assert own.find("bob", "listing").positions == own.find("ada", "other").positions == ()
    assert len(encode({"fences": [list(p.values) for p in positions]})["fences"]["L"]) == len(positions)


# Totals of dates


def minute(n: float) -> str:
    return keys.timestamp(BORN + timedelta(minutes=n))


RANGES = [
    {name: minute(n) for name, n in (("date_from", first), ("date_to", last)) if n is not None}
    for first in (None, -5, 0, 0.5, 12, 19, 39, 45)
    for last in (None, -5, 0, 12, 12.5, 27, 39, 45)
    if (first is not None or last is not None) and (first is None or last is None or first <= last)
] + [
    {"date_to": "9999-12-31"},
    {"date_from": "0001-01-01"},
    {"date_from": "0001-01-01", "date_to": "9999-12-31"},
    {"date_from": minute(10), "date_to": "9999-12-31T23:59:59.999999Z"},
]


def within(world: World, dates: dict[str, str]) -> int:
    first, last = dates.get("date_from", "")[:27], dates.get("date_to", "9")
    return sum(first <= each.created_at <= last for each in world.customers if each.state == "live")


def test_the_total_of_dates_by_fences_is_a_count_of_them_with_both_ends_inclusive(fenced: World) -> None:
    for _ in range(2):  # the second time with all fences that the first one left
        for dates in RANGES:
            assert fenced.total(**dates) == within(fenced, dates), dates


def test_the_total_of_dates_by_fences_reads_what_is_between_them_at_most(fenced: World) -> None:
    for dates in RANGES:
        fenced.total(**dates)
    for dates in RANGES:
        with fenced.reading() as read:
            fenced.total(limit=1, **dates)
        assert read["COUNT created_keys"] <= 8, dates


def test_the_totals_of_dates_and_the_far_pages_share_their_fences(fenced: World) -> None:
    fenced.found(offset=18, limit=2)
    fenced.found(offset=30, limit=2)
    with fenced.reading() as read:
        assert fenced.total(date_from=minute(3), date_to=minute(33)) == 31
    assert read["COUNT created_keys"] <= 6
    fenced.listing.page(parse({"date_to": minute(25)}, owner_id="ada", is_admin=False))
    assert len(fenced.left(keys.FENCES)) == 1


def test_a_record_that_comes_or_goes_is_in_the_total_of_dates_at_once(fenced: World) -> None:
    dates = {"date_from": minute(3), "date_to": minute(33)}
    assert fenced.total(**dates) == 31
    fenced.repository.delete(fenced.customers[20].id, "ada", lambda _: None)
    assert fenced.total(**dates) == 30
    fenced.repository.purge(fenced.customers[20].id, "ada", lambda _: None)
    fenced.now += SETTLE_SECONDS + 1
    assert [fenced.total(**dates) for _ in range(2)] == [30, 30]


@pytest.mark.parametrize("asked", [{"include_deleted": "true"}, {"status": "vip"}, {"include_aggregations": "true"}])
def test_dates_whose_statuses_or_states_matter_are_counted_one_by_one(fenced: World, asked: dict[str, str]) -> None:
    states: Sequence[str] = ("live", "deleted") if "include_deleted" in asked else ("live",)
    fenced.store(15, state="deleted")
    for dates in RANGES:
        first, last = dates.get("date_from", "")[:27], dates.get("date_to", "9")
        expected = sum(
            first <= each.created_at <= last
            and each.state in states
            and asked.get("status", each.status) == each.status
            for each in fenced.customers
        )
        assert fenced.total(**asked, **dates) == expected, dates


# Walks that are too long


def test_a_walk_that_is_too_long_is_a_503_and_gets_further_each_time_thanks_to_fences(new_world: NewWorld) -> None:
    world = new_world(max_entries=6)
    world.store(RECORDS)
    tries = 0
    while True:
        try:
            page = world.found(offset=19, limit=2)
        except WalkTooLong:
            tries += 1
            assert tries < 10
        else:
            break
    assert page == newest(19, 21)
    assert tries == 3


def test_a_walk_that_is_too_long_stays_so_without_fences_or_while_others_write(new_world: NewWorld) -> None:
    world = new_world(max_entries=6, fences=None)
    world.store(RECORDS)
    for _ in range(5):
        with pytest.raises(WalkTooLong):
            world.found(offset=19, limit=2)
    world = new_world(max_entries=6)
    for n in range(5):
        world.repository.update(world_first(world), "ada", {"status": f"s{n}"}, lambda _: None)
        with pytest.raises(WalkTooLong):
            world.found(offset=19, limit=2)


def world_first(world: World) -> str:
    return world.page(limit=1).answer.data[0].id


def test_a_walk_by_offset_is_never_too_long(new_world: NewWorld) -> None:
    world = new_world(max_entries=6, fences=None)
    world.store(RECORDS)
    seen = [n for offset in range(0, RECORDS, 4) for n in world.found(offset=offset, limit=4)]
    assert seen == newest(0, RECORDS)


def test_a_total_of_dates_that_is_too_long_to_count_gets_further_each_time(new_world: NewWorld) -> None:
    world = new_world(max_entries=6)
    world.store(RECORDS)
    tries = 0
    while tries < 10:
        try:
            total = world.total(date_from=minute(10), date_to=minute(30))
        except WalkTooLong:
            tries += 1
        else:
            break
    assert (total, 0 < tries < 10) == (21, True)


def test_a_walk_that_is_too_long_is_answered_with_retry_after_and_its_code(
    api: Api, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.app("list_customers").customers, "_max_walk_bytes", 6 * ENTRY_BYTES)
    query = urlencode({"offset": 19, "limit": 2})
    answers = [api.call("list_customers", query=query, owner="ada") for _ in range(4)]
    assert [answer.status for answer in answers] == [503, 503, 503, 200]
    assert (answers[0].body["code"], answers[0].headers["Retry-After"]) == ("walk_too_long", "1")
    assert [each["customer_id"] for each in answers[-1].body["data"]] == [f"C-{n}" for n in newest(19, 21)]
    assert world.left(keys.FENCES)


def test_a_filtered_walk_stops_where_it_would_be_too_long(new_world: NewWorld) -> None:
    world = new_world(max_entries=6)
    world.store(RECORDS, status="lead")
    world.store(9, status="vip", name="Zz")
    with pytest.raises(WalkTooLong):
        world.found(sort_field="name", sort_dir="asc", status="vip", limit=9)


# Filters that few records pass


@pytest.mark.parametrize("dates", [{}, {"date_from": minute(0)}])
def test_few_records_of_many_are_gathered_and_not_walked_to(
    world: World, monkeypatch: pytest.MonkeyPatch, dates: dict[str, str]
) -> None:
    monkeypatch.setattr("customers.listing.gather.RECORD_ENTRIES", 2)
    world.store(3, status="rare", name="Zz")
    for sort_dir in ("asc", "desc"):
        asked: dict[str, Any] = {"sort_field": "name", "sort_dir": sort_dir, "status": "rare", **dates}
        ordered = sorted((40, 41, 42), key=lambda n: world.customers[n].id, reverse=sort_dir == "desc")
        for offset in range(5):
            with world.reading() as read:
                assert world.found(**asked, limit=3, offset=offset) == ordered[offset:]
            assert read["by_name"] <= max(4, offset + 3), "a first read, and no more"
        assert [world.found(**asked, limit=1, cursor=each) for each in cursors(world, asked)] == [
            [n] for n in (*ordered[1:], ordered[1], ordered[0])
        ]


def cursors(world: World, asked: dict[str, Any]) -> Iterator[str | None]:
    """There and back by one record at a time."""
    page = world.page(**asked, limit=1)
    for relation in ("next", "next", "prev", "prev"):
        yield (cursor := page.neighbours[relation])
        page = world.page(**asked, limit=1, cursor=cursor)


def test_few_records_of_some_days_are_gathered_by_their_dates(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customers.listing.gather.RECORD_ENTRIES", 2)
    with world.reading() as read:
        page = world.found(sort_field="name", date_from=minute(37), limit=3)
    assert page == sorted((37, 38, 39), key=lambda n: (world.customers[n].name, world.customers[n].id), reverse=True)
    assert (read["by_name"], read["by_created"]) == (4, 3)


def test_many_records_are_walked_to_though_they_are_filtered(world: World) -> None:
    with world.reading() as read:
        world.found(sort_field="name", status="vip,lead", limit=5)
    assert read["by_status"] == read["by_created"] == 0


# Administrators


@pytest.mark.parametrize("asked", [{}, {"include_deleted": "true"}, {"sort_dir": "asc"}, {"sort_field": "name"}])
def test_an_administrators_page_reads_one_entry_of_each_owner_beside_twice_what_it_shows(
    world: World, asked: dict[str, str]
) -> None:
    owners = 25
    for n in range(1, owners):
        world.store(3, owner=f"owner-{n}")
    ranges = owners * (2 if "include_deleted" in asked else 1)
    with world.reading() as read:
        page = world.page(admin=True, limit=10, **asked)
    assert len(page.answer.data) == 10
    assert read["by_created"] + read["by_name"] <= ranges + 2 * 10
    with world.reading() as read:
        second = world.page(admin=True, limit=10, cursor=page.neighbours["next"], **asked)
    assert read["by_created"] + read["by_name"] <= ranges + 2 * 11
    assert not {each.id for each in page.answer.data} & {each.id for each in second.answer.data}


def test_an_administrators_page_reads_on_only_where_the_page_is(world: World) -> None:
    """The newest records are all of one owner."""
    for n in range(1, 20):
        world.store(2, owner=f"owner-{n}")
    world.store(20, owner="newest")
    with world.reading() as read:
        assert world.found(admin=True, limit=10) == list(range(97, 87, -1))
    assert read["by_created"] <= 21 + 2 * 10
