"""The same listings with ever more customers, beside what a user might pick instead: `python -m bench scale`.

Ours and a plain use of the same indexes (`peers.plain_gsi`) ask one engine that reports units; FastAPI, SQLAlchemy and
PostgreSQL have the same data on the same machine. All answers must be the same. No engine here has DynamoDB's latency:
read units, round trips and bytes first, engine times second, and third what a stated model makes of them.
"""

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from urllib.parse import urlencode

from rich.console import Console
from rich.progress import Progress

from bench import load_data, postgres, query_log
from bench.backends import OURS, Backend, Page, ours, plain, with_postgres
from bench.engines import NotToBeHad
from bench.latency import modelled
from bench.load_data import loaded
from bench.meter import Meter, consumed, metered, sequential
from bench.operations import PAGE, quiet
from bench.population import Population
from bench.scale_report import Found, Measured, Searched, Walked, keep, tables

SIZES = (1_000, 100_000)
HOLD_MILLISECONDS = 30
PLAIN_UP_TO = 100_000  # customers: it reads all of them for each page
WALKED_TO = 100_000  # customers: an offset of PostgreSQL's reads all that it skips
SHARES = (0.0, 0.01, 0.5, 0.99)
RARE, FREQUENT = "vip", "lead"
MONTH = {"date_from": "2025-03-01T00:00:00Z", "date_to": "2025-03-31T23:59:59.999999Z"}

type Parameters = Mapping[str, str]


