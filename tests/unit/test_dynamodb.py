"""The wire: what is repeated, what is not, and when it is too late."""

from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import ClientError, ReadTimeoutError

from customers import dynamodb
from customers.dynamodb import Cancelled, Contended, Table, Write
from customers.errors import Unavailable

KEY = {"pk": "a", "sk": "b"}
PUT = Write("Put", item=KEY)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr("time.sleep", taken.append)
    return taken


@pytest.fixture
def answers(table: Table, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What DynamoDB answers from now on to each call, one after the other; errors are raised."""
    script: list[Any] = []

    def call(**_request: Any) -> Any:
        answer = script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    for method in ("get_item", "transact_write_items", "batch_get_item", "batch_write_item"):
        monkeypatch.setattr(table._client, method, call)
    return script


def error(code: str, status: int = 400, reasons: list[str] | None = None) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    if reasons is not None:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "TransactWriteItems")


def cancelled(*reasons: str) -> ClientError:
    return error("TransactionCanceledException", reasons=list(reasons))


@pytest.mark.parametrize(
    "met", [cancelled("TransactionConflict"), cancelled("ThrottlingError"), error("TransactionInProgressException")]
)
def test_a_transaction_that_meets_others_is_sent_again(table: Table, answers: list[Any], met: ClientError) -> None:
    answers += [met, met, {}]
    table.transact({"put": PUT})
    assert not answers


def test_a_transaction_that_always_meets_others_names_where(table: Table, answers: list[Any]) -> None:
    answers += [cancelled("None", "TransactionConflict")] * dynamodb.CONTENTION_ATTEMPTS
    with pytest.raises(Contended) as caught:
        table.transact({"one": PUT, "two": PUT})
    assert caught.value.names == ["two"]


def test_pauses_between_transactions_grow_and_are_bounded(
    table: Table, answers: list[Any], pauses: list[float]
) -> None:
    answers += [cancelled("TransactionConflict")] * dynamodb.CONTENTION_ATTEMPTS
    with pytest.raises(Contended):
        table.transact({"one": PUT})
    bounds = [dynamodb.CONFLICT_SLEEP_SECONDS * 2**n for n in range(dynamodb.CONTENTION_ATTEMPTS - 1)]
    assert len(pauses) == len(bounds)
    assert all(pause <= bound for pause, bound in zip(pauses, bounds, strict=True))


def test_a_condition_that_does_not_hold_is_not_repeated(table: Table, answers: list[Any]) -> None:
    answers += [cancelled("None", "ConditionalCheckFailed"), {}]
    with pytest.raises(Cancelled) as caught:
        table.transact({"one": PUT, "two": PUT})
    assert caught.value.failed == {"two": {}}


def test_a_condition_that_fails_beside_a_conflict_is_asked_again(table: Table, answers: list[Any]) -> None:
    """What a write met may be half of another attempt of this very request, whose other half is still held."""
    answers += [cancelled("ConditionalCheckFailed", "TransactionConflict"), {}]
    table.transact({"one": PUT, "two": PUT})
    assert not answers


def test_a_cancellation_without_reasons_is_asked_again(table: Table, answers: list[Any]) -> None:
    answers += [error("TransactionCanceledException"), {}]
    table.transact({"one": PUT})
    assert not answers


def test_no_pause_lasts_into_the_time_of_the_next_attempt(
    table: Table, answers: list[Any], pauses: list[float]
) -> None:
    table.begin(lambda: dynamodb.ATTEMPT_MILLISECONDS)
    answers += [cancelled("TransactionConflict")]
    with pytest.raises(Unavailable):
        table.transact({"one": PUT})
    assert not pauses


def test_a_response_cannot_make_the_sdk_wait_longer(table: Table, pauses: list[float]) -> None:
    """DynamoDB throttles three times and asks for 7 s each time; the two pauses stay below 1 s and 2 s."""

    def throttle(request: AWSPreparedRequest, **_: object) -> Any:
        body = BytesIO(b'{"__type": "ThrottlingException"}')
        body.stream = lambda: iter([body.getvalue()])  # type: ignore[attr-defined]
        headers: Any = HeadersDict({"x-amz-retry-after": "7000"})
        return AWSResponse(request.url, 400, headers, body)

    table = Table(table.name)  # with a client of our own configuration
    events: Any = table._client.meta.events
    events.register_first("before-send.dynamodb", throttle)
    with pytest.raises(Unavailable):
        table.get(KEY)
    assert len(pauses) == 2, pauses
    assert all(pause < bound for pause, bound in zip(pauses, (1, dynamodb.SDK_SLEEP_SECONDS), strict=True))


@pytest.mark.parametrize("fault", [ReadTimeoutError(endpoint_url="x"), error("InternalServerError", 500)])
def test_what_the_sdk_could_not_heal_is_a_503(table: Table, answers: list[Any], fault: Exception) -> None:
    answers += [fault, fault]
    with pytest.raises(Unavailable):
        table.transact({"one": PUT})
    with pytest.raises(Unavailable):
        table.get(KEY)


def test_a_request_that_dynamodb_will_never_take_is_no_bad_weather(table: Table, answers: list[Any]) -> None:
    answers += [error("AccessDeniedException")] * 2
    with pytest.raises(ClientError):
        table.transact({"one": PUT})
    with pytest.raises(ClientError):
        table.get(KEY)


def test_batches_go_on_until_nothing_is_left_over(table: Table, answers: list[Any]) -> None:
    item = dynamodb.encode(KEY)
    answers += [
        {"Responses": {table.name: [item]}, "UnprocessedKeys": {table.name: {"Keys": [item]}}},
        {"Responses": {table.name: [item]}},
        {"UnprocessedItems": {table.name: [{"DeleteRequest": {"Key": item}}]}},
        {},
    ]
    assert table.batch_get([KEY, KEY]) == [KEY, KEY]
    table.delete_all([KEY, KEY])
    assert not answers


@pytest.mark.parametrize("rest", [{"UnprocessedKeys": 1}, {"UnprocessedItems": 1}])
def test_batches_that_never_finish_are_a_503(table: Table, answers: list[Any], rest: dict[str, Any]) -> None:
    key = {"Keys": [dynamodb.encode(KEY)]}
    answers += [{"Responses": {}, **{name: {table.name: key} for name in rest}}] * dynamodb.CONTENTION_ATTEMPTS
    with pytest.raises(Unavailable):
        table.batch_get([KEY]) if "UnprocessedKeys" in rest else table.delete_all([KEY])


def test_no_attempt_begins_that_could_outlast_the_function(table: Table) -> None:
    table.transact({"put": PUT})
    table.begin(lambda: dynamodb.ATTEMPT_MILLISECONDS)
    assert table.get(KEY) == KEY
    table.begin(lambda: dynamodb.ATTEMPT_MILLISECONDS - 1)
    with pytest.raises(Unavailable):
        table.get(KEY)
    with pytest.raises(Unavailable):
        table.transact({"put": PUT})
