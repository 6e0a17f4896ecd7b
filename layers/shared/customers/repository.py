"""The customers in the table: one method for each access pattern.

Every change of a record is one transaction, and every rule that must hold under concurrency is a condition of it. Only
an owner's entry in the registry and the sweep after a purge need none. A record is read,
its next version is made from it, and the write holds only if the record still has the version that was read; otherwise
the method starts again. A purged or half-purged record is not found by anything but `purge`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from customers import cascade, keys
from customers.dynamodb import CONTENTION_ATTEMPTS, Cancelled, Contended, Item, Table, Write
from customers.errors import (
    CustomerDeleted,
    CustomerIdTaken,
    CustomerNotFound,
    IdempotencyInProgress,
    Invalid,
    PreconditionFailed,
    Unavailable,
)
from customers.keys import ABSENT
from customers.models import Customer
from customers.writes import advance, after, count, drop_zeros, release, reserve, unmoved

IDEMPOTENCY_HOURS = 24
TOMBSTONE_HOURS = 24  # longer than any search cache lives
FREED_DAYS = 8  # longer than an import's file lives
HALF_PURGED = "0"  # purge_at of a record whose purge has begun: due before everything else

type Precondition = Callable[[Customer], None]  # raises PreconditionFailed


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that carries an Idempotency-Key: whose, the key's hash, and the hash of what was asked."""

    owner_id: str
    key_hash: str
    fingerprint: str

    @property
    def key(self) -> keys.Key:
        return keys.idempotency(self.owner_id, self.key_hash)

    @staticmethod
    def expires_at(now: datetime) -> int:
        return int((now + timedelta(hours=IDEMPOTENCY_HOURS)).timestamp())

    def remember(self, now: datetime, **result: Any) -> Write:
        """Keep what the request led to, unless its key is in use: then the write meets what was kept before."""
        return Write(
            "Put",
            item={**self.key, "fingerprint": self.fingerprint, **result, "expires_at": self.expires_at(now)},
            condition="attribute_not_exists(pk) OR expires_at <= :now",  # TTL may be days late
            values={":now": int(now.timestamp())},
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    customer: Customer
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class CustomerDetail:
    customer: Customer
    stats: Item
    targets: Sequence[Item]


class Repository:
    """`owner_id` limits whom a method reaches: another's record is not found; None (an administrator's) reaches all."""

    def __init__(
        self, table: Table, *, retention_days: int, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._table = table
        self._retention_days = retention_days
        self._clock = clock
        self._registered_owners: set[str] = set()

    def get(self, id: str, owner_id: str | None, *, include_deleted: bool = False) -> Customer:
        return self._visible(self._table.get(keys.customer(id)), owner_id, include_deleted=include_deleted)

    def detail(self, id: str, owner_id: str | None, *, include_deleted: bool = False) -> CustomerDetail:
        """A customer with its statistics and its targets, of which a deleted one has none."""
        return self._detail(id, owner_id, last=keys.TARGETS + ABSENT, include_deleted=include_deleted)

    def summary(self, id: str, owner_id: str | None, *, include_deleted: bool = False) -> CustomerDetail:
        """A customer with its statistics only."""
        return self._detail(id, owner_id, last=keys.STATS, include_deleted=include_deleted)

    def _detail(self, id: str, owner_id: str | None, *, last: str, include_deleted: bool) -> CustomerDetail:
        pages = self._table.pages(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            values={":pk": keys.customer(id)["pk"], ":first": keys.customer(id)["sk"], ":last": last},
            ConsistentRead=True,
        )
        customer, items = None, dict[str, Item]()
        for page in pages:
            items |= {item["sk"]: item for item in page.items}
            header = items.get(
                keys.customer(id)["sk"]
            )  # it comes first: nothing more is read for those who may not see
            customer = customer or self._visible(header, owner_id, include_deleted=include_deleted)
            if customer.state != "live":
                break
        if not customer:
            raise CustomerNotFound
        targets = [item for sk, item in items.items() if sk.startswith(keys.TARGETS)]
        return CustomerDetail(customer, items.get(keys.STATS, {}), targets if customer.state == "live" else [])

    def create(self, owner_id: str, values: Mapping[str, Any], request: IdempotentRequest | None) -> Outcome:
        """Raises `CustomerIdTaken`."""
        now = keys.timestamp(self._clock())
        customer = Customer(**values, id=str(uuid4()), owner_id=owner_id, created_at=now, updated_at=now)
        self._register(owner_id)
        writes = {
            "customer": Write("Put", item=customer.item(), condition="attribute_not_exists(pk)"),
            "unique": reserve(customer),
            "count": count((customer, 1), at=now),
        }
        for _ in range(CONTENTION_ATTEMPTS):
            try:
                return self._transact(customer, writes, request)
            except Cancelled as cancelled:
                self._raise_if_taken(cancelled)  # else its holder has just been purged: the key is free now
        raise Unavailable

    def update(self, id: str, owner_id: str | None, changes: Mapping[str, Any], precondition: Precondition) -> Customer:
        """Set `changes` (None clears). What is so already is no change: then nothing is written and nothing moves.

        Raises `CustomerDeleted`, `CustomerIdTaken`, `PreconditionFailed`.
        """
        customer = self.get(id, owner_id)
        for attempt in range(CONTENTION_ATTEMPTS):
            precondition(customer)
            moved = {name: value for name, value in changes.items() if getattr(customer, name) != value}
            if not moved:
                return customer
            updated = customer.changed(after(customer, self._clock()), **moved)
            writes = {"customer": advance(customer, updated)}
            if "customer_id" in moved:
                writes |= {"unique": reserve(updated), "released": release(customer), "freed": self._freed(customer)}
            if {"customer_id", "status"} & moved.keys():
                writes["count"] = count((customer, -1), (updated, 1), at=updated.updated_at)
            try:
                return self._transact(updated, writes).customer
            except Cancelled as cancelled:
                if "customer" not in cancelled.failed:
                    self._raise_if_taken(cancelled)
                customer = self._visible(self._again(id, attempt), owner_id)
        raise Unavailable

    def delete(self, id: str, owner_id: str | None, precondition: Precondition) -> None:
        """Soft delete: hidden until restored or purged, for which `purge_at` says when it is due.

        Its targets go with it. A deleted record stays as it is.
        """
        customer = self.get(id, owner_id, include_deleted=True)
        for attempt in range(CONTENTION_ATTEMPTS):
            if customer.state == "deleted":
                return cascade.settle(self._table, id, customer.deleted_at)
            precondition(customer)
            now = after(customer, self._clock())
            due = datetime.fromisoformat(now) + timedelta(days=self._retention_days)
            deleted = replace(
                customer.changed(now, state="deleted"),
                deleted_at=now,
                purge_at=keys.timestamp(due) if self._retention_days else None,
            )
            writes = {
                "customer": advance(customer, deleted),
                "count": count((customer, -1), (deleted, 1), at=now),
            }
            try:
                self._transact(deleted, writes)
            except Cancelled:
                customer = self._visible(self._again(id, attempt), owner_id, include_deleted=True)
            else:
                return cascade.settle(self._table, id, deleted.deleted_at)
        raise Unavailable

    def restore(
        self, id: str, owner_id: str | None, precondition: Precondition, request: IdempotentRequest | None
    ) -> Outcome:
        """Brings back the record, and those of its targets that its delete took. A live record stays as it is."""
        outcome = self._restore(id, owner_id, precondition, request)
        if outcome.customer.state == "live":  # a replay shows the record as it is by now
            cascade.settle(self._table, id, None)
        return outcome

    def _restore(
        self, id: str, owner_id: str | None, precondition: Precondition, request: IdempotentRequest | None
    ) -> Outcome:
        customer = self.get(id, owner_id, include_deleted=True)
        for attempt in range(CONTENTION_ATTEMPTS):
            try:
                precondition(customer)
            except PreconditionFailed:
                remembered = self._table.get(request.key) if request else None
                if request and remembered and remembered["expires_at"] > self._clock().timestamp():
                    return self._replay(request, remembered)  # it moved because this very request was carried out
                raise
            if customer.state == "deleted":
                restored = customer.changed(
                    after(customer, self._clock()), state="live", deleted_at=None, purge_at=None
                )
                writes = {
                    "customer": advance(customer, restored),
                    "count": count((customer, -1), (restored, 1), at=restored.updated_at),
                }
            elif request:  # nothing to do but to remember that it was asked
                restored, writes = customer, {"customer": unmoved(customer)}
            else:
                return Outcome(customer)
            try:
                return self._transact(restored, writes, request)
            except Cancelled:
                customer = self._visible(self._again(id, attempt), owner_id, include_deleted=True)
        raise Unavailable

    def purge(self, id: str, owner_id: str | None, precondition: Precondition) -> bool:
        """Remove every trace, in two phases; a purge that was killed between them is finished by the next one.

        False if another purge, at the same time, came to the end first.

        First one transaction makes the record unreachable, frees its customer_id, corrects the counts and leaves marks
        for search caches and for imports. Then go the other items of its collection and its idempotency records, the
        header last.
        """
        header = self._table.get(keys.customer(id))
        for attempt in range(CONTENTION_ATTEMPTS):
            if header and header["state"] == "purging" and owner_id in {None, header["owner_id"]}:
                return self._sweep(header)
            customer = self._visible(header, owner_id, include_deleted=True)
            precondition(customer)
            now = after(customer, self._clock())
            rest = _half_purged(customer, now)
            writes = {
                "customer": Write("Put", item=rest, condition="version = :read", values={":read": customer.version}),
                "released": release(customer),
                "count": count((customer, -1), at=now),
                "tombstone": Write("Put", item=self._tombstone(customer)),
                "freed": self._freed(customer),
            }
            try:
                self._transact(customer, writes)
            except Cancelled:
                header = self._again(id, attempt)
            else:
                return self._sweep(rest)
        raise Unavailable

    def due(self, now: datetime) -> Iterator[Sequence[str]]:
        """The ids of what is due for purge, in lots; those first whose purge has begun."""
        for first, last in ((HALF_PURGED, HALF_PURGED), ("1", keys.timestamp(now))):
            for shard in range(keys.PURGE_SHARDS):
                pages = self._table.pages(
                    IndexName=keys.BY_PURGE.name,
                    KeyConditionExpression="purge_shard = :shard AND purge_at BETWEEN :first AND :last",
                    ProjectionExpression="pk",
                    values={":shard": str(shard), ":first": first, ":last": last},
                )
                yield from ([keys.id_of(item["pk"]) for item in page.items] for page in pages)

    def api_key(self, key_id: str) -> Item | None:
        return self._table.get(keys.api_key(key_id))

    def _again(self, id: str, attempt: int) -> Item | None:
        """The header of a record that had moved on when it was written: read anew after a pause.

        Without the pause, many writers of one record would go on meeting each other. Raises `Unavailable` after the
        last attempt.
        """
        if attempt + 1 == CONTENTION_ATTEMPTS:
            raise Unavailable
        self._table.pause(attempt + 1)
        return self._table.get(keys.customer(id))

    def _register(self, owner_id: str) -> None:
        """Enter the owner for administrators' listings: before its first record, once in a function's life.

        Not in the record's transaction, where all functions that start at once would meet on this one item.
        """
        if owner_id not in self._registered_owners:
            self._table.put(keys.owner(owner_id))
            self._registered_owners.add(owner_id)

    def _visible(self, header: Item | None, owner_id: str | None, *, include_deleted: bool = False) -> Customer:
        """The record of a header item, for those who may see it. Raises `CustomerNotFound`, `CustomerDeleted`."""
        if not header or header["state"] == "purging" or owner_id not in {None, header["owner_id"]}:
            raise CustomerNotFound
        if header["state"] == "deleted" and not include_deleted:
            raise CustomerDeleted
        return Customer.from_item(header)

    def _transact(
        self, customer: Customer, writes: Mapping[str, Write], request: IdempotentRequest | None = None
    ) -> Outcome:
        """Write, together with the request's idempotency record; or find that the request was answered before."""
        try:
            self._table.transact({**writes, **self._remember(customer, request)} if request else writes)
        except Contended as contended:
            raise IdempotencyInProgress if "idempotency" in contended.names else contended from None
        except Cancelled as cancelled:
            if request and "idempotency" in cancelled.failed:
                return self._replay(request, cancelled.failed["idempotency"])
            if "released" in cancelled.failed:  # by an earlier fault it is another record's key: that one keeps it
                return self._transact(customer, {n: w for n, w in writes.items() if n != "released"}, request)
            if "count" not in cancelled.oversized:
                raise
            if drop_zeros(self._table, keys.count(customer.owner_id, customer.id)):
                return self._transact(customer, writes, request)
            raise Invalid.at(
                "body", "status", msg="This owner has too many different status values", kind="too_many_statuses"
            ) from None
        return Outcome(customer)

    def _remember(self, customer: Customer, request: IdempotentRequest) -> dict[str, Write]:
        now = self._clock()
        pointer = {**keys.idempotency_pointer(customer.id, request.key), "expires_at": request.expires_at(now)}
        return {"idempotency": request.remember(now, id=customer.id), "pointer": Write("Put", item=pointer)}

    def _replay(self, request: IdempotentRequest, remembered: Item) -> Outcome:
        if remembered["fingerprint"] != request.fingerprint:
            raise Invalid.reused_key()
        return Outcome(self.get(remembered["id"], None, include_deleted=True), replayed=True)

    def _raise_if_taken(self, cancelled: Cancelled) -> None:
        holder = self._table.get(keys.customer(cancelled.failed["unique"]["id"]))
        if holder and holder["state"] != "purging":
            raise CustomerIdTaken(existing_id=holder["id"], existing_deleted=holder["state"] == "deleted") from None

    def _tombstone(self, customer: Customer) -> Item:
        now = self._clock()
        expires_at = int((now + timedelta(hours=TOMBSTONE_HOURS)).timestamp())
        return {**keys.tombstone(customer.owner_id, keys.timestamp(now), customer.id), "expires_at": expires_at}

    def _freed(self, customer: Customer) -> Write:
        """Keeps imports of older files from making the customer anew, now that its customer_id is free."""
        now = self._clock()
        expires_at = int((now + timedelta(days=FREED_DAYS)).timestamp())
        key = keys.freed(customer.owner_id, customer.customer_id)
        return Write("Put", item={**key, "freed_at": keys.timestamp(now), "expires_at": expires_at})

    def _sweep(self, header: Item) -> bool:
        """Second phase of a purge: the header goes last, so that a sweep that was killed is found again."""
        own = {"pk": header["pk"], "sk": header["sk"]}
        collection = self._table.pages(
            KeyConditionExpression="pk = :pk",
            values={":pk": header["pk"]},
            ProjectionExpression="pk, sk",
            ConsistentRead=True,
        )
        for page in collection:
            for key in page.items:
                if record := keys.pointed_record(key["sk"]):
                    self._forget(header["id"], record)
            self._table.delete_all([key for key in page.items if key != own])
        self._drop_places(header["owner_id"])
        drop_zeros(self._table, keys.count(header["owner_id"], header["id"]))  # a status may be somebody's words
        end = Write("Delete", key=own, condition="attribute_exists(pk)")  # so that it is counted once who ended it
        try:
            self._table.transact({"customer": end})
        except Cancelled:
            return False
        return True

    def _drop_places(self, owner_id: str) -> None:
        """Delete the owner's bookmarks and fences: they hold names and addresses, and are only caches."""
        for prefix in (keys.BOOKMARKS, keys.FENCES):
            pages = self._table.pages(
                KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
                values={":pk": keys.count(owner_id, "")["pk"], ":prefix": prefix},
                ProjectionExpression="pk, sk",
                ConsistentRead=True,
            )
            for page in pages:
                self._table.delete_all(page.items)

    def _forget(self, id: str, record: keys.Key) -> None:
        """Delete an idempotency record, unless its key has been used again since, for another customer."""
        with suppress(Cancelled):
            self._table.transact({"record": Write("Delete", key=record, condition="id = :id", values={":id": id})})


def _half_purged(customer: Customer, now: str) -> Item:
    """What is left of a record between the phases of its purge: nothing personal, enough to find and finish it."""
    return {
        **keys.customer(customer.id),
        "id": customer.id,
        "owner_id": customer.owner_id,
        "state": "purging",
        "version": customer.version + 1,
        "updated_at": now,
        "purge_at": HALF_PURGED,
        "purge_shard": keys.purge_shard(customer.id),
    }
