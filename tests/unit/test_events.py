"""Events of other services: what is read, what is refused, and which of two is believed."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers import keys
from customers.events import (
    DETAIL_TYPES,
    MAX_NUMBER,
    MAX_TEXT_CHARS,
    RESULTS,
    CallUpserted,
    CampaignDeleted,
    CampaignUpserted,
    Detail,
    Event,
    MessageSent,
    TargetRemoved,
    TargetUpserted,
    Unreadable,
    read,
)
from tests.handlers import event
from tools.event_schemas import example

TYPES = sorted(DETAIL_TYPES)
NOON = "2026-02-02T12:00:00Z"
SECRET = "Zoë-4711"
TEXTS = {"transcript_summary", "customer_sentiment_rationale", "agent_goal_rationale", "ai_reason", "goal", "text"}

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def told[Told: Detail](model: type[Told], **changes: Any) -> Told:
    """The recorded event's detail with other values."""
    return model.model_validate(example(model.__name__) | changes)


def planned(**changes: Any) -> CallUpserted:
    """A call that nobody has made yet."""
    return told(CallUpserted, status="scheduled", outcome=None, dispatched_at=None, finished_at=None, **changes)


def message(detail_type: str, **changes: Any) -> str:
    """The recorded event as EventBridge delivers it, with other values in its detail."""
    recorded = event(detail_type)
    return json.dumps(recorded | {"detail": recorded["detail"] | changes})


def problems(text: str) -> list[str]:
    found = read(text)
    assert isinstance(found, Unreadable), found
    return list(found.problems)


def optional(detail_type: str, kind: str) -> list[str]:
    """The fields of a type that may be null, of one JSON type."""
    properties = DETAIL_TYPES[detail_type].model_json_schema()["properties"]
    return [
        name
        for name, each in properties.items()
        if {"type": "null"} in each.get("anyOf", []) and each["anyOf"][0]["type"] == kind
    ]


NULLABLE_TEXTS = [
    (detail_type, name)
    for detail_type in TYPES
    for name in optional(detail_type, "string")
    if not (name.endswith("_at") or name == "campaign_id")
]


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_a_time_without_a_zone_is_utc_wherever_this_runs() -> None:
    assert told(CampaignUpserted, updated_at="2026-02-02T12:00:00") == told(CampaignUpserted, updated_at=NOON)


@given(instants, zones)
def test_an_instant_is_the_same_event_in_whatever_zone_it_is_told(instant: datetime, zone: timezone) -> None:
    there, here = (told(TargetRemoved, removed_at=each.isoformat()) for each in (instant.astimezone(zone), instant))
    assert there.told_at == here.told_at == instant
    assert there.revision == here.revision
    assert there.told()["removed_at"] == keys.timestamp(instant)


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "soon"],
)
def test_a_time_that_is_none_in_utc_is_refused(text: str) -> None:
    (problem,) = problems(message("CampaignUpserted", updated_at=text))
    assert problem.startswith("updated_at: ")


@given(instants, instants, st.sampled_from([CampaignUpserted, TargetUpserted, CallUpserted, MessageSent]))
def test_the_later_of_two_has_the_greater_revision(one: datetime, other: datetime, model: type[Detail]) -> None:
    first, second = (told(model, updated_at=each.isoformat()).revision for each in (one, other))
    assert (first < second, first == second) == (one < other, one == other)


@given(instants, st.text(min_size=1, max_size=20).filter(lambda name: name.strip().isprintable() and name.strip()))
def test_at_one_instant_the_event_that_removes_is_believed(instant: datetime, name: str) -> None:
    then = instant.isoformat()
    assert told(CampaignDeleted, deleted_at=then).revision > told(CampaignUpserted, updated_at=then, name=name).revision
    assert (
        told(TargetRemoved, removed_at=then).revision > told(TargetUpserted, updated_at=then, ai_reason=name).revision
    )


@given(instants.filter(lambda instant: instant.year < 9998))
def test_what_is_told_after_a_removal_is_believed(removed: datetime) -> None:
    later = (removed + timedelta(microseconds=1)).isoformat()
    before, after = told(TargetRemoved, removed_at=removed.isoformat()), told(TargetUpserted, updated_at=later)
    assert before.revision < after.revision


def test_two_different_events_of_one_instant_have_one_order() -> None:
    names = ("Spring", "Summer", "Autumn", "Winter")
    revisions = [told(CampaignUpserted, name=name).revision for name in names]
    assert revisions == [told(CampaignUpserted, name=name).revision for name in names]
    assert all(one < other for one, other in pairwise(sorted(revisions)))


