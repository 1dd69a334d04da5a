"""A figure is a header (title, legend) over panels that wrap: one task and two methods fill a laptop's width, and 22
tasks and fifteen methods still come out legible, only longer."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from types import MappingProxyType
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from w2s.report.figures.style import PERCENT
from w2s.report.formats import human
from w2s.report.tables import ReportGrid

Key = tuple[str, ...]

WIDTH = 10.0  # inches; shown 1,100 pixels wide, 10 pt text is then read at 15 pixels
GAP = 0.88  # inches between rows of panels: for titles and tick labels
PANEL_HEIGHTS = {1: 3.5, 2: 2.6, 3: 2.0}  # inches, by the number of columns
SMALLEST_HEIGHT = 1.75  # with more columns
BETWEEN = 0.42  # inches between panels of a row


def panels(
    title: str,
    legend: Sequence[Line2D],
    groups: Sequence[Sequence[Key]],
    *,
    columns: int = 3,
    shared: int = 1,
    heights: Mapping[Key, float] = MappingProxyType({}),
    left: float = 0.75,
) -> tuple[Figure, dict[Key, Axes]]:
    """A header over panels by key; every group begins a new row and wraps after `columns`.

    Panels whose keys agree in their first `shared` parts have the same y axis. In inches: `heights` of panels that are
    not all alike; `left` for labels, of every panel if keys are no longer than `shared`.
    All places are computed here: a layout engine takes minutes for 500 panels.
    """
    columns = min(columns, max(len(group) for group in groups))
    rows = [group[start : start + columns] for group in groups for start in range(0, len(group), columns)]
    alike = PANEL_HEIGHTS.get(columns, SMALLEST_HEIGHT)
    row_heights = [max(heights.get(key, alike) for key in row) for row in rows]
    legend_columns = next((n for n in range(len(legend), 1, -1) if _legend_width(legend, n) <= WIDTH), 1)
    header = 0.74 + 0.22 * math.ceil(len(legend) / legend_columns)
    bottom = 0.6
    right = 0.28
    between = left if len(groups[0][0]) <= shared else BETWEEN
    height = header + sum(row_heights) + (len(rows) - 1) * GAP + bottom
    figure = Figure(figsize=(WIDTH, height))
    figure.text(0.006, 1 - 0.08 / height, title, fontsize=14, weight="bold", va="top")
    if legend:
        figure.legend(
            handles=legend,
            loc="upper left",
            bbox_to_anchor=(0.004, 1 - 0.38 / height),
            ncols=legend_columns,
            handlelength=2.4,
            borderaxespad=0,
        )
    width = (WIDTH - left - right - (columns - 1) * between) / columns
    cells = figure.add_gridspec(
        len(rows),
        columns,
        left=left / WIDTH,
        right=1 - right / WIDTH,
        top=1 - header / height,
        bottom=bottom / height,
        hspace=GAP / fmean(row_heights),
        wspace=between / width,
        height_ratios=row_heights,
    )
    found: dict[Key, Axes] = {}
    first: dict[Key, Axes] = {}
    for row, keys in enumerate(rows):
        for column, key in enumerate(keys):
            axes = figure.add_subplot(cells[row, column], sharey=first.get(key[:shared]))
            found[key] = axes
            first[key[:shared]] = axes
    return figure, found


def _legend_width(legend: Sequence[Line2D], columns: int) -> float:
    """Inches that a legend takes; it fills its columns from the top, the first ones with one entry more."""
    rows, longer = divmod(len(legend), columns)
    starts = [rows * column + min(column, longer) for column in range(columns + 1)]
    widths = [len(str(entry.get_label())) * 0.078 + 0.75 for entry in legend]
    return sum(max(widths[start:end]) for start, end in pairwise(starts))


def entry(label: str, **look: Any) -> Line2D:
    """One line of a legend."""
    return Line2D([], [], label=label, **look)


def set_title(axes: Axes, title: str) -> None:
    """A panel's title, in smaller letters where it would run into the next panel."""
    width = axes.get_position().width * WIDTH + 0.25
    axes.set_title(title, fontsize=min(10.5, 10.5 * width / (0.093 * max(1, len(title)))))


def percent_axes(axes: Axes, y: str, x: str | None = None) -> None:
    """Axes that count in whole per cent."""
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PERCENT)
    y_label(axes, y)
    if x:
        axes.xaxis.set_major_formatter(PERCENT)
        x_label(axes, x)


def y_label(axes: Axes, label: str) -> None:
    """What y means and its numbers, once a row (a row shares its y axis)."""
    spec = axes.get_subplotspec()
    leftmost = spec is None or spec.is_first_col()
    axes.tick_params(labelleft=leftmost)
    axes.set_ylabel(label if leftmost else "")


def x_label(axes: Axes, label: str) -> None:
    """What x means, once, under the last row."""
    spec = axes.get_subplotspec()
    if spec is None or spec.is_last_row():
        axes.set_xlabel(label)


def size_axis(axes: Axes, grid: ReportGrid, models: list[str]) -> None:
    """A logarithmic x axis with a tick at every model; labels that would touch the one before are left out."""
    axes.set_xscale("log")
    x_label(axes, "model size (parameters)")
    ordered = sorted(models, key=grid.size.__getitem__)
    low = math.log(grid.size[ordered[0]])
    high = math.log(grid.size[ordered[-1]])
    inches = axes.get_position().width * WIDTH
    short = max(map(len, ordered)) <= 16
    texts = [f"{model}\n{human(grid.size[model])}" if short else human(grid.size[model]) for model in ordered]
    halves = [0.045 * max(map(len, text.split("\n"))) for text in texts]
    # The outer labels may stick out by half of what lies between two panels.
    outer = max(0.0, halves[0] - BETWEEN / 2, halves[-1] - BETWEEN / 2)
    margin = max(0.06, outer / (inches - 2 * outer)) * (high - low) or 0.5
    labels = []
    end = -math.inf
    for model, label, half in zip(ordered, texts, halves, strict=True):
        centre = (math.log(grid.size[model]) - low + margin) / (high - low + 2 * margin) * inches
        fits = centre - half > end + 0.08
        labels.append(label if fits else "")
        end = centre + half if fits else end
    axes.set_xlim(math.exp(low - margin), math.exp(high + margin))
    axes.xaxis.set_major_locator(FixedLocator([grid.size[model] for model in ordered]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_ticklabels(labels)
