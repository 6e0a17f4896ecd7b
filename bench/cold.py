"""Cold starts: the import of a handler and its first call, each in a fresh process under Lambda's own runtime client.

Processor time is that of the process, user and system. DynamoDB is a stub on another processor. A start that does not
answer as it should ends the benchmark: what fails looks fast.
"""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Grid

from bench import plots, results
from bench.plots import Bar, Panel
from bench.results import Goal
from bench.starter import Figures, Starter, drop_from_page_cache, starter
from bench.variants import FASTAPI, OURS, PROCESSORS, PYDANTIC_FLOOR, RESOLVER, Variant, variants
from tests.handlers import OPERATIONS

COMPARED = "get_customer"
RUNS = 21
DROPPED_RUNS = 7
PACKAGES = ("awslambdaric", "boto3", "botocore", "aws-lambda-powertools", "pydantic", "fastapi", "mangum", "pynamodb")
# Of those over HTTP: imports and exports are dearer, because they deal in files.
PLAIN_OPERATIONS = [name for name in OPERATIONS if name != COMPARED and not re.search("import|export", name)]
NOTE = (
    "Ours: the layer of make build, with botocore's data for the services it uses. Peers: their packages as published, "
    "with all of botocore's data. Both have bytecode that is not compared with its source. Opened files are those that "
    "Python opens (audit event open): shared libraries are not among them."
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench PART=cold", description=__doc__)
    parser.add_argument("--only", nargs="+", default=(), help="operations or variants; nothing is written then")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--no-callgrind", action="store_true", help="count no instructions")
    parser.add_argument("--no-dropped", action="store_true", help="leave the page cache alone")
    asked = parser.parse_args(arguments)
    console = Console(stderr=True)
    counting = not asked.no_callgrind and bool(shutil.which("valgrind"))
    if not asked.no_callgrind and not counting:
        console.print("Instructions are not counted: valgrind is not installed")
    with results.alone():
        chosen = variants(asked.only)
        if not chosen:
            parser.error(f"nothing is called {' or '.join(asked.only)}")
        os.sched_setaffinity(0, {PROCESSORS[0]})
        with starter() as start:
            measured = measure(start, chosen, asked, counting=counting, console=console)
    goals = list(goals_of(measured))
    Console().print(table(measured), results.table_of(goals), NOTE)
    if not asked.only:
        results.write("cold", {"runs": asked.runs, "note": NOTE, "variants": measured}, goals, PACKAGES)
        plots.save("cold", list(panels_of(measured)))
    return 0


def measure(
    start: Starter, chosen: Sequence[Variant], asked: argparse.Namespace, *, counting: bool, console: Console
) -> list[dict[str, Any]]:
    """Every variant once in each round, so that what disturbs the machine disturbs all.

    Instructions, and starts from disk, of what peers do too, or of what was chosen: they take long.
    """
    compared = [variant for variant in chosen if asked.only or variant.operation == COMPARED]
    runs: dict[Variant, list[Figures]] = {variant: [] for variant in chosen}
    dropped: dict[Variant, list[Figures]] = {variant: [] for variant in chosen}
    rest: dict[Variant, Figures] = {}
    with Progress(console=console) as progress:
        for variant in progress.track(chosen, description="Modules and files"):
            rest[variant] = start.inspect(variant)
        for _ in progress.track(range(asked.runs), description="Starts"):
            for variant in chosen:
                runs[variant].append(start.start(variant))
        for _ in progress.track(
            range(0 if asked.no_dropped else min(asked.runs, DROPPED_RUNS)), description="Starts from disk"
        ):
            for variant in compared:
                drop_from_page_cache(variant)
                dropped[variant].append(start.start(variant))
        for variant in progress.track(compared if counting else (), description="Instructions"):
            rest[variant]["instructions"] = start.instructions(variant)
    return [
        {"variant": v.name, "operation": v.operation, **medians(runs[v]), **medians(dropped[v], "dropped_"), **rest[v]}
        for v in chosen
    ]


def medians(runs: Sequence[Figures], prefix: str = "") -> Figures:
    names = ("init_cpu_ms", "cpu_ms", "wall_ms") if runs else ()
    return {prefix + name: round(median(run[name] for run in runs), 2) for name in names}


def table(measured: Sequence[Mapping[str, Any]]) -> Grid:
    columns = {
        "CPU, ms": "cpu_ms",
        "of it init": "init_cpu_ms",
        "wall, ms": "wall_ms",
        "CPU from disk": "dropped_cpu_ms",
        "wall from disk": "dropped_wall_ms",
        "M instructions": "instructions",
        "modules": "modules",
        "files opened": "opens",
    }
    grid = Grid("variant", "operation", title="Cold start: import and first call")
    for column in columns:
        grid.add_column(column, justify="right")
    for each in measured:
        grid.add_row(each["variant"], each["operation"], *(shown(name, each.get(name)) for name in columns.values()))
    return grid


def shown(name: str, figure: float | None) -> str:
    """A figure in the table; those that were not asked for are left blank."""
    if figure is None:
        return ""
    return f"{figure / 1e6:,.0f}" if name == "instructions" else f"{figure:,.1f}".removesuffix(".0")


def panels_of(measured: Sequence[Mapping[str, Any]]) -> Iterator[Panel]:
    """The variants of one operation with each other, then our functions with each other."""
    gets = [each for each in measured if each["operation"] == "get_customer"]
    yield panel("Cold get_customer, import and first call: processor time", gets, gets[0], "variant")
    ours = [each for each in measured if each["variant"] == OURS]
    yield panel("Our functions", sorted(ours, key=lambda each: float(each["cpu_ms"])), gets[0], "operation")


def panel(title: str, measured: Sequence[Mapping[str, Any]], unit: Mapping[str, Any], label: str) -> Panel:
    bars = [
        Bar(
            each[label],
            each["cpu_ms"],
            f"{each['cpu_ms']:.0f} ms, ×{each['cpu_ms'] / unit['cpu_ms']:.2f}",
            plots.colour_of(each["variant"]),
        )
        for each in measured
    ]
    return Panel(f"{title} (× {unit['variant']}, {unit['operation']})", "ms", bars)


def goals_of(measured: Sequence[Mapping[str, Any]]) -> Iterator[Goal]:
    """What the project aims at, of what was measured."""
    found = {(each["variant"], each["operation"]): each for each in measured}
    get = found.get((OURS, "get_customer"), {})
    for peer, figure, at_most in (
        (FASTAPI, "cpu_ms", 0.45),
        (RESOLVER, "cpu_ms", 0.58),
        (PYDANTIC_FLOOR, "instructions", 2.0),
    ):
        other = found.get((peer, "get_customer"), {})
        if figure in get and figure in other:
            yield Goal(f"cold get_customer to {peer}, {figure}", get[figure] / other[figure], at_most)
    others = [each for (variant, name), each in found.items() if variant == OURS and name in PLAIN_OPERATIONS]
    for figure in ("cpu_ms", "instructions") if others else ():
        if figure in get and all(figure in each for each in others):
            worst = max(others, key=lambda each: float(each[figure]))
            name = f"cold {worst['operation']}, the dearest other, to get_customer, {figure}"
            yield Goal(name, worst[figure] / get[figure], 1.25)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
