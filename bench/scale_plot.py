"""How the cost and the time of each listing grow from the smallest number of customers to the largest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from matplotlib.figure import Figure

from bench.backends import OURS, PLAIN, POSTGRES
from bench.plots import BAR_INCHES, FLOOR_COLOUR, INK, OURS_COLOUR, PEER_COLOUR, PLOTS

WIDTH_INCHES, HEAD_INCHES, DOT = 9.0, 1.3, 22
COLOURS = {OURS: OURS_COLOUR, PLAIN: PEER_COLOUR, POSTGRES: FLOOR_COLOUR}
LIFT = {OURS: 0.2, PLAIN: 0.0, POSTGRES: -0.2}  # so that dots of one row do not hide each other


class Point(Protocol):
    @property
    def case(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def customers(self) -> int: ...
    @property
    def milliseconds(self) -> float: ...
    @property
    def read_units(self) -> float | None: ...
    @property
    def modelled_milliseconds(self) -> float | None: ...


def draw(points: Sequence[Point]) -> None:
    """Write docs/bench/scale.svg and .png."""
    cases = list(dict.fromkeys(point.case for point in points))
    figure = Figure(figsize=(WIDTH_INCHES, HEAD_INCHES + BAR_INCHES * len(cases)), layout="constrained")
    units, times = figure.subplots(1, 2, sharey=True)
    sizes = sorted({point.customers for point in points})
    names = [name for name in COLOURS if any(point.backend == name for point in points)]
    most = [f"{max(point.customers for point in points if point.backend == name):,} ({name})" for name in names]
    what = f"hollow: {sizes[0]:,} customers, full: {', '.join(most)}"
    _draw(units, cases, points, lambda point: point.read_units)
    _draw(times, cases, points, lambda point: point.modelled_milliseconds or point.milliseconds)
    units.set_title("Read units of a page", loc="left", color=INK)
    times.set_title("Milliseconds (on DynamoDB as modelled)", loc="left", color=INK)
    units.set_yticks(range(len(cases)), cases)
    units.invert_yaxis()
    figure.suptitle(what, color=INK, fontsize="small")
    handles = [units.scatter([], [], color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(COLOURS), frameon=False, labelcolor=INK)
    PLOTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOTS / "scale.svg", transparent=True, metadata={"Date": None})
    figure.savefig(PLOTS / "scale.png", transparent=True, dpi=150, metadata={"Software": None})


def _draw(axes: Any, cases: Sequence[str], points: Sequence[Point], figure: Callable[[Point], float | None]) -> None:
    for row, case in enumerate(cases):
        for backend, colour in COLOURS.items():
            by_size: Mapping[int, float] = {
                point.customers: value
                for point in points
                if point.case == case and point.backend == backend and (value := figure(point))
            }
            if not by_size:
                continue
            least, most = by_size[min(by_size)], by_size[max(by_size)]
            y = row - LIFT[backend]
            axes.plot([least, most], [y, y], color=colour, linewidth=1.5)
            axes.scatter(least, y, s=DOT, facecolors="none", edgecolors=colour)
            axes.scatter(most, y, s=DOT, color=colour)
    axes.set_xscale("log")
    axes.grid(axis="x", color=INK, alpha=0.25)
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
