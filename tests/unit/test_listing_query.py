"""What a listing's parameters mean: raw query parameters in, a `ListQuery` out, or all that is wrong."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers import keys
from customers.errors import Invalid
from customers.keys import ABSENT
from customers.listing import ListQuery, parse
from customers.listing.query import MAX_WORDS, written_status

OPTIONAL = ["status", "q", "sort_field", "date_from", "date_to", "owner_id"]


def parsed(caller: Literal["user", "admin"] = "user", /, **params: str) -> ListQuery:
    return parse(params, owner_id="ada", is_admin=caller == "admin")


def problems(caller: Literal["user", "admin"] = "user", /, **params: str) -> list[tuple[list[str | int], str]]:
    """Where the refused parameters are and why, for short."""
    with pytest.raises(Invalid) as caught:
        parsed(caller, **params)
    return [(problem["loc"], problem["type"]) for problem in caught.value.problems]


# Defaults, bounds and blanks


def test_without_parameters_it_is_the_callers_ten_newest_live_records() -> None:
    assert parsed() == ListQuery(
        owner_id="ada", states=("live",), sort_field="created_at", descending=True, limit=10, offset=0
    )


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_a_blank_parameter_without_a_default_counts_as_absent(name: str, blank: str) -> None:
    assert parsed("user", **{name: blank}) == parsed("user")
    assert parsed("admin", **{name: blank}) == parsed("admin")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("limit", "int_parsing"),
        ("offset", "int_parsing"),
        ("sort_dir", "literal_error"),
        ("include_deleted", "bool_parsing"),
        ("only_deleted", "bool_parsing"),
        ("include_aggregations", "bool_parsing"),
    ],
)
def test_a_parameter_with_a_default_may_not_be_blank_or_nonsense(name: str, kind: str) -> None:
    for value in ("", "nonsense"):
        assert problems(**{name: value}) == [(["query", name], kind)]


def test_unknown_parameters_are_ignored() -> None:
    assert parsed(colour="red", obj_id="x", page="2") == parsed()


@pytest.mark.parametrize(("limit", "offset"), [("1", "0"), ("200", "0"), ("10", "123456789012345678901234567890")])
def test_limit_and_offset_reach_to_their_bounds(limit: str, offset: str) -> None:
    query = parsed(limit=limit, offset=offset)
    assert (query.limit, query.offset) == (int(limit), int(offset))


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"limit": "0"}, "greater_than_equal"),
        ({"limit": "-1"}, "greater_than_equal"),
        ({"limit": "201"}, "less_than_equal"),
        ({"limit": "1.5"}, "int_parsing"),
        ({"offset": "-1"}, "greater_than_equal"),
        ({"offset": "1e3"}, "int_parsing"),
    ],
)
def test_limit_and_offset_out_of_range_are_refused_and_never_clamped(params: dict[str, str], kind: str) -> None:
    assert problems(**params) == [(["query", next(iter(params))], kind)]


def test_all_problems_are_named_at_once() -> None:
    found = problems(limit="0", offset="-1", sort_field="x", sort_dir="up", date_from="x", date_to="x")
    assert [loc for loc, _ in found] == [
        ["query", name] for name in ("date_from", "date_to", "limit", "offset", "sort_field", "sort_dir")
    ]


@pytest.mark.parametrize("field", keys.SORT_INDEXES)
def test_every_sort_field_goes_both_ways(field: str) -> None:
    assert parsed(sort_field=field).sort_field == field
    assert [parsed(sort_field=field, sort_dir=each).descending for each in ("asc", "desc")] == [False, True]


@pytest.mark.parametrize("field", ["id", "Name", " name", "name_key", "version", "d"])
def test_an_unknown_sort_field_is_refused_with_the_names_of_the_known(field: str) -> None:
    with pytest.raises(Invalid) as caught:
        parsed(sort_field=field)
    (problem,) = caught.value.problems
    assert (problem["loc"], problem["type"]) == (["query", "sort_field"], "enum")
    assert all(known in problem["msg"] for known in keys.SORT_INDEXES)


@pytest.mark.parametrize(
    ("include", "only", "states"),
    [
        ("false", "false", ("live",)),
        ("true", "false", ("live", "deleted")),
        ("false", "true", ("deleted",)),
        ("true", "true", ("deleted",)),
    ],
)
def test_only_deleted_wins_over_include_deleted(include: str, only: str, states: tuple[str, ...]) -> None:
    assert parsed(include_deleted=include, only_deleted=only).states == states


@pytest.mark.parametrize(
    ("include", "only", "counted"),
    [
        ("false", "false", ("live", "deleted")),
        ("true", "false", ("live", "deleted")),
        ("false", "true", ("deleted",)),
    ],
)
def test_aggregations_count_deleted_records_once_whatever_the_scope(
    include: str, only: str, counted: tuple[str, ...]
) -> None:
    query = parsed(include_aggregations="true", include_deleted=include, only_deleted=only)
    assert query.counted_states == counted
    assert parsed(include_deleted=include, only_deleted=only).counted_states == query.states


# Status


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        ("vip", ("vip",)),
        ("VIP", ("vip",)),
        ("École", ("ecole",)),
        ("vip,lead", ("vip", "lead")),
        (" vip , lead ", ("vip", "lead")),
        ("vip,VIP,vip", ("vip",)),
        (",vip,,lead,", ("vip", "lead")),
        (", ,", ()),
        ("two words", ("two words",)),
        ("null", (ABSENT,)),
        ("NULL", (ABSENT,)),
        ("none", ("none",)),
        ('vip, "a,b", null', ("vip", "a,b", ABSENT)),
        ('"null"', ("null",)),
        ('" padded "', (" padded ",)),
        ('"say ""x"""', ('say "x"',)),
        ('"A,B" , "C"', ("a,b", "c")),
        ('""', (ABSENT,)),
        ('say "x"', ('say "x"',)),
        ('"open', ('"open',)),
        ('"a"b', ('"a"b',)),
        ("%,*", ("%", "*")),
    ],
)
def test_a_status_filter_is_a_list_of_folded_statuses_that_quotes_keep_whole(
    text: str, statuses: tuple[str, ...]
) -> None:
    assert parsed(status=text).statuses == statuses


