"""POST /customers/import: a file of few rows, read, applied and answered at once."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice

from customers import keys
from customers.dynamodb import Table, Write
from customers.errors import IdempotencyInProgress, Invalid
from customers.importing.batches import Batches, Order, Overtaken
from customers.importing.models import ImportOut
from customers.importing.rows import Row, RowError, Tally, unknown_columns
from customers.repository import IdempotentRequest
from customers.sheets import SMALL, UnreadableFile, as_csv, columns_of, records, sniff


def import_file(
    table: Table, content: bytes, order: Order, request: IdempotentRequest | None, *, max_rows: int
) -> tuple[ImportOut, bool]:
    """What became of each row of a CSV or XLSX file, and whether that is the answer of an earlier request.

    Raises `Invalid` for a file that cannot be read or has more than `max_rows` rows, `IdempotencyInProgress`,
    `Unavailable`. With an Idempotency-Key what was interrupted goes on where it was.
    """
    rows, errors = read(content, max_rows)
    progress = Progress(table, request)
    replayed = progress.resume(len(rows))
    try:
        shard = random.randrange(keys.COUNT_SHARDS)  # noqa: S311 - not a secret
        Batches(table, order, progress, shard=shard).apply(rows[progress.position :])
    except Overtaken:
        raise IdempotencyInProgress from None
    return ImportOut.of(progress.tally, [*errors, *progress.rejections]), replayed


def read(content: bytes, max_rows: int) -> tuple[list[Row], list[RowError]]:
    """The rows of a file, and an error for each column that is no field of a customer. Raises `Invalid`."""
    try:
        with as_csv(BytesIO(content), limits=SMALL) as file:
            form = sniff(file)
            file.seek(0)
            found = (record for _, record in records(file, form))
            columns = columns_of(next(found, None))
            taken = list(islice(found, max_rows + 1))
    except UnreadableFile as unreadable:
        raise Invalid.at("body", "file", msg=unreadable.message, kind=unreadable.code) from None
    if len(taken) > max_rows:
        msg = f"The file has more than {max_rows} rows: POST /customers/imports takes up to a million"
        raise Invalid.at("body", "file", msg=msg, kind="too_many_rows")
    rows, seen = list[Row](), set[str]()
    for record in taken:
        row = Row.of(record, columns)
        key = columns.key_of(record)
        rows.append(Row.duplicate(record.number) if key in seen else row)
        seen |= {key} - {""}
    return rows, unknown_columns(columns)


class Progress:
    """How far an inline import is: in the record of its Idempotency-Key, else (without one) nowhere but here.

    The record has numbers of rows and codes of errors, but nothing of the file.
    """

    def __init__(self, table: Table, request: IdempotentRequest | None) -> None:
        self.position = 0  # rows done
        self.tally = Tally()
        self.rejections = list[RowError]()
        self._table = table
        self._request = request
        self._fresh = True

    def resume(self, rows: int) -> bool:
        """Go on where an earlier request with this key came to; True if that was the end.

        Raises `Invalid` if the key was used for something else.
        """
        remembered = self._table.get(self._request.key) if self._request else None
        if not self._request or not remembered or remembered["expires_at"] <= datetime.now(UTC).timestamp():
            return False
        if remembered["fingerprint"] != self._request.fingerprint:
            raise Invalid.reused_key()
        self._fresh = False
        self.position = int(remembered["position"])
        self.tally = Tally.stored(remembered["tally"])
        self.rejections = [RowError.model_validate(each) for each in remembered["rejections"]]
        return self.position == rows

    def writes(self, tally: Tally, rejections: Sequence[RowError], rows: int) -> Mapping[str, Write]:
        return {"mark": self._mark(self._request, tally, rejections, rows)} if self._request else {}

    def passed(self, tally: Tally, rejections: Sequence[RowError], rows: int) -> None:
        self.position += rows
        self.tally += tally
        self.rejections += rejections
        self._fresh = False

    def _mark(self, request: IdempotentRequest, tally: Tally, rejections: Sequence[RowError], rows: int) -> Write:
        result = {
            "position": self.position + rows,
            "tally": (self.tally + tally).numbers(),
            "rejections": [each.model_dump(exclude_unset=True) for each in (*self.rejections, *rejections)],
        }
        write = request.remember(datetime.now(UTC), **result)
        if self._fresh:
            return write
        return replace(
            write,
            condition="#position = :was AND fingerprint = :fingerprint",
            names={"#position": "position"},
            values={":was": self.position, ":fingerprint": request.fingerprint},
        )
