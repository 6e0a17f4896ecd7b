"""Jobs in sentences."""

import math

from customers_cli.client import Job
from customers_cli.failures import FAILED, REJECTED_ROWS, TAKEN

TERMINAL = {"completed", "failed", "cancelled"}
STATES = {
    "waiting": "waiting for the file to arrive",
    "queued": "waiting for its turn",
    "splitting": "looking through the file",
    "running": "running",
    "finishing": "writing the results",
    "cancelling": "being cancelled",
}
UNITS = ("bytes", "kB", "MB", "GB")


def is_over(job: Job) -> bool:
    return job["state"] in TERMINAL


def exit_code(job: Job) -> int:
    """Of a job that is over."""
    if job["state"] != "completed":
        return FAILED
    return REJECTED_ROWS if job.get("skipped") else TAKEN


def printable(text: object) -> str:
    """What others wrote cannot move the cursor of a terminal, nor break a line."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def size(number: int) -> str:
    power = min(int(math.log(max(number, 1), 1000)), len(UNITS) - 1)
    return f"{number / 1000**power:.{1 if power else 0}f} {UNITS[power]}"


def too_large(number: int, most: int) -> str:
    """In bytes where the two would look the same."""
    has, may_have = size(number), size(most)
    if has == may_have:
        has, may_have = f"{number:,} bytes", f"{most:,} bytes"
    return f"The file has {has}; the API takes at most {may_have}"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def progress(job: Job, *, brief: bool = False) -> str:
    """How far it is, on one line: `24.0 %  1,200 of 5,000  400/s  0:10 left  1,000 created, …`, or `12 rejected`."""
    if job["state"] != "running":
        return STATES.get(job["state"], str(job["state"]))
    done = job["read"] if "read" in job else job["processed"]
    parts = [f"{job['percent']} %", f"{done:,} of {job['total']:,}"] if "total" in job else [f"{done:,}"]
    if rate := job.get("rows_per_second"):
        parts.append(f"{rate:,.0f}/s")
    if (left := job.get("remaining_seconds")) is not None:
        parts.append(f"{duration(left)} left")
    if "rows" in job:
        parts.append(f"{job['rows']:,} written")
    else:
        parts.append(f"{job['skipped']:,} rejected" if brief else counts(job))
    return "  ".join(parts)


def counts(job: Job) -> str:
    return f"{job['created']:,} created, {job['updated']:,} updated, {job['skipped']:,} rejected"


def result(job: Job) -> list[str]:
    """What has become of an import that is over."""
    lines = [f"Import {job['id']}: {ending(job)}"]
    if job["dry_run"]:
        lines.append("This was a dry run: nothing was written")
    if "total" in job and job["state"] != "running":  # how far it is says that already
        unchanged = f" ({job['unchanged']:,} of the updated were so already)" if job["unchanged"] else ""
        lines.append(f"{job['processed']:,} of {rows(job['total'])}: {counts(job)}{unchanged}")
    if job["unknown_columns"]:
        lines.append(f"Columns that are no field of a customer: {', '.join(job['unknown_columns'])}")
    return lines


def ending(job: Job) -> str:
    """How it ended, or where it is."""
    if error := job.get("error"):
        return f"{job['state']}: {error['message']} ({error['code']})"
    return str(job["state"]) if is_over(job) else progress(job)


def listed(job: Job) -> list[str]:
    """Id, minute, file and state of one import among others."""
    said = ending(job)
    if is_over(job) and "error" not in job:
        said += f": {counts(job)}"
    trial = " (dry run)" if job["dry_run"] else ""
    return [job["id"], f"{job['created_at'][:16]}Z", job.get("file_name", ""), f"{said}{trial}"]


def rows(number: int) -> str:
    return f"{number:,} row{'s' if number != 1 else ''}"


def going_on(id: str) -> list[str]:
    """What a user does about an import whose file has arrived and that nobody watches any more."""
    return [
        f"Import {id} goes on without this command.",
        f"  see how far it is:  customers imports watch {id}",
        f"  cancel it:          customers imports cancel {id}",
    ]


def unsent(id: str) -> list[str]:
    """Likewise, while its file has not arrived."""
    return [
        f"Import {id} waits for its file.",
        "  go on:      the same command again",
        f"  cancel it:  customers imports cancel {id}",
    ]


def unfinished(id: str) -> list[str]:
    """Likewise about an export, which nothing but the command that began it fetches."""
    return [f"Export {id} goes on without this command; the same command again begins another."]


def unfetched(id: str) -> list[str]:
    """Likewise, once it is over and before its rejected rows are here."""
    return ["The import is over.", fetching(id)]


def fetching(id: str) -> str:
    return f"  fetch its rejected rows:  customers imports watch {id}"
