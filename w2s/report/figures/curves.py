"""Accuracy and agreement during training: overfitting gains agreement and loses accuracy (section 5.1.1, figure 7)."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.style import INK, OTHER_CEILING_STYLE, QUIET, method_look, supervisor_colour, views
from w2s.report.tables import ReportGrid, Row, Tables

SECTION = "curves"
ORDER = 1
TABLE = "curves"
TITLE = "Accuracy and agreement during training"
CAPTION = "On test examples; bands: lowest to highest seed. Overfitting: a solid line falls while its dashed one rises."


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    table = tables[TABLE]
    legend = [layout.entry(f"{method}: accuracy", **method_look(grid, method)) for method in grid.methods]
    legend.append(layout.entry("agreement with supervisor", color=QUIET, linestyle="--", linewidth=1.3))
    legend.append(layout.entry("supervisor", color=QUIET, linestyle=":"))
    legend.append(layout.entry("ceiling", color=INK, linewidth=1.2))
    for method in dict.fromkeys(method for part in grid.tasks.values() for method in part.other_ceilings):
        label = f"ceiling of {method}"
        legend.append(layout.entry(label, color=INK, linestyle=OTHER_CEILING_STYLE, linewidth=1.2))
    # a new row of panels for each supervisor
    groups = [
        [(task, weak, strong, view) for strong in part.strong for view in views(part)]
        for task, part in grid.tasks.items()
        for weak in part.weak
    ]
    figure, panels = layout.panels(TITLE, legend, groups)
    for (task, weak, strong, view), axes in panels.items():
        part = grid.tasks[task]
        for row in tables["summary"].select(task=task, role="supervisor", weak=weak, metric="accuracy"):
            axes.axhline(row["value"], color=supervisor_colour(grid, weak), linestyle=":", linewidth=1.6)
        for method in part.block.ceilings:
            rows = table.select(task=task, role="ceiling", strong=strong, method=method)
            style = "-" if method == part.ceiling else OTHER_CEILING_STYLE
            x, y = ([row[key] for row in rows] for key in ("progress", "accuracy"))
            axes.plot(x, y, color=INK, linestyle=style, linewidth=1.2)
        for method in views(part)[view]:
            rows = table.select(task=task, role="student", weak=weak, strong=strong, method=method)
            _draw_student(axes, rows, method_look(grid, method))
        layout.set_title(axes, grid.label(task, f"{weak} → {strong}", view))
        axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
        layout.percent_axes(axes, "test examples", "share of training done")
    return figure


def _draw_student(axes: Axes, rows: list[Row], look: dict[str, Any]) -> None:
    columns = ("progress", "accuracy", "low", "high", "agreement")
    x, accuracy, low, high, agreement = ([row[column] for row in rows] for column in columns)
    axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
    axes.plot(x, accuracy, **look, markevery=[-1], clip_on=False, zorder=3)
    axes.plot(x, agreement, color=look["color"], linestyle="--", linewidth=1.3)
