"""Carries an export out: from the index of creation times to one object in the bucket, with flat memory.

An export reads what it looks at once: records of 1 KB with their index attributes are 8 to a read unit, eventually
consistent. Dates bound what is looked at; a status and `q` do not. Without dates the counts cost a unit for each owner.
It writes no table item but its own: every few seconds, and at most four times more.
"""

import csv
import heapq
import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched
from operator import itemgetter
from typing import Any

from customers import keys, lifecycle, observability
from customers.context import Context
from customers.dynamodb import Item, Table
from customers.errors import ExportNotFound
from customers.exporting.jobs import ATTEMPTS, Export, Exports, Overtaken
from customers.files import CSV_TYPE, Files, export_key
from customers.keys import DirectoryEntry
from customers.listing import ListQuery
from customers.listing.counts import of_owner, total
from customers.listing.plan import Condition, request, within
from customers.listing.search import matches
from customers.models import Customer, CustomerOut
from customers.settings import FileSettings, Settings
from customers.sheets import FIELDS, neutralised

NDJSON_TYPE = "application/x-ndjson"
BOM = "\ufeff".encode()  # without it Excel takes UTF-8 for the machine's own encoding
READ_ONLY = ("id", "created_at", "updated_at", "deleted_at", "version")
RESERVE_MILLISECONDS = 30_000  # before its timeout it gives up, while there is time to say so
ROWS_AT_ONCE = 500  # to text
MOVE_SECONDS = 2  # between two signs of progress


class ExportFailed(RuntimeError):
    """Lambda may try again. Names the error's class and nothing else."""


class OutOfTime(Exception):
    """There is more to export than one invocation can."""


@dataclass
class Progress:
    """How far an export is: records read, rows written."""

    exports: Exports
    export: Export
    remaining_milliseconds: Callable[[], int]
    read: int = 0
    rows: int = 0
    moved: float = field(default_factory=time.monotonic)

    def tell(self) -> None:
        """Say so every few seconds. To be called for each record, and where a long time may pass without one.

        Raises `OutOfTime`, `Overtaken`, `Unavailable`.
        """
        if time.monotonic() - self.moved > MOVE_SECONDS:
            if self.remaining_milliseconds() < RESERVE_MILLISECONDS:
                raise OutOfTime
            self.exports.move(self.export, read=self.read, rows=self.rows)
            self.moved = time.monotonic()


