"""What is asked when units are measured: each operation as a client would, through the functions' own handlers."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

from bench.population import Population
from customers import dynamodb, keys, observability
from customers.importing.batches import BATCH_ROWS
from customers.models import Customer
from tests.handlers import Answer, Api, Context, event, message

SORTS = [field for field in keys.SORT_INDEXES if field != "created_at"]
MONTH = {"date_from": "2025-03-01", "date_to": "2025-03-31"}
FENCED_MONTH = {"date_from": "2025-12-01", "date_to": "2025-12-31"}  # among the newest 45 %, where jumps leave fences
LATER = "2026-03-01T00:00:00Z"  # than the event's example
PAGE = 200
LIMIT = 10  # of a page that does not say
PATIENCE_SECONDS = 600  # with an engine on a busy machine
MAX_TRIES = 20  # of a jump that is answered with 503 and a little further each time

type Ask = Callable[[], Answer]
type Prepare = Callable[["Subject"], Ask]  # what is done before, and then what is measured


@contextmanager
def quiet() -> Iterator[None]:
    """Functions say nothing but what goes wrong: their metrics would be lines on standard output.

    They wait for an answer as long as it takes, because a request that they repeated would be counted twice.
    """
    observability.logger.setLevel("ERROR")
    patience = patch.object(dynamodb, "READ_SECONDS", PATIENCE_SECONDS)
    with patience, Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield


@dataclass(frozen=True, slots=True)
class Subject:
    """The functions, over the table of some population."""

    api: Api
    people: Population
    customer: Customer  # a live one of the large owner's, known to many
    numbers: Iterator[int] = field(default_factory=count)

    def call(self, operation: str, id: str | None = None, body: Any = None, /, **options: Any) -> Answer:
        """A request of the large owner that is answered as it should be."""
        answer = self.api.call(operation, id, body, owner=self.people.owner, **options)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{operation} {options} was answered with {answer.status}: {answer.body}")
        return answer

    def page(self, **parameters: Any) -> Answer:
        return self.call("list_customers", query=urlencode(parameters))

    def create(self, **fields: Any) -> str:
        """The id of a new customer."""
        key = f"bench-{next(self.numbers)}"
        return self.call("create_customer", None, {"customer_id": key, **fields}).id

    def tell(self, detail_type: str, **changes: Any) -> Answer:
        """Have an event recorded."""
        detail = event(detail_type)["detail"] | changes
        if self.api.deliver([message(detail_type, detail)]):
            raise RuntimeError(f"{detail_type} was not recorded")
        return Answer(200, {}, None)

    def upload(self, rows: list[str]) -> Answer:
        file = "\n".join(["customer_id,name,status", *rows]).encode()
        answer = self.api.upload(file, owner=self.people.owner, context=Context(lambda: 300_000))
        if answer.status >= HTTPStatus.BAD_REQUEST or answer.body["skipped"]:
            raise RuntimeError(f"An import was answered with {answer}")
        return answer

    def forget(self) -> None:
        """From now on, functions that have just started."""
        self.api.apps.clear()


@dataclass(frozen=True, slots=True)
class Operation:
    """A name, as the README's table has it, and how to do it. `writes`: it leaves the listing changed."""

    name: str
    prepare: Prepare
    writes: bool = False


def listing(**parameters: Any) -> Prepare:
    """A page, of functions that have been asked before."""

    def prepare(subject: Subject) -> Ask:
        subject.page(limit=1)
        return lambda: subject.page(**parameters)

    return prepare


def get(subject: Subject) -> Ask:
    return lambda: subject.call("get_customer", subject.customer.id)


def of_contacted(operation: str, **parameters: Any) -> Prepare:
    """A read around a customer that is enrolled in two campaigns and was called in one."""

    def prepare(subject: Subject) -> Ask:
        id = _contacted(subject)
        return lambda: subject.call(operation, id, query=urlencode(parameters))

    return prepare


def _contacted(subject: Subject) -> str:
    id, number = subject.create(name="Ada", status="lead"), next(subject.numbers)
    for campaign in (_uuid(number, 1), _uuid(number, 2)):
        subject.tell("CampaignUpserted", id=campaign)
        subject.tell("TargetUpserted", customer=id, campaign_id=campaign)
    subject.tell("CallUpserted", customer=id, id=_uuid(number, 3), campaign_id=_uuid(number, 1))
    return id


def _uuid(number: int, what: int) -> str:
    return f"{number:08x}-{what:04x}-4000-8000-000000000000"


def create(subject: Subject) -> Ask:
    subject.create()  # a function's first one also enters the owner
    return lambda: subject.call("create_customer", None, {"customer_id": "new", "name": "Ada", "status": "lead"})


def update(**changes: Any) -> Prepare:
    def prepare(subject: Subject) -> Ask:
        id = subject.create(name="Ada", status="lead")
        return lambda: subject.call("update_customer", id, changes)

    return prepare


def delete(subject: Subject) -> Ask:
    id = subject.create(name="Ada", status="lead")
    return lambda: subject.call("delete_customer", id)


