"""The steps of a large import, which the state machine `ImportMachine` in template.yaml puts in order.

`split` cuts the uploaded file into chunks, `apply` carries one of them out, `finish` puts the results together. Each
may run twice, side by side or after it was killed, and then goes on with what is there.
"""

import io
import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from itertools import batched
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any

from customers import keys, lifecycle, observability
from customers.context import Context
from customers.dynamodb import Table
from customers.files import CSV_TYPE, UPLOADS, Absent, Files, part_key, rejected_key, rows_key, upload_key
from customers.importing import rejected
from customers.importing.batches import BATCH_ROWS, Batches, Order, Overtaken
from customers.importing.jobs import ChunkMark, Job, Jobs
from customers.importing.rows import Row
from customers.importing.splitting import split
from customers.settings import FileSettings, Settings
from customers.sheets import Columns, Csv, Record, UnreadableFile, as_csv, columns_of, records

RESERVE_MILLISECONDS = 30_000  # before its timeout a worker begins no batch any more, and says that it is not done


class StepFailed(RuntimeError):
    """A step that may be tried again. Names the error's class only: Lambda logs it, and the state machine keeps it."""


type Answer = dict[str, Any]


def _step(run: Callable[["Steps", Mapping[str, Any], Context], Answer]) -> Callable[..., Answer]:
    @wraps(run)
    def guarded(steps: "Steps", event: Mapping[str, Any], context: Context) -> Answer:
        steps.table.begin(context.get_remaining_time_in_millis)
        try:
            return run(steps, event, context)
        except Exception as error:
            observability.record_fault(error)
            raise StepFailed(type(error).__name__) from None

    return guarded


@dataclass(frozen=True, slots=True)
class _Work:
    """A chunk to apply: all its records, of which `mark.position` are done."""

    job: Job
    number: int
    mark: ChunkMark
    records: Sequence[Record]
    columns: Columns


def _columns(job: Job) -> Columns:
    """Raises `KeyError` before the file was split."""
    return columns_of(Record(int(job.item["header_row"]), job.item["columns"]))


