"""What a listing reads is decided by one pure function, before anything is read."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any, get_args

import pytest

from customers import keys
from customers.keys import ABSENT, Index, State
from customers.listing.plan import (
    READ_PAST,
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
COUNTED_DATES = "by_status: keys in the range of dates"
FAR = READ_PAST + 1
ALL_STATES: list[tuple[State, ...]] = [("live",), ("deleted",), ("live", "deleted")]


def asked(**given: Any) -> ListQuery:
    return ListQuery(**{"owner_id": "ada", **given})


def ranges(query: ListQuery) -> list[KeyRange]:
    """Every range of keys that is read, if the totals name the statuses vip and unset where the plan waits for them."""
    segments = plan(query).segments or status_segments(query, ["vip", ABSENT])
    return [key_range for segment in segments for key_range in segment]


def every_query() -> Iterator[ListQuery]:
    """Each sort field and direction with each kind of filter, scope, reach and offset."""
    dates: list[dict[str, Any]] = [{}, {"date_from": FROM}, {"date_to": TO}, DATES]
    statuses: list[tuple[str, ...]] = [(), ("vip",), ("vip", ABSENT)]
    for field, down, some, dated, states, owner, offset in product(
        SORT_FIELDS, (True, False), statuses, dates, ALL_STATES, ("ada", None), (0, 1, FAR)
    ):
        yield ListQuery(
            owner_id=owner, sort_field=field, descending=down, statuses=some, states=states, offset=offset, **dated
        )


EVERY_PLAN: list[tuple[ListQuery, Plan]] = [(query, plan(query)) for query in every_query()]


def template_index(index: Index) -> dict[str, Any]:
    (table,) = resources("AWS::DynamoDB::Table").values()
    (found,) = (each for each in table["GlobalSecondaryIndexes"] if each["IndexName"] == index.name)
    return found  # type: ignore[no-any-return]


# What is chosen


@pytest.mark.parametrize(
    ("given", "index", "round_trips", "reads"),
    [
        ({}, "by_created", 1, ["counts", "by_created: 10 records"]),
        ({"descending": False}, "by_created", 1, ["counts", "by_created: 10 records"]),
        ({"limit": 200}, "by_created", 1, ["counts", "by_created: 200 records"]),
        ({"aggregations": True}, "by_created", 1, ["counts", "by_created: 10 records"]),
        ({"states": ("live", "deleted")}, "by_created", 1, ["counts", "by_created: 10 records"]),
        ({"offset": 20}, "by_created", 1, ["counts", "by_created: 30 records"]),
        ({"offset": FAR}, "by_created", 3, ["counts", f"by_created: {FAR + 10} records"]),
        (DATES, "by_created", 2, ["counts", COUNTED_DATES, "by_created: 10 records"]),
        ({"owner_id": None}, "by_created", 2, ["owners", "counts", "by_created: 10 records"]),
        ({"statuses": ("vip",)}, "by_status", 2, ["counts", "by_status: 10 keys", "records: 10"]),
        ({"sort_field": "status"}, "by_status", 2, ["counts", "by_status: 10 keys", "records: 10"]),
        ({"sort_field": "updated_at"}, "by_updated", 2, ["counts", "by_updated: 10 keys", "records: 10"]),
        ({"sort_field": "name"}, "by_name", 2, ["counts", "by_name: 10 keys", "records: 10"]),
        (
            {"sort_field": "name", "statuses": ("vip",)},
            "by_name",
            2,
            ["counts", "by_name: 10 keys", "records: 10"],
        ),
        (
            {"sort_field": "name", **DATES},
            "by_name",
            2,
            ["counts", COUNTED_DATES, "by_name: 10 keys", "records: 10"],
        ),
        (
            {"sort_field": "name", "offset": FAR, "descending": False},
            "by_name",
            4,
            ["counts", f"by_name: {FAR + 10} keys", "records: 10"],
        ),
        (
            {"sort_field": "status", **DATES},
            "by_status",
            4,
            ["counts", COUNTED_DATES, "by_status: 10 keys", "records: 10"],
        ),
        (
            {"owner_id": None, "sort_field": "email"},
            "by_email",
            3,
            ["owners", "counts", "by_email: 10 keys", "records: 10"],
        ),
        ({"terms": ("ada",)}, "directory", 3, ["counts", "directory: all live", "records: 10"]),
        (
            {"terms": ("ada",), "aggregations": True},
            "directory",
            3,
            ["counts", "directory: all live", "directory: all deleted", "records: 10"],
        ),
        (
            {"terms": ("ada",), "owner_id": None},
            "directory",
            4,
            ["owners", "counts", "directory: all live", "records: 10"],
        ),
    ],
)
def test_a_plan_says_index_round_trips_and_reads(
    given: dict[str, Any], index: str, round_trips: int, reads: list[str]
) -> None:
    planned = plan(asked(**given))
    assert planned.index.name == index
    assert (planned.cost.round_trips, list(planned.cost.reads)) == (round_trips, reads)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("field", [field for field in SORT_FIELDS if field != "created_at"])
def test_a_first_page_in_any_other_order_takes_two_round_trips(field: str, *, descending: bool) -> None:
    planned = plan(asked(sort_field=field, descending=descending))
    assert (planned.hydrated, planned.totals_first, planned.cost.round_trips) == (True, False, 2)


@pytest.mark.parametrize("field", SORT_FIELDS)
def test_a_text_makes_it_a_search_whose_order_is_that_of_the_walk(field: str) -> None:
    search, walk = plan(asked(sort_field=field, terms=("a",))), plan(asked(sort_field=field))
    assert (search.strategy, walk.strategy) == ("search", "walk")
    assert (search.order, search.backward) == (walk.order, walk.backward)
    assert (search.index, search.segments, search.filters) == (keys.DIRECTORY, (), ())


def test_only_the_listing_by_creation_reads_whole_records_from_its_index() -> None:
    unhydrated = [(query, planned) for query, planned in EVERY_PLAN if not planned.hydrated]
    assert {planned.index for _, planned in unhydrated} == {keys.BY_CREATED}
    assert not any(query.statuses for query, _ in unhydrated)


@pytest.mark.parametrize("given", [{}, {"statuses": ("vip",)}, {"sort_field": "name"}, {"offset": 500}])
def test_totals_come_from_the_counts_and_with_dates_from_a_count_of_the_range(given: dict[str, Any]) -> None:
    assert plan(asked(**given)).totals == "counts"
    assert plan(asked(**given, date_from=FROM)).totals == "counts and a COUNT of the range"
    assert plan(asked(**given, date_to=TO)).totals == "counts and a COUNT of the range"


def test_totals_of_a_search_are_its_matches_also_with_dates() -> None:
    assert plan(asked(terms=("a",), **DATES)).totals == "matches"


# What is skipped


@pytest.mark.parametrize(
    ("given", "skips"),
    [
        ({"offset": 0}, "nothing"),
        ({"offset": 1}, "entries"),
        ({"offset": READ_PAST}, "entries"),
        ({"offset": FAR}, "a count"),
        ({"offset": FAR, **DATES}, "a count"),
        ({"offset": FAR, "sort_field": "name"}, "a count"),
        ({"offset": FAR, "statuses": ("vip",)}, "a count"),
        ({"offset": FAR, "sort_field": "status", "statuses": ("vip", "lead")}, "a count"),
        ({"offset": FAR, "statuses": ("vip", "lead")}, "entries"),
        ({"offset": FAR, "states": ("live", "deleted")}, "entries"),
        ({"offset": FAR, "owner_id": None}, "entries"),
        ({"offset": FAR, "sort_field": "name", "statuses": ("vip",)}, "entries"),
        ({"offset": FAR, "sort_field": "name", **DATES}, "entries"),
        ({"offset": FAR, "terms": ("ada",)}, "nothing"),
    ],
)
def test_a_far_offset_is_counted_past_unless_ranges_are_merged_or_filtered(given: dict[str, Any], skips: str) -> None:
    assert plan(asked(**given)).skips == skips


def test_entries_that_are_skipped_far_are_fetched_as_keys() -> None:
    far = [planned for query, planned in EVERY_PLAN if query.offset == FAR and planned.skips == "entries"]
    assert far
    assert all(planned.hydrated for planned in far)


def test_a_far_offset_asks_for_the_totals_first_so_that_nothing_is_walked_past_the_end() -> None:
    assert all(planned.totals_first for query, planned in EVERY_PLAN if query.offset == FAR)


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
    planned = plan(asked(sort_field="status", descending=descending, **DATES))
    assert (planned.segments, planned.totals_first) == ((), True)


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
