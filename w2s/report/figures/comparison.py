"""Each method and control against the baseline on the same examples; filled where clear after correction (Holm)."""

from typing import Any

from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.forest import Limits, Pair, differences
from w2s.report.figures.style import CONTROL_LOOK, QUIET, method_look
from w2s.report.formats import signed
from w2s.report.tables import ReportGrid, Row, Tables

SECTION = "methods"
ORDER = 1
TABLE = "comparison"
TITLE = "Each method against the baseline"
CAPTION = (
    "Test accuracy − that of the baseline on the same examples and seeds, widest gap first. Bars are intervals; an "
    "arrow marks a value beyond the axis. A filled mark is significant after correction (Holm); crosses are controls. "
    "The band behind a pair reaches from its supervisor to its ceiling."
)


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    rows = tables[TABLE]
    legend = [
        layout.entry("significant after correction", color=QUIET, marker="o", linestyle=""),
        layout.entry("not significant", color=QUIET, marker="o", linestyle="", markerfacecolor="white"),
        layout.entry("control", linestyle="", **CONTROL_LOOK),
    ]
    notes: dict[Pair, str] = {}
    bands: dict[Pair, Limits] = {}
    for row in rows:
        gap = signed(f"{100 * row['gap']:.1f}")
        pair = (row["task"], row["weak"], row["strong"])
        notes[pair] = f"gap {gap} points"
        bands[pair] = (row["supervisor"], row["supervisor"] + row["gap"])

    def look(row: Row) -> dict[str, Any]:
        if not row["method"]:
            return CONTROL_LOOK
        method = method_look(grid, row["method"])
        hollow = {"markerfacecolor": "white", "markeredgecolor": method["color"]}
        return method if row["significant"] else method | hollow

    label = f"accuracy − {' or '.join(grid.baselines)} accuracy (points)"
    return differences(TITLE, grid, rows, label=label, look=look, legend=legend, notes=notes, bands=bands)
