"""Events that come twice, in any order and in any company, over a bad wire: the state is as if each had come once.

The model knows of the design only which event of one thing is believed, and where an activity stands in time; the
ledger recounts all that is counted.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal
from unittest.mock import patch
from uuid import UUID

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers import keys
from customers.dynamodb import ATTEMPTS
from customers.events import DETAIL_TYPES
from tests.engine.ledger import Item, Ledger
from tests.engine.wire import Faults, Interleaving, Send, all_orders, sending
from tests.handlers import Api, message

type Detail = dict[str, Any]
type State = dict[tuple[str, str], Detail]
type Kind = Literal["dropped", "lost", "garbled", "conflict"]

LIVE, DELETED, ABSENT = (str(UUID(int=n, version=4)) for n in range(3))
CAMPAIGNS = [str(UUID(int=10 + n)) for n in range(2)]
CALLS = [str(UUID(int=20 + n)) for n in range(2)]
TIMES = [f"2026-02-01T10:0{n}:00.000000Z" for n in range(4)]
# Attributes that an item has beside what its event told.
ADDED = {"pk", "sk", "revision", "type", "contacted", "counted", "status_key", "outcome_key"}


@dataclass(frozen=True)
class Event:
    type: str
    detail: Detail

    @property
    def thing(self) -> tuple[str, ...]:
        """What it tells of: an event of the same thing says the same or something else of it."""
        kind = self.type.removesuffix("Upserted").removesuffix("Removed").removesuffix("Deleted")
        names = ("customer", "campaign_id") if kind == "Target" else ("customer", "channel", "id")
        return (kind, *(self.detail[name] for name in names if name in self.detail))

    @property
    def removes(self) -> bool:
        return self.type in {"CampaignDeleted", "TargetRemoved"}

    @property
    def rank(self) -> tuple[str, bool, str]:
        """Of two events of one thing the greater is believed; between two of one instant the code's digest decides."""
        told_at = (self.detail.get(name) for name in ("updated_at", "removed_at", "deleted_at", "sent_at"))
        revision = DETAIL_TYPES[self.type].model_validate(self.detail).revision
        return next(filter(None, told_at)), self.removes, revision


def believed(events: Iterable[Event]) -> Iterable[Event]:
    return {event.thing: event for event in sorted(events, key=lambda event: event.rank)}.values()


def expected(events: Iterable[Event], deleted: Mapping[str, str | None]) -> State:
    """What is stored after these events; `deleted` says of each customer that there is since when it is deleted."""
    state: State = {}
    for event in believed(events):
        told = {name: value for name, value in event.detail.items() if value is not None}
        id = told.pop("customer", None)
        match event.thing:
            case "Campaign", campaign:
                state[f"CAMPAIGN#{campaign}", "#CAMPAIGN"] = told | {"removed": event.removes}
            case _ if id not in deleted:
                pass
            case "Target", _, campaign:
                told |= {"removed": event.removes, "deleted_at": None if event.removes else deleted[id]}
                state[f"CUSTOMER#{id}", f"#TARGET#{campaign}"] = told
            case "Call", _, call:
                time = told.get("dispatched_at") or told.get("finished_at") or told["scheduled_at"]
                state[f"CUSTOMER#{id}", f"ACTIVITY#{time}#call#{call}"] = told
            case _, _, channel, sent:
                state[f"CUSTOMER#{id}", f"ACTIVITY#{told['sent_at']}#{channel}#{sent}"] = told
    return state


def stored(items: Iterable[Item]) -> State:
    """The same of the table: campaigns, enrolments and activity, as they were told."""
    state: State = {}
    for item in items:
        told = dict(item)
        if item["sk"].startswith(keys.TARGETS):
            told = item.get("enrolment", {}) | {"deleted_at": item.get("deleted_at")}
        elif not item["sk"].startswith(("#CAMPAIGN", keys.ACTIVITIES)):
            continue
        if told != {"deleted_at": None}:
            state[item["pk"], item["sk"]] = {name: value for name, value in told.items() if name not in ADDED}
    return state


time, a_while = st.sampled_from(TIMES), st.none() | st.sampled_from(TIMES)
customer = st.sampled_from([*[LIVE] * 8, DELETED, ABSENT])  # most of them where they meet others
campaign, perhaps_one = st.sampled_from([*CAMPAIGNS, CAMPAIGNS[0]]), st.sampled_from([None, *CAMPAIGNS, CAMPAIGNS[0]])