def purge(subject: Subject) -> Ask:
    id = subject.create(name="Ada", status="of nobody else")  # and so its count is dropped as well
    return lambda: subject.call("delete_customer", id, query="purge=true")


def restore(subject: Subject) -> Ask:
    id = subject.create(name="Ada", status="lead")
    subject.call("delete_customer", id)
    return lambda: subject.call("restore_customer", id)


def told(detail_type: str, **changes: Any) -> Prepare:
    """An event of a customer that is enrolled in the event's campaign already."""

    def prepare(subject: Subject) -> Ask:
        id = subject.create(name="Ada", status="lead")
        subject.tell("TargetUpserted", customer=id)
        return lambda: subject.tell(detail_type, customer=id, **changes)

    return prepare


def imported(*, known: bool) -> Prepare:
    def prepare(subject: Subject) -> Ask:
        ids = [f"row-{known}-{n:02}" for n in range(BATCH_ROWS)]
        subject.upload([f"{id},Ada,lead" for id in (ids if known else ["row-0"])])
        return lambda: subject.upload([f"{id},Bob,lead" for id in ids])

    return prepare


def next_of_a_walk(subject: Subject) -> Ask:
    """The page that follows, in the middle of the list, on others that were asked for by their offsets."""
    middle = subject.people.live // 2
    for offset in (middle, middle + LIMIT):
        until_answered(subject, offset=offset)
    return lambda: subject.page(offset=middle + 2 * LIMIT)


def jump(share: float, *before: float, **parameters: Any) -> Prepare:
    """A page of ten at this share of the list, after jumps to others."""

    def prepare(subject: Subject) -> Ask:
        def to(where: float) -> Answer:
            return until_answered(subject, offset=round(where * subject.people.live), **parameters)

        subject.page(limit=1)
        for each in before:
            to(each)
        return lambda: to(share)

    return prepare


def until_answered(subject: Subject, **parameters: Any) -> Answer:
    """A page that may be too far for one request: then 503 says so, and the next try goes on from there."""
    for _ in range(MAX_TRIES):
        answer = subject.api.call("list_customers", query=urlencode(parameters), owner=subject.people.owner)
        if answer.status == HTTPStatus.OK:
            return answer
        if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
            break
    raise RuntimeError(f"A page at {parameters} was answered with {answer}")


def first_search(subject: Subject) -> Ask:
    subject.forget()
    subject.page(limit=1)
    return lambda: subject.page(q=subject.customer.surname)


def warm_search(subject: Subject) -> Ask:
    subject.page(q="an")
    return lambda: subject.page(q=subject.customer.surname)


OPERATIONS = (
    Operation("list, newest first", listing()),
    *(Operation(f"list by {field}", listing(sort_field=field)) for field in SORTS),
    Operation("list, ascending by name", listing(sort_field="name", sort_dir="asc")),
    Operation("list, one page of 200", listing(limit=PAGE)),
    Operation("list of a status", listing(status="lead")),
    Operation("list of a rare status by name", listing(status="vip", sort_field="name")),
    Operation("list of a frequent status by name", listing(status="lead", sort_field="name")),
    Operation("list of a month", listing(**MONTH)),
    Operation("list of a month by name", listing(**MONTH, sort_field="name")),
    Operation("list, with quick filters", listing(include_aggregations="true")),
    Operation("list of a month, with quick filters", listing(**MONTH, include_aggregations="true")),
    Operation("list, deleted ones included", listing(include_deleted="true")),
    Operation("list of the deleted ones", listing(only_deleted="true")),
    Operation("a far jump, the first", jump(0.4501)),
    Operation("a far jump, between fences", jump(0.31125, 0.4501)),
    Operation("a far jump by name, the first", jump(0.4501, sort_field="name")),
    Operation("a far jump by name, between fences", jump(0.31125, 0.4501, sort_field="name")),
    Operation("list of a month between fences", listing(**FENCED_MONTH)),
    Operation("the next page of a walk by offset", next_of_a_walk),
    Operation("search, the first of an owner", first_search),
    Operation("search, warm", warm_search),
    Operation("get", get),
    Operation("detail", of_contacted("get_customer_detail"), writes=True),
    Operation("campaigns of a customer", of_contacted("list_customer_campaigns"), writes=True),
    Operation("activity, all or of some types", of_contacted("list_customer_activity"), writes=True),
    Operation("activity, otherwise filtered", of_contacted("list_customer_activity", outcome="answered"), writes=True),
    Operation("create", create, writes=True),
    Operation("update of a name", update(name="Bob"), writes=True),
    Operation("update of a status", update(status="customer"), writes=True),
    Operation("delete", delete, writes=True),
    Operation("restore", restore, writes=True),
    Operation("purge of a live one", purge, writes=True),
    Operation(
        "event: an enrolment that has changed", told("TargetUpserted", updated_at="2026-03-01T00:00:00Z"), writes=True
    ),
    Operation("event: a new call of a campaign", told("CallUpserted"), writes=True),
    Operation("event: a new message of no campaign", told("MessageSent", campaign_id=None), writes=True),
    Operation("import: 40 new rows", imported(known=False), writes=True),
    Operation("import: 40 rows with a new name", imported(known=True), writes=True),
)
