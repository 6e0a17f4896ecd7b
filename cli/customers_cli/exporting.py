"""Exporting customers: begin, follow, and fetch the file whole."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from customers_cli import words
from customers_cli.client import Job, Values
from customers_cli.failures import TAKEN, Unreachable
from customers_cli.files import save
from customers_cli.session import Session

EXPORTS = "/customers/exports"
STDOUT = Path("-")


def export(run: Session, asked: Values, output: Path) -> int:
    """To a file, or to STDOUT; the exit code. Raises `Refused`, `Unreachable`, `OSError`."""
    job: Job = run.api.post(EXPORTS, asked, key=str(uuid4())).body
    run.if_left = words.unfinished(job["id"])
    job = run.follow(_path_of(job), job)
    run.if_left = ()
    if run.as_json:
        run.view.data(job)
    if "file" not in job:
        run.view.result(f"Export {job['id']}: {words.ending(job)}")
        return words.exit_code(job)
    if output == STDOUT:
        with tempfile.TemporaryFile() as file:
            _download(run, job, file)
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()  # here, where a closed pipe is dealt with
    else:
        save(output, lambda file: _download(run, job, file), replace=True)
        run.view.result(f"{output}: {words.rows(job['file']['rows'])}, {words.size(job['file']['bytes'])}")
    run.view.note(job["contents"])
    return TAKEN


def _path_of(job: Job) -> str:
    return f"{EXPORTS}/{job['id']}"


def _download(run: Session, job: Job, file: BinaryIO) -> None:
    """Raises `Unreachable`."""
    size = job["file"]["bytes"]
    with run.view.transfer("Fetching the file", size) as at:
        run.links.download(_links(run, job), file, at)
    if file.tell() != size:
        raise Unreachable(f"The file has {file.tell()} bytes instead of {size}")


def _links(run: Session, job: Job) -> Iterator[str]:
    """What `job` says, then fresh ones."""
    while True:
        yield job["file"]["url"]
        job = run.api.get(_path_of(job)).body
