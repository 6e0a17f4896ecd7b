"""Bars that a README can show: the same bytes for the same figures, readable on a light and on a dark page."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from tools.template import ROOT

PLOTS = ROOT / "docs" / "bench"
INK = "#7d8590"  # grey that both white and black leave legible
OURS_COLOUR, PEER_COLOUR, FLOOR_COLOUR = "#2f81f7", "#a371f7", "#6e7681"
BAR_INCHES, HEAD_INCHES, WIDTH_INCHES = 0.28, 0.75, 8.0

mpl.use("Agg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "bench",  # otherwise ids are random
        "svg.fonttype": "none",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
)


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: float
    note: str
    colour: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars below each other, the first at the top."""

    title: str
    unit: str
    bars: Sequence[Bar]


def save(part: str, panels: Sequence[Panel]) -> None:
    """Write docs/bench/<part>.svg and .png."""
    heights = [HEAD_INCHES + BAR_INCHES * len(panel.bars) for panel in panels]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights)), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for panel, axes in zip(panels, grid.flat, strict=True):
        places = range(len(panel.bars))
        drawn = axes.barh(places, [bar.value for bar in panel.bars], color=[bar.colour for bar in panel.bars])
        axes.bar_label(drawn, [bar.note for bar in panel.bars], padding=3, color=INK)
        axes.set_yticks(places, [bar.label for bar in panel.bars])
        axes.invert_yaxis()
        axes.set_xlabel(panel.unit)
        axes.set_title(panel.title, loc="left", color=INK)
        axes.margins(x=0.15)
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
    PLOTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOTS / f"{part}.svg", transparent=True, metadata={"Date": None})
    figure.savefig(PLOTS / f"{part}.png", transparent=True, dpi=150, metadata={"Software": None})


def colour_of(variant: str) -> str:
    if variant == "ours":
        return OURS_COLOUR
    return FLOOR_COLOUR if variant.startswith("floor") else PEER_COLOUR
