"""Agreement of students with their supervisor, where it is right and where it is wrong (section 5.1.2)."""

from typing import Any

from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.style import QUIET, method_look, views
from w2s.report.tables import ReportGrid, Tables

SECTION = "agreement"
ORDER = 1
TABLE = "agreement"
TITLE = "Agreement with the supervisor, where it is right and where it is wrong"
CAPTION = (
    "Share of test examples on which student and supervisor agree, with intervals. Imitation shows as a high dashed "
    "line."
)

SUBSETS: dict[str, dict[str, Any]] = {
    "supervisor right": {"linestyle": "-"},
    "supervisor wrong": {"linestyle": "--", "markerfacecolor": "white"},
}


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    legend = [layout.entry(method, **method_look(grid, method), linestyle="") for method in grid.methods]
    for subset, line in SUBSETS.items():
        label = f"where the {subset.replace(' ', ' is ')}"
        legend.append(layout.entry(label, color=QUIET, marker="o", **line))
    groups = []
    for task, part in grid.tasks.items():
        of_models = [(task, weak, view) for weak in part.weak for view in views(part)]
        groups.append(of_models + [(task, weak, "") for weak in part.simulated])
    figure, panels = layout.panels(TITLE, legend, groups)
    for (task, weak, view), axes in panels.items():
        part = grid.tasks[task]
        for method in views(part).get(view, part.methods):
            look = method_look(grid, method)
            for subset, line in SUBSETS.items():
                rows = tables[TABLE].select(task=task, weak=weak, method=method, subset=subset)
                rows = [row for row in rows if row["agreement"] is not None]
                rows.sort(key=lambda row: grid.size[row["strong"]])
                x = [grid.size[row["strong"]] for row in rows]
                y, low, high = ([row[key] for row in rows] for key in ("agreement", "low", "high"))
                axes.fill_between(x, low, high, color=look["color"], alpha=0.13, linewidth=0)
                axes.plot(x, y, **look | line)
        title = weak if weak in part.simulated else f"students of {weak}"
        layout.set_title(axes, grid.label(task, title, view))
        axes.set_ylim(-0.02, 1.02)
        layout.size_axis(axes, grid, part.strong)
        layout.percent_axes(axes, "agreement")
    return figure
