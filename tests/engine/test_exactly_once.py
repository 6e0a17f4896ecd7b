"""Lost answers and concurrent requests: every write has one effect, and every answer is true."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Literal
from uuid import uuid4

import pytest

from customers.dynamodb import ATTEMPTS
from tests.engine.ledger import Ledger
from tests.engine.wire import Faults, Interleaving, all_orders, sending
from tests.handlers import Answer

type Request = Callable[[], Answer]

# What a client may truly be told: at once, when it repeats what was answered by 503; and its record's version then.
OUTCOMES: dict[str, tuple[int, set[int], int | None]] = {
    "create": (201, {201}, 1),
    "create without a key": (201, {201, 409}, 1),
    "rename": (200, {200}, 2),
    "move": (200, {200}, 2),
    "delete": (204, {204}, 2),
    "restore": (200, {200}, 3),
    "purge": (204, {204, 404}, None),
}


def prepare(ledger: Ledger, name: str) -> Request:
    """A record for the request `name`, and that request as a client repeats it."""
    key = {"idempotency-key": str(uuid4())}
    if name.startswith("create"):
        headers = key if name == "create" else {}
        return lambda: ledger.call("create_customer", body={"customer_id": "C-1"}, headers=headers)
    id = ledger.create("C-1", status="lead").id
    match name:
        case "rename":
            return lambda: ledger.call("update_customer", id, {"name": "Ada"})
        case "move":
            return lambda: ledger.call("update_customer", id, {"customer_id": "C-2", "status": "customer"})
        case "delete":
            return lambda: ledger.call("delete_customer", id)
        case "purge":
            return lambda: ledger.call("delete_customer", id, query="purge=true")
        case _:
            ledger.call("delete_customer", id)
            return lambda: ledger.call("restore_customer", id, headers=key)


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize(
    ("kind", "in_a_row"),
    [("lost", 1), ("lost", ATTEMPTS), ("garbled", 1), ("dropped", ATTEMPTS)],
    ids=["the SDK repeats", "the client repeats", "the table repeats", "it never arrived"],
)
def test_a_lost_response_has_one_effect_and_a_true_answer(
    ledger: Ledger, name: str, kind: Literal["dropped", "lost", "garbled"], in_a_row: int
) -> None:
    at_once, repeated, version = OUTCOMES[name]
    tried = 0
    while True:
        ledger.clear()
        request = prepare(ledger, name)
        with sending(Faults(range(tried, tried + in_a_row), kind)) as wire:
            answer = request()
        if answer.status == 503:
            assert request().status in repeated, f"{kind} {tried} of {wire.sent}"
        else:
            assert answer.status == at_once, f"{kind} {tried} of {wire.sent}"
        assert [record["version"] for record in ledger.assert_true().values()] == ([version] if version else [])
        if tried >= len(wire.sent):
            break  # each call was spoilt once, and none in this last round
        tried += 1
    assert tried >= 1


def test_two_concurrent_creates_of_one_customer_id_are_one_201_and_one_409(ledger: Ledger) -> None:
    for n in range(20):
        together = Barrier(2)

        def create(name: str, n: int = n, together: Barrier = together) -> Answer:
            together.wait()
            return ledger.call("create_customer", body={"customer_id": f"C-{n}", "name": name})

        with ThreadPoolExecutor(2) as threads:
            answers = sorted(threads.map(create, ["Ada", "Bob"]), key=lambda answer: answer.status)
        assert [answer.status for answer in answers] == [201, 409]
        assert answers[1].body["existing_id"] == answers[0].id
    assert len(ledger.assert_true()) == 20


def test_many_concurrent_patches_of_one_record_are_all_carried_out(ledger: Ledger) -> None:
    id, writers, rounds = ledger.create("C-1").id, 16, 3

    def patch(n: int) -> list[int]:
        return [ledger.call("update_customer", id, {"name": f"{n}/{m}"}).status for m in range(rounds)]

    with ThreadPoolExecutor(writers) as threads:
        assert list(threads.map(patch, range(writers))) == [[200] * rounds] * writers
    assert ledger.assert_true()[id]["version"] == 1 + writers * rounds


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "k"}], ids=["", "with an Idempotency-Key"])
def test_purge_and_restore_in_any_order_of_their_calls_lose_no_restore_and_leave_no_ghost(
    ledger: Ledger, headers: dict[str, str]
) -> None:
    def race(interleaving: Interleaving) -> None:
        ledger.clear()
        id = ledger.create("C-1", status="lead").id
        ledger.call("delete_customer", id)
        answers = interleaving.run(
            purge=lambda: ledger.call("delete_customer", id, query="purge=true"),
            restore=lambda: ledger.call("restore_customer", id, headers=headers),
        )
        assert answers["purge"].status == 204
        assert answers["restore"].status in {200, 404}
        assert not ledger.assert_true()

    assert all_orders(race) > 10


def test_concurrent_patches_in_any_order_of_their_calls_are_both_there(ledger: Ledger) -> None:
    def race(interleaving: Interleaving) -> None:
        ledger.clear()
        id = ledger.create("C-1", status="lead").id
        answers = interleaving.run(
            name=lambda: ledger.call("update_customer", id, {"name": "Ada", "status": "customer"}),
            email=lambda: ledger.call("update_customer", id, {"email": "ada@example.com", "customer_id": "C-2"}),
        )
        assert {answer.status for answer in answers.values()} == {200}
        record = ledger.assert_true()[id]
        assert (record["name"], record["email"], record["version"]) == ("Ada", "ada@example.com", 3)
        assert record["d"].split("\x1f")[:4] == ["ada", "", "ada@example.com", "c-2"]

    assert all_orders(race) >= 6


def test_a_patch_and_a_delete_in_any_order_of_their_calls_count_once(ledger: Ledger) -> None:
    def race(interleaving: Interleaving) -> None:
        ledger.clear()
        id = ledger.create("C-1", status="lead").id
        answers = interleaving.run(
            patch=lambda: ledger.call("update_customer", id, {"status": "customer"}),
            delete=lambda: ledger.call("delete_customer", id),
        )
        assert answers["delete"].status == 204
        assert answers["patch"].status in {200, 404}
        assert ledger.assert_true()[id]["state"] == "deleted"

    assert all_orders(race) >= 6


def test_if_match_lets_one_of_two_patches_through_in_any_order_of_their_calls(ledger: Ledger) -> None:
    def race(interleaving: Interleaving) -> None:
        ledger.clear()
        id = ledger.create("C-1").id
        headers = {"if-match": '"v1"'}
        answers = interleaving.run(
            ada=lambda: ledger.call("update_customer", id, {"name": "Ada"}, headers=headers),
            bob=lambda: ledger.call("update_customer", id, {"name": "Bob"}, headers=headers),
        )
        assert sorted(answer.status for answer in answers.values()) == [200, 412]
        (winner,) = (answer for answer in answers.values() if answer.status == 200)
        assert ledger.assert_true()[id]["name"] == winner.body["name"]

    assert all_orders(race) >= 6


def test_a_purge_that_was_killed_is_finished_by_the_next_one(ledger: Ledger) -> None:
    killed = 0
    while True:
        ledger.clear()
        id = ledger.call("create_customer", body={"customer_id": "C-1"}, headers={"idempotency-key": "k"}).id
        with sending(Faults(range(killed, 1000), "dropped")) as wire:
            ledger.call("delete_customer", id, query="purge=true")
        again = ledger.call("delete_customer", id, query="purge=true")
        assert again.status in {204, 404}
        assert not ledger.assert_true()
        if killed >= len(wire.sent):
            return
        killed += 1
