"""How clearly features show the truth to a linear probe: before, after weak labels, after truth (section 5.2.3)."""

from collections import defaultdict
from typing import Any

from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.forest import forest
from w2s.report.figures.style import INK, OTHER_CEILING_STYLE, PERCENT, QUIET, method_look
from w2s.report.tables import ReportGrid, Tables

SECTION = "saliency"
ORDER = 1
TABLE = "saliency"
TITLE = "How linearly the features show the truth"
CAPTION = (
    "Accuracy of a logistic probe of each student’s features, with intervals; beside them that of the base model and "
    "of the ceiling."
)

BASE: dict[str, Any] = {"color": QUIET, "linestyle": OTHER_CEILING_STYLE}
CEILING: dict[str, Any] = {"color": INK}


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    table = tables[TABLE]
    ends = [row[key] for row in table for key in ("low", "high")]
    drawn = forest(
        TITLE,
        grid,
        table.select(role="student"),
        limits=(min(ends) - 0.02, max(ends) + 0.02),
        label="probe accuracy",
        legend=[layout.entry("base model", **BASE), layout.entry("ceiling", **CEILING)],
    )
    for task, axes in drawn.panels.items():
        heights: dict[tuple[str, str], list[float]] = defaultdict(list)
        for row, y in drawn.rows[task]:
            drawn.interval(axes, y, (row["probe"], row["low"], row["high"]), method_look(grid, row["method"]))
            heights[row["weak"], row["strong"]].append(y)
        for (_, strong), ys in heights.items():
            line = [min(ys) - 0.5, max(ys) + 0.5]
            for role, method, look in (("base", "", BASE), ("ceiling", grid.tasks[task].ceiling, CEILING)):
                for row in table.select(task=task, role=role, strong=strong, method=method):
                    axes.plot([row["probe"]] * 2, line, zorder=1, **look)
        axes.xaxis.set_major_formatter(PERCENT)
    return drawn.figure
