"""What each operation consumes, however many customers there are: `python -m bench units --sizes 1000 100000 1000000`.

The functions' own handlers ask an engine that reports units by table and index. What a write costs does not depend on
how many others there are: that is asked once, of another engine (see `engines`).
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Grid

from bench import load_data, plots, results
from bench.engines import EXTENDDB, NotToBeHad, environment
from bench.load_data import fill, loaded
from bench.meter import TABLE, Call, Meter, Units, consumed, metered, sequential
from bench.operations import OPERATIONS, Operation, Subject, quiet
from bench.population import Population
from bench.walks import Walked, walks
from customers.models import Customer
from tests.handlers import ENVIRONMENT, Api
from tools.engine import started

SIZES = (1_000, 100_000)
FEW = 1_000  # customers, where what writes cost is asked
HOLD_MILLISECONDS = 30  # what an answer takes at least, so that requests side by side overlap
WALKED_TO = 100_000  # customers, up to which the whole list is walked
EN_ROUTE = 7  # of the customers made, the one that is asked for
GOALS = (  # of read units at the largest size, and sequential trips
    ("list, newest first", 3, 1),
    ("list by name", 8, 2),
    ("list, with quick filters", 2, None),
    ("the next page of a walk by offset", 10, None),
    ("a far jump, between fences", 40, None),
    ("a far jump by name, between fences", 40, None),
    ("list of a month between fences", 60, None),
    ("search, warm", 12, 2),
    ("get", 1, 1),
)
WALK_BY_OFFSET = 1.2  # of the units of a walk by cursor, at the most


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call took. Bytes are those that the engine answered, and those of the function's answer."""

    trips: int
    requests: int
    read: Units
    written: Units
    table_bytes: int
    answer_bytes: int

    @property
    def read_units(self) -> float:
        return sum(self.read.values())

    @property
    def write_units(self) -> float:
        return sum(self.written.values())

    def json(self) -> dict[str, Any]:
        return {
            "trips": self.trips,
            "requests": self.requests,
            "read_units": self.read_units,
            "write_units": self.write_units,
            "read": self.read,
            "written": self.written,
            "table_bytes": self.table_bytes,
            "answer_bytes": self.answer_bytes,
        }


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench units", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="how many customers")
    sizes: Sequence[int] = parser.parse_args(argv).sizes
    console = Console()
    try:
        with quiet(), Progress(console=Console(stderr=True)) as progress:
            written = _written(progress)
            measured = {live: _measure(live, written, progress) for live in sizes}
    except NotToBeHad as problem:
        console.print(f"[red]No units were measured.[/red] {problem}")
        return 1
    for grid in _tables(measured):
        console.print(grid)
    _keep(measured)
    wrong = sum(walked.wrong for of in measured.values() for walked in of.walked)
    if wrong:
        console.print(f"[red]{wrong} records were shown twice or not at all while others wrote.[/red]")
    return int(wrong > 0)


@dataclass(frozen=True, slots=True)
class Measured:
    """One size."""

    engine: str
    load_seconds: float
    costs: Mapping[str, Cost]
    walked: Sequence[Walked]


def _measure(live: int, written: Mapping[str, Units], progress: Progress) -> Measured:
    with loaded(live) as of, metered(of.engine.url) as meter:
        subject = _subject(of.people, meter)
        costs = dict(_costs(subject, meter, OPERATIONS, progress))
        costs |= {name: replace(costs[name], written=units) for name, units in written.items()}
        meter.hold(0)
        walked = list(walks(subject, meter, progress)) if live <= WALKED_TO else []
        return Measured(of.engine.name, of.load_seconds, costs, walked)


def _written(progress: Progress) -> Mapping[str, Units]:
    """The write units of operations that write. Raises `AssertionError` if ExtendDB says otherwise of the table's."""
    writing = [each for each in OPERATIONS if each.writes]
    with TemporaryDirectory() as place, started(Path(place)) as engine, metered(engine) as meter:
        fill(Population(FEW), engine)
        said = dict(_costs(_subject(Population(FEW), meter), meter, writing, progress))
    with loaded(FEW, EXTENDDB) as of, metered(of.engine.url) as meter:
        second = dict(_costs(_subject(of.people, meter), meter, writing, progress))
    pairs = {name: (cost.written[TABLE], second[name].written[TABLE]) for name, cost in said.items() if cost.written}
    different = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if different:
        raise AssertionError(f"Two engines disagree on write units: {different}")
    return {name: cost.written for name, cost in said.items()}


