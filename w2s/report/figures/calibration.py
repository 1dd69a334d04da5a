"""Reliability: of the examples given probability p, how many are true; below the diagonal is overconfident."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.style import FAINT, INK, QUIET, method_look, supervisor_colour, views
from w2s.report.tables import ReportGrid, Row, Tables, distinct

SECTION = "calibration"
ORDER = 1
TABLE = "calibration"
TITLE = "Calibration: stated probability against what came true"
CAPTION = "How often what a model states of a test example comes true. Larger points hold more examples."


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    table = tables[TABLE]
    parts = {task: grid.tasks[task] for task in distinct(table, "task")}
    methods = dict.fromkeys(method for part in parts.values() for method in part.methods)
    legend = [layout.entry(f"student, {method}", **method_look(grid, method)) for method in methods]
    legend.append(layout.entry("supervisor (in its colour)", color=QUIET, linewidth=1.3))
    legend.append(layout.entry("ceiling", color=INK, linewidth=1.3))
    groups = [[(task, *pair, view) for pair in part.pairs for view in views(part)] for task, part in parts.items()]
    figure, panels = layout.panels(TITLE, legend, groups, columns=4)
    for (task, weak, strong, view), axes in panels.items():
        part = parts[task]
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, zorder=1)
        ceiling = table.select(task=task, role="ceiling", strong=strong, method=part.ceiling)
        _draw_reliability(axes, ceiling, color=INK, marker="o", width=1.3)
        supervisor = table.select(task=task, role="supervisor", weak=weak)
        _draw_reliability(axes, supervisor, color=supervisor_colour(grid, weak), marker="o", width=1.3)
        for method in views(part)[view]:
            student = table.select(task=task, role="student", weak=weak, strong=strong, method=method)
            _draw_reliability(axes, student, **method_look(grid, method), width=1.8)
        layout.set_title(axes, grid.label(task, f"{weak} → {strong}", view))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        layout.percent_axes(axes, "share that came true", "stated probability")
    return figure


def _draw_reliability(axes: Axes, rows: list[Row], *, color: str, marker: str, width: float) -> None:
    rows = [row for row in rows if row["count"]]
    x, y, count = ([row[key] for row in rows] for key in ("confidence", "frequency", "count"))
    axes.plot(x, y, color=color, linewidth=width, alpha=0.8)
    axes.scatter(x, y, s=[6 + 110 * n / sum(count) for n in count], color=color, marker=marker, zorder=2)
