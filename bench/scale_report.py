"""What `scale` has found, as tables, as JSON and as a plot."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table as Grid

from bench import results
from bench.backends import OURS, POSTGRES
from bench.latency import MEGABYTE_MILLISECONDS, TRIP_MILLISECONDS
from bench.scale_plot import draw


@dataclass(frozen=True, slots=True)
class Measured:
    """One listing by one backend. Units and trips are those of the first call, times the medians of later ones."""

    case: str
    backend: str
    customers: int
    milliseconds: float
    total: int
    read_units: float | None = None  # of an engine that has them
    trips: int | None = None
    modelled_milliseconds: float | None = None
    refused: int = 0  # times that the first call was answered with 503 before it was answered


@dataclass(frozen=True, slots=True)
class Searched:
    """The query log by one backend, in milliseconds."""

    backend: str
    customers: int
    queries: int
    p50: float
    p95: float
    what: str
    by_kind: Mapping[str, float] = field(default_factory=dict)  # medians


@dataclass(frozen=True, slots=True)
class Walked:
    """The whole list, 200 a page, by one backend."""

    backend: str
    customers: int
    way: str
    seconds: float
    last_page_milliseconds: float
    read_units: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured; `conditions` by size and engine."""

    listings: list[Measured] = field(default_factory=list[Measured])
    searches: list[Searched] = field(default_factory=list[Searched])
    walks: list[Walked] = field(default_factory=list[Walked])
    conditions: dict[str, Any] = field(default_factory=dict[str, Any])


def tables(found: Found) -> Iterator[Grid]:
    for live in dict.fromkeys(each.customers for each in found.listings):
        yield _listings([each for each in found.listings if each.customers == live])
    yield _walks(found.walks)
    yield _log(found.searches)


def _listings(measured: Sequence[Measured]) -> Grid:
    grid = Grid(
        *("listing", "by", "total", "read units", "trips", "model, ms", "engine, ms"),
        title=f"{measured[0].customers:,} customers",
        caption=f"model: {TRIP_MILLISECONDS:g} ms a trip and {MEGABYTE_MILLISECONDS:g} ms a MB, pages in sequence",
    )
    last = ""
    for each in measured:
        units = ["", "", ""]
        if each.read_units is not None:
            units = [f"{each.read_units:,g}", f"{each.trips}", f"{each.modelled_milliseconds:,.0f}"]
        name, last = "" if each.case == last else each.case, each.case
        grid.add_row(name, each.backend, f"{each.total:,}", *units, f"{each.milliseconds:,.1f}")
    return grid


def _walks(walks: Sequence[Walked]) -> Grid:
    grid = Grid("walk", "way", "customers", "s", "last page, ms", "read units", title="The whole list, 200 a page")
    for each in walks:
        units = "" if each.read_units is None else f"{each.read_units:,g}"
        times = f"{each.seconds:,}", f"{each.last_page_milliseconds:,}"
        grid.add_row(each.backend, each.way, f"{each.customers:,}", *times, units)
    return grid


def _log(searches: Sequence[Searched]) -> Grid:
    grid = Grid("query log", "customers", "queries", "what", "p50, ms", "p95, ms", title="Searches")
    for each in searches:
        numbers = f"{each.customers:,}", f"{each.queries}"
        grid.add_row(each.backend, *numbers, each.what, f"{each.p50:,}", f"{each.p95:,}")
    return grid


def keep(found: Found) -> None:
    measured = {
        "model": {"trip_milliseconds": TRIP_MILLISECONDS, "megabyte_milliseconds": MEGABYTE_MILLISECONDS},
        "sizes": found.conditions,
        "listings": [asdict(each) for each in found.listings],
        "walks": [asdict(each) for each in found.walks],
        "searches": [asdict(each) for each in found.searches],
    }
    results.write("scale", measured, list(_goals(found.searches)), ["boto3", "fastapi", "psycopg", "sqlalchemy"])
    draw(found.listings)


def _goals(searches: Sequence[Searched]) -> Iterator[results.Goal]:
    """The search's own time against the p95 of PostgreSQL's, at the largest size."""
    largest = max(each.customers for each in searches)
    p95 = {(each.backend, each.what): each.p95 for each in searches if each.customers == largest}
    ratio = p95[OURS, "processor alone"] / p95[POSTGRES, "as answered"]
    yield results.Goal(f"search of {largest:,}, p95: ours, processor alone / PostgreSQL", ratio, 1.0)
