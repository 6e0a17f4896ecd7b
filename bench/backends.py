"""The three listings that are compared, each a Lambda handler for the same events."""

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode, urlsplit

from bench.engines import environment
from bench.meter import Meter
from bench.operations import MAX_TRIES, PAGE
from bench.population import Population
from bench.postgres import Server
from bench.walks import NEXT
from tests.handlers import ENVIRONMENT, Answer, Api, Context

OURS, PLAIN, POSTGRES = "ours", "plain indexes", "FastAPI + PostgreSQL"
PATIENCE_MILLISECONDS = 900_000  # of a Lambda function at the most; a local engine is slower than AWS


@dataclass(frozen=True, slots=True)
class Page:
    """What must be the same, whoever answers."""

    ids: tuple[str, ...]
    total: int
    quick_filters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backend:
    name: str
    api: Api
    people: Population
    metered: bool
    repeats: int = 5  # of a page that is timed; 0: its first time counts

    def page(self, query: str) -> Page:
        """One request. Raises `RuntimeError` for any answer but a page."""
        return _page(self.ask(query), query)

    def insist(self, query: str) -> tuple[Page, int]:
        """The page, and how often the answer was that it is too far for one request."""
        for refused in range(MAX_TRIES):
            answer = self.ask(query)
            if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                return _page(answer, query), refused
        raise RuntimeError(f"{self.name} goes on refusing {query}")

    def ask(self, query: str) -> Answer:
        context = Context(lambda: PATIENCE_MILLISECONDS)
        return self.api.call("list_customers", query=query, owner=self.people.owner, context=context)

    def by_offset(self) -> Iterator[Page]:
        """The whole list, newest first."""
        offset, total = 0, 1
        while offset < total:
            page = self.page(f"limit={PAGE}&offset={offset}")
            yield page
            offset, total = offset + PAGE, page.total

    def by_cursor(self) -> Iterator[Page]:
        """Likewise; PostgreSQL's goes on behind the last record, which is what a cursor of it would hold."""
        query: str | None = f"limit={PAGE}"
        while query:
            answer = self.ask(query)
            yield _page(answer, query)
            link = NEXT.search(answer.headers.get("link", ""))
            if link:
                query = urlsplit(link[1]).query
            elif self.name == POSTGRES and len(answer.body["data"]) == PAGE:
                last = answer.body["data"][-1]
                query = urlencode({"limit": PAGE, "after": f"{last['created_at']},{last['id']}"})
            else:
                query = None


def ours(meter: Meter, people: Population, table: str) -> Backend:
    return Backend(OURS, Api({**ENVIRONMENT, **environment(meter.url, table)}), people, metered=True)


def plain(meter: Meter, people: Population, table: str) -> Backend:
    variables = {**ENVIRONMENT, **environment(meter.url, table)}
    return Backend(PLAIN, _peer("bench.peers.plain_gsi", variables), people, metered=True, repeats=0)


def with_postgres(server: Server, people: Population) -> Backend:
    variables = {**ENVIRONMENT, "DATABASE_URL": server.url}
    return Backend(POSTGRES, _peer("bench.peers.fastapi_postgres", variables), people, metered=False)


def _peer(name: str, variables: Mapping[str, str]) -> Api:
    """A module that has just started, under these variables."""
    with patch.dict(os.environ, variables):
        module = importlib.reload(importlib.import_module(name))
    return Api(variables, apps={"list_customers": module})


def _page(answer: Answer, query: str) -> Page:
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(f"{query} was answered with {answer.status}: {json.dumps(answer.body)}")
    body: Any = answer.body
    filters = (body.get("aggregations") or {}).get("quick_filters", {})
    ids = tuple(each["id"] for each in body["data"])
    return Page(ids, body["meta"]["total"], {name: number for name, number in sorted(filters.items()) if number})
