"""Importing a file: send it once, follow what becomes of it, and fetch the rows that were rejected."""

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePath
from typing import BinaryIO
from uuid import uuid4

from customers_cli import words
from customers_cli.client import Job, Values
from customers_cli.failures import BrokenLink, Refused, Unreachable
from customers_cli.files import Sheet, save
from customers_cli.rejected import rows_of
from customers_cli.session import Session

IMPORTS = "/customers/imports"
UPLOADS = 3  # attempts, each with a fresh link
SHOWN_ROWS = 10
UNNOTICED_MINUTES = 5  # after which the store's word that a file has come, a matter of seconds, is taken for lost


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
            run.world.pause(attempt - 1, broken, run.view.note)
        else:
            return run.api.get(path_of(job["id"])).body
    if not attempt:
        _say_what_is_there(run, job, sheet)
    return job


def follow(run: Session, job: Job, *, sent: bool) -> Job:
    """Until it is over; one whose file is `sent` is not waited for if that goes unnoticed.

    Raises `Refused`, `Unreachable`.
    """
    run.if_left = words.going_on(job["id"])
    jobs = run.looks(path_of(job["id"]), job)
    job = run.view.follow(_noticed(run, jobs) if sent else jobs)
    run.if_left = ()
    return job


def conclude(run: Session, job: Job, rejected: Path) -> int:
    """Save the rejected rows of an import that is over, and show it; the exit code. Raises `Unreachable`, `OSError`."""
    place = None
    try:
        if "rejected" in job:
            run.if_left = words.unfetched(job["id"])
            place = save(rejected, lambda file: _download(run, job, file), replace=False)
    finally:
        for line in words.result(job):
            run.view.result(line)
        if run.as_json:
            run.view.data(job)
    if place:
        run.view.table(("row", "code", "message", "customer_id"), islice(rows_of(place), SHOWN_ROWS))
        number = job["rejected"]["rows"]
        if number > SHOWN_ROWS:
            run.view.result(f"… and {number - SHOWN_ROWS:,} more in {place.name}")
        run.view.result(f"Rejected: {words.rows(number)}, to be mended and imported: {place}")
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
        raise Refused(words.too_large(sheet.size, link["max_bytes"]))
    run.if_left = words.unsent(job["id"])
    with run.view.transfer(f"Sending {sheet.name}", sheet.size) as at:
        run.links.upload(link, sheet.path, at)
    run.if_left = words.going_on(job["id"])


def _noticed(run: Session, jobs: Iterator[Job]) -> Iterator[Job]:
    """`jobs`, which are one job as time goes by, once its file is sent. Raises `Unreachable`."""
    since = run.world.clock()
    for job in jobs:
        yield job
        if job["state"] == "waiting" and run.world.clock() - since >= 60 * UNNOTICED_MINUTES:
            run.if_left = words.unsent(job["id"])  # sent again, the file is announced again
            raise Unreachable(f"The file was sent {UNNOTICED_MINUTES} minutes ago, and the service has not noticed it")


def _say_what_is_there(run: Session, job: Job, sheet: Sheet) -> None:
    if not words.is_over(job):
        run.view.note(f"Going on with import {job['id']}")
        return
    done = "was tried already" if job["dry_run"] else "was imported already"
    what = {"completed": done, "cancelled": "had an import that was cancelled"}
    ended = what.get(job["state"], "had an import that failed")
    run.view.note(f"{sheet.name} {ended} on {job.get('finished_at') or job['created_at']} (--again imports it anew)")


def _download(run: Session, job: Job, file: BinaryIO) -> None:
    run.links.download(_links(run, job), file, lambda _: None)


def _links(run: Session, job: Job) -> Iterator[str]:
    """To the rejected rows: what `job` says, then fresh ones."""
    while True:
        yield job["rejected"]["url"]
        job = run.api.get(path_of(job["id"])).body