def told(type: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    return st.builds(Event, st.just(type), st.fixed_dictionaries(fields))


calls = told(
    "CallUpserted",
    id=st.sampled_from([*CALLS, CALLS[0]]),
    customer=customer,
    campaign_id=perhaps_one,
    attempt_no=st.just(1),
    messages_count=st.just(0),
    status=st.sampled_from(["planned", "Cancelled", "completed", "Failed"]),
    outcome=st.sampled_from([None, None, "answered", "No answer", "voicemail", "wrong number"]),
    scheduled_at=time,
    dispatched_at=a_while,
    finished_at=a_while,
    created_at=st.just(TIMES[0]),
    updated_at=time,
)
messages = told(
    "MessageSent",
    id=st.sampled_from(["m-1", "m-2"]),
    customer=customer,
    campaign_id=perhaps_one,
    channel=st.sampled_from(["whatsapp", "email"]),
    status=st.sampled_from(["sent", "read"]),
    sent_at=time,
    updated_at=a_while,
)
enrolments = told(
    "TargetUpserted",
    customer=customer,
    campaign_id=campaign,
    target_id=st.just(CALLS[0]),
    stage=st.sampled_from(["new", "succeeded"]),
    ai_label=st.just("unknown"),
    **{name: st.just(1) for name in ("calls_made", "whatsapp_sent", "email_sent")},
    created_at=st.just(TIMES[0]),
    updated_at=time,
)
removals = told("TargetRemoved", customer=customer, campaign_id=campaign, removed_at=time)
campaigns = told(
    "CampaignUpserted",
    id=campaign,
    name=st.sampled_from(["Spring", "Summer"]),
    status=st.sampled_from(["draft", "running"]),
    created_at=st.just(TIMES[0]),
    updated_at=time,
) | told("CampaignDeleted", id=campaign, deleted_at=time)
actions = st.tuples(st.sampled_from(["delete", "restore"] * 2 + ["purge"]), st.sampled_from([LIVE, DELETED]))
spells: st.SearchStrategy[tuple[Kind, int]] = st.tuples(
    st.sampled_from(["dropped", "lost", "garbled", "conflict"]), st.integers(1, ATTEMPTS)
)


@dataclass(frozen=True)
class Stream:
    """Distinct events, and all that happens to them.

    Two functions get them at once, in batches and some more than once; with the second one's batches alternate `lives`,
    what a client does with the customers. `order` says which of the two goes on, the first or the last.
    """

    events: list[Event]
    batches: tuple[list[list[Event]], list[list[Event]]]
    lives: list[tuple[str, str]]
    spells: dict[int, tuple[Kind, int]]
    order: list[int]


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    events = draw(
        st.lists(calls | calls | calls | messages | enrolments | removals | campaigns, min_size=2, max_size=12)
    )
    again = draw(st.lists(st.sampled_from(events), max_size=4))
    coming = draw(st.permutations([*events, *again]))
    cuts = draw(st.lists(st.integers(0, len(coming)), min_size=4, max_size=4).map(sorted))
    batches = [coming[first:last] for first, last in zip([0, *cuts], [*cuts, len(coming)], strict=True)]
    return Stream(
        events,
        (batches[::2], batches[1::2]),
        lives=draw(st.lists(actions, max_size=4)),
        spells=draw(st.dictionaries(st.integers(0, 60), spells, max_size=8)),
        order=[-(byte >> bit & 1) for byte in draw(st.binary(min_size=8, max_size=8)) for bit in range(8)],
    )


class Weather:
    """Spoils requests: by their numbers, in which way and how many in a row.

    conflict: DynamoDB's answer to a transaction that has met another one.
    """

    def __init__(self, spells: Mapping[int, tuple[Kind, int]]) -> None:
        self.sent = 0
        self._kinds = {first + n: kind for first, (kind, length) in spells.items() for n in range(length)}

    def __call__(self, send: Send, session: URLLib3Session, request: Any) -> Any:
        kind = self._kinds.get(self.sent)
        self.sent += 1
        if kind == "conflict":
            writes = json.loads(request.body).get("TransactItems")
            return _conflict(request.url, len(writes)) if writes else send(session, request)
        return Faults(range(1), kind)(send, session, request) if kind else send(session, request)


def _conflict(url: str, writes: int) -> Any:
    reasons = [{"Code": "TransactionConflict"}, *[{"Code": "None"}] * (writes - 1)]
    body = {"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "CancellationReasons": reasons}
    response: Any = AWSResponse(url, 400, HTTPHeaders(), None)
    response._content = json.dumps(body).encode()
    return response


def deliver(ledger: Ledger, batches: Sequence[Sequence[Event]]) -> None:
    """Deliver batches as SQS does: what could not be recorded comes again, until nothing is left."""
    waiting: list[Sequence[Mapping[str, Any]]] = [
        [message(event.type, event.detail, str(n)) for n, event in enumerate(batch)] for batch in batches if batch
    ]
    for _ in range(100):
        if not waiting:
            return
        if failed := ledger.api.deliver(waiting.pop(0)):
            waiting.append(failed)
    raise AssertionError(waiting)


def live(ledger: Ledger, actions: Iterable[tuple[str, str]]) -> None:
    """Delete, restore and purge customers as a client does that repeats what was answered by 503."""
    for action, id in actions:
        operation, query = ("delete_customer", "purge=true") if action == "purge" else (f"{action}_customer", "")
        while (answer := ledger.call(operation, id, query=query)).status == 503:
            pass
        assert answer.status in {200, 204, 404}


@pytest.fixture(scope="module")
def origin(api: Api, client: Any) -> list[Item]:
    """A table with two customers, one of which is deleted."""
    ledger = Ledger(api, client)
    for id in (LIVE, DELETED):
        with patch("customers.repository.uuid4", return_value=UUID(id)):
            ledger.create(f"C-{id}")
    ledger.call("delete_customer", DELETED)
    return ledger.items()


@pytest.fixture
def start(ledger: Ledger, origin: list[Item]) -> Callable[[], None]:
    """Brings the table back to its origin."""

    def start() -> None:
        ledger.clear()
        ledger.put(origin)

    return start


def settle(ledger: Ledger) -> None:
    """What faults may have left undone of a delete or restore, the next one finishes."""
    states = {id: record["state"] for id, record in ledger.assert_true().items()}
    live(ledger, [("delete" if state == "deleted" else "restore", id) for id, state in states.items()])


def assert_as_told(ledger: Ledger, events: Iterable[Event]) -> dict[str, str | None]:
    """The table says what the model says, and all counts are true; since when each customer is deleted."""
    left = {id: record.get("deleted_at") for id, record in ledger.assert_true().items()}
    assert stored(ledger.items()) == expected(events, left)
    return left


def written(ledger: Ledger) -> dict[tuple[str, str], Item]:
    """All that events write, but for how often, and for targets of which nothing is known any more."""
    items = [{name: value for name, value in item.items() if name != "writes"} for item in ledger.items()]
    kinds = ("#STATS", "#CAMPAIGN", keys.TARGETS, keys.ACTIVITIES, "POSITION#")
    return {(i["pk"], i["sk"]): i for i in items if i["sk"].startswith(kinds) and i.keys() > {"pk", "sk"}}


@given(streams())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_ends_as_the_model_says_and_as_one_clean_pass_whatever_happens_on_the_way(
    ledger: Ledger, start: Callable[[], None], stream: Stream
) -> None:
    first, second = stream.batches

    def other() -> None:
        for batch, action in zip_longest(second, stream.lives):
            deliver(ledger, [batch or []])
            live(ledger, [action] if action else [])

    start()
    with sending(Weather(stream.spells)):
        Interleaving(stream.order).run(one=lambda: deliver(ledger, first), other=other)
    settle(ledger)
    left = assert_as_told(ledger, stream.events)
    assert left.keys() == {LIVE, DELETED} - {id for action, id in stream.lives if action == "purge"}

    ended = written(ledger)
    ledger.remove(ended.values())
    deliver(ledger, [sorted(stream.events, key=lambda event: event.rank)])
    assert written(ledger) == ended


def call(id: str, campaign: str, minute: int, **fields: Any) -> Event:
    """What is told of the first call at that minute."""
    told = {"id": CALLS[0], "customer": id, "campaign_id": campaign, "attempt_no": 1, "messages_count": 0}
    times = {"scheduled_at": TIMES[minute], "created_at": TIMES[0], "updated_at": TIMES[minute]}
    return Event("CallUpserted", told | times | {"status": "planned"} | fields)


def enrolment(id: str, minute: int) -> Event:
    counters = {"calls_made": 1, "whatsapp_sent": 0, "email_sent": 0}
    told = {"customer": id, "campaign_id": CAMPAIGNS[0], "target_id": CALLS[0], "stage": "new", "ai_label": "unknown"}
    return Event("TargetUpserted", told | counters | {"created_at": TIMES[0], "updated_at": TIMES[minute]})


def removal(id: str) -> Event:
    return Event("TargetRemoved", {"customer": id, "campaign_id": CAMPAIGNS[0], "removed_at": TIMES[3]})


def email(id: str) -> Event:
    told = {"id": "m-1", "customer": id, "channel": "email", "status": "sent", "sent_at": TIMES[3]}
    return Event("MessageSent", told)


def telling(what: str, id: str) -> Event:
    return {
        "a call": call(id, CAMPAIGNS[0], 1),
        "a call that moves": call(id, CAMPAIGNS[1], 2, dispatched_at=TIMES[1], outcome="busy"),
        "an older call": call(id, CAMPAIGNS[0], 0, scheduled_at=TIMES[3]),
        "an email": email(id),
        "an enrolment": enrolment(id, 1),
        "a newer enrolment": enrolment(id, 2),
        "a removal": removal(id),
    }[what]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a call that moves", "an older call"),
        ("a call that moves", "an email"),
        ("a call that moves", "a newer enrolment"),
        ("a newer enrolment", "a removal"),
        ("an email", "an email"),
    ],
)
def test_two_events_in_any_order_of_their_calls_leave_what_is_believed(
    ledger: Ledger, start: Callable[[], None], one: str, other: str
) -> None:
    before = [telling("a call", LIVE), telling("an enrolment", LIVE)]
    racing = [telling(one, LIVE), telling(other, LIVE)]

    def race(interleaving: Interleaving) -> None:
        start()
        deliver(ledger, [before])
        interleaving.run(one=lambda: deliver(ledger, [racing[:1]]), other=lambda: deliver(ledger, [racing[1:]]))
        assert_as_told(ledger, [*before, *racing])

    assert all_orders(race) >= 6