@settings(deadline=None)  # other work on the machine is no failure
@given(st.text(min_size=1, max_size=50).map(keys.status_key).filter(lambda key: key != ABSENT))
def test_every_status_as_a_quick_filter_is_named_is_a_filter_for_it(key: str) -> None:
    assert parsed(status=written_status(key)).statuses == (key,)
    assert parsed(status=f"vip,{written_status(key)},null").statuses == tuple(dict.fromkeys(("vip", key, ABSENT)))


@pytest.mark.parametrize(
    ("key", "written"),
    [(ABSENT, "none"), ("none", '"none"'), ("null", '"null"'), ("a,b", '"a,b"'), ('"', '""""'), ("vip", "vip")],
)
def test_a_status_is_written_in_quotes_where_it_would_mean_something_else(key: str, written: str) -> None:
    assert written_status(key) == written


def test_a_status_filter_names_at_most_so_many_statuses() -> None:
    most = [f"s{n}" for n in range(MAX_WORDS)]
    assert parsed(status=",".join([*most, *most])).statuses == tuple(most)
    assert problems(status=",".join([*most, "one more"])) == [(["query", "status"], "too_long")]


# Dates


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000000Z", "2026-01-31T23:59:59.999999Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000000Z", "0001-01-01T23:59:59.999999Z"),
        ("9999-12-31", "9999-12-31T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_day_begins_at_its_first_and_ends_at_its_last_microsecond(text: str, first: str, last: str) -> None:
    query = parsed(date_from=text, date_to=text)
    assert (query.date_from, query.date_to) == (first, last)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31t09:30:00z", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31 09:30:00Z", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31T09:30:00", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31T09:30:00.5Z", "2026-01-31T09:30:00.500000Z"),
        ("2026-01-31T09:30:00.000001Z", "2026-01-31T09:30:00.000001Z"),
        ("2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00.000000Z"),
        ("2026-01-31T00:30:00 01:00", "2026-01-30T23:30:00.000000Z"),
        ("2026-01-31T23:30:00-05:45", "2026-02-01T05:15:00.000000Z"),
        ("2026-01-31T09:30:00-00:00", "2026-01-31T09:30:00.000000Z"),
    ],
)
def test_a_date_time_is_one_instant_in_utc_at_either_end(text: str, instant: str) -> None:
    query = parsed(date_from=text, date_to=text)
    assert (query.date_from, query.date_to) == (instant, instant)


def test_what_is_finer_than_a_microsecond_is_cut_off_at_either_end() -> None:
    query = parsed(date_from="2026-01-01T00:00:00.0000019Z", date_to="2026-01-01T23:59:59.9999999Z")
    assert query.date_from == "2026-01-01T00:00:00.000001Z"
    assert query.date_to == "2026-01-01T23:59:59.999999Z"


@pytest.mark.parametrize("name", ["date_from", "date_to"])
@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026",
        "2026-01",
        "20260131",
        "2026-1-31",
        "31-01-2026",
        "2026-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-01-00",
        "0000-01-01",
        "12026-01-01",
        "２０２６-01-01",
        " 2026-01-31",
        "2026-01-31\n",
        "2026-01-31Z",
        "2026-01-31T",
        "2026-01-31T09",
        "2026-01-31T09:30",
        "2026-01-31T09:30:00.",
        "2026-01-31T09:30:00.Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T09:30:00+0100",
        "2026-01-31T09:30:00+24:00",
        "2026-01-31T09:30:00 Europe/Rome",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "1769851800",
    ],
)
def test_what_is_neither_a_day_nor_a_date_time_is_refused(name: str, text: str) -> None:
    assert problems(**{name: text}) == [(["query", name], "datetime_parsing")]


