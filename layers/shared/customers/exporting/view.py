"""An export as its owner sees it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from customers import keys
from customers.exporting.jobs import Export
from customers.exporting.models import ExportFileOut, ExportJobOut
from customers.files import LINK_SECONDS, Files, export_key
from customers.models import FailureOut, QueryOut, SortOut

LOST = {"code": "lost", "message": "The export has not been finished; start it again"}


def show(export: Export, files: Files, *, by_admin: bool) -> ExportJobOut:
    item, now = export.item, datetime.now(UTC)
    query = export.query
    echo: dict[str, Any] = {"q": query.q, "date_from": query.date_from, "date_to": query.date_to}
    shown: dict[str, Any] = {
        "id": export.id,
        "state": "failed" if export.is_lost(now) else export.state,
        "format": export.asked.format,
        "query": QueryOut.model_construct(
            filters=query.filters,
            sort=SortOut.model_construct(field="created_at", direction="asc"),
            **{name: value for name, value in echo.items() if value},
        ),
        "created_at": item["created_at"],
        "expires_at": keys.timestamp(datetime.fromtimestamp(int(item["expires_at"]), UTC)),
        "read": int(item["read"]),
        "rows": int(item["rows"]),
        "contents": contents(export),
    }
    shown |= {name: item[name] for name in ("started_at", "finished_at") if name in item}
    if "total" in item:
        total = int(item["total"])
        shown |= {"total": total, "percent": min(round(100 * int(item["read"]) / total, 1), 100.0) if total else 100.0}
    if error := LOST if export.is_lost(now) else item.get("error"):
        shown["error"] = FailureOut.model_construct(**error)
    if export.state == "completed":
        name = f"customers.{export.asked.format}"
        shown |= {"percent": 100.0}
        shown["file"] = ExportFileOut.model_construct(
            url=files.download_link(export_key(export.id, export.asked.format), file_name=name),
            rows=shown["rows"],
            bytes=int(item["bytes"]),
            expires_at=keys.timestamp(now + timedelta(seconds=LINK_SECONDS)),
        )
    if by_admin:
        shown["owner_id"] = item["owner_id"]
    return ExportJobOut.model_construct(**shown)


def contents(export: Export) -> str:
    """What exactly is in the file, in words."""
    query = export.query
    which = {("live",): "", ("deleted",): "deleted ", ("live", "deleted"): "live and deleted "}[query.states]
    whose = "all owners" if query.owner_id is None else "one owner"
    narrowed = "match the query and " if query.terms or query.statuses or query.has_dates else ""
    began = export.item.get("started_at", "the start of the export")
    order = ", oldest first" if query.owner_id else ", of each owner the oldest first"
    ended = export.item.get("finished_at", "its end")
    return (
        f"The {which}customers of {whose} that {narrowed}were created up to {began}{order}. Each is in it once, "
        f"as it was when it was read between {began} and {ended}; one that was changed in that time may be as it was "
        "before or after. One that was deleted, restored or purged in that time, or created in the last seconds before "
        "it, may be in it or not."
    )