@pytest.mark.parametrize("detail_type", TYPES)
def test_the_same_told_in_another_way_is_the_same_event(detail_type: str) -> None:
    model, detail = DETAIL_TYPES[detail_type], example(detail_type)
    unset = {name: None for kind in ("string", "number", "boolean") for name in optional(detail_type, kind)}
    other = {**dict(reversed(detail.items())), "favourite_colour": "green"}
    others = [other, unset | detail, {name: value for name, value in detail.items() if name != "schema_version"}]
    assert {model.model_validate(each).revision for each in others} == {model.model_validate(detail).revision}


def test_a_number_is_the_same_however_many_zeros_it_has() -> None:
    texts = [f'{{"ai_score": {number}}}' for number in ("0.5", "0.50", "5e-1", "0.5000001")]
    assert len({told(TargetUpserted, **json.loads(text)).revision for text in texts}) == 1


@pytest.mark.parametrize(("detail_type", "name"), NULLABLE_TEXTS)
def test_a_blank_text_is_absent(detail_type: str, name: str) -> None:
    blank = told(DETAIL_TYPES[detail_type], **{name: " \t "})
    assert name not in blank.told()
    assert blank.revision == told(DETAIL_TYPES[detail_type], **{name: None}).revision


@pytest.mark.parametrize(("detail_type", "name"), [each for each in NULLABLE_TEXTS if each[1] != "agent_id"])
def test_a_text_is_trimmed_and_only_a_long_one_may_have_lines(detail_type: str, name: str) -> None:
    assert told(DETAIL_TYPES[detail_type], **{name: " so it is "}).told()[name] == "so it is"
    found = read(message(detail_type, **{name: "one\ntwo"}))
    assert isinstance(found, Event) == (name in TEXTS)


@pytest.mark.parametrize(
    ("detail_type", "name", "kind"),
    [
        ("CampaignUpserted", "name", "string_too_short"),
        ("CallUpserted", "status", "string_too_short"),
        ("MessageSent", "status", "string_too_short"),
        ("MessageSent", "id", "string_pattern_mismatch"),
        ("TargetUpserted", "stage", "literal_error"),
    ],
)
def test_what_must_be_there_is_not_blank(detail_type: str, name: str, kind: str) -> None:
    assert problems(message(detail_type, **{name: "  "})) == [f"{name}: {kind}"]


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x85"])
@pytest.mark.parametrize(
    ("detail_type", "name"),
    [("CampaignUpserted", "name"), ("CallUpserted", "outcome"), ("CallUpserted", "status"), ("MessageSent", "subject")],
)
def test_a_name_or_a_word_has_no_control_characters(detail_type: str, name: str, character: str) -> None:
    assert problems(message(detail_type, **{name: f"a{character}b"})) == [f"{name}: control_character"]


@pytest.mark.parametrize(("detail_type", "name"), [each for each in NULLABLE_TEXTS if each[1] != "agent_id"])
def test_a_text_has_its_greatest_length(detail_type: str, name: str) -> None:
    (text, _) = DETAIL_TYPES[detail_type].model_json_schema()["properties"][name]["anyOf"]
    longest = text["maxLength"]
    assert longest <= MAX_TEXT_CHARS
    assert isinstance(read(message(detail_type, **{name: "ß" * longest})), Event)
    assert problems(message(detail_type, **{name: "ß" * (longest + 1)})) == [f"{name}: string_too_long"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_no_json(number: float) -> None:
    assert problems(message("TargetUpserted", ai_score=number)) == ["not JSON"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "x", MAX_NUMBER + 1, -MAX_NUMBER - 1, [], True])
def test_a_number_is_finite_and_has_its_bounds(number: Any) -> None:
    (problem,) = problems(message("TargetUpserted", ai_score=number))
    assert problem.startswith("ai_score: ")


@pytest.mark.parametrize("count", [-1, 0.5, MAX_NUMBER + 1, "many", None])
def test_a_count_is_a_natural_number(count: Any) -> None:
    (problem,) = problems(message("TargetUpserted", calls_made=count))
    assert problem.startswith("calls_made: ")


