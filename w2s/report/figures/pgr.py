"""Performance gap recovered by pair, method and control; an undefined one keeps its place, with a reason."""

from collections import defaultdict

from matplotlib.figure import Figure

from w2s.report.figures.forest import forest
from w2s.report.figures.style import INK, PERCENT, QUIET, row_look
from w2s.report.tables import ReportGrid, Tables

SECTION = "pgr"
ORDER = 1
TABLE = "pgr"
TITLE = "Performance gap recovered, by pair and method"
CAPTION = (
    "0\u202f% is the supervisor, 100\u202f% the ceiling. Bars are intervals; an arrow marks an end beyond the axis. "
    "Crosses are controls, which never saw a weak label, on the same scale."
)


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    rows = [row for row in tables[TABLE] if row["weak"] in grid.tasks[row["task"]].weak]
    ends = [row[key] for row in rows if row["pgr"] is not None for key in ("pgr", "low", "high")]
    left = max(-1.0, min([-0.1, *ends]) - 0.05)
    right = min(2.0, max([1.1, *ends]) + 0.05)
    bands = {(row["task"], row["weak"], row["strong"]): (0.0, 1.0) for row in rows if row["pgr"] is not None}
    drawn = forest(TITLE, grid, rows, limits=(left, right), label="performance gap recovered", bands=bands)
    for task, axes in drawn.panels.items():
        undefined: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for row, y in drawn.rows[task]:
            if row["pgr"] is None:
                undefined[row["weak"], row["strong"], row["reason"]].append(y)
            else:
                drawn.interval(axes, y, (row["pgr"], row["low"], row["high"]), row_look(grid, row))
        for (_, _, reason), ys in undefined.items():
            text = axes.text(left + 0.02, sum(ys) / len(ys), f"n/a: {reason}", va="center", style="italic")
            text.set(color=QUIET, fontsize=8.5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})
        for x in (0, 1):
            axes.axvline(x, color=INK, linewidth=1, zorder=1)
        axes.xaxis.set_major_formatter(PERCENT)
    return drawn.figure
