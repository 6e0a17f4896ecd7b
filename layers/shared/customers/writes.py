"""The parts of the transactions that change a record: built from the record, and read by tests without a table."""

from collections import Counter
from datetime import datetime, timedelta

from customers import keys
from customers.dynamodb import Cancelled, Table, Write
from customers.models import Customer

DROPPED_ZEROS = 100  # at a time: an expression has at most 4 KB


def count(*moves: tuple[Customer, int], at: str) -> Write:
    """Move the owner's counts at the time `at`.

    With them goes a counter of moves, which tells whether a listing's members, or their status or customer_id, have
    moved since it was last read, and how often at the most.
    """
    steps = Counter[str]()
    for customer, step in moves:
        steps[keys.count_name(customer.state, customer.status_key)] += step
    names = {f"#c{i}": name for i, (name, step) in enumerate(steps.items()) if step}
    return Write(
        "Update",
        key=keys.count(moves[0][0].owner_id, moves[0][0].id),
        update="SET moved_at = :at ADD " + ", ".join(["writes :moves", *(f"{alias} :{alias[1:]}" for alias in names)]),
        names=names,
        values={":at": at, ":moves": len(moves), **{f":{alias[1:]}": steps[name] for alias, name in names.items()}},
    )


def reserve(customer: Customer) -> Write:
    item = {**keys.unique(customer.owner_id, customer.customer_id), "id": customer.id}
    return Write("Put", item=item, condition="attribute_not_exists(pk)")


def release(customer: Customer) -> Write:
    """Free the key, unless it is (by an earlier fault) another record's."""
    return Write(
        "Delete",
        key=keys.unique(customer.owner_id, customer.customer_id),
        condition="attribute_not_exists(pk) OR id = :id",
        values={":id": customer.id},
    )


def unmoved(customer: Customer) -> Write:
    """Nothing, if the record still has the version that was read."""
    values = {":read": customer.version}
    return Write("ConditionCheck", key=keys.customer(customer.id), condition="version = :read", values=values)


def advance(before: Customer, after: Customer) -> Write:
    """Take a record from the version that was read to the next one, touching only what differs."""
    old = before.item()
    changes = {name: value for name, value in after.item().items() if value != old[name]}
    read = {":read": before.version}
    return Write.changing(keys.customer(before.id), changes, condition="version = :read", values=read)


def after(customer: Customer, now: datetime) -> str:
    """Now, but never before the record's last change, whatever the clocks of two functions say."""
    last = datetime.fromisoformat(customer.updated_at)
    return keys.timestamp(max(now, last + timedelta(microseconds=1)))


def drop_zeros(table: Table, count: keys.Key) -> bool:
    """Take statuses that no customer has any more out of a count item. False if nothing was dropped."""
    item = table.get(count) or {}
    zeros = [name for name, number in item.items() if number == 0][:DROPPED_ZEROS]
    names = {f"#c{i}": name for i, name in enumerate(zeros)}
    if not names:
        return False
    drop = Write(
        "Update",
        key=count,
        update="REMOVE " + ", ".join(names),
        condition=" AND ".join(f"{alias} = :zero" for alias in names),
        names=names,
        values={":zero": 0},
    )
    try:
        table.transact({"count": drop})
    except Cancelled:  # one of them is in use again; the next purge drops the others
        return False
    return True
