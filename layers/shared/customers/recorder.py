"""Writes what other services tell: each event in one transaction, once, whatever the order of arrival.

An event that is not newer than what is known of the same thing changes nothing. A customer's statistics, and the
counters of its targets, move in the transaction that writes the activity itself. All of them are computed from what was
read, so such a transaction holds only if no other one of the same customer has come between: the `writes` of the
statistics tell.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Literal

from customers import keys
from customers.cascade import unmoved
from customers.contact_models import STATISTICS, TARGET_COUNTERS
from customers.dynamodb import Cancelled, Item, Table, Write
from customers.errors import Unavailable
from customers.events import Activity, CampaignDeleted, CampaignUpserted, Detail, TargetRemoved, TargetUpserted

NEWEST_READ = 25  # activities read at a time, in search of the newest of a kind
# Of one event, when others of the same customer come between. Ten functions at once leave each other through in these.
ATTEMPTS = 24
LONGEST_PAUSE = 4  # the exponent at which pauses grow no more: 0.4 s at the most, 5 s in all on average

# stale: that, or something newer, is known already. dropped: there is no such customer, or no longer.
type Outcome = Literal["recorded", "stale", "dropped"]
type Kind = Callable[[Item], bool]  # of activity


class Recorder:
    """`record` may raise `Unavailable`: then the event may be sent again."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def record(self, event: Detail) -> Outcome:
        match event:
            case CampaignUpserted() | CampaignDeleted():
                return self._campaign(event)
            case TargetUpserted() | TargetRemoved():
                return self._target(event)
            case Activity():
                return self._activity(event)
        raise TypeError(type(event))

    def _campaign(self, event: CampaignUpserted | CampaignDeleted) -> Outcome:
        """What was deleted stays as a mark, so that an older event does not bring it back."""
        item = {**keys.campaign(str(event.id)), **event.told(), "removed": event.removes}
        condition = "attribute_not_exists(pk) OR revision < :revision"
        write = Write("Put", item=item, condition=condition, values={":revision": event.revision})
        try:
            self._table.transact({"campaign": write})
        except Cancelled:
            return "stale"
        return "recorded"

    def _target(self, event: TargetUpserted | TargetRemoved) -> Outcome:
        """The enrolment, beside the counters of the same target.

        A target of a deleted customer bears the mark of that delete (`cascade`), so the transaction holds only if the
        customer has not been deleted or restored meanwhile.
        """
        id = str(event.customer)
        for attempt in range(ATTEMPTS):
            if attempt:
                self._table.pause(min(attempt, LONGEST_PAUSE))
            customer = self._table.get(keys.customer(id))
            if not customer or customer["state"] == "purging":
                return "dropped"
            deleted_at = customer.get("deleted_at")
            changes = {
                "enrolment": {**event.told(), "removed": event.removes},
                "deleted_at": None if event.removes else deleted_at,
            }
            target = Write.changing(
                keys.target(id, str(event.campaign_id)),
                changes,
                condition="attribute_not_exists(enrolment) OR enrolment.revision < :revision",
                values={":revision": event.revision},
            )
            try:
                self._table.transact({"customer": unmoved(id, deleted_at), "target": target})
            except Cancelled as cancelled:
                if "customer" not in cancelled.failed:
                    return "stale"
            else:
                return "recorded"
        raise Unavailable

    def _activity(self, event: Activity) -> Outcome:
        id, after = str(event.customer), event.item()
        position = keys.position(id, after["type"], after["id"])
        for attempt in range(ATTEMPTS):
            if attempt:
                self._table.pause(min(attempt, LONGEST_PAUSE))
            stats = self._table.get(keys.stats(id))  # before all else: then whatever moves later has moved `writes` too
            known = self._table.get(position)
            before = self._table.get({"pk": position["pk"], "sk": known["activity"]}) if known else None
            if before and before["revision"] >= after["revision"]:
                return "stale"
            writes = {
                "customer": _still_there(id),
                "stats": self._moved_stats(id, stats, before, after),
                "activity": Write("Put", item=after),
            }
            if not before or before["sk"] != after["sk"]:
                writes["position"] = Write("Put", item={**position, "activity": after["sk"]})
            if before and before["sk"] != after["sk"]:
                writes["former"] = Write("Delete", key={"pk": before["pk"], "sk": before["sk"]})
            for campaign_id in {each["campaign_id"] for each in (before, after) if each and "campaign_id" in each}:
                writes[campaign_id] = self._moved_target(id, campaign_id, before, after)
            try:
                self._table.transact(writes)
            except Cancelled as cancelled:
                if "customer" in cancelled.failed:
                    return "dropped"
            else:
                return "recorded"
        raise Unavailable

    def _moved_stats(self, id: str, stats: Item | None, before: Item | None, after: Item) -> Write:
        """The statistics once `after` stands where `before` stood, if nobody has moved them since they were read."""
        old = stats or {}
        counts = _moved(old, STATISTICS, before["counted"] if before else [], after["counted"])
        last_contact = self._newest(_is_contact, _held(old, "last_contact"), before, after)
        last_call = self._newest(_is_made_call, old.get("last_call"), before, after)
        item = {
            **keys.stats(id),
            **counts,
            "writes": old.get("writes", 0) + 1,
            "last_contact": last_contact and last_contact["sk"],
            "last_call": last_call,
        }
        condition = "writes = :read" if stats else "attribute_not_exists(pk)"
        return Write("Put", item=item, condition=condition, values={":read": old["writes"]} if stats else {})

    def _moved_target(self, id: str, campaign_id: str, before: Item | None, after: Item) -> Write:
        """The counters of a target once `after` stands where `before` stood.

        They do not wait for the enrolment beside which they are kept.
        """

        def of_campaign(kind: Kind) -> Kind:
            return lambda activity: activity.get("campaign_id") == campaign_id and kind(activity)

        def counted(activity: Item | None) -> list[str]:
            return [TARGET_COUNTERS[activity["type"]]] if activity and of_campaign(_is_contact)(activity) else []

        key = keys.target(id, campaign_id)
        old = self._table.get(key) or {}
        changes: dict[str, Any] = {**_moved(old, TARGET_COUNTERS.values(), counted(before), counted(after))}
        for name, kind in (("last_contact", _is_contact), ("last_email", _is_email)):
            newest = self._newest(of_campaign(kind), _held(old, name), before, after)
            changes[name] = newest and newest["sk"]
        return Write.changing(key, changes)

    def _newest(self, kind: Kind, held: Item | None, before: Item | None, after: Item) -> Item | None:
        """The newest activity of a kind once `after` stands where `before` stood; until then it was `held`."""
        if held and before and held["sk"] == before["sk"]:
            rises = kind(after) and after["sk"] >= before["sk"]
            held = None if rises else self._newest_but(before, kind)
        candidates = [each for each in (held, after) if each and (each is held or kind(each))]
        return max(candidates, key=itemgetter("sk"), default=None)

    def _newest_but(self, one: Item, kind: Kind) -> Item | None:
        pages = self._table.pages(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :activities)",
            values={":pk": one["pk"], ":activities": keys.ACTIVITIES},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=NEWEST_READ,
        )
        others = (each for page in pages for each in page.items if each["sk"] != one["sk"])
        return next(filter(kind, others), None)


def _is_made_call(activity: Item) -> bool:
    return bool(activity["type"] == "call" and activity["contacted"])


def _is_email(activity: Item) -> bool:
    return bool(activity["type"] == "email")


def _is_contact(activity: Item) -> bool:
    return bool(activity["contacted"])


def _held(item: Item, name: str) -> Item | None:
    return {"sk": item[name]} if name in item else None


def _moved(item: Item, names: Iterable[str], taken: Iterable[str], added: Iterable[str]) -> dict[str, int | None]:
    """The counters `names` of an item, less those in `taken`, more those in `added`; None instead of 0."""
    counts = Counter({name: int(item.get(name, 0)) for name in names})
    counts.subtract(taken)
    counts.update(added)
    return {name: count or None for name, count in counts.items()}


def _still_there(id: str) -> Write:
    """Nothing, if the customer is live or deleted: no event makes a ghost of one that never was or was purged."""
    condition = "attribute_exists(pk) AND #state <> :purging"
    return Write(
        "ConditionCheck",
        key=keys.customer(id),
        condition=condition,
        names={"#state": "state"},
        values={":purging": "purging"},
    )