class Steps:
    """What each step sets up once, at its cold start. Raises `SettingsError`; every step may raise `StepFailed`."""

    def __init__(self) -> None:
        self.table = Table(Settings.from_env().table_name)
        self.files = Files(FileSettings.from_env().bucket_name)
        self.jobs = Jobs(self.table)
        lifecycle.ready(self.table.connect, self.table.renew)

    @_step
    def split(self, event: Mapping[str, Any], context: Context) -> Answer:  # noqa: ARG002 - every step has one
        """`{"key": …, "execution": …}` of the upload; answers what is `next`: apply (the `chunks`), wait, finish, stop.

        An import belongs to the first execution that an upload has started; a second upload starts nothing.
        """
        id = event["key"].removeprefix(UPLOADS)
        job = self.jobs.claim(id, event["execution"])
        if not job or job.is_finished:
            now = self.jobs.header(id)
            if not now or now.is_finished:  # the file came too late, or again
                self.files.delete([upload_key(id)])
            return {"next": "stop"}
        if job.state == "splitting":
            job = self._split(job)
        if job.state == "queued":
            if self.jobs.take_turn(job) == "another's":
                return {"next": "wait"}
            job = self.jobs.move(job, "queued", "running", running_at=keys.timestamp(datetime.now(UTC)))
        chunks = [{"import_id": id, "chunk": number} for number in range(int(job.item.get("chunks", 0)))]
        return {"next": "apply" if chunks and job.state == "running" else "finish", "chunks": chunks}

    def _split(self, job: Job) -> Job:
        """What the workers read is a copy of the upload, which nobody can write to, in CSV whatever was sent.

        Once there is a copy, it is what was sent, whatever comes through the link later.
        """
        copied = self.files.has(rows_key(job.id))
        try:
            with TemporaryFile() as upload:
                self.files.copy_to(rows_key(job.id) if copied else upload_key(job.id), upload)
                upload.seek(0)
                with as_csv(upload) as file:
                    found = split(file)
                    if not copied:
                        file.seek(0)
                        with self.files.writer(rows_key(job.id), content_type=CSV_TYPE) as copy:
                            copyfileobj(file, copy)
        except Absent:
            return self._fail(job, "upload_missing", "The uploaded file is not there any more")
        except UnreadableFile as unreadable:
            return self._fail(job, unreadable.code, unreadable.message)
        self.jobs.add_chunks(job, found.chunks, found.duplicates)
        return self.jobs.move(
            job,
            "splitting",
            "queued",
            total=found.total,
            chunks=len(found.chunks),
            encoding=found.form.encoding,
            delimiter=found.form.delimiter,
            columns=list(found.columns.names),
            header_row=found.columns.number,
            unknown_columns=list(found.columns.unknown),
        )

    def _fail(self, job: Job, code: str, message: str) -> Job:
        return self.jobs.move(job, "splitting", "finishing", error={"code": code, "message": message})

    @_step
    def apply(self, event: Mapping[str, Any], context: Context) -> Answer:
        """`{"import_id": …, "chunk": …}`; says whether the chunk is `done`, or else must be applied again to go on."""
        work = self._work(event["import_id"], event["chunk"])
        if not work:
            return {"done": True}
        self.jobs.keep_turn(work.job)
        done = self._apply(work, context)
        if done:
            self._write_rejected(work)
        return {"done": done}

    def _work(self, id: str, number: int) -> "_Work | None":
        """None if the import has ended."""
        job = self.jobs.header(id)
        chunk = self.jobs.chunk(id, number)
        if not job or job.is_finished or not chunk:
            return None
        content = self.files.read(rows_key(id), int(chunk["start"]), int(chunk["length"]))
        text = Csv(encoding=job.item["encoding"], delimiter=job.item["delimiter"], start=0)
        found = [record for _, record in records(io.BytesIO(content), text, number=int(chunk["row"]))]
        return _Work(job, number, ChunkMark(job, number, chunk), found, _columns(job))

    def _apply(self, work: "_Work", context: Context) -> bool:
        """Whether there is no row left, or none that is wanted."""
        job = work.job
        order = Order(job.owner_id, job.item["created_at"], job.item["on_deleted"], bool(job.item["dry_run"]))
        duplicates = self.jobs.duplicates(job.id, work.number)
        batches = Batches(self.table, order, work.mark, shard=work.number % keys.COUNT_SHARDS)
        for batch in batched(work.records[work.mark.position :], BATCH_ROWS, strict=False):
            if context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS:
                return False
            if not self._is_wanted(job):
                return True
            try:
                batches.apply_batch([self._row(record, work.columns, duplicates) for record in batch])
            except Overtaken:
                return False
        return True

    def _is_wanted(self, job: Job) -> bool:
        now = self.jobs.header(job.id)
        return now is not None and now.state == "running"

    def _row(self, record: Record, columns: Columns, duplicates: Container[int]) -> Row:
        return Row.duplicate(record.number) if record.number in duplicates else Row.of(record, columns)

    def _write_rejected(self, work: "_Work") -> None:
        """The chunk's part of the file of rejected rows, from what its batches have left."""
        errors = self.jobs.rejections(work.job.id, work.number)
        if errors:
            part = rejected.as_csv_bytes(rejected.lines(work.columns, work.records, errors))
            self.files.write(part_key(work.job.id, work.number), part, content_type=CSV_TYPE)

    @_step
    def finish(self, event: Mapping[str, Any], context: Context) -> Answer:  # noqa: ARG002
        """As `split` is asked: the file of rejected rows, the sums, the end of the owner's turn; then the work goes.

        Or the event of an execution that has ended without this step, whose input names the upload.
        """
        if broken := event.get("detail"):
            event = {"key": json.loads(broken["input"])["key"], "execution": broken["name"]}
        job = self.jobs.finishing(event["key"].removeprefix(UPLOADS), event["execution"])
        if job and not job.is_finished:
            if any(chunk["skipped"] for chunk in job.chunks):
                self._join_rejected(job)
            job = self.jobs.finish(job)
            observability.record_import(job.state, job.tally.numbers())
        if job:
            self.jobs.end_turn(job)
            parts = [part_key(job.id, number) for number in range(int(job.item.get("chunks", 0)))]
            self.files.delete([upload_key(job.id), rows_key(job.id), *parts])
        return {"state": job.state if job else None}

    def _join_rejected(self, job: Job) -> None:
        with self.files.writer(rejected_key(job.id), content_type=CSV_TYPE) as result:
            result.write(rejected.BOM + rejected.as_csv_bytes([rejected.header(_columns(job))]))
            for chunk in job.chunks:
                if chunk["skipped"]:
                    part = part_key(job.id, int(chunk["number"]))
                    cut_short = "closed" in chunk or job.state == "cancelling" or not self.files.has(part)
                    if cut_short and (work := self._work(job.id, int(chunk["number"]))):
                        self._write_rejected(work)
                    self.files.copy_to(part, result)
