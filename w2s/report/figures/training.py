"""Loss and accuracy on the labels trained on: colour is the supervisor whose labels they are, line style the model."""

from typing import Any

from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.style import INK, LINE_STYLES, PERCENT, QUIET, supervisor_colour
from w2s.report.tables import ReportGrid, Row, Table, Tables

SECTION = "curves"
ORDER = 3
TABLE = "training"
TITLE = "Training: loss and accuracy on the labels trained on"
CAPTION = (
    "How well each model fits the labels it was given: mean over seeds, smoothed over 5\u202f% of training. Students "
    "learn weak labels, all others ground truth."
)

POINTS_SHOWN = 100  # of a line: smoothed over a twentieth of it, more would show nothing

Line = tuple[list[Row], dict[str, Any]]


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    table = tables[TABLE]
    styles = {strong: LINE_STYLES[index % len(LINE_STYLES)] for index, strong in enumerate(grid.strong)}
    legend = [layout.entry("ceilings", color=INK)]
    legend += [layout.entry(f"{weak} and its students", color=supervisor_colour(grid, weak)) for weak in grid.weak]
    legend += [layout.entry(f"size {model}", color=QUIET, linestyle=style) for model, style in styles.items()]
    groups = [
        [(task, quantity, method) for method in _columns(table, grid, task)]
        for task in grid.tasks
        for quantity in ("loss", "accuracy")
    ]
    figure, panels = layout.panels(TITLE, legend, groups, columns=4, shared=2)
    for (task, quantity, method), axes in panels.items():
        lines = _of_students(table, grid, task, method, styles) if method else _of_supervisors(table, grid, task)
        for rows, look in lines + _of_ceilings(table, grid, task, method, styles):
            known = [(row["step"], row[quantity]) for row in rows if row[quantity] is not None]
            smoothed = _smooth([value for _, value in known])
            shown = _evenly(len(known), POINTS_SHOWN)
            axes.plot([known[i][0] for i in shown], [smoothed[i] for i in shown], linewidth=1.4, **look)
        layout.set_title(axes, grid.label(task, method or "truth"))
        layout.x_label(axes, "optimizer step")
        layout.y_label(axes, quantity)
        if quantity == "accuracy":
            axes.yaxis.set_major_formatter(PERCENT)
    return figure


def _columns(table: Table, grid: ReportGrid, task: str) -> list[str]:
    """An empty name for what learns truth, and the methods that train anything."""
    methods = grid.tasks[task].methods
    return ["", *(method for method in methods if table.select(task=task, role="student", method=method))]


def _of_supervisors(table: Table, grid: ReportGrid, task: str) -> list[Line]:
    return [
        (table.select(task=task, role="supervisor", weak=weak), {"color": supervisor_colour(grid, weak)})
        for weak in grid.tasks[task].weak
    ]


def _of_students(table: Table, grid: ReportGrid, task: str, method: str, styles: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    for weak, strong in grid.tasks[task].pairs:
        rows = table.select(task=task, role="student", weak=weak, strong=strong, method=method)
        lines.append((rows, {"color": supervisor_colour(grid, weak), "linestyle": styles[strong]}))
    return lines


def _of_ceilings(table: Table, grid: ReportGrid, task: str, method: str, styles: dict[str, Any]) -> list[Line]:
    """The task's ceiling beside the supervisors; a further one beside the students of its method."""
    part = grid.tasks[task]
    if method and method not in part.other_ceilings:
        return []
    lines: list[Line] = []
    for strong in part.strong:
        rows = table.select(task=task, role="ceiling", strong=strong, method=method or part.ceiling)
        lines.append((rows, {"color": INK, "linestyle": styles[strong]}))
    return lines


def _smooth(values: list[float]) -> list[float]:
    """Centred running mean over about 5 % of the points; narrower at the ends."""
    half = len(values) // 40
    windows = (values[max(0, i - half) : i + half + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _evenly(count: int, most: int) -> list[int]:
    """At most so many indices, evenly spaced, with the first and the last."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]
