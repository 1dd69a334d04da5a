"""Accuracy by student size, a panel a method (Burns et al., figure 3): the gap, and how much of it closes."""

from typing import Any

from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.style import INK, QUIET, supervisor_colour
from w2s.report.tables import CONTROLS, ReportGrid, Tables, distinct

SECTION = "overview"
ORDER = 2
TABLE = "scaling"
TITLE = "Accuracy by model size: supervisors, students, ceiling"
CAPTION = (
    "On test examples, with intervals. A line starts at its supervisor; above the dotted guide a student beats its "
    "supervisor. Grey marks are controls of the same strong models: asked without finetuning, finetuned on the "
    "supervisor's truth, and trained from random weights."
)

HOLLOW: dict[str, Any] = {"marker": "o", "markerfacecolor": "white"}
CONTROL_LOOKS: dict[str, dict[str, Any]] = {
    role: {"color": "#9aa1ac", "linestyle": "", "marker": marker}
    for role, marker in (("zero_shot", "x"), ("supervisor_truth", "+"), ("scratch", "1"))
}


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    table = tables[TABLE]
    legend = [layout.entry("ground truth (ceiling)", color=INK, marker="o")]
    for weak in grid.weak:
        legend.append(layout.entry(f"students of {weak}", color=supervisor_colour(grid, weak), marker="o"))
    legend.append(layout.entry("the supervisor itself", color=QUIET, linestyle=":", **HOLLOW))
    for role, look in CONTROL_LOOKS.items():
        if any(row["series"] == role for row in table):
            legend.append(layout.entry(CONTROLS[role], **look))
    groups = [[(task, method) for method in part.methods] for task, part in grid.tasks.items()]
    figure, panels = layout.panels(TITLE, legend, groups)
    for (task, method), axes in panels.items():
        rows = table.select(task=task, method=method)
        largest = max(row["parameters"] for row in rows)
        lines = {"ground truth": INK}
        lines |= {f"supervisor {weak}": supervisor_colour(grid, weak) for weak in grid.tasks[task].weak}
        for series, colour in lines.items():
            line = table.select(task=task, method=method, series=series)
            x, y, low, high = ([row[key] for row in line] for key in ("parameters", "accuracy", "low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
            axes.plot(x, y, color=colour, marker="o")
            if series != "ground truth":
                axes.plot([x[0], largest], [y[0], y[0]], color=colour, linestyle=":", linewidth=1.2)
                axes.plot(x[:1], y[:1], color=colour, linestyle="", markersize=7, **HOLLOW)
        for role, look in CONTROL_LOOKS.items():
            points = table.select(task=task, method=method, series=role)
            axes.plot([row["parameters"] for row in points], [row["accuracy"] for row in points], **look)
        layout.set_title(axes, grid.label(task, method))
        layout.size_axis(axes, grid, distinct(rows, "model"))
        layout.percent_axes(axes, "test accuracy")
    return figure
