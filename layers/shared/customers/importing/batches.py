"""Rows to transactions: a batch of rows is applied as a whole, together with the mark that says so.

Each row is decided on what the table says of its customer_id: a new customer, a change, or a rejection. The batch's one
transaction holds only while that is still so; otherwise the batch is read and decided again. Whoever repeats a batch,
after a fault or beside another, meets the mark and writes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import batched
from typing import Protocol
from uuid import uuid4

from customers import cascade, keys
from customers.dynamodb import BATCH_GET_ITEMS, CONTENTION_ATTEMPTS, Cancelled, Item, Table, Write
from customers.errors import Unavailable
from customers.importing.rows import OnDeleted, Row, RowError, Tally
from customers.models import Customer
from customers.writes import advance, after, count, drop_zeros, reserve

# Of one transaction's 100 items: a record and a unique key for each row, the 16 counts, the mark and the rejections.
BATCH_ROWS = 40
_, COUNTS = keys.counts("")  # what the names of the writes of count items begin with


class Overtaken(Exception):
    """Somebody else has carried out this batch, or the whole import has moved on."""


class Mark(Protocol):
    """What remembers how far an import is."""

    def writes(self, tally: Tally, rejections: Sequence[RowError], rows: int) -> Mapping[str, Write]:
        """What a batch's transaction writes so that it is carried out once: under the name "mark", on a condition."""

    def passed(self, tally: Tally, rejections: Sequence[RowError], rows: int) -> None:
        """The transaction was carried out."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for all rows of a file, whose it is, and when it was sent (a timestamp)."""

    owner_id: str
    sent_at: str
    on_deleted: OnDeleted = "skip"
    dry_run: bool = False


@dataclass(slots=True)
class _Decision:
    """What a batch comes to: its writes by name, how many rows of which outcome, and whose targets are to follow."""

    writes: dict[str, Write] = field(default_factory=dict[str, Write])
    moves: list[tuple[Customer, int]] = field(default_factory=list[tuple[Customer, int]])
    tally: Tally = field(default_factory=Tally)
    rejections: list[RowError] = field(default_factory=list[RowError])
    restored: list[str] = field(default_factory=list[str])

    def reject(self, row: Row) -> None:
        self.tally.skipped += 1
        self.rejections += row.errors


