"""How a listing is read: the index, the ranges of keys, what is filtered and counted. Reads nothing itself.

| asked for                     | read                                                                            |
|-------------------------------|---------------------------------------------------------------------------------|
| by created_at                 | `by_created`, whole records; skipped over in `created_keys`                     |
| by created_at, some statuses  | `by_status`, a range for each status, merged                                    |
| by status                     | `by_status`; with dates or statuses a range for each status, one after another  |
| by another field              | its index, filtered; descending in two ranges, so that absent values come last  |

Every range is read in each partition (owner and state) in scope, and the partitions are merged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from customers import keys
from customers.keys import ABSENT, Index, State
from customers.listing.query import ListQuery

type Operator = Literal["=", "<", "<=", ">=", "BETWEEN", "IN", "contains"]


@dataclass(frozen=True, slots=True)
class Condition:
    attribute: str
    operator: Operator
    values: tuple[str, ...]

    def holds(self, value: str) -> bool:
        """Of a condition on a sort attribute. Strings are in the same order here as in DynamoDB, which sorts UTF-8."""
        match self.operator:
            case "BETWEEN":
                return self.values[0] <= value <= self.values[1]
            case "<":
                return value < self.values[0]
            case "<=":
                return value <= self.values[0]
            case ">=":
                return value >= self.values[0]
            case _:
                return value in self.values


type KeyRange = tuple[Condition, ...]  # on an index's sort attributes from the left; only the last is no equality
type Segment = tuple[KeyRange, ...]  # ranges that are merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`segments` follow each other; none means one for each status that the totals name.

    `order` are the attributes by which entries of several ranges are merged, and which a place in the listing is told
    by. A `hydrated` entry is only a key, whose record is fetched; otherwise the index has the whole record. What a page
    skips is read in the index `skipped`.
    """

    index: Index
    skipped: Index
    segments: tuple[Segment, ...] = ()
    filters: tuple[Condition, ...] = ()
    order: tuple[str, ...]
    backward: bool
    hydrated: bool


def plan(query: ListQuery) -> Plan:
    """Of a listing without a text: that one is searched."""
    index = keys.SORT_INDEXES[query.sort_field]
    if query.sort_field == "created_at" and query.statuses:
        index = keys.BY_STATUS
    return Plan(
        index=index,
        skipped=keys.CREATED_KEYS if index == keys.BY_CREATED else index,
        segments=_segments(query, index),
        filters=_filters(query) if index not in {keys.BY_CREATED, keys.BY_STATUS} else (),
        order=("created_at", "id") if query.sort_field == "created_at" else index.sort,
        backward=query.descending,
        hydrated=index != keys.BY_CREATED,
    )


def _segments(query: ListQuery, index: Index) -> tuple[Segment, ...]:
    created = within("created_at", query.date_from, query.date_to)
    if index == keys.BY_CREATED:
        return ((created,),)
    if index == keys.BY_STATUS and query.sort_field == "created_at":
        return (tuple((equal("status_key", status), *created) for status in query.statuses),)
    if index == keys.BY_STATUS and (created or query.statuses):
        return status_segments(query, query.statuses)
    if query.descending and index != keys.BY_UPDATED:  # the only other one that is never absent
        first = index.sort[0]
        return (((Condition(first, "<", (ABSENT,)),),), ((equal(first, ABSENT),),))
    return (((),),)


def status_segments(query: ListQuery, statuses: Iterable[str]) -> tuple[Segment, ...]:
    """The segments of a listing by status: one for each, the unset status last in both directions."""
    created = within("created_at", query.date_from, query.date_to)
    if query.descending:
        ordered = sorted(statuses, key=lambda status: (status != ABSENT, status), reverse=True)
    else:
        ordered = sorted(statuses)
    return tuple(((equal("status_key", status), *created),) for status in ordered)


def _filters(query: ListQuery) -> tuple[Condition, ...]:
    statuses = (Condition("status_key", "IN", query.statuses),) if query.statuses else ()
    return (*statuses, *within("created_at", query.date_from, query.date_to))


def equal(attribute: str, value: str) -> Condition:
    return Condition(attribute, "=", (value,))


def within(attribute: str, low: str | None, high: str | None) -> KeyRange:
    """The condition for values from `low` to `high`, both inclusive; without either there is none."""
    if low and high:
        return (Condition(attribute, "BETWEEN", (low, high)),)
    if low:
        return (Condition(attribute, ">=", (low,)),)
    return (Condition(attribute, "<=", (high,)),) if high else ()


def request(
    index: Index,
    owner_id: str,
    state: State,
    key_range: KeyRange = (),
    *,
    filters: Iterable[Condition] = (),
    backward: bool = False,
) -> dict[str, Any]:
    """A Query of one range in one partition, as `dynamodb.Table.query` takes it."""
    values = dict[str, str]()
    partition = (equal("owner_id", owner_id), equal("#state", state))  # `state` is a reserved word
    asked: dict[str, Any] = {
        "IndexName": index.name,
        "KeyConditionExpression": _expression((*partition, *key_range), values),
        "ExpressionAttributeNames": {"#state": "state"},
        "ScanIndexForward": not backward,
        "values": values,
    }
    if expression := _expression(filters, values):
        asked["FilterExpression"] = expression
    return asked


def _expression(conditions: Iterable[Condition], values: dict[str, str]) -> str:
    """The conditions joined by AND; adds their values to `values`, under new names."""
    parts = list[str]()
    for condition in conditions:
        names = [f":v{len(values) + i}" for i in range(len(condition.values))]
        values.update(zip(names, condition.values, strict=True))
        match condition.operator:
            case "BETWEEN":
                parts.append(f"{condition.attribute} BETWEEN {names[0]} AND {names[1]}")
            case "IN":
                parts.append(f"{condition.attribute} IN ({', '.join(names)})")
            case "contains":
                parts.append(f"contains({condition.attribute}, {names[0]})")
            case operator:
                parts.append(f"{condition.attribute} {operator} {names[0]}")
    return " AND ".join(parts)
