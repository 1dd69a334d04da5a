"""The look of all figures. A colour means one thing everywhere: a supervisor keeps its own, a method its own with a
marker, and black is ground truth.

Rendered as SVG with text as outlines of a bundled font, without dates or versions: the same tables give the same bytes,
and a figure looks the same in every browser.
"""

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from w2s.report.formats import signed
from w2s.report.tables import ReportGrid, Row, TaskGrid

INK = "#1d2129"
QUIET = "#69707d"
FAINT = "#d9dce1"
BAND = "#eef3f8"  # from supervisor to ceiling
# Okabe & Ito's palette for supervisors, Tol's muted one for methods: both colour-blind safe, no colour in both.
SUPERVISOR_COLOURS = ("#0072b2", "#d55e00", "#cc79a7", "#56b4e9", "#009e73", "#e69f00")
BASELINE_COLOUR = "#7b828e"
METHOD_COLOURS = ("#882255", "#44aa99", "#999933", "#332288", "#cc6677")
METHOD_MARKERS = "osD^vP"
LINE_STYLES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 3)))
CONTROL_LOOK = {"color": "#9aa1ac", "marker": "x", "markeredgecolor": "#9aa1ac"}
CHANCE_STYLE = (0, (1.5, 2.5))
ZERO_SHOT_STYLE = (0, (6, 2, 1.5, 2))
OTHER_CEILING_STYLE = (0, (2.6, 1.2))

PERCENT = PercentFormatter(1, decimals=0)
POINTS = FuncFormatter(lambda difference, _: points(round(difference, 6)))

STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    # of the ids in the file
    "svg.hashsalt": "w2s",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#eceef1",
    "grid.linewidth": 0.9,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "legend.borderpad": 0.15,
    "legend.fontsize": 9.5,
}


def svg(figure: Figure) -> bytes:
    """The figure as a file."""
    file = io.BytesIO()
    with rc_context(STYLE):
        canvas = FigureCanvasSVG(figure)
        canvas.print_figure(file, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    # matplotlib ends some lines with a blank
    return b"".join(line.rstrip() + b"\n" for line in file.getvalue().splitlines())


def points(difference: float) -> str:
    """A difference of accuracies, in points, as short as an axis needs."""
    return signed(f"{100 * difference:+.3g}") if difference else "0"


def supervisor_colour(grid: ReportGrid, weak: str) -> str:
    return SUPERVISOR_COLOURS[grid.weak.index(weak) % len(SUPERVISOR_COLOURS)]


def row_look(grid: ReportGrid, row: Row) -> dict[str, Any]:
    """Colour and marker of a student's method, or of a control."""
    return method_look(grid, row["method"]) if row["method"] else CONTROL_LOOK


def method_look(grid: ReportGrid, method: str) -> dict[str, Any]:
    """Colour and marker: baselines are grey; others in one view differ in colour, and all in colour or marker."""
    if method in grid.baselines:
        return {"color": BASELINE_COLOUR, "marker": METHOD_MARKERS[0]}
    place = [other for other in grid.methods if other not in grid.baselines].index(method)
    colours = len(METHOD_COLOURS)
    # another marker each time round the colours
    marker = METHOD_MARKERS[(1 + place % colours + place // colours) % len(METHOD_MARKERS)]
    return {"color": METHOD_COLOURS[place % colours], "marker": marker}


def views(part: TaskGrid) -> dict[str, list[str]]:
    """The methods that one panel can show, each in another colour: baseline and some others; by the panel's title."""
    others = [method for method in part.methods if method != part.baseline]
    size = len(METHOD_COLOURS)
    groups = [others[start : start + size] for start in range(0, max(1, len(others)), size)]
    if len(groups) == 1:
        return {"": [part.baseline, *groups[0]]}
    return {f"{number} of {len(groups)}": [part.baseline, *group] for number, group in enumerate(groups, 1)}
