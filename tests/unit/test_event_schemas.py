"""docs/events: the schema of each type of event is valid, true to what is read, and met by the examples in events/."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from customers.events import DETAIL_TYPES, MAX_NUMBER, MAX_TEXT_CHARS, RESULTS, CallUpserted, Event, read
from tests.handlers import event
from tools import event_schemas
from tools.event_schemas import PROPERTIES, PROPERTIES_OF, example

TYPES = sorted(DETAIL_TYPES)
UUID, TIME = "7b0e4e1e-54c5-4d0c-9a57-0d9d3f6f2a11", "2026-02-02T14:05:30.25+02:00"
VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2, -1, 1.0, 0.5, MAX_NUMBER, MAX_NUMBER + 1, -MAX_NUMBER, -MAX_NUMBER - 1, [], {}),
    *("x" * length for length in (1, 50, 51, 255, 256, MAX_TEXT_CHARS, MAX_TEXT_CHARS + 1)),
    *(UUID, TIME, "2026-02-30T00:00:00Z", "a b", "running", "in_progress", "neutral", "whatsapp"),
]


@cache
def schema(detail_type: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((event_schemas.DIRECTORY / f"{detail_type}.json").read_text())
    return document


@cache
def validator(detail_type: str) -> Draft202012Validator:
    return Draft202012Validator(schema(detail_type), format_checker=Draft202012Validator.FORMAT_CHECKER)


def message(detail_type: str, detail: dict[str, Any]) -> str:
    return json.dumps(event(detail_type) | {"detail": detail})


def variants(detail_type: str) -> Iterator[dict[str, Any]]:
    """The example, with each of `VALUES` for each property in turn."""
    whole = example(detail_type)
    return (whole | {name: value} for name in schema(detail_type)["properties"] for value in VALUES)


@pytest.mark.parametrize("detail_type", TYPES)
def test_a_schema_is_valid_and_says_what_it_is_of(detail_type: str) -> None:
    document = schema(detail_type)
    Draft202012Validator.check_schema(document)
    assert (document["$schema"], document["title"]) == (Draft202012Validator.META_SCHEMA["$id"], detail_type)
    assert document["description"].startswith(str(DETAIL_TYPES[detail_type].__doc__).partition("\n")[0])


@pytest.mark.parametrize("detail_type", TYPES)
def test_the_recorded_event_is_valid_and_is_read_as_one_of_its_type(detail_type: str) -> None:
    recorded = event(detail_type)
    assert recorded["detail-type"] == detail_type
    assert list(validator(detail_type).iter_errors(recorded["detail"])) == []
    found = read(json.dumps(recorded))
    assert isinstance(found, Event)
    assert (found.id, found.detail_type, type(found.detail)) == (recorded["id"], detail_type, DETAIL_TYPES[detail_type])


@pytest.mark.parametrize("detail_type", TYPES)
def test_the_example_in_a_schema_is_the_recorded_events_and_uses_every_field_that_is_required(detail_type: str) -> None:
    document = schema(detail_type)
    assert document["examples"] == [event(detail_type)["detail"]]
    assert set(document["required"]) <= document["examples"][0].keys() <= document["properties"].keys()


@pytest.mark.parametrize("detail_type", TYPES)
def test_what_a_schema_allows_is_read(detail_type: str) -> None:
    allowed = [detail for detail in variants(detail_type) if validator(detail_type).is_valid(detail)]
    assert len(allowed) > len(schema(detail_type)["properties"])
    unread = [found for detail in allowed if not isinstance(found := read(message(detail_type, detail)), Event)]
    assert unread == []


@pytest.mark.parametrize("detail_type", TYPES)
def test_what_a_schema_requires_the_reader_requires_and_nothing_more(detail_type: str) -> None:
    whole, document = example(detail_type), schema(detail_type)
    needed = {
        name
        for name in document["properties"]
        if not isinstance(
            read(message(detail_type, {other: value for other, value in whole.items() if other != name})), Event
        )
    }
    assert needed == set(document["required"])


@pytest.mark.parametrize("detail_type", TYPES)
def test_a_field_that_is_not_in_the_schema_is_allowed_and_ignored(detail_type: str) -> None:
    detail = example(detail_type)
    more = detail | {"favourite_colour": "green"}
    assert validator(detail_type).is_valid(more)
    assert read(message(detail_type, more)) == read(message(detail_type, detail))


@pytest.mark.parametrize("detail_type", TYPES)
def test_the_words_are_about_properties_that_there_are(detail_type: str) -> None:
    assert PROPERTIES_OF[detail_type].keys() <= schema(detail_type)["properties"].keys()


def test_the_words_that_are_shared_are_about_more_than_one_type() -> None:
    for name in PROPERTIES:
        assert len([each for each in TYPES if name in schema(each)["properties"]]) > 1
    assert PROPERTIES_OF.keys() == DETAIL_TYPES.keys()


@pytest.mark.parametrize("detail_type", TYPES)
def test_a_customer_is_named_by_its_id_wherever_there_is_one(detail_type: str) -> None:
    named = schema(detail_type)["properties"].get("customer")
    assert not named or "not its `customer_id`" in named["description"]


@pytest.mark.parametrize("detail_type", TYPES)
def test_the_time_that_decides_which_of_two_events_is_newer_is_said_to(detail_type: str) -> None:
    detail = read(json.dumps(event(detail_type)))
    assert isinstance(detail, Event)
    (decisive,) = (
        name
        for name, property in schema(detail_type)["properties"].items()
        if "is believed" in property.get("description", "")
    )
    assert getattr(detail.detail, decisive) == detail.detail.told_at


def test_the_results_that_are_named_are_those_that_are_counted() -> None:
    description = schema("CallUpserted")["properties"]["outcome"]["description"]
    assert all(f"`{word}`" in description for word in RESULTS)
    call = CallUpserted.model_validate(example("CallUpserted") | {"outcome": "No Answer"})
    assert call.counted == ["calls_total", "calls_no_answer"]


def test_the_recorded_batch_has_the_recorded_events() -> None:
    bodies = [json.loads(each["body"]) for each in event("record_activity")["Records"]]
    assert bodies == [event(each) for each in ("CampaignUpserted", "TargetUpserted", "CallUpserted", "MessageSent")]
