"""`make put-events`: what a file holds comes to the queue as EventBridge delivers it, or a sentence says why not."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError

from customers.events import DETAIL_TYPES, Event, read
from tests.handlers import event
from tests.unit.conftest import FAKE_ACCOUNT
from tools import put_events
from tools.stack import Stack, StackError
from tools.template import ROOT

BUS = "customers"
STACK = Stack({}, {"BusName": BUS})
FILES = {detail_type: ROOT / f"events/{detail_type}.json" for detail_type in DETAIL_TYPES}

type Run = Callable[..., tuple[int, str, str]]


@dataclass
class Bus:
    """What is put on the bus of a stack, request by request. It refuses the events of the source `refused`."""

    requests: list[list[dict[str, Any]]] = field(default_factory=list)

    def take(self, call: str, request: Any) -> Any:
        assert call == "PutEvents"
        assert {entry["EventBusName"] for entry in request["Entries"]} == {BUS}
        self.requests.append(request["Entries"])
        refused = [entry["Source"] == "refused" for entry in request["Entries"]]
        results = [{"ErrorCode": "InternalFailure"} if each else {"EventId": "1"} for each in refused]
        return {"FailedEntryCount": sum(refused), "Entries": results}

    @property
    def delivered(self) -> list[dict[str, Any]]:
        """The events as a rule gives them to its queue; of the members that EventBridge adds, only the id."""
        return [
            {"id": str(uuid4()), "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
            for request in self.requests
            for entry in request
        ]


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Bus:
    for name, value in FAKE_ACCOUNT.items():
        monkeypatch.setenv(name, value)
    bus = Bus()
    monkeypatch.setattr(BaseClient, "_make_api_call", bus.take)
    return bus


@pytest.fixture
def run(bus: Bus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    assert not bus.requests
    monkeypatch.setattr("tools.stack.chosen", lambda _: STACK)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["make put-events", *map(str, arguments)])
        capsys.readouterr()
        return put_events.main(), *capsys.readouterr()

    return command


def written(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(event("TargetRemoved") | changes))
    return path


def test_every_recorded_event_arrives_as_the_functions_read_it(run: Run, bus: Bus) -> None:
    assert run(*FILES.values()) == (0, f"Put on the bus: {', '.join(FILES)}\n", "")
    understood = [read(json.dumps(each)) for each in bus.delivered]
    assert [each.detail for each in understood if isinstance(each, Event)] == [
        model.model_validate(event(name)["detail"]) for name, model in DETAIL_TYPES.items()
    ]


def test_a_customer_that_is_named_takes_the_place_of_the_files_where_there_is_one(run: Run, bus: Bus) -> None:
    customer = str(uuid4())
    run("--customer", customer, FILES["CampaignUpserted"], FILES["MessageSent"])
    campaign, message = (each["detail"] for each in bus.delivered)
    assert campaign == event("CampaignUpserted")["detail"]
    assert message == event("MessageSent")["detail"] | {"customer": customer}


def test_an_event_needs_no_more_than_a_source_a_type_and_a_detail(run: Run, tmp_path: Path, bus: Bus) -> None:
    own = {name: event("CallUpserted")[name] for name in ("source", "detail-type", "detail")}
    (tmp_path / "own.json").write_text(json.dumps(own))
    assert run(tmp_path / "own.json")[0] == 0
    assert len(bus.delivered) == 1


@pytest.mark.parametrize("force", [False, True])
def test_what_would_not_be_understood_is_put_by_force_only(run: Run, tmp_path: Path, bus: Bus, *, force: bool) -> None:
    bad = written(tmp_path / "bad.json", detail={"removed_at": "soon", "campaign_id": 4711})
    code, _, said = run(*(["--force"] if force else []), FILES["CampaignUpserted"], bad)
    assert (code, len(bus.delivered)) == ((0, 2) if force else (1, 0))
    assert force or "(FORCE=1 puts it anyway): customer: missing; campaign_id: uuid_type; removed_at: " in said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "is no event: it needs a source, a detail-type and a detail"),
        ('{"source": "a", "detail-type": "CallUpserted", "detail": "x"}', "is no event"),
        ('{"source": "a", "detail-type": 1, "detail": {}}', "is no event"),
    ],
)
def test_what_is_no_event_is_refused_whatever_the_force(
    run: Run, tmp_path: Path, bus: Bus, content: str, problem: str
) -> None:
    (tmp_path / "wrong.json").write_text(content)
    code, _, said = run("--force", FILES["CallUpserted"], tmp_path / "wrong.json")
    assert code == 1
    assert f"{tmp_path / 'wrong.json'} {problem}" in said
    assert not bus.requests


def test_all_files_that_are_wrong_are_named_at_once(run: Run, tmp_path: Path) -> None:
    bad = written(tmp_path / "bad.json", **{"detail-type": "ColourUpserted"})
    code, _, said = run(tmp_path / "none.json", bad)
    assert code == 1
    assert said.splitlines() == [
        f"{tmp_path / 'none.json'}: No such file or directory",
        f"{bad} would not be understood (FORCE=1 puts it anyway): detail-type: unknown",
        "Nothing was put on the bus",
    ]


def test_without_a_file_an_example_is_shown(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run()
    assert "make put-events FILES=events/CallUpserted.json" in capsys.readouterr().err


def test_many_events_go_in_requests_of_ten_in_their_order(bus: Bus) -> None:
    put_events.put(STACK, [event("MessageSent") | {"detail": {"number": number}} for number in range(23)])
    assert [len(request) for request in bus.requests] == [10, 10, 3]
    assert [each["detail"]["number"] for each in bus.delivered] == [*range(23)]


def test_an_event_that_the_bus_refuses_is_a_failure(run: Run, tmp_path: Path) -> None:
    refused = written(tmp_path / "refused.json", source="refused")
    assert run(FILES["CampaignUpserted"], refused) == (1, "", "The bus has refused 1 of 2 events: InternalFailure\n")


def test_a_stack_from_before_there_was_a_bus_is_told_to_be_deployed_again() -> None:
    with pytest.raises(StackError, match="no event bus: deploy it again"):
        put_events.put(Stack({}, {}), [event("CallUpserted")])


def test_a_bus_that_cannot_be_reached_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    monkeypatch.setattr(BaseClient, "_make_api_call", unreachable)
    code, _, said = run(FILES["CallUpserted"])
    assert (code, said.partition(":")[0]) == (1, "The events cannot be put on the bus")
