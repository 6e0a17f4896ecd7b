"""What every part leaves behind: a JSON file that says when and on what it was measured."""

import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table as Grid

from tools.template import ROOT

RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio that the project keeps below a limit."""

    name: str
    ratio: float
    at_most: float

    @property
    def met(self) -> bool:
        return self.ratio <= self.at_most


def table_of(goals: Iterable[Goal]) -> Grid:
    grid = Grid("goal", "ratio", "at most", "", title="What the project aims at")
    for goal in goals:
        grid.add_row(goal.name, f"{goal.ratio:.2f}", f"{goal.at_most:.2f}", "met" if goal.met else "[red]missed[/red]")
    return grid


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other benchmark of this checkout runs, and keep others waiting."""
    (ROOT / ".local").mkdir(exist_ok=True)
    with (ROOT / ".local" / "bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another benchmark to end", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def conditions(packages: Sequence[str]) -> dict[str, Any]:
    """When, from which commit and on what."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+changes" if _git("status", "--porcelain") else ""),
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],  # with what we do ourselves
        "packages": {name: version(name) for name in packages},
    }


def write(part: str, measured: Mapping[str, Any], goals: Iterable[Goal], packages: Sequence[str]) -> Path:
    """Keep what was measured; `packages` are those whose versions matter."""
    shown = [{**asdict(goal), "ratio": round(goal.ratio, 3), "met": goal.met} for goal in goals]
    results = {"part": part, **conditions(packages), **measured, "goals": shown}
    path = RESULTS / f"{part}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    return path


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - ours
    return done.stdout.strip()
