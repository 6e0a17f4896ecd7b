"""Importing a file: send it once, follow what becomes of it, and fetch the rows that were rejected."""

import csv
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import BinaryIO
from uuid import uuid4

from customers_cli import words
from customers_cli.client import Job, Values
from customers_cli.failures import BrokenLink, Refused
from customers_cli.files import Sheet, save
from customers_cli.session import Session

IMPORTS = "/customers/imports"
UPLOADS = 3  # attempts, each with a fresh link
SHOWN_ROWS = 10
KEY = re.compile("(customer|client|external)(id|number|no|nr|code|key|reference)")  # the column of customer_id


def path_of(id: object) -> str:
    return f"{IMPORTS}/{id}"


def attach(run: Session, sheet: Sheet, options: Values, *, again: bool) -> Job:
    """The import of this file with these options, in whatever state it is; if it waits for the file, that is sent.

    It is the one that this command has begun before, `again` a new one. Raises `Refused`, `Unreachable`, `OSError`.
    """
    body = {"file_name": sheet.name, "content_type": sheet.content_type, **options}
    key = str(uuid4()) if again else _key(sheet, body)
    attempt = 0
    while "upload" in (job := run.api.post(IMPORTS, body, key=key).body):
        try:
            _upload(run, job, sheet)
        except BrokenLink as broken:
            attempt += 1
            if attempt == UPLOADS or not broken.again:
                raise
        else:
            return run.api.get(path_of(job["id"])).body
        run.world.pause(attempt - 1)
    if not attempt:
        _say_what_is_there(run, job, sheet)
    return job


def follow(run: Session, job: Job) -> Job:
    """Until it is over. Raises `Refused`, `Unreachable`."""
    run.if_left = words.going_on(job["id"])
    job = run.follow(path_of(job["id"]), job)
    run.if_left = ()
    return job


def conclude(run: Session, job: Job, rejected: Path) -> int:
    """Show an import that is over and save its rejected rows; the exit code. Raises `Unreachable`, `OSError`."""
    for line in words.result(job):
        run.view.result(line)
    if run.as_json:
        run.view.data(job)
    if "rejected" in job:
        run.if_left = words.unfetched(job["id"])
        place = save(rejected, lambda file: _download(run, job, file), replace=False)
        run.view.table(("row", "code", "message", "customer_id"), islice(_rejected_rows(place), SHOWN_ROWS))
        run.view.result(f"Rejected rows, to be mended and imported: {place}")
    return words.exit_code(job)


def rejected_beside(file: Path) -> Path:
    return file.with_name(f"{file.stem}.rejected.csv")


def rejected_here(job: Job) -> Path:
    """For an import whose file is not known, only what it was called."""
    return rejected_beside(Path(PurePath(words.printable(job.get("file_name", ""))).name.lstrip(".") or job["id"]))


def _key(sheet: Sheet, body: Values) -> str:
    """The same for the same file under the same name with the same options, and for nothing else."""
    return hashlib.sha256(json.dumps([sheet.sha256, body], sort_keys=True).encode()).hexdigest()


def _upload(run: Session, job: Job, sheet: Sheet) -> None:
    link = job["upload"]
    if sheet.size > link["max_bytes"]:
        raise Refused(f"The file has {words.size(sheet.size)}; the API takes at most {words.size(link['max_bytes'])}")
    run.if_left = words.unsent(job["id"])
    with run.view.transfer(f"Sending {sheet.name}", sheet.size) as at:
        run.links.upload(link, sheet.path, at)
    run.if_left = words.going_on(job["id"])


def _say_what_is_there(run: Session, job: Job, sheet: Sheet) -> None:
    if not words.is_over(job):
        run.view.note(f"Going on with import {job['id']}")
        return
    what = {"completed": "was imported already", "cancelled": "was sent already, and its import was cancelled"}
    ended = what.get(job["state"], "was sent already, and its import failed")
    run.view.note(f"{sheet.name} {ended} on {job.get('finished_at') or job['created_at']} (--again imports it anew)")


def _download(run: Session, job: Job, file: BinaryIO) -> None:
    run.links.download(_links(run, job), file, lambda _: None)


def _links(run: Session, job: Job) -> Iterator[str]:
    """To the rejected rows: what `job` says, then fresh ones."""
    while True:
        yield job["rejected"]["url"]
        job = run.api.get(path_of(job["id"])).body


def _rejected_rows(path: Path) -> Iterator[Sequence[str]]:
    """Number, code, message and customer_id of each; the columns before these are called what the user calls them."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file, restval="")
        names = reader.fieldnames or ()
        customer_id = next((name for name in names if KEY.fullmatch(re.sub("[^a-z]", "", name.lower()))), "")
        for row in reader:
            yield [row.get(name, "") for name in ("row", "code", "message", customer_id)]
