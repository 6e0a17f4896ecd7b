"""Imports of large files, as the table knows them: their states, their chunks, and what their owners see.

An import moves from state to state by conditional writes only, because its steps may run twice or be killed anywhere.
How far it is, its chunks say; the header has the sum once it has ended.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, Literal
from uuid import uuid4

from customers import keys
from customers.dynamodb import BATCH_GET_ITEMS, Cancelled, Item, Table, Write
from customers.errors import ImportNotFound, Invalid
from customers.files import LIFE_DAYS
from customers.importing.models import FINISHED, ImportCreate, ImportState
from customers.importing.rows import RowError, Tally
from customers.importing.splitting import Chunk
from customers.repository import IdempotentRequest

CHUNKS_AT_ONCE = 90  # a transaction has at most 100 items
LOST_MINUTES = 30  # without a sign of life: longer than any step takes, and the pause before it is tried again
INCOMPLETE = "Some rows could not be processed; import the file again, what is done already stays as it is"
NOT_READ = "The file could not be read in time"

type Turn = Literal["ours", "another's"]


@dataclass(frozen=True, slots=True)
class Job:
    """An import's header item, and how far its chunks are."""

    item: Item
    chunks: Sequence[Item] = ()

    @property
    def tally(self) -> Tally:
        if self.is_finished:
            return Tally.stored(self.item)
        return sum((Tally.stored(chunk) for chunk in self.chunks), Tally())

    @property
    def id(self) -> str:
        return str(self.item["id"])

    @property
    def owner_id(self) -> str:
        return str(self.item["owner_id"])

    @property
    def state(self) -> ImportState:
        state: ImportState = self.item["state"]
        return state

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    def is_lost(self, now: datetime) -> bool:
        """Whether nobody works on it any more, though its last step has not come; nothing may be heard of it again."""
        if self.is_finished or self.state == "waiting":
            return False
        heard_at = str(self.item.get("alive_at") or self.item["created_at"])
        return heard_at < keys.timestamp(now - timedelta(minutes=LOST_MINUTES))

    @property
    def is_under_way(self) -> bool:
        """Whether it has chunks that say how far it is."""
        return "total" in self.item and not self.is_finished


