"""One log line and one metric for each request, event, purge, import and export, with nothing personal in them.

That is no name, no id of a record or an owner, and no error message, which may quote either.

Powertools' Logger and Metrics only: its Tracer costs 140 ms of cold start even when it is off.
"""

import traceback
from collections.abc import Mapping

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "Customers"

logger = Logger(utc=True)


def record(operation: str, *, status: int, code: str | None, seconds: float, id: str) -> None:
    """One finished request: `code` is that of the error that was answered, `id` the request's."""
    milliseconds = round(1000 * seconds, 1)
    logger.info(operation, extra={"status": status, "code": code, "duration_ms": milliseconds, "request_id": id})
    with single_metric(
        name="Duration", unit=MetricUnit.Milliseconds, value=milliseconds, namespace=NAMESPACE
    ) as metric:
        metric.add_dimension("operation", operation)
        metric.add_dimension("status", f"{status // 100}xx")


def record_event(detail_type: str | None, *, outcome: str, id: str | None) -> None:
    """One event that came in: `outcome` says what became of it, `id` is EventBridge's."""
    logger.info("event", extra={"detail_type": detail_type, "outcome": outcome, "event_id": id})
    with single_metric(name="Events", unit=MetricUnit.Count, value=1, namespace=NAMESPACE) as metric:
        metric.add_dimension("detail_type", detail_type or "unknown")
        metric.add_dimension("outcome", outcome)


def record_purge(figures: Mapping[str, int]) -> None:
    """One run of the scheduled purge: how many customers of each outcome."""
    logger.info("purge", extra=dict(figures))
    for name, value in figures.items():
        with single_metric(name="Purge", unit=MetricUnit.Count, value=value, namespace=NAMESPACE) as metric:
            metric.add_dimension("outcome", name)


def record_import(state: str, rows: Mapping[str, int]) -> None:
    """One large import that has ended: how many rows of each outcome."""
    logger.info("import", extra={"state": state, "rows": dict(rows)})
    for outcome, value in rows.items():
        with single_metric(name="ImportedRows", unit=MetricUnit.Count, value=value, namespace=NAMESPACE) as metric:
            metric.add_dimension("outcome", outcome)


def record_export(figures: Mapping[str, int | str]) -> None:
    """One invocation of an export: what came of it, and how many records."""
    logger.info("export", extra=dict(figures))
    with single_metric(name="Exports", unit=MetricUnit.Count, value=1, namespace=NAMESPACE) as metric:
        metric.add_dimension("state", str(figures["state"]))


def record_fault(error: Exception) -> None:
    """An error of ours: types and places, innermost last. Messages are left out, because they may quote a record."""
    types = [type(e).__name__ for e in (error, error.__cause__ or error.__context__) if e]
    aws_code = getattr(error, "response", {}).get("Error", {}).get("Code")
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error("fault", extra={"types": types, "aws_code": aws_code, "frames": frames})
