"""Each method against the baseline on the same examples and seeds; filled where clear after correction (Holm)."""

from typing import Any

from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.forest import differences
from w2s.report.figures.style import QUIET, method_look
from w2s.report.formats import signed
from w2s.report.tables import ReportGrid, Row, Tables

SECTION = "methods"
ORDER = 1
TABLE = "comparison"
TITLE = "Each method against the baseline"
CAPTION = (
    "Test accuracy − that of the baseline on the same examples and seeds, widest gap first. Bars are intervals; an "
    "arrow marks a value beyond the axis. A filled mark is significant after correction (Holm)."
)


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    rows = tables[TABLE]
    legend = [
        layout.entry("significant after correction", color=QUIET, marker="o", linestyle=""),
        layout.entry("not significant", color=QUIET, marker="o", linestyle="", markerfacecolor="white"),
    ]
    gaps: dict[tuple[str, ...], str] = {}
    for row in rows:
        gap = signed(f"{100 * row['gap']:.1f}")
        gaps[row["task"], row["weak"], row["strong"]] = f"gap {gap} points"

    def look(row: Row) -> dict[str, Any]:
        method = method_look(grid, row["method"])
        hollow = {"markerfacecolor": "white", "markeredgecolor": method["color"]}
        return method if row["significant"] else method | hollow

    label = f"accuracy − {' or '.join(grid.baselines)} accuracy (points)"
    return differences(TITLE, grid, rows, label=label, look=look, legend=legend, notes=gaps)