class Batches:
    """Applies an order's rows.

    `shard` is the count item that new customers are counted in: writers of one owner with different ones do not meet.
    """

    def __init__(self, table: Table, order: Order, mark: Mark, *, shard: int) -> None:
        self._table = table
        self._order = order
        self._mark = mark
        self._shard = shard
        self._registered = False

    def apply(self, rows: Iterable[Row]) -> None:
        """All rows in order; no two without errors have one customer_id. Raises `Overtaken`, `Unavailable`."""
        for batch in batched(rows, BATCH_ROWS, strict=False):
            self.apply_batch(batch)

    def apply_batch(self, rows: Sequence[Row]) -> None:
        """At most BATCH_ROWS rows."""
        for attempt in range(CONTENTION_ATTEMPTS):
            if attempt:
                self._table.pause(attempt)
            decision = self._decide(rows)
            if decision is None:
                continue
            try:
                self._carry_out(decision, len(rows))
            except Cancelled as cancelled:
                if "mark" in cancelled.failed:
                    raise Overtaken from None
                full = [name for name in cancelled.oversized if name.startswith(COUNTS)]
                if cancelled.oversized and not full:
                    raise  # nothing else of a batch can be too large
                if full and not self._make_room(full):
                    return self._apply_less(rows)
            else:
                return None
        raise Unavailable

    def _carry_out(self, decision: _Decision, rows: int) -> None:
        """Raises `Cancelled`."""
        if decision.tally.created and not self._registered and not self._order.dry_run:
            self._table.put(keys.owner(self._order.owner_id))
            self._registered = True
        writes = {**decision.writes, **_counts(decision.moves)} if not self._order.dry_run else {}
        writes |= self._mark.writes(decision.tally, decision.rejections, rows)
        if writes:
            self._table.transact(writes)
        self._mark.passed(decision.tally, decision.rejections, rows)
        for id in decision.restored if not self._order.dry_run else ():
            cascade.settle(self._table, id, None)

    def _make_room(self, full: Sequence[str]) -> bool:
        """Whether anything could be dropped from count items that are full of statuses that nobody has any more."""
        partition, _ = keys.counts(self._order.owner_id)
        return any(drop_zeros(self._table, {"pk": partition, "sk": shard}) for shard in full)

    def _apply_less(self, rows: Sequence[Row]) -> None:
        """A count item is full: find the rows that want one more status in it."""
        if len(rows) > 1:
            middle = len(rows) // 2
            self.apply_batch(rows[:middle])
            self.apply_batch(rows[middle:])
        else:
            message = "This owner has too many different status values"
            self.apply_batch([Row.rejected(rows[0].number, "too_many_statuses", message, "status")])

    def _decide(self, rows: Sequence[Row]) -> _Decision | None:
        """None: what was read does not fit together, because it moved meanwhile."""
        sound = [row for row in rows if not row.errors]
        holders = self._holders(sound)
        records = self._records(holders.values())
        gone = self._gone([row for row in sound if row.customer_id not in holders])
        decision = _Decision()
        for row in rows:
            if row.errors:
                decision.reject(row)
            elif late := gone.get(row.customer_id):
                decision.reject(late)
            elif row.customer_id not in holders:
                self._create(decision, row)
            else:
                record = records.get(holders[row.customer_id])
                if not record or record.customer_id != row.customer_id:
                    return None  # purged, or given another customer_id, between the two reads
                self._update(decision, row, record)
        return decision

    def _create(self, decision: _Decision, row: Row) -> None:
        now = keys.timestamp(datetime.now(UTC))
        customer = Customer(
            **row.values, id=_id_in(self._shard), owner_id=self._order.owner_id, created_at=now, updated_at=now
        )
        decision.tally.created += 1
        decision.moves.append((customer, 1))
        decision.writes[f"new {row.number}"] = Write("Put", item=customer.item(), condition="attribute_not_exists(pk)")
        decision.writes[f"key {row.number}"] = reserve(customer)

    def _update(self, decision: _Decision, row: Row, customer: Customer) -> None:
        is_deleted = customer.state == "deleted"
        if is_deleted and self._order.on_deleted == "skip":
            message = "The customer with this customer_id is deleted; on_deleted=restore would bring it back"
            return decision.reject(Row.rejected(row.number, "matches_deleted", message, "customer_id"))
        decision.tally.updated += 1
        moved = {name: value for name, value in row.values.items() if getattr(customer, name) != value}
        if not moved and not is_deleted:
            decision.tally.unchanged += 1
            return None
        updated = customer.changed(after(customer, datetime.now(UTC)), **moved)
        if is_deleted:
            updated = replace(updated, state="live", deleted_at=None, purge_at=None)
            decision.restored.append(customer.id)
        decision.writes[f"change {row.number}"] = advance(customer, updated)
        if (customer.state, customer.status_key) != (updated.state, updated.status_key):
            decision.moves += [(customer, -1), (updated, 1)]
        return None

    def _holders(self, rows: Sequence[Row]) -> dict[str, str]:
        """The id of the record that has each row's customer_id, if one has."""
        by_pk = {keys.unique(self._order.owner_id, row.customer_id)["pk"]: row.customer_id for row in rows}
        wanted = [keys.unique(self._order.owner_id, row.customer_id) for row in rows]
        return {by_pk[item["pk"]]: item["id"] for item in self._read(wanted)}

    def _records(self, ids: Iterable[str]) -> dict[str, Customer]:
        items = self._read([keys.customer(id) for id in ids])
        return {item["id"]: Customer.from_item(item) for item in items if item["state"] != "purging"}

    def _gone(self, rows: Sequence[Row]) -> dict[str, Row]:
        """Rejections of rows whose customer was purged, or given another customer_id, after the file was sent.

        Read after the holders: what frees a customer_id leaves its mark in the same transaction. What is made and
        purged again between this and the batch's own transaction is not seen.
        """
        by_pk = {keys.freed(self._order.owner_id, row.customer_id)["pk"]: row for row in rows}
        wanted = [keys.freed(self._order.owner_id, row.customer_id) for row in rows]
        late = [by_pk[item["pk"]] for item in self._read(wanted) if item["freed_at"] > self._order.sent_at]
        message = "The customer was purged, or has been given another customer_id, since the file was sent"
        return {row.customer_id: Row.rejected(row.number, "customer_gone", message, "customer_id") for row in late}

    def _read(self, wanted: Sequence[keys.Key]) -> list[Item]:
        return self._table.batch_get(wanted, consistent=True) if wanted else []


def _counts(moves: Iterable[tuple[Customer, int]]) -> dict[str, Write]:
    """One write for each count item that the moves touch, by its sort key."""
    by_shard = defaultdict[str, list[tuple[Customer, int]]](list)
    for customer, step in moves:
        by_shard[keys.count(customer.owner_id, customer.id)["sk"]].append((customer, step))
    return {
        shard: count(*moved, at=max(customer.updated_at for customer, _ in moved)) for shard, moved in by_shard.items()
    }


def _id_in(shard: int) -> str:
    """A new id that is counted in the count item `shard`."""
    while keys.count_shard(id := str(uuid4())) != shard:
        pass
    return id


assert BATCH_ROWS <= BATCH_GET_ITEMS  # noqa: S101 - each read is one request