@pytest.mark.parametrize("text", ["", "{", "Zoë", '{"id": NaN}', "{'id': 1}", '"\\ud800"', "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    assert read(text) == Unreadable(["not JSON"])


@pytest.mark.parametrize("text", ["null", "[]", "1", '"event"'])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(": ")


def test_an_envelope_without_its_members_is_refused_by_their_names() -> None:
    assert problems("{}") == ["id: missing", "detail-type: missing", "detail: missing"]


@pytest.mark.parametrize("detail", [None, [], "{}", 1])
def test_a_detail_is_an_object(detail: Any) -> None:
    assert problems(json.dumps(event("CallUpserted") | {"detail": detail})) == ["detail: dict_type"]


@pytest.mark.parametrize("detail_type", ["CallDeleted", "callupserted", "Detail", "Activity", ""])
def test_an_unknown_detail_type_is_refused_and_not_repeated(detail_type: str) -> None:
    recorded = event("CallUpserted")
    found = read(json.dumps(recorded | {"detail-type": detail_type}))
    assert found == Unreadable(["detail-type: unknown"], recorded["id"], None)


@pytest.mark.parametrize("version", [0, 2, "2", None, 1.5])
@pytest.mark.parametrize("detail_type", TYPES)
def test_an_unknown_version_of_a_schema_is_refused(detail_type: str, version: Any) -> None:
    found = read(message(detail_type, schema_version=version))
    assert found == Unreadable(["schema_version: literal_error"], event(detail_type)["id"], detail_type)


@pytest.mark.parametrize("detail_type", TYPES)
def test_every_problem_is_told_by_field_and_kind(detail_type: str) -> None:
    model = DETAIL_TYPES[detail_type]
    found = read(json.dumps(event(detail_type) | {"detail": {}}))
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    assert found == Unreadable([f"{name}: missing" for name in needed], event(detail_type)["id"], detail_type)


@pytest.mark.parametrize("value", [SECRET, f" {SECRET}\x00", SECRET * 2_000, [SECRET], {SECRET: SECRET}])
@pytest.mark.parametrize("detail_type", TYPES)
def test_no_problem_quotes_what_it_refuses(detail_type: str, value: Any) -> None:
    detail = dict.fromkeys(DETAIL_TYPES[detail_type].model_fields, value)
    for wrong in (
        {"detail": detail},
        {"detail-type": value},
        {"id": value},
        {"detail": value},
        {SECRET: value, "id": 1},
    ):
        found = read(json.dumps(event(detail_type) | wrong))
        assert not isinstance(found, Unreadable) or SECRET not in str(found.problems)
    assert isinstance(read(json.dumps(event(detail_type) | {"detail": detail})), Unreadable)


@given(documents)
def test_whatever_json_comes_is_unreadable_and_no_fault(document: Any) -> None:
    assert isinstance(read(json.dumps(document)), Unreadable)


@given(st.sampled_from(TYPES), st.data())
def test_whatever_a_field_holds_is_read_or_refused_by_its_name(detail_type: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(DETAIL_TYPES[detail_type].model_fields)))
    found = read(message(detail_type, **{name: data.draw(documents)}))
    assert isinstance(found, Event) or all(each.startswith((f"{name}: ", "not JSON")) for each in found.problems)


@pytest.mark.parametrize("id", ["1", "wamid.HBgL==", "<a+b@mail.example.com>", "a#b", "x" * 255])
def test_the_id_of_a_message_is_the_providers(id: str) -> None:
    assert told(MessageSent, id=id).id == id


@pytest.mark.parametrize("id", ["", " ", "a b", "a\n", "\na", "é", "x" * 256, 7, None])
def test_the_id_of_a_message_is_visible_ascii(id: Any) -> None:
    (problem,) = problems(message("MessageSent", id=id))
    assert problem.startswith("id: ")


@pytest.mark.parametrize(("channel", "counted"), [("whatsapp", "whatsapp_sent"), ("email", "emails_sent")])
def test_a_message_counts_for_its_channel_and_stands_where_it_was_sent(channel: str, counted: str) -> None:
    sent = told(MessageSent, channel=channel, sent_at=NOON)
    assert (sent.type, sent.counted, sent.contacted) == (channel, [counted], True)
    assert sent.occurred_at == datetime(2026, 2, 2, 12, tzinfo=UTC)


def test_a_message_is_told_when_it_was_last_changed_or_else_sent() -> None:
    sent = {"sent_at": NOON, "updated_at": "2026-02-02T13:00:00Z"}
    assert told(MessageSent, **sent).told_at == datetime(2026, 2, 2, 13, tzinfo=UTC)
    assert told(MessageSent, **sent | {"updated_at": None}).told_at == datetime(2026, 2, 2, 12, tzinfo=UTC)


def test_a_message_is_sent_unless_another_status_is_told() -> None:
    detail = example("MessageSent")
    del detail["status"]
    assert MessageSent.model_validate(detail).item()["status_key"] == "sent"


def written(word: str) -> list[str]:
    """Ways to write a result."""
    return [word, word.upper(), word.replace("_", " ").title(), word.replace("_", "-"), f" {word} "]


@pytest.mark.parametrize("text", [text for word in RESULTS for text in written(word)])
def test_a_call_counts_as_what_its_outcome_or_else_its_status_says(text: str) -> None:
    counted = ["calls_total", "calls_" + text.strip().lower().replace(" ", "_").replace("-", "_")]
    assert told(CallUpserted, outcome=text, status="completed").counted == counted
    assert told(CallUpserted, outcome=None, status=text).counted == counted
    assert told(CallUpserted, outcome="hung up at once", status=text).counted == counted


def test_the_outcome_of_a_call_counts_before_its_status() -> None:
    assert told(CallUpserted, outcome="voicemail", status="answered").counted == ["calls_total", "calls_voicemail"]


@pytest.mark.parametrize("outcome", [None, "hung up", "unanswered", "answered by a machine", "busy busy"])
def test_a_call_that_ended_otherwise_counts_as_a_call_only(outcome: str | None) -> None:
    assert told(CallUpserted, outcome=outcome, status="completed").counted == ["calls_total"]


def test_a_planned_call_is_counted_and_is_no_contact() -> None:
    call = planned()
    assert (call.counted, call.contacted) == (["calls_total"], False)


@pytest.mark.parametrize("change", [{"dispatched_at": NOON}, {"finished_at": NOON}])
def test_a_call_that_was_dispatched_or_has_ended_is_a_contact(change: dict[str, Any]) -> None:
    assert CallUpserted.model_validate(json.loads(planned().model_dump_json()) | change).contacted


@pytest.mark.parametrize("field", ["outcome", "status"])
@pytest.mark.parametrize("word", RESULTS)
def test_a_call_with_a_result_is_a_contact_also_without_times(word: str, field: str) -> None:
    assert CallUpserted.model_validate(json.loads(planned().model_dump_json()) | {field: word}).contacted


@given(instants, st.none() | instants, st.none() | instants)
def test_a_call_stands_where_it_was_dispatched_else_ended_else_is_scheduled(
    scheduled: datetime, dispatched: datetime | None, finished: datetime | None
) -> None:
    times = {"scheduled_at": scheduled, "dispatched_at": dispatched, "finished_at": finished}
    call = told(CallUpserted, **{name: each and each.isoformat() for name, each in times.items()})
    assert call.occurred_at == (dispatched or finished or scheduled)


@given(instants, instants)
def test_activity_is_stored_in_the_order_of_its_times(one: datetime, other: datetime) -> None:
    first = told(CallUpserted, dispatched_at=one.isoformat()).item()
    second = told(MessageSent, sent_at=other.isoformat()).item()
    assert first["pk"] == second["pk"]
    assert one == other or (first["sk"] < second["sk"]) is (one < other)
    assert keys.activity_time(first["sk"]) == keys.timestamp(one)


def test_a_call_a_whatsapp_message_and_an_email_of_one_id_are_three() -> None:
    id = example("CallUpserted")["id"]
    same = [told(MessageSent, id=id, channel=channel, sent_at=NOON) for channel in ("whatsapp", "email")]
    stored = [each.item()["sk"] for each in (told(CallUpserted, id=id, dispatched_at=NOON), *same)]
    assert len(set(stored)) == len(stored)


def test_status_and_outcome_are_stored_as_a_filter_compares_them() -> None:
    item = told(CallUpserted, status="Terminé", outcome="Échec").item()
    assert (item["status"], item["status_key"], item["outcome_key"]) == ("Terminé", "termine", "echec")
    assert told(CallUpserted, outcome=None).item()["outcome_key"] == keys.ABSENT


@pytest.mark.parametrize("detail_type", TYPES)
def test_what_is_stored_of_an_event_has_no_null_and_says_by_which_revision_it_was_told(detail_type: str) -> None:
    detail = told(DETAIL_TYPES[detail_type])
    stored = detail.told()
    assert None not in stored.values()
    assert stored["revision"] == detail.revision
    assert not {"customer", "schema_version"} & stored.keys()
