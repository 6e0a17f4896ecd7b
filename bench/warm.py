"""Processor time of a warm request, all variants in one process, in turn, over the same canned DynamoDB.

Their answers are compared first: whoever answers less would be no peer.
"""

import argparse
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from statistics import quantiles
from typing import Any

from awslambdaric.lambda_context import LambdaContext
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Grid

from bench import plots, results, stub
from bench.plots import Bar, Panel
from bench.results import Goal
from bench.variants import OURS, PEER_OF, PROCESSORS, RESOLVER, comparable_event, environment
from tests.handlers import FAR_FUTURE, Api

RUNS = 300
WARM_UP = 20
PACKAGES = ("boto3", "botocore", "aws-lambda-powertools", "pydantic", "fastapi", "mangum", "pynamodb")
UNLIKE = ("id", "created_at", "updated_at")  # of two created records


@dataclass(frozen=True, slots=True)
class Case:
    """A request that is measured, and what we aim at, as a ratio to the resolver's."""

    name: str
    operation: str
    at_most: float
    limit: int = 0


CASES = (
    Case("get", "get_customer", 0.55),
    Case("list of 10", "list_customers", 0.45, 10),
    Case("list of 200", "list_customers", 0.18, 200),
    Case("create", "create_customer", 0.7),
)

type Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


class DifferentAnswerError(RuntimeError):
    """Two variants answer the same request differently."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench PART=warm", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=(), help=f"of {', '.join(case.name for case in CASES)}; nothing is written then"
    )
    parser.add_argument("--runs", type=int, default=RUNS)
    asked = parser.parse_args(arguments)
    cases = [case for case in CASES if not asked.only or case.name in asked.only]
    if not cases:
        parser.error(f"nothing is called {' or '.join(asked.only)}")
    with results.alone(), stub.running(PROCESSORS[0]) as endpoint:
        os.sched_setaffinity(0, {PROCESSORS[-1]})
        measured = measure(endpoint, cases, asked.runs)
    goals = list(goals_of(measured))
    Console().print(table(measured), results.table_of(goals))
    if not asked.only:
        results.write("warm", {"runs": asked.runs, "cases": measured}, goals, PACKAGES)
        plots.save("warm", [panel_of(case, measured) for case in CASES])
    return 0


def measure(endpoint: str, cases: Sequence[Case], runs: int) -> list[dict[str, Any]]:
    os.environ.update(environment(endpoint))
    measured: list[dict[str, Any]] = []
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))  # Lambda's runtime has one, too
    with silence(), Progress(console=Console(stderr=True)) as progress:
        for case in cases:
            handlers = dict(handlers_of(case.operation))
            compare(case, handlers)
            tame_collector()
            times: dict[str, list[int]] = {name: [] for name in handlers}
            for _ in progress.track(range(runs), description=case.name):
                for name, handler in handlers.items():
                    times[name].append(processor_time(handler, case))
            measured += summary(case, times)
    return measured


@contextmanager
def silence() -> Iterator[None]:
    """Let logs be written, but nowhere: the descriptor is changed, because loggers have taken hold of `sys.stdout`."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def handlers_of(operation: str) -> Iterator[tuple[str, Handler]]:
    yield OURS, Api(os.environ).app(operation).lambda_handler
    for name, peer in PEER_OF.items():
        if operation in peer.operations:
            yield name, import_module(f"bench.peers.{peer.module}").lambda_handler


def processor_time(handler: Handler, case: Case) -> int:
    """Nanoseconds, of all threads."""
    request, context = request_of(case)
    started = time.process_time_ns()
    handler(request, context)
    return time.process_time_ns() - started


def request_of(case: Case) -> tuple[dict[str, Any], LambdaContext]:
    context = LambdaContext(
        "request", None, None, FAR_FUTURE * 1000, "arn:aws:lambda:us-east-1:123456789012:function:bench"
    )
    return comparable_event(case.operation, case.limit), context


def compare(case: Case, handlers: Mapping[str, Handler]) -> None:
    """Warm up. Raises `DifferentAnswerError` unless all answer the same."""
    answers = {}
    for name, handler in handlers.items():
        for _ in range(WARM_UP):
            response = handler(*request_of(case))
        answers[name] = response["statusCode"], comparable(json.loads(response["body"]), case)
    for name, answer in answers.items():
        if answer != answers[OURS]:
            raise DifferentAnswerError(f"{case.name}: {OURS} {answers[OURS]}\n{name} {answer}")


def comparable(body: Any, case: Case) -> Any:
    """Without what only some write (nulls, a time's fraction of zeros) and what two created records cannot share."""
    if isinstance(body, list):
        return [comparable(each, case) for each in body]
    if isinstance(body, dict):
        unlike = UNLIKE if case.operation == "create_customer" else ()
        return {n: comparable(v, case) for n, v in body.items() if v is not None and n not in unlike}
    return body.replace(".000000Z", "Z") if isinstance(body, str) else body


def tame_collector() -> None:
    """What all variants have loaded is not searched for garbage again and again: each alone would have less."""
    gc.collect()
    gc.freeze()
    gc.enable()


def summary(case: Case, times: Mapping[str, Sequence[int]]) -> Iterator[dict[str, Any]]:
    quarter = {name: quantiles(each, n=4)[0] / 1e6 for name, each in times.items()}
    for name, milliseconds in quarter.items():
        yield {
            "case": case.name,
            "variant": name,
            "cpu_ms_p25": round(milliseconds, 3),
            "ratio": round(milliseconds / quarter[RESOLVER], 3),
        }


def table(measured: Sequence[Mapping[str, Any]]) -> Grid:
    grid = Grid("request", "variant", title="A warm request's processor time, p25")
    grid.add_column("ms", justify="right")
    grid.add_column(f"× {RESOLVER}", justify="right")
    for each in measured:
        grid.add_row(each["case"], each["variant"], f"{each['cpu_ms_p25']:.2f}", f"{each['ratio']:.2f}")
    return grid


def panel_of(case: Case, measured: Sequence[Mapping[str, Any]]) -> Panel:
    bars = [
        Bar(
            each["variant"],
            each["cpu_ms_p25"],
            f"{each['cpu_ms_p25']:.2f} ms, ×{each['ratio']:.2f}",
            plots.colour_of(each["variant"]),
        )
        for each in measured
        if each["case"] == case.name
    ]
    return Panel(f"Warm {case.name}: processor time, and its ratio to the {RESOLVER}", "ms", bars)


def goals_of(measured: Sequence[Mapping[str, Any]]) -> Iterator[Goal]:
    limits = {case.name: case.at_most for case in CASES}
    for each in measured:
        if each["variant"] == OURS:
            yield Goal(f"warm {each['case']} to {RESOLVER}", each["ratio"], limits[each["case"]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
