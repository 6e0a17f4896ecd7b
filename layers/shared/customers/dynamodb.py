"""The wire: one DynamoDB client, its limits on time and attempts, its transactions.

No call outlives its handler. Each attempt takes at most CONNECT + READ seconds, at most ATTEMPTS of them are made, and
none is begun when less time is left than it may need (`Table.begin`).
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from itertools import batched
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from customers import aws
from customers.attribute_values import Item, decode, encode, read_as_is, written_as_is
from customers.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["Cancelled", "Contended", "Item", "Page", "Table", "Write", "decode", "encode"]

CONNECT_SECONDS = 1
READ_SECONDS = 2
ATTEMPTS = 3  # of one request by the SDK, the first included
SDK_SLEEP_SECONDS = 2  # the longest pause of botocore's standard mode before a third attempt
# What one more attempt may take, with the pause after it.
ATTEMPT_MILLISECONDS = 1000 * (CONNECT_SECONDS + READ_SECONDS + SDK_SLEEP_SECONDS) + 500
CONTENTION_ATTEMPTS = 8  # of a transaction that meets others (botocore retries none), or a batch with leftovers
# The first pause's upper bound, doubled each time: 6.35 s in all at the most, half of that on average.
CONFLICT_SLEEP_SECONDS = 0.05
# From a record's time stamp until its transaction, which may take all its attempts, shows in every index.
SETTLE_SECONDS = 60
BATCH_GET_ITEMS = 100  # DynamoDB's limit for one BatchGetItem
BATCH_WRITE_ITEMS = 25  # DynamoDB's limit for one BatchWriteItem
CONNECTIONS = 32  # of one function to DynamoDB; a listing reads partitions side by side

THROTTLED = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
# Reasons of a cancelled transaction that say nothing about the data: the same transaction may be sent again.
TRANSIENT = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
# A 200 whose body is not what DynamoDB sends: no error of botocore's own.
UNREADABLE = (ValueError, ResponseParserError)


@dataclass(frozen=True, slots=True)
class Write:
    """One item of a transaction; `names` fill the `#name`s of its expressions, `values` the `:name`s.

    `kind` is Put (with `item`), Update (with `update`), Delete or ConditionCheck.
    """

    kind: str
    key: Mapping[str, str] = field(default_factory=dict[str, str])
    item: Mapping[str, Any] | None = None
    update: str | None = None
    condition: str | None = None
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def changing(
        cls,
        key: Mapping[str, str],
        changes: Mapping[str, Any],
        *,
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Self:
        """An Update that gives each attribute of `changes` its value, and takes away those whose value is None.

        `values` are those of the condition.
        """
        sets = {name: value for name, value in changes.items() if value is not None}
        clauses = {
            "SET": [f"#{name} = :{name}" for name in sets],
            "REMOVE": [f"#{name}" for name in changes if name not in sets],
        }
        return cls(
            "Update",
            key=key,
            update=" ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts),
            condition=condition,
            names={f"#{name}": name for name in changes},
            values={**(values or {}), **{f":{name}": value for name, value in sets.items()}},
        )

    def request(self, table: str) -> dict[str, Any]:
        """The entry of a TransactWriteItems request."""
        body = {
            "TableName": table,
            "Item": encode(self.item) if self.item is not None else None,
            "Key": encode(self.key) if self.item is None else None,
            "UpdateExpression": self.update,
            "ConditionExpression": self.condition,
            "ExpressionAttributeNames": dict(self.names),
            "ExpressionAttributeValues": encode(self.values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD" if self.condition else None,
        }
        return {self.kind: {name: value for name, value in body.items() if value}}


class Cancelled(Exception):
    """A condition of a transaction did not hold, so nothing was written.

    `failed` maps the name of each write whose condition failed to the item that it met (empty: there was none);
    `oversized` names the writes that would have made their item larger than DynamoDB's 400 KB.
    """

    def __init__(self, failed: Mapping[str, Item], oversized: Sequence[str]) -> None:
        super().__init__("transaction cancelled")
        self.failed = failed
        self.oversized = oversized


class Contended(Unavailable):
    """A transaction kept meeting others on the items of the writes `names`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a Query: items, how many there are and were read for them, the key to go on from (None: the end)."""

    items: list[Item]
    count: int
    scanned: int
    last_key: Item | None


class Table:
    """The table through DynamoDB's low-level client. Safe for threads; every method may raise `Unavailable`."""

    def __init__(self, name: str, client: "DynamoDBClient | None" = None) -> None:
        self.name = name
        self._remaining: Callable[[], int] = lambda: 1 << 31
        self._use(client or _client())

    def _use(self, client: "DynamoDBClient") -> None:
        self._client = client
        client.meta.events.register("before-send.dynamodb", self._refuse_late_attempt)
        client.meta.events.register_first("needs-retry.dynamodb", _ignore_retry_after)

    def renew(self) -> None:
        """Start again with a new client: new connections, and credentials as they are now."""
        self._use(_client())

    def connect(self) -> None:
        """Open a connection by asking, once, for what is not there. Never fails: then the first request opens it."""
        attempts = iter([ATTEMPT_MILLISECONDS])
        self.begin(lambda: next(attempts, 0))
        with suppress(ClientError, Unavailable, BotoCoreError):
            self.get({"pk": "NOTHING", "sk": "#NOTHING"})
        self.begin(lambda: 1 << 31)

    def begin(self, remaining_milliseconds: Callable[[], int]) -> None:
        """Start an invocation: from now on no attempt begins that could outlast `remaining_milliseconds`."""
        self._remaining = remaining_milliseconds

    def require(self, milliseconds: float) -> None:
        """Raise `Unavailable` unless this much of the invocation's time is left."""
        if self._remaining() < milliseconds:
            raise Unavailable

    def _refuse_late_attempt(self, **_: object) -> None:
        self.require(ATTEMPT_MILLISECONDS)

    def pause(self, attempt: int) -> None:
        """Wait before a repetition, the first of which is `attempt` 1.

        Full jitter: writers that met once do not meet again (Brooker, "Exponential Backoff And Jitter", AWS 2015).
        Raises `Unavailable` rather than sleep into the time that the attempt may need.
        """
        seconds = random.uniform(0, CONFLICT_SLEEP_SECONDS * 2 ** (attempt - 1))  # noqa: S311 - not a secret
        self.require(1000 * seconds + ATTEMPT_MILLISECONDS)
        time.sleep(seconds)

    def get(self, key: Mapping[str, str]) -> Item | None:
        response = self._call(lambda: self._client.get_item(TableName=self.name, Key=encode(key), ConsistentRead=True))
        return decode(response["Item"]) if "Item" in response else None

    def put(self, item: Mapping[str, Any]) -> None:
        """Write an item that nothing depends on and that is the same whoever writes it, however often."""
        self._call(lambda: self._client.put_item(TableName=self.name, Item=encode(item)))

    def query(self, *, start: Item | None = None, values: Mapping[str, Any], **request: Any) -> Page:
        """One page of a Query; `values` and `start` are plain, `request` is the rest as DynamoDB takes it."""
        if start:
            request["ExclusiveStartKey"] = encode(start)
        response = self._call(
            lambda: self._client.query(TableName=self.name, ExpressionAttributeValues=encode(values), **request)
        )
        last = response.get("LastEvaluatedKey")
        items = [decode(item) for item in response.get("Items", [])]
        return Page(items, response["Count"], response["ScannedCount"], decode(last) if last else None)

    def pages(self, *, start: Item | None = None, values: Mapping[str, Any], **request: Any) -> Iterator[Page]:
        """Every page of a Query from the key `start` on, each read when it is asked for."""
        while True:
            page = self.query(start=start, values=values, **request)
            yield page
            start = page.last_key
            if start is None:
                return

    def batch_get(self, keys: Sequence[Mapping[str, str]], *, consistent: bool = False) -> list[Item]:
        """Items of at most BATCH_GET_ITEMS keys, in no order; keys without an item are left out."""
        found: list[Item] = []
        asked = {"Keys": [encode(key) for key in keys], "ConsistentRead": consistent}
        wanted: Any = {self.name: asked} if keys else {}
        for attempt in range(CONTENTION_ATTEMPTS):
            if not wanted:
                return found
            if attempt:
                self.pause(attempt)
            response = self._call(partial(self._client.batch_get_item, RequestItems=wanted))
            found += [decode(item) for item in response["Responses"].get(self.name, [])]
            wanted = response.get("UnprocessedKeys")
        raise Unavailable

    def transact(self, writes: Mapping[str, Write]) -> None:
        """Carry out all writes or none, exactly once, however often the wire loses a request or its answer.

        The token that makes it once is the same on every attempt; DynamoDB remembers it for ten minutes. The names of
        the writes come back in `Cancelled` (a condition does not hold) and `Contended` (others held those items for
        too long).
        """
        request: Any = {
            "TransactItems": [write.request(self.name) for write in writes.values()],
            "ClientRequestToken": str(uuid4()),
        }
        contended: Sequence[str] = ()
        for attempt in range(CONTENTION_ATTEMPTS):
            if attempt:
                self.pause(attempt)
            try:
                self._client.transact_write_items(**request)
            except ClientError as error:
                contended = _retry_or_raise(error, list(writes))
            except UNREADABLE:
                continue  # an answer was lost on its way; the token makes the repetition harmless
            except BotoCoreError as error:  # the SDK has made its attempts
                raise Unavailable from error
            else:
                return
        raise Contended(contended)

    def delete_all(self, keys: Sequence[Mapping[str, str]]) -> None:
        """Delete these items, in no order; one that is gone already is no error."""
        for batch in batched(keys, BATCH_WRITE_ITEMS, strict=False):
            self._batch_write([{"DeleteRequest": {"Key": encode(key)}} for key in batch])

    def _batch_write(self, requests: Any) -> None:
        for attempt in range(CONTENTION_ATTEMPTS):
            if attempt:
                self.pause(attempt)
            response = self._call(partial(self._client.batch_write_item, RequestItems={self.name: requests}))
            requests = response.get("UnprocessedItems", {}).get(self.name)
            if not requests:
                return
        raise Unavailable

    def _call[T](self, call: Callable[[], T]) -> T:
        """A call that may be repeated without harm; whatever the SDK could not heal becomes `Unavailable`."""
        try:
            return call()
        except ClientError as error:
            if (
                error.response["Error"]["Code"] in THROTTLED
                or error.response["ResponseMetadata"]["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR
            ):
                raise Unavailable from error
            raise  # DynamoDB will never take this request: a bug or a missing permission, not bad weather
        except (BotoCoreError, *UNREADABLE) as error:
            raise Unavailable from error


def _client() -> "DynamoDBClient":
    client: DynamoDBClient = aws.client(
        "dynamodb",
        amend=written_as_is,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        parameter_validation=False,
        user_agent="customers",
        account_id_endpoint_mode="disabled",
    )
    read_as_is(client)
    return client


def _ignore_retry_after(response: tuple[Any, Any] | None, **_: object) -> None:
    """The SDK would sleep up to 5 s longer when a response says so, which no deadline of ours knows of."""
    if response:
        response[0].headers.pop("x-amz-retry-after", None)


def _retry_or_raise(error: ClientError, names: Sequence[str]) -> Sequence[str]:
    """The names of the writes that met others, if the transaction may be sent again; otherwise raise what it means."""
    code = error.response["Error"]["Code"]
    if code == "TransactionInProgressException" or code in THROTTLED:
        return ()
    if code != "TransactionCanceledException":
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable from error
        raise error
    reasons = dict(zip(names, error.response.get("CancellationReasons", []), strict=False))
    transient = [name for name, reason in reasons.items() if reason["Code"] in TRANSIENT]
    if transient or not reasons:  # a condition that failed beside a conflict may be our own success, half visible
        return transient
    failed = {name: decode(r.get("Item", {})) for name, r in reasons.items() if r["Code"] == "ConditionalCheckFailed"}
    oversized = [name for name, reason in reasons.items() if reason["Code"] == "ValidationError"]
    if failed or oversized:
        raise Cancelled(failed, oversized) from error
    raise error
