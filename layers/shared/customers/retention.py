"""The scheduled purge: whatever is due is removed, in parallel, as far as the time allows."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal

from pydantic import BaseModel

from customers import keys, lifecycle, observability
from customers.context import Context
from customers.dynamodb import Table
from customers.errors import CustomerNotFound, PreconditionFailed
from customers.models import Customer, Uuid
from customers.repository import Repository
from customers.settings import Settings

PURGES_AT_ONCE = 16
RESERVE_MILLISECONDS = 30_000  # before the timeout no purge is begun any more: what has begun ends, the rest is counted
LISTED = 1_000  # customers that a dry run names

# spared: it has been restored, or another run was faster. waiting: there was no time left for it.
type Outcome = Literal["purged", "spared", "failed", "waiting"]


class PurgeOrder(BaseModel):
    """What a run is asked for; a schedule sends it as its input."""

    dry_run: bool = False


class PurgeReport(BaseModel):
    """What a run has done, and how many customers are still due. A dry run names the first of them."""

    dry_run: bool
    purged: int = 0
    spared: int = 0
    failed: int = 0
    remaining: int = 0
    customers: list[Uuid] = []


class Retention:
    """What `purge_customers` sets up once, at its cold start. Raises `SettingsError`."""

    def __init__(self) -> None:
        settings = Settings.from_env()
        self.table = Table(settings.table_name)
        self.customers = Repository(self.table, retention_days=settings.retention_days)
        lifecycle.ready(self.table.connect, self.table.renew)

    def run(self, event: Mapping[str, Any], context: Context) -> PurgeReport:
        """Raises pydantic's `ValidationError` for an order that it does not understand, and `Unavailable`."""
        order = PurgeOrder.model_validate(event)
        self.table.begin(context.get_remaining_time_in_millis)
        now = datetime.now(UTC)
        due = list(chain.from_iterable(self.customers.due(now)))  # ids only; read while there is time
        if order.dry_run:
            return PurgeReport(dry_run=True, remaining=len(due), customers=due[:LISTED])

        def purge(id: str) -> Outcome:
            if context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS:
                return "waiting"
            return self._purge(id, keys.timestamp(now))

        with ThreadPoolExecutor(PURGES_AT_ONCE) as pool:
            outcomes = Counter[Outcome](pool.map(purge, due))
        remaining = outcomes["failed"] + outcomes["waiting"]
        done = {name: outcomes[name] for name in ("purged", "spared", "failed")} | {"remaining": remaining}
        observability.record_purge(done)
        return PurgeReport(dry_run=False, **done)

    def _purge(self, id: str, now: str) -> Outcome:
        """One customer, if it is still deleted and still due. What goes wrong with one is no matter of the others."""

        def still_due(customer: Customer) -> None:
            if not customer.purge_at or customer.purge_at > now:
                raise PreconditionFailed

        try:
            return "purged" if self.customers.purge(id, None, still_due) else "spared"
        except (CustomerNotFound, PreconditionFailed):
            return "spared"
        except Exception as error:
            observability.record_fault(error)
            return "failed"
