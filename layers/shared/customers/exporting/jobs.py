"""Exports as the table knows them.

One is carried out by one asynchronous invocation, which Lambda repeats if it fails.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from customers import aws, keys
from customers.dynamodb import Cancelled, Item, Table, Write
from customers.errors import ExportNotFound, Invalid, Unavailable
from customers.exporting.models import ExportCreate, ExportState
from customers.files import LIFE_DAYS
from customers.listing import ListQuery, filtered
from customers.repository import IdempotentRequest

ATTEMPTS = 3  # Lambda's own of an asynchronous invocation, the first included
LOST_MINUTES = 30  # without a sign of life: longer than an invocation and the pause before Lambda repeats it
WAITING_MINUTES = 70  # likewise, before it is begun: Lambda drops an invocation that waits for an hour
INVOKE_MILLISECONDS = 5_000
BUSY = {"TooManyRequestsException", "ServiceException", "EC2ThrottledException"}
_INVOKE: dict[str, Any] = {
    "connect_timeout": 1,
    "read_timeout": 3,
    "retries": {"mode": "standard", "total_max_attempts": 1},
}


class Overtaken(Exception):
    """The export is another invocation's, or over."""


@dataclass(frozen=True, slots=True)
class Export:
    """An export's item."""

    item: Item

    @property
    def id(self) -> str:
        return str(self.item["id"])

    @property
    def state(self) -> ExportState:
        state: ExportState = self.item["state"]
        return state

    @property
    def asked(self) -> ExportCreate:
        return ExportCreate.model_validate(self.item["asked"])

    @property
    def by_admin(self) -> bool:
        return bool(self.item["by_admin"])

    @property
    def query(self) -> ListQuery:
        return filtered(self.asked, owner_id=self.item["owner_id"], is_admin=self.by_admin)

    def is_lost(self, now: datetime) -> bool:
        """Whether nobody works on it any more, though nobody has said that it failed. It is not taken up again."""
        moved_at = self.item.get("moved_at")
        silent = keys.timestamp(now - timedelta(minutes=LOST_MINUTES if moved_at else WAITING_MINUTES))
        return self.state in {"queued", "running"} and str(moved_at or self.item["created_at"]) < silent


class Exports:
    """Every method may raise `Unavailable`. `owner_id` None reaches everybody's, as an administrator does."""

    def __init__(self, table: Table, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._table = table
        self._clock = clock
        self._client: Any = None  # of Lambda; made when it is needed

    def create(
        self, owner_id: str, asked: ExportCreate, request: IdempotentRequest | None, *, by_admin: bool
    ) -> tuple[Export, bool]:
        """A new export that is not begun; or the one that this Idempotency-Key has made, and True."""
        now = self._clock()
        id = str(uuid4())
        item = {
            **keys.export(id),
            "id": id,
            "owner_id": owner_id,
            "by_admin": by_admin,
            "asked": asked.model_dump(exclude_none=True),
            "state": "queued",
            "created_at": keys.timestamp(now),
            "expires_at": int((now + timedelta(days=LIFE_DAYS)).timestamp()),
            "attempts": 0,
            "read": 0,
            "rows": 0,
        }
        writes = {"export": Write("Put", item=item)}
        if request:
            writes["idempotency"] = request.remember(now, export_id=id)
        try:
            self._table.transact(writes)
        except Cancelled as cancelled:
            earlier = cancelled.failed["idempotency"]
            if not request or earlier["fingerprint"] != request.fingerprint:
                raise Invalid.reused_key() from None
            export = self.get(earlier["export_id"], None)
            if export.by_admin is not by_admin:  # the same words meant other customers
                raise Invalid.reused_key() from None
            return export, True
        return Export(item), False

    def start(self, export: Export, function: str) -> None:
        """Have `function` carry it out, unless it is begun already. Raises `Unavailable`.

        Without an Idempotency-Key nobody knows of an export that could not be started: it expires as it is.
        """
        if export.state != "queued" or export.is_lost(self._clock()):
            return
        self._table.require(INVOKE_MILLISECONDS)
        self._client = self._client or aws.client("lambda", **_INVOKE)
        payload = json.dumps({"export_id": export.id})
        try:
            self._client.invoke(FunctionName=function, InvocationType="Event", Payload=payload)
        except ClientError as error:
            if error.response["Error"]["Code"] not in BUSY:
                raise
            raise Unavailable from error
        except BotoCoreError as error:
            raise Unavailable from error

    def get(self, id: str, owner_id: str | None) -> Export:
        """Raises `ExportNotFound`. What an administrator exported, maybe everybody's, only administrators find."""
        item = self._table.get(keys.export(id))
        if not item or item["expires_at"] <= self._clock().timestamp():
            raise ExportNotFound
        if owner_id is not None and (item["by_admin"] or owner_id != item["owner_id"]):
            raise ExportNotFound
        return Export(item)

    # What the invocation does

    def claim(self, id: str, invocation: str) -> Export:
        """The export, from now on this invocation's: one that is queued, or its own from before it was repeated.

        Lambda repeats an invocation under its own name, also after it was killed and maybe while it still runs; then
        the earlier attempt is overtaken. Raises `ExportNotFound`, `Overtaken`.
        """
        export = self.get(id, None)
        if export.is_lost(self._clock()):
            raise Overtaken
        attempts, now = int(export.item["attempts"]), keys.timestamp(self._clock())
        begun = {"state": "running", "invocation": invocation, "started_at": now, "moved_at": now}
        changes = {**begun, "attempts": attempts + 1, "read": 0, "rows": 0}
        condition = "attempts = :earlier AND (#state = :queued OR (#state = :running AND invocation = :own))"
        values = {":earlier": attempts, ":queued": "queued", ":running": "running", ":own": invocation}
        self._write(Write.changing(keys.export(id), changes, condition=condition, values=values))
        return Export({**export.item, **changes})

    def release(self, export: Export) -> None:
        """Back to the queue: whoever comes next, and under whatever name, may take it up. Raises `Overtaken`."""
        self.move(export, state="queued")

    def move(self, export: Export, **changes: Any) -> None:
        """Change an export that runs, as long as it is this attempt's. Raises `Overtaken`."""
        changes["moved_at"] = keys.timestamp(self._clock())
        values = {":running": "running", ":own": export.item["invocation"], ":attempt": export.item["attempts"]}
        condition = "#state = :running AND invocation = :own AND attempts = :attempt"
        write = Write.changing(
            keys.export(export.id), {"state": "running", **changes}, condition=condition, values=values
        )
        self._write(write)

    def _write(self, write: Write) -> None:
        try:
            self._table.transact({"export": write})
        except Cancelled:
            raise Overtaken from None
