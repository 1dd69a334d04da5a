"""Forest plots: a value with its interval on a row of its own, named at the row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import quantiles
from types import MappingProxyType
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from w2s.report.figures import layout
from w2s.report.figures.style import BAND, FAINT, INK, POINTS, QUIET
from w2s.report.formats import signed
from w2s.report.tables import ReportGrid, Row, name_of

Limits = tuple[float, float]
Pair = tuple[str, str, str]  # task, supervisor, student
Look = Callable[[Row], dict[str, Any]]

ROW_HEIGHT = 0.2  # inches
HEADING = 1.5  # rows that a pair takes besides those of its methods
FAR = 6  # interquartile ranges from the quartiles, beyond which a difference may be an arrow
SQUEEZED = 6  # it is one if the axis would else be longer by this factor
PLAIN = {"facecolor": "white", "edgecolor": "none", "pad": 1}


@dataclass(frozen=True)
class Forest:
    """A panel for each task, in it a block for each pair, in it a row for each student or control."""

    figure: Figure
    panels: dict[str, Axes]
    # the rows of each task with their y
    rows: dict[str, list[tuple[Row, float]]]
    limits: Limits

    def interval(self, axes: Axes, y: float, estimate: tuple[float, float, float], look: dict[str, Any]) -> None:
        """A value with its low and high end; an end beyond the axis becomes an arrow."""
        value, low, high = estimate
        left, right = self.limits
        line = [max(low, left), min(high, right)]
        axes.plot(line, [y, y], color=look["color"], linewidth=2, solid_capstyle="butt")
        for beyond, x, arrow in ((low < left, left, "<"), (high > right, right, ">")):
            if beyond:
                axes.plot(x, y, marker=arrow, color=look["color"], clip_on=False)
        if left <= value <= right:
            axes.plot(value, y, **{"markeredgecolor": "white"} | look, markersize=6.5, zorder=3)


def forest(
    title: str,
    grid: ReportGrid,
    rows: Iterable[Row],
    *,
    limits: Limits,
    label: str,
    legend: Sequence[Line2D] = (),
    notes: Mapping[Pair, str] = MappingProxyType({}),
    bands: Mapping[Pair, Limits] = MappingProxyType({}),
) -> Forest:
    """Panels and places for the rows of students and controls, pair by pair in their order.

    A pair's note stands behind its name, its band behind its rows.
    """
    blocks: dict[str, dict[tuple[str, str], list[Row]]] = {}
    for row in rows:
        blocks.setdefault(row["task"], {}).setdefault((row["weak"], row["strong"]), []).append(row)
    names = {name_of(row) for pairs in blocks.values() for block in pairs.values() for row in block}
    heights = {task: sum(HEADING + len(block) for block in pairs.values()) for task, pairs in blocks.items()}
    figure, panels = layout.panels(
        title,
        legend,
        [[(task,) for task in tasks if task in blocks] for tasks in grid.settings.values() if blocks.keys() & {*tasks}],
        columns=2,
        heights={(task,): ROW_HEIGHT * height for task, height in heights.items()},
        left=0.3 + 0.075 * max(map(len, names)),
    )
    places: dict[str, list[tuple[Row, float]]] = {task: [] for task in blocks}
    for (task,), axes in panels.items():
        top = 0.0
        for (weak, strong), block in blocks[task].items():
            if top:
                axes.axhline(top, color=FAINT, linewidth=0.6)
            if (task, weak, strong) in bands:
                low, high = bands[task, weak, strong]
                place = (low, top + HEADING - 0.5)
                axes.add_patch(Rectangle(place, high - low, len(block), facecolor=BAND, zorder=0.5))
            _heading(axes, top + 0.65, f"{weak} → {strong}", notes.get((task, weak, strong), ""))
            places[task] += [(row, top + HEADING + index) for index, row in enumerate(block)]
            top += HEADING + len(block)
        axes.grid(False)
        axes.set(xlim=limits, ylim=(top, 0))
        layout.x_label(axes, label)
        axes.set_yticks([y for _, y in places[task]], [name_of(row) for row, _ in places[task]], fontsize=9)
        axes.tick_params(axis="y", length=0, pad=7)
        layout.set_title(axes, task)
    return Forest(figure, {task: axes for (task,), axes in panels.items()}, places, limits)


def _heading(axes: Axes, y: float, pair: str, note: str) -> None:
    name = axes.text(0.008, y, pair, transform=axes.get_yaxis_transform(), va="center", fontsize=9, weight="bold")
    name.set_bbox(PLAIN)
    if note:
        beside: dict[str, Any] = {"xycoords": name, "xytext": (7, 0), "textcoords": "offset points"}
        axes.annotate(note, (1, 0.5), **beside, va="center", fontsize=9, color=QUIET, bbox=PLAIN)


def differences(
    title: str,
    grid: ReportGrid,
    rows: Sequence[Row],
    *,
    label: str,
    look: Look,
    legend: Sequence[Line2D] = (),
    notes: Mapping[Pair, str] = MappingProxyType({}),
    bands: Mapping[Pair, Limits] = MappingProxyType({}),
) -> Figure:
    """Differences of accuracies, on an axis that holds zero, the bands, of methods all but those that squeeze it."""
    ends = [row[end] for row in rows if row["method"] for end in ("low", "high")]
    ends = sorted([0.0, *ends, *chain(*bands.values())])
    first, _, third = quantiles(ends, method="inclusive")
    far = FAR * max(0.01, third - first)
    near = [end for end in ends if min(0, first - far) <= end <= max(0, third + far)]
    if ends[-1] - ends[0] <= SQUEEZED * (near[-1] - near[0]):
        near = ends
    room = max(0.01, 0.05 * (near[-1] - near[0]))
    limits = (near[0] - room, near[-1] + room)
    drawn = forest(title, grid, rows, limits=limits, label=label, legend=legend, notes=notes, bands=bands)
    for task, axes in drawn.panels.items():
        for row, y in drawn.rows[task]:
            drawn.interval(axes, y, (row["difference"], row["low"], row["high"]), look(row))
            _far_off(axes, y, row["difference"], limits)
        axes.axvline(0, color=INK, linewidth=1, zorder=1)
        axes.xaxis.set_major_formatter(POINTS)
    return drawn.figure


def _far_off(axes: Axes, y: float, difference: float, limits: Limits) -> None:
    """The number of a value beyond the axis, in points, beside its arrow."""
    for side, end in ((-1, limits[0]), (1, limits[1])):
        if side * difference > side * end:
            text = signed(f"{100 * difference:+.1f}")
            place: dict[str, Any] = {"xytext": (-9 * side, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(text, (end, y), **place, ha="left" if side < 0 else "right", fontsize=8.5, bbox=PLAIN)
