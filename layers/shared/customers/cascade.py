"""A customer's targets follow it: deleted with it and restored with it, however many they are.

The customer's own conditional write is what deletes or restores them all: whoever reads takes the targets of a deleted
customer for deleted at once. What is done here comes after that, as far as time allows. It gives each target the mark
of that delete, or takes the marks of a delete that was undone, and what it leaves undone the next delete or restore of
the customer finishes.
"""

from contextlib import suppress
from itertools import batched
from typing import Literal

from customers import keys
from customers.dynamodb import Cancelled, Item, Table, Write
from customers.errors import Unavailable

TARGETS_AT_ONCE = 40  # a transaction has at most 100 items and 4 MB, and a target up to 90 KB


def unmoved(id: str, deleted_at: str | None) -> Write:
    """Nothing, if the customer is deleted since `deleted_at`; for None, if it is live."""
    return Write(
        "ConditionCheck",
        key=keys.customer(id),
        condition="#state = :state" + (" AND deleted_at = :mark" if deleted_at else ""),
        names={"#state": "state"},
        values={":state": "deleted", ":mark": deleted_at} if deleted_at else {":state": "live"},
    )


def settle(table: Table, id: str, deleted_at: str | None) -> None:
    """Make the marks of a customer's targets what they should be: `deleted_at` on all that were not removed, or none.

    Each transaction holds only while the customer is as it was when this began; whoever moves it settles anew.
    """
    with suppress(Unavailable):
        pages = table.pages(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :targets)",
            ProjectionExpression="pk, sk, deleted_at, enrolment.removed",
            values={":pk": keys.customer(id)["pk"], ":targets": keys.TARGETS},
            ConsistentRead=True,
        )
        for page in pages:
            astray = [target for target in page.items if target.get("deleted_at") != _mark_for(target, deleted_at)]
            for batch in batched(astray, TARGETS_AT_ONCE, strict=False):
                if _mark(table, id, deleted_at, batch) == "moved":
                    return


def _mark_for(target: Item, deleted_at: str | None) -> str | None:
    return None if target.get("enrolment", {"removed": True})["removed"] else deleted_at


def _mark(table: Table, id: str, deleted_at: str | None, targets: tuple[Item, ...]) -> Literal["marked", "moved"]:
    """Of targets that have been removed since they were read, there is nothing to mark."""
    writes = {target["sk"]: _write(target, deleted_at) for target in targets}
    while writes:
        try:
            table.transact({"customer": unmoved(id, deleted_at), **writes})
        except Cancelled as cancelled:
            if "customer" in cancelled.failed:
                return "moved"
            writes = {sk: write for sk, write in writes.items() if sk not in cancelled.failed}
        else:
            break
    return "marked"


def _write(target: Item, deleted_at: str | None) -> Write:
    key = {"pk": target["pk"], "sk": target["sk"]}
    condition = "enrolment.removed = :removed" if deleted_at else "attribute_exists(pk)"
    values = {":removed": False} if deleted_at else {}
    return Write.changing(key, {"deleted_at": deleted_at}, condition=condition, values=values)
