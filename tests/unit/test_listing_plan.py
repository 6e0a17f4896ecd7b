"""What a listing reads is decided by one pure function, before anything is read."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any, get_args

import pytest

from customers import keys
from customers.keys import ABSENT, Index, State
from customers.listing.plan import (
    Condition,
    KeyRange,
    Operator,
    Plan,
    equal,
    plan,
    request,
    status_segments,
    within,
)
from customers.listing.query import ListQuery
from tools.template import resources

SORT_FIELDS = list(keys.SORT_INDEXES)
TEXT_FIELDS = ["name", "surname", "email", "phone", "customer_id"]  # with an index that knows their own key only
FROM, TO = "2026-01-01T00:00:00.000000Z", "2026-01-31T23:59:59.999999Z"
DATES: dict[str, Any] = {"date_from": FROM, "date_to": TO}
IN_DATES = Condition("created_at", "BETWEEN", (FROM, TO))
ALL_STATES: list[tuple[State, ...]] = [("live",), ("deleted",), ("live", "deleted")]


def asked(**given: Any) -> ListQuery:
    return ListQuery(**{"owner_id": "ada", **given})


def ranges(query: ListQuery) -> list[KeyRange]:
    """Every range of keys that is read, if the totals name the statuses vip and unset where the plan waits for them."""
    segments = plan(query).segments or status_segments(query, ["vip", ABSENT])
    return [key_range for segment in segments for key_range in segment]


def every_query() -> Iterator[ListQuery]:
    """Each sort field and direction with each kind of filter, scope and reach."""
    dates: list[dict[str, Any]] = [{}, {"date_from": FROM}, {"date_to": TO}, DATES]
    statuses: list[tuple[str, ...]] = [(), ("vip",), ("vip", ABSENT)]
    for field, down, some, dated, states, owner in product(
        SORT_FIELDS, (True, False), statuses, dates, ALL_STATES, ("ada", None)
    ):
        yield ListQuery(owner_id=owner, sort_field=field, descending=down, statuses=some, states=states, **dated)


EVERY_PLAN: list[tuple[ListQuery, Plan]] = [(query, plan(query)) for query in every_query()]


def template_index(index: Index) -> dict[str, Any]:
    (table,) = resources("AWS::DynamoDB::Table").values()
    (found,) = (each for each in table["GlobalSecondaryIndexes"] if each["IndexName"] == index.name)
    return found  # type: ignore[no-any-return]


# What is chosen


@pytest.mark.parametrize(
    ("given", "index", "skipped"),
    [
        ({}, "by_created", "created_keys"),
        ({"descending": False, **DATES}, "by_created", "created_keys"),
        ({"statuses": ("vip",)}, "by_status", "by_status"),
        ({"sort_field": "status"}, "by_status", "by_status"),
        ({"sort_field": "updated_at"}, "by_updated", "by_updated"),
        ({"sort_field": "name", "statuses": ("vip",)}, "by_name", "by_name"),
    ],
)
def test_a_plan_says_which_index_it_reads_and_which_it_skips_in(
    given: dict[str, Any], index: str, skipped: str
) -> None:
    planned = plan(asked(**given))
    assert (planned.index.name, planned.skipped.name) == (index, skipped)


def test_nothing_is_skipped_in_an_index_of_whole_records() -> None:
    projections = {template_index(planned.skipped)["Projection"]["ProjectionType"] for _, planned in EVERY_PLAN}
    assert projections == {"KEYS_ONLY", "INCLUDE"}


def test_only_the_listing_by_creation_reads_whole_records_from_its_index() -> None:
    unhydrated = [(query, planned) for query, planned in EVERY_PLAN if not planned.hydrated]
    assert {planned.index for _, planned in unhydrated} == {keys.BY_CREATED}
    assert not any(query.statuses for query, _ in unhydrated)


# Ranges and filters


def test_the_default_listing_is_one_range_without_conditions() -> None:
    planned = plan(asked())
    assert (planned.segments, planned.filters) == ((((),),), ())
    assert (planned.order, planned.backward) == (("created_at", "id"), True)


@pytest.mark.parametrize(("field", "index"), [("created_at", keys.BY_CREATED), ("status", keys.BY_STATUS)])
def test_dates_are_key_conditions_where_the_index_has_them(field: str, index: Index) -> None:
    planned = plan(asked(sort_field=field, **DATES))
    assert (planned.index, planned.filters) == (index, ())
    assert all(key_range[-1] == IN_DATES for key_range in ranges(asked(sort_field=field, **DATES)))


@pytest.mark.parametrize("field", ["updated_at", *TEXT_FIELDS])
def test_dates_and_statuses_are_filters_where_the_index_has_them_not(field: str) -> None:
    planned = plan(asked(sort_field=field, descending=False, statuses=("vip", ABSENT), **DATES))
    assert planned.segments == (((),),)
    assert planned.filters == (Condition("status_key", "IN", ("vip", ABSENT)), IN_DATES)


def test_some_statuses_by_creation_are_ranges_that_are_merged_by_creation() -> None:
    planned = plan(asked(statuses=("vip", "lead"), date_from=FROM))
    since = Condition("created_at", ">=", (FROM,))
    assert planned.segments == (((equal("status_key", "vip"), since), (equal("status_key", "lead"), since)),)
    assert planned.order == ("created_at", "id")


@pytest.mark.parametrize(("descending", "order"), [(True, ["vip", "lead", ABSENT]), (False, ["lead", "vip", ABSENT])])
def test_statuses_by_status_follow_each_other_with_the_unset_last_in_both_directions(
    order: list[str], *, descending: bool
) -> None:
    query = asked(sort_field="status", descending=descending, statuses=(ABSENT, "vip", "lead"))
    assert plan(query).segments == tuple(((equal("status_key", status),),) for status in order)


@pytest.mark.parametrize("descending", [True, False])
def test_a_range_of_dates_by_status_waits_for_the_totals_to_name_the_statuses(*, descending: bool) -> None:
    assert plan(asked(sort_field="status", descending=descending, **DATES)).segments == ()


@pytest.mark.parametrize("field", ["status", *TEXT_FIELDS])
def test_absent_values_are_a_second_range_when_descending_so_that_they_come_last(field: str) -> None:
    key = f"{field}_key"
    up, down = (plan(asked(sort_field=field, descending=descending)) for descending in (False, True))
    assert up.segments == (((),),)
    assert down.segments == (((Condition(key, "<", (ABSENT,)),),), ((equal(key, ABSENT),),))


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
@pytest.mark.parametrize("descending", [True, False])
def test_times_are_never_absent_and_take_one_range(field: str, *, descending: bool) -> None:
    assert plan(asked(sort_field=field, descending=descending)).segments == (((),),)


@pytest.mark.parametrize(
    ("low", "high", "condition"),
    [
        (None, None, ()),
        (FROM, None, (Condition("created_at", ">=", (FROM,)),)),
        (None, TO, (Condition("created_at", "<=", (TO,)),)),
        (FROM, TO, (IN_DATES,)),
    ],
)
def test_a_range_includes_both_its_ends(low: str | None, high: str | None, condition: KeyRange) -> None:
    assert within("created_at", low, high) == condition


# What DynamoDB takes


def test_every_key_range_is_equalities_from_the_left_and_at_most_one_range_at_the_end() -> None:
    comparisons = set(get_args(Operator.__value__)) - {"IN", "contains"}
    for query, planned in EVERY_PLAN:
        for key_range in ranges(query):
            *equalities, last = key_range or [equal(planned.index.sort[0], "")]
            assert tuple(c.attribute for c in key_range) == planned.index.sort[: len(key_range)], query
            assert {c.operator for c in equalities} <= {"="}, query
            assert last.operator in comparisons, query


def test_no_filter_names_a_key_attribute_of_the_index_that_is_read() -> None:
    for query, planned in EVERY_PLAN:
        filtered = {condition.attribute for condition in planned.filters}
        assert not filtered & {"owner_id", "state", *planned.index.sort}, query


def test_every_index_projects_what_is_filtered_or_merged_by_on_it() -> None:
    needed: dict[Index, set[str]] = {}
    for _, planned in EVERY_PLAN:
        attributes = {*planned.order, "id", *(condition.attribute for condition in planned.filters)}
        needed.setdefault(planned.index, set()).update(attributes)
    for index, attributes in needed.items():
        projection = template_index(index)["Projection"]
        projected = {*index.sort, *projection.get("NonKeyAttributes", ())}
        assert projection["ProjectionType"] == "ALL" or attributes <= projected, index


def test_only_the_index_of_an_unhydrated_plan_projects_whole_records() -> None:
    whole = {planned.index for _, planned in EVERY_PLAN if not planned.hydrated}
    assert {template_index(index)["Projection"]["ProjectionType"] for index in whole} == {"ALL"}


def test_every_request_declares_exactly_the_values_and_names_that_it_uses() -> None:
    for query, planned in EVERY_PLAN:
        for key_range in ranges(query):
            made = request(planned.index, "ada", "live", key_range, filters=planned.filters)
            text = made["KeyConditionExpression"] + " " + made.get("FilterExpression", "")
            assert set(re.findall(r":\w+", text)) == made["values"].keys(), query
            assert set(re.findall(r"#\w+", text)) == made["ExpressionAttributeNames"].keys(), query


# The Query of one range


def test_a_request_reads_one_partition_of_its_index() -> None:
    assert request(keys.SORT_INDEXES["name"], "ada", "deleted") == {
        "IndexName": "by_name",
        "KeyConditionExpression": "owner_id = :v0 AND #state = :v1",
        "ExpressionAttributeNames": {"#state": "state"},
        "ScanIndexForward": True,
        "values": {":v0": "ada", ":v1": "deleted"},
    }


def test_a_request_narrows_its_keys_after_the_partition() -> None:
    made = request(keys.BY_STATUS, "ada", "live", (equal("status_key", "vip"), IN_DATES), backward=True)
    partition = "owner_id = :v0 AND #state = :v1"
    assert made["KeyConditionExpression"] == f"{partition} AND status_key = :v2 AND created_at BETWEEN :v3 AND :v4"
    assert made["values"] == {":v0": "ada", ":v1": "live", ":v2": "vip", ":v3": FROM, ":v4": TO}
    assert (made["ScanIndexForward"], "FilterExpression" in made) == (False, False)


@pytest.mark.parametrize(
    ("condition", "expression"),
    [
        (Condition("status_key", "IN", ("vip", "lead")), "status_key IN (:v2, :v3)"),
        (Condition("d", "contains", ("ada",)), "contains(d, :v2)"),
        (Condition("created_at", "<=", (TO,)), "created_at <= :v2"),
        (IN_DATES, "created_at BETWEEN :v2 AND :v3"),
    ],
)
def test_a_request_filters_with_values_of_their_own(condition: Condition, expression: str) -> None:
    made = request(keys.BY_UPDATED, "ada", "live", filters=[condition])
    assert made["FilterExpression"] == expression
    assert [made["values"][name] for name in re.findall(r":v\d", expression)] == list(condition.values)


def test_a_value_never_becomes_a_part_of_an_expression() -> None:
    made = request(keys.BY_STATUS, "ada OR 1", "live", (equal("status_key", "x OR y"),), filters=[equal("d", "z OR 1")])
    assert " OR " not in made["KeyConditionExpression"] + made["FilterExpression"]
