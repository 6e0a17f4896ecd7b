"""An import as its owner sees it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from customers import keys
from customers.files import LINK_SECONDS, Files, rejected_key, upload_key
from customers.importing.jobs import Job, Jobs
from customers.importing.models import ImportJobOut, ImportPage, RejectedOut, UploadOut
from customers.models import FailureOut, MetaOut, PaginatedResponse, QueryOut, SortOut

MAX_UPLOAD_BYTES = 256 << 20  # a million rows of 268 bytes
LOST = {"code": "lost", "message": "It stopped without a word; import the file again, what is done stays as it is"}
_AS_STORED = ("file_name", "started_at", "finished_at")


def show(job: Job, files: Files, *, by_admin: bool, with_upload: bool = False) -> ImportJobOut:
    """`with_upload`: if it waits for its file, with a link to send it to."""
    now = datetime.now(UTC)
    links_until = keys.timestamp(now + timedelta(seconds=LINK_SECONDS))
    tally, is_lost = job.tally, job.is_lost(now)
    shown: dict[str, Any] = {
        "id": job.id,
        "state": "failed" if is_lost else job.state,
        "on_deleted": job.item["on_deleted"],
        "dry_run": job.item["dry_run"],
        "created_at": job.item["created_at"],
        "expires_at": keys.timestamp(datetime.fromtimestamp(int(job.item["expires_at"]), UTC)),
        "processed": tally.total,
        "percent": _percent(job),
        **tally.numbers(),
        "unknown_columns": job.item.get("unknown_columns", []),
    }
    shown |= {name: job.item[name] for name in _AS_STORED if job.item.get(name) is not None}
    if "total" in job.item:
        shown["total"] = int(job.item["total"])
    shown |= {} if is_lost else _pace(job, now)
    if error := LOST if is_lost else job.item.get("error"):
        shown["error"] = FailureOut.model_construct(**error)
    if job.is_finished and tally.skipped:
        url = files.download_link(rejected_key(job.id), file_name="rejected.csv")
        shown["rejected"] = RejectedOut(url=url, rows=tally.skipped, expires_at=links_until)
    if with_upload and job.state == "waiting":
        url, fields = files.upload_link(
            upload_key(job.id), content_type=job.item["content_type"], max_bytes=MAX_UPLOAD_BYTES
        )
        shown["upload"] = UploadOut(url=url, fields=fields, max_bytes=MAX_UPLOAD_BYTES, expires_at=links_until)
    if by_admin:
        shown["owner_id"] = job.owner_id
    return ImportJobOut.model_construct(**shown)


def list_imports(
    jobs: Jobs, files: Files, page: ImportPage, *, owner_id: str, by_admin: bool
) -> PaginatedResponse[ImportJobOut]:
    """One page of an owner's imports, newest first; only an administrator's `page` may name another owner."""
    of = (page.owner_id if by_admin else None) or owner_id
    found, total = jobs.of_owner(of, offset=page.offset, limit=page.limit)
    sort = SortOut.model_construct(field="created_at", direction="desc")
    return PaginatedResponse[ImportJobOut].model_construct(
        data=[show(job, files, by_admin=by_admin) for job in found],
        meta=MetaOut.model_construct(total=total, limit=page.limit, offset=page.offset, sort=sort),
        query=QueryOut.model_construct(filters={"owner_id": of} if by_admin else {}, sort=sort),
    )


def _percent(job: Job) -> float:
    if job.state == "completed":
        return 100.0
    total = int(job.item.get("total", 0))
    return round(100 * job.tally.total / total, 1) if total else 0.0


def _pace(job: Job, now: datetime) -> dict[str, Any]:
    """How fast rows are processed, and for how long yet at this rate."""
    running_at, done = job.item.get("running_at"), job.tally.total
    if not running_at or not done:
        return {}
    until = datetime.fromisoformat(job.item["finished_at"]) if job.is_finished else now
    rate = done / max((until - datetime.fromisoformat(running_at)).total_seconds(), 0.001)
    left = {"remaining_seconds": round((int(job.item["total"]) - done) / rate)} if job.state == "running" else {}
    return {"rows_per_second": round(rate, 1), **left}