class Exporter:
    """What `export_customers` sets up once, at its cold start. Raises `SettingsError`."""

    def __init__(self) -> None:
        self.table = Table(Settings.from_env().table_name)
        self._files = Files(FileSettings.from_env().bucket_name)
        self._exports = Exports(self.table)
        lifecycle.ready(self.table.connect, self.table.renew)

    def run(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """`{"export_id": …}`. Raises `ExportFailed` for what Lambda should try again; it does so with the same id."""
        self.table.begin(context.get_remaining_time_in_millis)
        try:
            done = self._run(self._exports.claim(event["export_id"], context.aws_request_id), context)
        except (ExportNotFound, Overtaken):
            done = {"state": "stopped"}
        except Exception as error:
            observability.record_fault(error)
            raise ExportFailed(type(error).__name__) from None
        observability.record_export(done)
        return done

    def _run(self, export: Export, context: Context) -> dict[str, Any]:
        try:
            done = self._export(export, context)
        except Overtaken:
            raise
        except OutOfTime:
            return self._fail(export, "too_large", "There is more than one export can hold: narrow it by dates")
        except Exception as error:
            if export.item["attempts"] < ATTEMPTS:
                self._exports.release(export)
                raise
            observability.record_fault(error)
            return self._fail(export, "unavailable", "The service could not finish it; start it again")
        self._exports.move(export, state="completed", finished_at=_now(), **done)
        return {"state": "completed", **done}

    def _fail(self, export: Export, code: str, message: str) -> dict[str, Any]:
        with suppress(Overtaken):
            self._exports.move(export, state="failed", finished_at=_now(), error={"code": code, "message": message})
        return {"state": "failed", "code": code}

    def _export(self, export: Export, context: Context) -> dict[str, int]:
        """How many records were read, rows and bytes written. Raises `OutOfTime`, `Overtaken`, `Unavailable`."""
        query, kind = export.query, export.asked.format
        progress = Progress(self._exports, export, context.get_remaining_time_in_millis)
        owners = [query.owner_id] if query.owner_id else self._owners()
        if not query.has_dates:
            self._exports.move(export, total=self._total(query, owners, progress))
        media_type = {"csv": CSV_TYPE, "ndjson": NDJSON_TYPE}[kind]
        written = {"csv": _csv, "ndjson": _ndjson}[kind]
        with self._files.writer(export_key(export.id, kind), content_type=media_type) as file:
            for part in written(self._customers(export, owners, progress), export.by_admin):
                file.write(part)
            self._exports.move(export)  # whoever is overtaken leaves the other's file as it is
        return {"read": progress.read, "rows": progress.rows, "bytes": file.size}

    def _total(self, query: ListQuery, owners: list[str], progress: Progress) -> int:
        """How many records there are to look at."""
        number = 0
        for owner in owners:
            number += total(of_owner(self.table, owner), query)
            progress.tell()
        return number

    def _customers(self, export: Export, owners: list[str], progress: Progress) -> Iterator[Customer]:
        query = export.query
        for owner in owners:
            for item in _items(self.table, query, owner, until=export.item["started_at"], on_page=progress.tell):
                progress.read += 1
                if not query.terms or _matches(item, query.terms):
                    progress.rows += 1
                    yield Customer.from_item(item)
                progress.tell()

    def _owners(self) -> list[str]:
        pages = self.table.pages(KeyConditionExpression="pk = :pk", values={":pk": keys.OWNERS})
        return [item["sk"] for page in pages for item in page.items]


def _now() -> str:
    return keys.timestamp(datetime.now(UTC))


def _matches(item: Item, terms: tuple[str, ...]) -> bool:
    entry = DirectoryEntry.of(item)
    return all(matches(entry, term) for term in terms)


def _items(table: Table, query: ListQuery, owner_id: str, *, until: str, on_page: Callable[[], None]) -> Iterator[Item]:
    """Records of one owner in the order of their creation; one that changes its state meanwhile is not there twice.

    `on_page` is called for each page that was read, also for those of which the filter leaves nothing.
    """
    last = min(query.date_to or until, until)
    if (query.date_from or "") > last:
        return
    created = within("created_at", query.date_from, last)
    filters = [Condition("status_key", "IN", query.statuses)] if query.statuses else []
    asked = [request(keys.BY_CREATED, owner_id, state, created, filters=filters) for state in query.states]
    streams = [_records(table, each, on_page) for each in asked]
    before = None
    for item in heapq.merge(*streams, key=itemgetter("created_at", "id")):
        if item["id"] != before:
            yield item
        before = item["id"]


def _records(table: Table, asked: dict[str, Any], on_page: Callable[[], None]) -> Iterator[Item]:
    for page in table.pages(**asked):
        on_page()
        yield from page.items


def _csv(customers: Iterator[Customer], by_admin: bool) -> Iterator[bytes]:
    columns = [*FIELDS, *READ_ONLY, *(["owner_id"] if by_admin else [])]
    yield BOM + _lines([columns])
    for batch in batched(customers, ROWS_AT_ONCE, strict=False):
        yield _lines([[_cell(getattr(customer, column)) for column in columns] for customer in batch])


def _cell(value: object) -> str:
    return "" if value is None else neutralised(str(value))


def _lines(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _ndjson(customers: Iterator[Customer], by_admin: bool) -> Iterator[bytes]:
    for batch in batched(customers, ROWS_AT_ONCE, strict=False):
        shown = (CustomerOut.of(customer, show_owner=by_admin) for customer in batch)
        yield "".join(f"{each.model_dump_json(exclude_unset=True)}\n" for each in shown).encode()