def cases(people: Population) -> Iterator[tuple[str, Parameters]]:
    """Listings by a name for each."""
    for share in SHARES:
        yield f"offset {share:.0%}", {"offset": str(min(round(share * people.live), people.live - 10))}
    for sort in ("updated_at", "status", "name", "surname", "email", "phone", "customer_id"):
        yield f"by {sort}", {"sort_field": sort}
    yield "by name, ascending", {"sort_field": "name", "sort_dir": "asc"}
    yield "by name, offset 50%", {"sort_field": "name", "offset": str(people.live // 2)}
    yield "1% have the status", {"status": RARE}
    yield "40% have the status", {"status": FREQUENT}
    yield "1% have the status, by name", {"status": RARE, "sort_field": "name"}
    yield "40% have the status, by name", {"status": FREQUENT, "sort_field": "name"}
    yield "a month", MONTH
    yield "a month, by name", {**MONTH, "sort_field": "name"}
    yield "quick filters", {"include_aggregations": "true"}
    yield "a month, quick filters", {**MONTH, "include_aggregations": "true"}
    yield "deleted included", {"include_deleted": "true"}
    common, rare = _terms(people)
    yield "q that many have, the first search", {"q": common}
    yield "q that few have", {"q": rare}
    yield "q that nobody has", {"q": "zzzyyyxxx"}


def _terms(people: Population) -> tuple[str, str]:
    person = next(each for each in people.customers() if each.email and each.state == "live")
    return "an", str(person.email)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="how many customers")
    parser.add_argument("--only", nargs="+", default=(), metavar="CASE", help="listings whose name has one of these")
    arguments = parser.parse_args(argv)
    console = Console()
    found = Found()
    try:
        with quiet(), Progress(console=Console(stderr=True)) as progress:
            for live in arguments.sizes:
                _measure(Population(live), arguments.only, progress, found)
    except NotToBeHad as problem:
        console.print(f"[red]Nothing was measured.[/red] {problem}")
        return 1
    for grid in tables(found):
        console.print(grid)
    if not arguments.only:
        keep(found)
    return 0


def _measure(people: Population, only: Sequence[str], progress: Progress, found: Found) -> None:
    """One size, all backends; adds to what is found. Raises `AssertionError` for any answer that differs."""
    with ExitStack() as stack:
        of = stack.enter_context(loaded(people.live))
        server = stack.enter_context(postgres.filled(people))
        meter = stack.enter_context(metered(of.engine.url))
        backends = [ours(meter, people, load_data.TABLE), with_postgres(server, people)]
        if people.live <= PLAIN_UP_TO:
            backends.append(plain(meter, people, load_data.TABLE))
        found.conditions[str(people.live)] = {
            of.engine.name: {"load_seconds": of.load_seconds},
            server.version: {"load_seconds": server.load_seconds},
        }
        wanted = [each for each in cases(people) if not only or any(part in each[0] for part in only)]
        for name, parameters in progress.track(wanted, description=f"Listing {people.live:,}"):
            found.listings.extend(_compared(name, parameters, backends, meter))
        if people.live <= WALKED_TO and (not only or "walk" in only):
            found.walks.extend(_walked(people, backends[:2], meter, progress))
        if not only or "log" in only:
            found.searches.extend(_searched(people, backends[:2], progress))


def _compared(name: str, parameters: Parameters, backends: Sequence[Backend], meter: Meter) -> Iterator[Measured]:
    pages = dict[str, Page]()
    for backend in backends:
        pages[backend.name], measured = _listed(name, parameters, backend, meter)
        yield measured
    expected = pages[OURS]
    for backend_name, page in pages.items():
        if page != expected:
            raise AssertionError(f"{name}: {backend_name} answers {page}, {OURS} {expected}")


def _listed(name: str, parameters: Parameters, backend: Backend, meter: Meter) -> tuple[Page, Measured]:
    query = urlencode(parameters)
    if backend.repeats:
        backend.page("limit=1")  # a function that has answered before
    meter.hold(HOLD_MILLISECONDS)
    meter.take()
    started = time.perf_counter()
    first, refused = backend.insist(query)
    times = [1000 * (time.perf_counter() - started)]
    calls = meter.take()
    meter.hold(0)
    for _ in range(backend.repeats):
        started = time.perf_counter()
        page = backend.page(query)
        times.append(1000 * (time.perf_counter() - started))
        if page != first:
            raise AssertionError(f"{name}: {backend.name} answers {page}, before {first}")
    times = times[1:] or times
    common = (name, backend.name, backend.people.live, round(median(times), 2), first.total)
    if not backend.metered:
        return first, Measured(*common)
    units = sum(consumed(calls, reads=True).values())
    return first, Measured(*common, units, sequential(calls), round(modelled(calls), 1), refused)


def _walked(people: Population, backends: Sequence[Backend], meter: Meter, progress: Progress) -> Iterator[Walked]:
    """By offset and by cursor. Raises `AssertionError` unless each shows every record once, in the same order."""
    orders = set[tuple[str, ...]]()
    for backend in backends:
        for way, follow in {"by offset": backend.by_offset, "by cursor": backend.by_cursor}.items():
            meter.take()
            began = started = time.perf_counter()
            ids, page_seconds = list[str](), 0.0
            for page in progress.track(follow(), total=people.live // PAGE, description=f"{backend.name} {way}"):
                page_seconds = time.perf_counter() - started
                started = time.perf_counter()
                ids += page.ids
            seconds = time.perf_counter() - began
            units = sum(consumed(meter.take(), reads=True).values()) if backend.metered else None
            orders.add(tuple(ids))
            yield Walked(backend.name, people.live, way, round(seconds, 2), round(1000 * page_seconds, 1), units)
    if len(orders) != 1 or len(orders.pop()) != people.live:
        raise AssertionError("The walks show different records, or the same in different orders")


def _searched(people: Population, backends: Sequence[Backend], progress: Progress) -> Iterator[Searched]:
    """The query log: of ours also the processor's time alone, which is the search's own."""
    log = list(query_log.queries(people))
    answers = dict[str, list[Page]]()
    for backend in backends:
        backend.page("q=an")  # what is cached is now warm
        wall, own = list[float](), list[float]()
        answers[backend.name] = []
        for _, text in progress.track(log, description=f"Searching {people.live:,}: {backend.name}"):
            started, processor = time.perf_counter(), time.process_time()
            answers[backend.name].append(backend.page(urlencode({"q": text})))
            wall.append(1000 * (time.perf_counter() - started))
            own.append(1000 * (time.process_time() - processor))
        yield _summary(backend, log, wall, "as answered")
        if backend.metered:
            yield _summary(backend, log, own, "processor alone")
    for (kind, text), ours_page, theirs in zip(log, *answers.values(), strict=True):
        if ours_page != theirs:
            raise AssertionError(f"{kind} {text!r}: ours {ours_page}, PostgreSQL {theirs}")


def _summary(backend: Backend, log: Sequence[tuple[str, str]], times: Sequence[float], what: str) -> Searched:
    ordered = sorted(times)
    p50, p95 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95))
    kinds = {kind for kind, _ in log}
    by_kind = {
        kind: round(median(each for (of, _), each in zip(log, times, strict=True) if of == kind), 2)
        for kind in sorted(kinds)
    }
    return Searched(backend.name, backend.people.live, len(times), round(p50, 2), round(p95, 2), what, by_kind)
