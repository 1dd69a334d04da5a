"""Each task's widest gap (Burns et al., figure 2): supervisor, baseline student, best other student, ceiling."""

from dataclasses import dataclass
from statistics import fmean, median, quantiles
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2s.report.figures import layout
from w2s.report.figures.style import (
    CHANCE_STYLE,
    INK,
    OTHER_CEILING_STYLE,
    QUIET,
    ZERO_SHOT_STYLE,
    method_look,
    supervisor_colour,
)
from w2s.report.formats import signed
from w2s.report.tables import ReportGrid, Row, Table, Tables
from w2s.results.metrics import CHANCE

SECTION = "overview"
ORDER = 1
TABLE = "settings"
TITLE = "What weak supervision brings out at the widest gap"
CAPTION = (
    "Test accuracy at the widest gap between supervisor and ceiling, with intervals. Beside the baseline stands the "
    "best other method, named after looking."
)

TASKS_SHOWN = 4  # tasks of a setting that are shown one by one; of more, the median
BAR_WIDTH = 0.78


@dataclass(frozen=True)
class Bar:
    """One model's rows, of one task or of all tasks of a setting."""

    name: str
    rows: list[Row]
    colour: str

    @property
    def estimate(self) -> tuple[float, float, float]:
        """One task's accuracy with its interval; of several tasks the median with the quartiles."""
        if len(self.rows) == 1:
            row = self.rows[0]
            return row["accuracy"], row["low"], row["high"]
        low, middle, high = quantiles((row["accuracy"] for row in self.rows), n=4, method="inclusive")
        return middle, low, high

    @property
    def pgr(self) -> str:
        defined = [row["pgr"] for row in self.rows if row["pgr"] is not None]
        return f"PGR\n{signed(f'{100 * median(defined):.0f}')}%" if defined else "PGR\nn/a"


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    table = tables[TABLE]
    keys = [
        (setting, task)
        for setting, tasks in grid.settings.items()
        for task in (tasks if len(tasks) <= TASKS_SHOWN else [""])
    ]
    best = {setting: _best(table, grid, tasks) for setting, tasks in grid.settings.items()}
    legend = [layout.entry("interval", color=INK, marker="|", markersize=9, markeredgewidth=1.6, linestyle="")]
    if best.keys() & CHANCE:
        legend.append(layout.entry("chance", color=QUIET, linestyle=CHANCE_STYLE, linewidth=1.2))
    if table.select(role="zero_shot"):
        entry = layout.entry("the student zero-shot", color=QUIET, linestyle=ZERO_SHOT_STYLE, linewidth=1.2)
        legend.append(entry)
    if any(method in grid.tasks[grid.settings[setting][0]].other_ceilings for setting, method in best.items()):
        legend.append(layout.entry("ceiling of that method itself", color=INK, linestyle=OTHER_CEILING_STYLE))
    figure, panels = layout.panels(TITLE, legend, [keys], shared=0)
    # bars are as wide in any number of panels
    slots = 12 / min(3, len(keys))
    for (setting, task), axes in panels.items():
        tasks = [task] if task else grid.settings[setting]
        bars = _bars(table, grid, tasks, best[setting])
        _draw_bars(axes, bars)
        for x, bar in enumerate(bars[1:-1], 1):
            own = bar.name in grid.tasks[tasks[0]].other_ceilings
            _draw_gap(axes, x, bar, _select(table, tasks, "ceiling", bar.name) if own else [])
        zero_shot = _select(table, tasks, "zero_shot")
        if len(zero_shot) == len(tasks):
            value, _, _ = Bar("zero-shot", zero_shot, QUIET).estimate
            axes.axhline(value, color=QUIET, linestyle=ZERO_SHOT_STYLE, linewidth=1.2, zorder=0.9)
        if setting in CHANCE:
            axes.axhline(CHANCE[setting], color=QUIET, linestyle=CHANCE_STYLE, linewidth=1.2, zorder=0.9)
        layout.set_title(axes, f"{setting} · {task or f'{len(tasks)} tasks'}")
        pair = f"{bars[0].rows[0]['weak']} → {bars[-1].rows[0]['strong']}"
        axes.set_xlabel(pair if task else "medians and quartiles of tasks", x=len(bars) / slots / 2)
        axes.set(xlim=(-0.5, slots - 0.5), ylim=(0, 1.19))
        layout.percent_axes(axes, "test accuracy")
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    return figure


def _select(table: Table, tasks: list[str], role: str, method: str = "") -> list[Row]:
    return [row for task in tasks for row in table.select(task=task, role=role, method=method)]


def _best(table: Table, grid: ReportGrid, tasks: list[str]) -> str | None:
    """A setting's method, other than the baseline, with the best mean accuracy at its tasks' widest gaps."""
    part = grid.tasks[tasks[0]]

    def accuracy(method: str) -> float:
        return fmean(row["accuracy"] for row in _select(table, tasks, "student", method))

    return max((method for method in part.methods if method != part.baseline), key=accuracy, default=None)


def _bars(table: Table, grid: ReportGrid, tasks: list[str], best: str | None) -> list[Bar]:
    part = grid.tasks[tasks[0]]
    supervisors = _select(table, tasks, "supervisor")
    bars = [Bar("supervisor", supervisors, supervisor_colour(grid, supervisors[0]["weak"]))]
    for method in filter(None, (part.baseline, best)):
        bars.append(Bar(method, _select(table, tasks, "student", method), method_look(grid, method)["color"]))
    bars.append(Bar("ceiling", _select(table, tasks, "ceiling", part.ceiling), INK))
    return bars


def _draw_bars(axes: Axes, bars: list[Bar]) -> None:
    for x, bar in enumerate(bars):
        value, low, high = bar.estimate
        axes.bar(x, value, width=BAR_WIDTH, color=bar.colour)
        # the interval, as seen on the bar and above it
        for end, shade in ((low, "white"), (high, INK)):
            axes.plot([x, x], [value, end], color=shade, linewidth=1.6, solid_capstyle="butt")
    axes.set_xticks(range(len(bars)), [fill(bar.name, 11) for bar in bars], fontsize=8.5)
    axes.tick_params(axis="x", length=0)


def _draw_gap(axes: Axes, x: int, student: Bar, ceilings: list[Row]) -> None:
    """PGR above a student's bar, and the ceiling of its method where that is another one than the task's."""
    _, _, top = student.estimate
    if ceilings:
        ceiling, _, _ = Bar("ceiling", ceilings, INK).estimate
        line = [x - BAR_WIDTH / 2, x + BAR_WIDTH / 2]
        axes.plot(line, [ceiling, ceiling], color=INK, linestyle=OTHER_CEILING_STYLE)
        top = max(top, ceiling)
    above: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 8.5}
    axes.annotate(student.pgr, (x, top), **above, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