def test_a_leap_second_is_refused_because_no_timestamp_holds_it() -> None:
    assert problems(date_to="2016-12-31T23:59:60Z") == [(["query", "date_to"], "datetime_parsing")]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("2026-02-01", "2026-01-31"),
        ("2026-01-31T00:00:00.000001Z", "2026-01-31T00:00:00Z"),
        ("2026-01-31T00:00:00Z", "2026-01-31T00:00:00+01:00"),
    ],
)
def test_a_range_that_ends_before_it_begins_is_refused_at_its_end(low: str, high: str) -> None:
    assert problems(date_from=low, date_to=high) == [(["query", "date_to"], "date_range")]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T12:00:00Z", "2026-01-31"),
        ("2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z"),
        ("2026-01-31T01:00:00+01:00", "2026-01-31T00:00:00Z"),
    ],
)
def test_a_range_may_be_one_instant_because_both_ends_are_in_it(low: str, high: str) -> None:
    query = parsed(date_from=low, date_to=high)
    assert (query.date_from or "") <= (query.date_to or "")


def test_of_a_wrong_beginning_only_the_beginning_is_refused() -> None:
    assert problems(date_from="x", date_to="2026-01-31") == [(["query", "date_from"], "datetime_parsing")]


@pytest.mark.parametrize("name", ["date_from", "date_to"])
def test_a_range_may_be_open_at_either_end(name: str) -> None:
    query = parsed(**{name: "2026-01-31"})
    assert [bool(query.date_from), bool(query.date_to)] == [name == "date_from", name == "date_to"]
    assert query.has_dates


# Search


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Ada", ("ada",)),
        ("  Ada \t LOVELACE ", ("ada", "lovelace")),
        ("ada ADA Àda", ("ada",)),
        ("Straße", ("strasse",)),
        ("Ｆｕｌｌ　Ｗｉｄｔｈ", ("full", "width")),
        ("a´b", ("a", "b")),
        ("a\u00a0b\u2003c", ("a", "b", "c")),
        ("a\x1fb", ("a", "b")),
        ("100% *", ("100%", "*")),
        ('"a b"', ('"a', 'b"')),
        ("+39 02", ("+39", "02")),
    ],
)
def test_a_text_is_folded_first_and_split_after(text: str, terms: tuple[str, ...]) -> None:
    assert parsed(q=text).terms == terms


@settings(deadline=None)  # other work on the machine is no failure
@given(st.text())
def test_no_term_holds_a_space_a_separator_or_a_capital_letter(text: str) -> None:
    for term in parsed(q=text).terms:
        assert term == keys.fold(term)
        assert (term.split(), keys.SEPARATOR in term) == ([term], False)


@pytest.mark.parametrize("text", ["", " ", "\u0301", "´", " \u0301 \u0308 "])
def test_a_text_that_folds_to_nothing_is_no_search(text: str) -> None:
    query = parsed(q=text)
    assert (query.q, query.terms) == (None, ())


def test_a_text_is_echoed_as_it_was_typed() -> None:
    assert parsed(q="Àda  LOVELACE").q == "Àda  LOVELACE"


# Owners


@pytest.mark.parametrize("owner_id", ["bob", "ada", "a#b", "x" * 200])
def test_a_caller_who_is_no_administrator_reaches_itself_whatever_it_asks(owner_id: str) -> None:
    assert parsed(owner_id=owner_id) == parsed()
    assert parsed().owner_id == "ada"


def test_an_administrator_reaches_all_owners_or_the_one_that_it_names() -> None:
    assert (parsed("admin").owner_id, parsed("admin").by_admin) == (None, True)
    assert parsed("admin", owner_id="bob").owner_id == "bob"


@pytest.mark.parametrize("owner_id", ["a#b", "a b", "è", "bob\n", "x" * 129])
def test_an_administrator_may_only_name_what_can_be_an_owner(owner_id: str) -> None:
    assert problems("admin", owner_id=owner_id) == [(["query", "owner_id"], "string_pattern_mismatch")]


# The echo


@pytest.mark.parametrize(
    ("params", "filters"),
    [
        ({}, {}),
        ({"status": 'VIP,null,"a,b"'}, {"status": ["vip", None, "a,b"]}),
        ({"include_deleted": "true"}, {"include_deleted": True}),
        ({"only_deleted": "true", "include_deleted": "true"}, {"only_deleted": True}),
        ({"owner_id": "bob"}, {}),
        ({"q": "ada", "limit": "3", "sort_field": "name", "date_from": "2026-01-31"}, {}),
    ],
)
def test_the_echo_of_the_filters_says_what_narrows_or_widens(params: dict[str, str], filters: dict[str, Any]) -> None:
    assert parsed(**params).filters == filters


def test_the_echo_of_the_filters_names_an_administrators_owner() -> None:
    assert parsed("admin", owner_id="bob").filters == {"owner_id": "bob"}
    assert parsed("admin").filters == {}