def _subject(people: Population, meter: Meter) -> Subject:
    api = Api({**ENVIRONMENT, **environment(meter.url, load_data.TABLE)})
    return Subject(api, people, _customer(people))


def _customer(people: Population) -> Customer:
    live = (customer for customer in people.customers() if customer.state == "live" and customer.email)
    return next(customer for number, customer in enumerate(live) if number >= EN_ROUTE)


def _costs(
    subject: Subject, meter: Meter, operations: Sequence[Operation], progress: Progress
) -> Iterator[tuple[str, Cost]]:
    meter.hold(HOLD_MILLISECONDS)
    for operation in progress.track(operations, description=f"Measuring at {subject.people.live:,}"):
        ask = operation.prepare(subject)
        meter.take()
        answer = ask()
        yield operation.name, _cost(meter.take(), len(json.dumps(answer.body, ensure_ascii=False).encode()))


def _cost(calls: Sequence[Call], answer_bytes: int) -> Cost:
    return Cost(
        trips=sequential(calls),
        requests=len(calls),
        read=consumed(calls, reads=True),
        written=consumed(calls, reads=False),
        table_bytes=sum(call.bytes for call in calls),
        answer_bytes=answer_bytes,
    )


def _tables(measured: Mapping[int, Measured]) -> Iterator[Grid]:
    columns = [f"{live:,}" for live in measured]
    titles: Mapping[str, Callable[[Cost], float]] = {
        "read units": lambda cost: cost.read_units,
        "write units": lambda cost: cost.write_units,
        "sequential trips": lambda cost: cost.trips,
        "bytes from the table": lambda cost: cost.table_bytes,
    }
    for title, figure in titles.items():
        grid = Grid("operation", *columns, title=f"{title}, by number of customers")
        for operation in OPERATIONS:
            grid.add_row(operation.name, *(f"{figure(of.costs[operation.name]):,g}" for of in measured.values()))
        yield grid
    grid = Grid("walk", "customers", "pages", "read units", "write units", "wrong", title="The whole list, 200 a page")
    for live, of in measured.items():
        for walked in of.walked:
            grid.add_row(walked.name, f"{live:,}", *(f"{figure:,g}" for figure in walked.figures))
    yield grid


def _keep(measured: Mapping[int, Measured]) -> None:
    sizes = {
        str(live): {
            "engine": of.engine,
            "load_seconds": of.load_seconds,
            "operations": {name: cost.json() for name, cost in of.costs.items()},
            "walks": [asdict(walked) for walked in of.walked],
        }
        for live, of in measured.items()
    }
    results.write("units", {"sizes": sizes}, list(_goals(measured)), ["boto3", "pydantic"])
    plots.save("units", list(_panels(measured)))


def _goals(measured: Mapping[int, Measured]) -> Iterator[results.Goal]:
    costs = measured[max(measured)].costs
    for name, units, trips in GOALS:
        yield results.Goal(f"{name}: read units", costs[name].read_units, units)
        if trips:
            yield results.Goal(f"{name}: trips", costs[name].trips, trips)
    for live, of in measured.items():
        read = {walked.name: walked.read_units for walked in of.walked}
        if read:
            yield results.Goal(
                f"walk of {live:,} by offset / by cursor", read["by offset"] / read["by cursor"], WALK_BY_OFFSET
            )
            wrong = sum(walked.wrong for walked in of.walked)
            yield results.Goal(f"walks of {live:,} while others write: records not shown once", wrong, 0)


def _panels(measured: Mapping[int, Measured]) -> Iterator[plots.Panel]:
    """Bars of the largest size, with the figures of all."""
    largest = measured[max(measured)].costs
    sizes = " / ".join(f"{live:,}" for live in measured)
    figures: Mapping[str, Callable[[Cost], float]] = {
        "read units": lambda cost: cost.read_units,
        "write units": lambda cost: cost.write_units,
    }
    for unit, figure in figures.items():
        shown = [each.name for each in OPERATIONS if 0 < figure(largest[each.name]) <= 100]  # noqa: PLR2004 - legible
        bars = [
            plots.Bar(
                name,
                figure(largest[name]),
                " / ".join(f"{figure(of.costs[name]):g}" for of in measured.values()),
                plots.OURS_COLOUR,
            )
            for name in shown
        ]
        yield plots.Panel(f"{unit} of one call with {sizes} customers", unit, bars)