class Jobs:
    """Every method may raise `Unavailable`. `owner_id` None reaches everybody's, as an administrator does."""

    def __init__(self, table: Table, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._table = table
        self._clock = clock

    # What users do

    def create(self, owner_id: str, asked: ImportCreate, request: IdempotentRequest | None) -> tuple[Job, bool]:
        """A new import that waits for its file; or the one that this Idempotency-Key has made, and True."""
        now = self._clock()
        id, created_at = str(uuid4()), keys.timestamp(now)
        expires_at = int((now + timedelta(days=LIFE_DAYS)).timestamp())
        header = {
            **keys.import_(id),
            **asked.model_dump(),
            "id": id,
            "owner_id": owner_id,
            "state": "waiting",
            "created_at": created_at,
            "expires_at": expires_at,
        }
        listed = {**keys.owner_import(owner_id, created_at, id), "expires_at": expires_at}
        writes = {"header": Write("Put", item=header), "listed": Write("Put", item=listed)}
        if request:
            writes["idempotency"] = request.remember(now, import_id=id)
        try:
            self._table.transact(writes)
        except Cancelled as cancelled:
            earlier = cancelled.failed["idempotency"]
            if not request or earlier["fingerprint"] != request.fingerprint:
                raise Invalid.reused_key() from None
            return self.get(earlier["import_id"], owner_id), True
        return Job(header), False

    def get(self, id: str, owner_id: str | None) -> Job:
        """Raises `ImportNotFound`."""
        pages = self._table.pages(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            values={
                ":pk": keys.import_(id)["pk"],
                ":first": keys.import_(id)["sk"],
                ":last": keys.CHUNKS + keys.ABSENT,
            },
            ConsistentRead=True,
        )
        items = [item for page in pages for item in page.items]
        headers = [item for item in items if item["sk"] == keys.import_(id)["sk"]]
        if not headers or not self._is_visible(headers[0], owner_id):
            raise ImportNotFound
        return Job(headers[0], [item for item in items if item["sk"].startswith(keys.CHUNKS)])

    def of_owner(self, owner_id: str, *, offset: int, limit: int) -> tuple[list[Job], int]:
        """A page of an owner's imports, newest first, and how many there are."""
        pages = self._table.pages(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :imports)",
            FilterExpression="expires_at > :now",
            ProjectionExpression="sk",
            values={
                ":pk": keys.counts(owner_id)[0],
                ":imports": keys.IMPORTS,
                ":now": int(self._clock().timestamp()),
            },
            ScanIndexForward=False,
        )
        ids = [keys.import_of(item["sk"]) for page in pages for item in page.items]
        wanted = [
            [keys.import_(id) for id in batch] for batch in batched(ids[offset:][:limit], BATCH_GET_ITEMS, strict=False)
        ]
        found = [Job(item) for batch in wanted for item in self._table.batch_get(batch, consistent=True)]
        found.sort(key=lambda job: job.item["created_at"], reverse=True)
        return [self.get(job.id, None) if job.is_under_way else job for job in found], len(ids)

    def cancel(self, id: str, owner_id: str | None) -> Job:
        """Nothing more is begun; what has begun ends. One that waits is cancelled at once, one that has ended stays.

        Raises `ImportNotFound`.
        """
        self.get(id, owner_id)
        if not self._move(id, "waiting", {"state": "cancelled", "finished_at": self._now(), **Tally().numbers()}):
            for state in ("splitting", "queued", "running"):
                if self._move(id, state, {"state": "cancelling"}):
                    break
        return self.get(id, owner_id)

    def _is_visible(self, header: Item, owner_id: str | None) -> bool:
        return owner_id in {None, header["owner_id"]} and header["expires_at"] > self._clock().timestamp()

    # What the steps do

    def header(self, id: str) -> Job | None:
        """Without its chunks, and also when it has expired."""
        header = self._table.get(keys.import_(id))
        return Job(header) if header else None

    def claim(self, id: str, execution: str) -> Job | None:
        """The import whose file was uploaded, now to be carried out by `execution`; None if it is another's."""
        now = self._now()
        begun = {"state": "splitting", "execution": execution, "started_at": now, "alive_at": now}
        is_new = self._move(id, "waiting", begun)
        job = self.header(id)
        if not job or job.item.get("execution") != execution:
            return None
        if not is_new:
            self._keep(job)
        return job

    def take_turn(self, job: Job) -> Turn:
        """One import of an owner at a time, so that all of them together do not ask more of the table than it gives."""
        now = self._clock()
        until = keys.timestamp(now + timedelta(minutes=LOST_MINUTES))
        item = {**keys.importing(job.owner_id), "id": job.id, "until": until}
        condition = "attribute_not_exists(pk) OR id = :id OR #until < :now"
        turn = Write(
            "Put",
            item=item,
            condition=condition,
            names={"#until": "until"},
            values={":id": job.id, ":now": keys.timestamp(now)},
        )
        try:
            self._table.transact({"turn": turn})
        except Cancelled:
            return "another's"
        return "ours"

    def end_turn(self, job: Job) -> None:
        self._try(Write("Delete", key=keys.importing(job.owner_id), condition="id = :id", values={":id": job.id}))

    def keep_turn(self, job: Job) -> None:
        """A sign of life: to be given by every worker that begins."""
        self._keep(job)
        until = keys.timestamp(self._clock() + timedelta(minutes=LOST_MINUTES))
        key = keys.importing(job.owner_id)
        self._try(Write.changing(key, {"until": until}, condition="id = :id", values={":id": job.id}))

    def move(self, job: Job, state: ImportState, to: ImportState, **changes: Any) -> Job:
        """The import in the state `to` with these changes; or, if it was not in `state`, as it is."""
        self._move(job.id, state, {"state": to, "alive_at": self._now(), **changes})
        return self.header(job.id) or job

    def add_chunks(self, job: Job, chunks: Sequence[Chunk], duplicates: Mapping[int, Sequence[int]]) -> None:
        """Write what a split has found: the same, however often it is done, and nothing once it is used."""
        common = {"expires_at": job.item["expires_at"]}
        start = {"position": 0, **Tally().numbers()}
        items = [
            {**keys.chunk(job.id, number), "number": number, **asdict(chunk), **start, **common}
            for number, chunk in enumerate(chunks)
        ]
        items += [{**keys.duplicates(job.id, number), "rows": rows, **common} for number, rows in duplicates.items()]
        unused = Write(
            "ConditionCheck",
            key=keys.import_(job.id),
            condition="#state = :splitting",
            names={"#state": "state"},
            values={":splitting": "splitting"},
        )
        for batch in batched(items, CHUNKS_AT_ONCE, strict=False):
            with suppress(Cancelled):
                self._table.transact({"import": unused, **{item["sk"]: Write("Put", item=item) for item in batch}})

    def finishing(self, id: str, execution: str) -> Job | None:
        """The import, whose rows nobody works on any more, with its chunks; None if it is another execution's."""
        header = self.header(id)
        if not header or header.item.get("execution", execution) != execution:
            return None
        for state in ("splitting", "queued", "running", "finishing", "cancelling"):
            to = "cancelling" if state == "cancelling" else "finishing"
            self._move(id, state, {"state": to, "alive_at": self._now()})
        try:
            job = self.get(id, None)
        except ImportNotFound:
            return None
        open_ = [chunk for chunk in job.chunks if chunk["position"] < chunk["rows"]]
        for chunk in open_ if not job.is_finished else ():  # a worker that is late must not move it behind the sums
            self._try(Write.changing(keys.chunk(id, int(chunk["number"])), {"closed": True}))
        return self.get(id, None) if open_ else job

    def finish(self, job: Job) -> Job:
        """Give it its last state and its sums."""
        error = job.item.get("error")
        if not error and any(chunk["position"] < chunk["rows"] for chunk in job.chunks):
            error = {"code": "incomplete", "message": INCOMPLETE}
        if not error and "total" not in job.item:
            error = {"code": "not_read", "message": NOT_READ}
        state: ImportState = "cancelled" if job.state == "cancelling" else "failed" if error else "completed"
        last = {"finished_at": self._now(), **job.tally.numbers()}
        self._move(job.id, job.state, {"state": state, "error": error if state == "failed" else None, **last})
        return self.get(job.id, None)

    def chunk(self, id: str, number: int) -> Item | None:
        return self._table.get(keys.chunk(id, number))

    def duplicates(self, id: str, number: int) -> frozenset[int]:
        """The rows of a chunk whose customer_id an earlier row has."""
        item = self._table.get(keys.duplicates(id, number))
        return frozenset(int(row) for row in item["rows"]) if item else frozenset()

    def rejections(self, id: str, chunk: int) -> list[RowError]:
        """Of a chunk, in the order of the file."""
        pages = self._table.pages(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :chunk)",
            values={":pk": keys.import_(id)["pk"], ":chunk": keys.rejections(chunk)},
            ConsistentRead=True,
        )
        return [RowError.model_validate(error) for page in pages for item in page.items for error in item["errors"]]

    def _keep(self, job: Job) -> None:
        self._move(job.id, job.state, {"state": job.state, "alive_at": self._now()})

    def _now(self) -> str:
        return keys.timestamp(self._clock())

    def _move(self, id: str, state: str, changes: Mapping[str, Any]) -> bool:
        return self._try(Write.changing(keys.import_(id), changes, condition="#state = :was", values={":was": state}))

    def _try(self, write: Write) -> bool:
        try:
            self._table.transact({"only": write})
        except Cancelled as cancelled:
            if cancelled.oversized:
                raise
            return False
        return True


class ChunkMark:
    """How far a chunk is: rows done, and what became of them. Each of its batches moves it, or is not carried out."""

    def __init__(self, job: Job, number: int, item: Item) -> None:
        self.position = int(item["position"])  # rows done
        self._tally = Tally.stored(item)
        self._job = job
        self._number = number

    def writes(self, tally: Tally, rejections: Sequence[RowError], rows: int) -> Mapping[str, Write]:
        moved = Write.changing(
            keys.chunk(self._job.id, self._number),
            {"position": self.position + rows, **(self._tally + tally).numbers()},
            condition="#position = :was AND attribute_not_exists(closed)",
            values={":was": self.position},
        )
        if not rejections:
            return {"mark": moved}
        errors = [each.model_dump(exclude_unset=True) for each in rejections]
        item = {**keys.rejected(self._job.id, self._number, self.position), "errors": errors}
        return {"mark": moved, "rejected": Write("Put", item={**item, "expires_at": self._job.item["expires_at"]})}

    def passed(self, tally: Tally, rejections: Sequence[RowError], rows: int) -> None:  # noqa: ARG002
        self.position += rows
        self._tally += tally