@pytest.mark.parametrize(
    ("told", "action"),
    [
        ("a call", "delete"),
        ("a call", "restore"),
        ("an email", "purge"),
        *[(told, action) for told in ("a newer enrolment", "a removal") for action in ("delete", "restore", "purge")],
    ],
)
def test_an_event_and_what_becomes_of_its_customer_in_any_order_of_their_calls(
    ledger: Ledger, start: Callable[[], None], told: str, action: str
) -> None:
    id = DELETED if action == "restore" else LIVE
    before, racing = telling("an enrolment", id), telling(told, id)

    def race(interleaving: Interleaving) -> None:
        start()
        deliver(ledger, [[before]])
        interleaving.run(event=lambda: deliver(ledger, [[racing]]), life=lambda: live(ledger, [(action, id)]))
        left = assert_as_told(ledger, [before, racing])
        assert (bool(left[id]) if id in left else None) is {"delete": True, "restore": False, "purge": None}[action]

    assert all_orders(race) > 10


def test_a_delete_and_a_restore_in_any_order_of_their_calls_leave_no_false_mark(
    ledger: Ledger, start: Callable[[], None]
) -> None:
    enrolled = [telling("an enrolment", LIVE)]

    def race(interleaving: Interleaving) -> None:
        start()
        deliver(ledger, [enrolled])
        live(ledger, [("delete", LIVE)])
        interleaving.run(
            restore=lambda: live(ledger, [("restore", LIVE)]), delete=lambda: live(ledger, [("delete", LIVE)])
        )
        assert_as_told(ledger, enrolled)

    assert all_orders(race) > 10


@pytest.mark.parametrize(
    ("kind", "in_a_row"),
    [("lost", 1), ("lost", ATTEMPTS), ("garbled", 1), ("dropped", ATTEMPTS), ("conflict", 1)],
    ids=["the SDK repeats", "the queue repeats", "the table repeats", "it never arrived", "it met another"],
)
def test_an_event_is_recorded_once_whichever_of_its_requests_is_spoilt(
    ledger: Ledger, start: Callable[[], None], kind: Kind, in_a_row: int
) -> None:
    events = [telling(told, LIVE) for told in ("an enrolment", "a call", "a call that moves")]
    tried = 0
    while True:
        start()
        with sending(Weather({tried: (kind, in_a_row)})) as wire:
            deliver(ledger, [events])
        assert_as_told(ledger, events)
        if tried >= wire.sent:
            break
        tried += 1
    assert tried > 10
