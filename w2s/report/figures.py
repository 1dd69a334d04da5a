"""The figures of the report: one function a figure, from the tables that `evaluate` wrote to PNG bytes.

Two ideas hold them together. A colour means one thing everywhere: a supervisor keeps its own, a method its own with a
marker, and black is ground truth. A figure is a header (title, what to look for, legend) over panels that wrap, so that
one task and two methods fill a laptop's width, and 22 tasks and six methods still come out legible, only longer.

Drawn with Agg and bundled fonts, without dates or versions in the file: the same tables give the same bytes.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, quantiles
from textwrap import fill
from types import MappingProxyType
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from w2s.results.metrics import CHANCE

Row = dict[str, Any]

WIDTH = 10.0  # inches; shown 1,100 pixels wide, 10 pt text is then read at 15 pixels
DPI = 150
LANE, LEAST = 0.2, 2.5  # inches of a method's lane; lanes that a pair takes at least, so that its name fits
FAR = 6  # interquartile ranges from the quartiles, beyond which a difference is an arrow
LONGEST = 60_000  # pixels; Agg draws at most 2**16 along a side
INK, QUIET, FAINT = "#1d2129", "#69707d", "#d9dce1"
# Okabe & Ito's palette for supervisors, Tol's muted one for methods: both colour-blind safe, no colour in both.
SUPERVISOR_COLOURS = ("#0072b2", "#d55e00", "#cc79a7", "#56b4e9", "#009e73", "#e69f00")
BASELINE_COLOUR = "#7b828e"
METHOD_COLOURS = ("#882255", "#44aa99", "#999933", "#332288", "#cc6677")
METHOD_MARKERS = "osD^vP"
SIDE_BY_SIDE = 4  # tasks of a setting that are shown one by one; of more, the median
LINE_STYLES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 3)))
CHANCE_STYLE, OWN_STYLE = (0, (1.5, 2.5)), (0, (2.6, 1.2))
PER_CENT = PercentFormatter(1, decimals=0)
POINTS = FuncFormatter(lambda difference, _: _points(round(difference, 6)))
NOT_AVAILABLE: dict[str, Any] = {
    "color": QUIET,
    "va": "center",
    "style": "italic",
    "fontsize": 8.5,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.5},
}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, hence the same on every machine
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
TEXT = frozenset(
    {
        *{"task", "setting", "series", "role", "weak", "strong", "method", "ceiling", "model", "metric", "subset"},
        *{"reason", "pgr_reason"},
    }
)


class Table(list[Row]):
    """The rows of a CSV file: numbers as floats, an empty number as None."""

    def __init__(self, file: Path) -> None:
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                self.append({key: text if key in TEXT else float(text) if text else None for key, text in row.items()})
        self._indices: dict[tuple[str, ...], dict[tuple[Any, ...], list[Row]]] = {}

    def select(self, **wanted: str) -> list[Row]:
        """The rows that have these values, by an index a set of columns (a large grid asks thousands of times)."""
        columns = tuple(wanted)
        if columns not in self._indices:
            index = self._indices[columns] = defaultdict(list)
            for row in self:
                index[tuple(row[column] for column in columns)].append(row)
        return self._indices[columns].get(tuple(wanted.values()), [])


Tables = dict[str, Table]


def read_tables(reports: Path) -> Tables:
    """The tables under `reports/` by name."""
    files = [reports / "summary.csv", reports / "results.csv", *sorted((reports / "plots").glob("*.csv"))]
    return {file.stem: Table(file) for file in files}


@dataclass(frozen=True)
class Block:
    """What the tables hold of one task; models by rising size."""

    setting: str
    weak: list[str]
    strong: list[str]
    ceilings: dict[str, str]  # method → the method of the ceiling that its students are held against
    simulated: list[str]  # supervisors that are no models, and have no size

    @property
    def methods(self) -> list[str]:
        return list(self.ceilings)

    @property
    def baseline(self) -> str:
        return "naive" if "naive" in self.ceilings else self.methods[0]

    @property
    def ceiling(self) -> str:
        """The method of the ceiling that stands for the task."""
        return self.ceilings[self.baseline]

    @property
    def own(self) -> list[str]:
        """The methods of all further ceilings."""
        return [method for method in dict.fromkeys(self.ceilings.values()) if method != self.ceiling]

    @property
    def views(self) -> dict[str, list[str]]:
        """Methods that a panel can show together, each in another colour: the baseline and some others; by title."""
        others, some = [method for method in self.methods if method != self.baseline], len(METHOD_COLOURS)
        parts = [others[start : start + some] for start in range(0, max(1, len(others)), some)]
        titles = [f"{part} of {len(parts)}" if len(parts) > 1 else "" for part in range(1, len(parts) + 1)]
        return {title: [self.baseline, *part] for title, part in zip(titles, parts, strict=True)}

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(weak, strong) for weak in self.weak for strong in self.strong]


@dataclass(frozen=True)
class Grid:
    """The names in the tables, in the order and the look they have in every figure."""

    tasks: dict[str, Block]
    size: dict[str, float]
    weak: list[str]
    strong: list[str]
    methods: list[str]

    @classmethod
    def of(cls, tables: Tables) -> "Grid":
        size = {row["model"]: row["parameters"] for row in tables["scaling"]}
        setting = {row["task"]: row["setting"] for row in tables["settings"]}
        tasks = {}
        for task in distinct(tables["results"], "task"):
            cells = tables["results"].select(task=task)
            supervisors, strong = distinct(cells, "weak"), sorted(distinct(cells, "strong"), key=size.__getitem__)
            weak = sorted((name for name in supervisors if name in size), key=size.__getitem__)
            ceilings = {cell["method"]: cell["ceiling"] for cell in cells}
            simulated = [name for name in supervisors if name not in size]
            tasks[task] = Block(setting[task], weak, strong, ceilings, simulated)
        every = (
            [name for block in tasks.values() for name in getattr(block, key)] for key in ("weak", "strong", "methods")
        )
        return cls(tasks, size, *(list(dict.fromkeys(names)) for names in every))

    @property
    def settings(self) -> dict[str, list[str]]:
        """The tasks of each setting."""
        found: dict[str, list[str]] = {}
        for task, block in self.tasks.items():
            found.setdefault(block.setting, []).append(task)
        return found

    def supervisor(self, weak: str) -> str:
        return SUPERVISOR_COLOURS[self.weak.index(weak) % len(SUPERVISOR_COLOURS)]

    def method(self, method: str) -> dict[str, Any]:
        """The baseline is grey; of the others, those that meet in a view differ in colour, and all in their look."""
        baseline = next(block.baseline for block in self.tasks.values())
        if method == baseline:
            return {"color": BASELINE_COLOUR, "marker": METHOD_MARKERS[0]}
        place = [other for other in self.methods if other != baseline].index(method)
        colours, markers = len(METHOD_COLOURS), len(METHOD_MARKERS)
        marker = METHOD_MARKERS[(1 + place % colours + place // colours) % markers]  # another each time round
        return {"color": METHOD_COLOURS[place % colours], "marker": marker}

    def label(self, task: str, *rest: str) -> str:
        """A panel's title; the task goes without saying when there is only one."""
        return " · ".join(([task] if len(self.tasks) > 1 else []) + [part for part in rest if part])


def distinct(rows: Iterable[Row], key: str) -> list[str]:
    """The values of a column, each once, in order of appearance."""
    return list(dict.fromkeys(row[key] for row in rows))


def human(parameters: float) -> str:
    """A model size as people write it: 11k, 1.5B."""
    rounded = float(f"{parameters:.3g}")
    unit, scale = next(
        ((u, s) for u, s in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)) if rounded >= s), ("", 1.0)
    )
    value = rounded / scale
    return (f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}") + unit


# -- The figures ------------------------------------------------------------------------------------------------------


def settings(tables: Tables) -> Figure:
    """Each task's widest gap (Burns et al., figure 2): supervisor, naive student, best other method, ceiling."""
    grid = Grid.of(tables)
    keys = [
        (setting, task)
        for setting, tasks in grid.settings.items()
        for task in (tasks if len(tasks) <= SIDE_BY_SIDE else [""])  # of many tasks, the median
    ]
    slots = 12 // min(3, len(keys))  # so that bars are as wide in any number of panels
    best = {setting: _best(tables["settings"], grid, tasks) for setting, tasks in grid.settings.items()}
    subtitle = "Test accuracy at the widest gap between supervisor and ceiling."
    legend = [_key("interval", color=INK, marker="|", markersize=9, markeredgewidth=1.6, linestyle="")]
    if best.keys() & CHANCE:
        legend.append(_key("chance", color=QUIET, linestyle=CHANCE_STYLE, linewidth=1.2))
    if any(best.values()):
        subtitle += " Beside naive, the best other method, named after looking."
    if any(method in grid.tasks[grid.settings[setting][0]].own for setting, method in best.items()):
        legend.append(_key("ceiling of that method itself", color=INK, linestyle=OWN_STYLE))
    figure, panels = _layout("What weak supervision brings out in each setting", subtitle, legend, [[*keys]], shared=0)
    for (setting, task), axes in panels.items():
        tasks = [task] if task else grid.settings[setting]
        block = grid.tasks[tasks[0]]

        def rows(role: str, method: str = "", tasks: list[str] = tasks) -> list[Row]:
            return [row for task in tasks for row in tables["settings"].select(task=task, role=role, method=method)]

        supervisors, ceilings = rows("supervisor"), rows("ceiling", block.ceiling)
        bars = [("supervisor", supervisors, grid.supervisor(supervisors[0]["weak"]))]
        for method in filter(None, (block.baseline, best[setting])):
            bars.append((method, rows("student", method), grid.method(method)["color"]))
        bars.append(("ceiling", ceilings, INK))
        for x, (name, shown, colour) in enumerate(bars):
            value, low, high = _over_tasks(shown)
            axes.bar(x, value, width=0.78, color=colour)
            for end, shade in ((low, "white"), (high, INK)):  # as seen on the bar and above it
                axes.plot([x, x], [value, end], color=shade, linewidth=1.6, solid_capstyle="butt")
            if name in block.own:
                own, *_ = _over_tasks(rows("ceiling", name))
                axes.plot([x - 0.39, x + 0.39], [own, own], color=INK, linestyle=OWN_STYLE)
                high = max(high, own)
            if shown[0]["role"] == "student":
                recovered = [row["pgr"] for row in shown if row["pgr"] is not None]
                says = f"PGR\n{100 * median(recovered):.0f}%".replace("-", "−") if recovered else "PGR\nn/a"
                plain = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
                axes.annotate(
                    says, (x, high), (0, 5), textcoords="offset points", ha="center", fontsize=8.5, bbox=plain
                )
        if setting in CHANCE:
            axes.axhline(CHANCE[setting], color=QUIET, linestyle=CHANCE_STYLE, linewidth=1.2, zorder=0.9)
        axes.set_title(f"{setting} · {task or f'{len(tasks)} tasks'}")
        axes.set_xticks(range(len(bars)), [fill(name, 11) for name, *_ in bars], fontsize=8.5)
        axes.tick_params(axis="x", length=0)
        pair = f"{supervisors[0]['weak']} → {ceilings[0]['strong']}"
        axes.set_xlabel(pair if task else "medians and quartiles of tasks")
        middle = (len(bars) - 1) / 2
        axes.set(xlim=(middle - slots / 2, middle + slots / 2), ylim=(0, 1.19))
        _percent(axes, "test accuracy")
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    return figure


def scaling(tables: Tables) -> Figure:
    """Accuracy by student size, a panel a method (Burns et al., figure 3): the gap, and how much of it closes."""
    grid = Grid.of(tables)
    legend = [_key("ground truth (ceiling)", color=INK, marker="o")]
    legend += [_key(f"students of {weak}", color=grid.supervisor(weak), marker="o") for weak in grid.weak]
    legend += [_key("the supervisor itself", color=QUIET, marker="o", markerfacecolor="white", linestyle=":")]
    figure, panels = _layout(
        "Accuracy by model size: supervisors, students, ceiling",
        "On test examples. A line starts at its supervisor; above the dotted guide a student beats its teacher.",
        legend,
        [[(task, method) for method in block.methods] for task, block in grid.tasks.items()],
    )
    for (task, method), axes in panels.items():
        table = tables["scaling"]
        rows = table.select(task=task, method=method)
        edge = max(row["parameters"] for row in rows)
        for name, colour in [
            ("ground truth", INK),
            *((f"supervisor {weak}", grid.supervisor(weak)) for weak in grid.tasks[task].weak),
        ]:
            line = table.select(task=task, method=method, series=name)
            x, y, low, high = ([row[key] for row in line] for key in ("parameters", "accuracy", "low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
            axes.plot(x, y, color=colour, marker="o")
            if name != "ground truth":
                axes.plot([x[0], edge], [y[0], y[0]], color=colour, linestyle=":", linewidth=1.2)
                axes.plot(x[:1], y[:1], color=colour, marker="o", markerfacecolor="white", linestyle="", markersize=7)
        axes.set_title(grid.label(task, method))
        _sizes(axes, grid, distinct(rows, "model"))
        _percent(axes, "test accuracy")
    return figure


def pgr(tables: Tables) -> Figure:
    """Performance gap recovered by pair and method, with intervals; an undefined one keeps its place, with a reason."""
    grid = Grid.of(tables)
    rows = [row for row in tables["pgr"] if row["weak"] in grid.tasks[row["task"]].weak]
    ends = [row[key] for row in rows if row["pgr"] is not None for key in ("pgr", "low", "high")]
    limits = max(-1.0, min([-0.1, *ends]) - 0.05), min(2.0, max([1.1, *ends]) + 0.05)
    figure, panels, places = _lanes(
        "Performance gap recovered, by pair and method",
        "0 % is the supervisor, 100 % the ceiling. Bars are intervals; an arrow marks an end beyond the axis.",
        [],
        grid,
        rows,
        limits,
        "performance gap recovered",
    )
    for task, axes in panels.items():
        undefined: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for row, y in places[task]:
            if row["pgr"] is None:
                undefined[row["weak"], row["strong"], row["reason"]].append(y)
            else:
                _interval(axes, row["pgr"], row["low"], row["high"], y, limits, grid.method(row["method"]))
        for (*_, reason), ys in undefined.items():
            axes.text(limits[0] + 0.02, sum(ys) / len(ys), f"n/a: {reason}", **NOT_AVAILABLE)
        for x in (0, 1):
            axes.axvline(x, color=INK, linewidth=1, zorder=1)
        axes.xaxis.set_major_formatter(PER_CENT)
    return figure


def comparison(tables: Tables) -> Figure:
    """Each method against naive on the same examples and seeds; filled where clear after correction (Holm)."""
    grid = Grid.of(tables)
    rows = tables["comparison"]
    legend = [
        _key("significant after correction", color=QUIET, marker="o", linestyle=""),
        _key("not significant", color=QUIET, marker="o", linestyle="", markerfacecolor="white"),
    ]
    gaps: dict[tuple[str, ...], str] = {
        (row["task"], row["weak"], row["strong"]): f"\ngap {100 * row['gap']:.1f}".replace("-", "−") for row in rows
    }

    def look(row: Row) -> dict[str, Any]:
        method = grid.method(row["method"])
        return (
            method if row["significant"] else method | {"markerfacecolor": "white", "markeredgecolor": method["color"]}
        )

    return _differences(
        "Each method against naive finetuning",
        "Test accuracy − that of naive, widest gap first. Bars are intervals; an arrow marks a value beyond the axis.",
        legend,
        grid,
        rows,
        "accuracy − naive accuracy (points)",
        look,
        gaps,
    )


def overfitting(tables: Tables) -> Figure:
    """What training to the end costs against the best snapshot, which only an oracle could choose (section 5.1.1)."""
    grid = Grid.of(tables)
    return _differences(
        "What stopping at the best moment would have gained",
        "Test accuracy at the best snapshot, an oracle’s choice by truth, − at the end. Right of 0: overfitted.",
        [],
        grid,
        tables["overfitting"],
        "best snapshot − end (points)",
        lambda row: grid.method(row["method"]),
    )


def saliency(tables: Tables) -> Figure:
    """How clearly features show the truth to a linear probe: before, after weak labels, after truth (section 5.2.3)."""
    grid = Grid.of(tables)
    table = tables["saliency"]
    students = table.select(role="student")
    ends = [row[key] for row in table for key in ("low", "high")]
    limits = min(ends) - 0.02, max(ends) + 0.02
    figure, panels, places = _lanes(
        "How linearly the features show the truth",
        "Accuracy of a logistic probe fitted with truth on half of the probed test examples and asked about the other.",
        [_key("base model", color=QUIET, linestyle=OWN_STYLE), _key("ceiling", color=INK)],
        grid,
        students,
        limits,
        "probe accuracy",
    )
    for task, axes in panels.items():
        spans: dict[tuple[str, str], list[float]] = defaultdict(list)
        for row, y in places[task]:
            _interval(axes, row["probe"], row["low"], row["high"], y, limits, grid.method(row["method"]))
            spans[row["weak"], row["strong"]].append(y)
        for (_, strong), ys in spans.items():
            for role, method, look in (
                ("base", "", {"color": QUIET, "linestyle": OWN_STYLE}),
                ("ceiling", grid.tasks[task].ceiling, {"color": INK}),
            ):
                for row in table.select(task=task, role=role, strong=strong, method=method):
                    axes.plot([row["probe"]] * 2, [min(ys) - 0.5, max(ys) + 0.5], zorder=1, **look)
        axes.xaxis.set_major_formatter(PER_CENT)
    return figure


def agreement(tables: Tables) -> Figure:
    """Agreement of students with their supervisor, where it is right and where it is wrong (section 5.1.2)."""
    grid = Grid.of(tables)
    subsets: dict[str, dict[str, Any]] = {
        "supervisor right": {"linestyle": "-"},
        "supervisor wrong": {"linestyle": "--", "markerfacecolor": "white"},
    }
    figure, panels = _layout(
        "Agreement with the supervisor, where it is right and where it is wrong",
        "Share of test examples on which student and supervisor agree. Imitation shows as a high dashed line.",
        [
            *(_key(method, **grid.method(method), linestyle="") for method in grid.methods),
            *(
                _key(f"where the {subset}".replace("supervisor", "supervisor is"), color=QUIET, marker="o", **look)
                for subset, look in subsets.items()
            ),
        ],
        [
            [
                *((task, weak, view) for weak in block.weak for view in block.views),
                *((task, name, "") for name in block.simulated),
            ]
            for task, block in grid.tasks.items()
        ],
    )
    for (task, weak, view), axes in panels.items():
        for method in grid.tasks[task].views.get(view, grid.tasks[task].methods):
            for subset, look in subsets.items():
                rows = tables["agreement"].select(task=task, weak=weak, method=method, subset=subset)
                rows = sorted(
                    (row for row in rows if row["agreement"] is not None), key=lambda row: grid.size[row["strong"]]
                )
                x = [grid.size[row["strong"]] for row in rows]
                y, low, high = ([row[key] for row in rows] for key in ("agreement", "low", "high"))
                axes.fill_between(x, low, high, color=grid.method(method)["color"], alpha=0.13, linewidth=0)
                axes.plot(x, y, **grid.method(method) | look)
        whose = weak if weak in grid.tasks[task].simulated else f"students of {weak}"
        axes.set_title(grid.label(task, whose, view))
        axes.set_ylim(-0.02, 1.02)
        _sizes(axes, grid, grid.tasks[task].strong)
        _percent(axes, "agreement")
    return figure


def curves(tables: Tables) -> Figure:
    """Truth and agreement during training: overfitting gains agreement and loses accuracy (section 5.1.1, figure 7)."""
    grid = Grid.of(tables)
    legend = [_key(f"{method}: accuracy", **grid.method(method)) for method in grid.methods]
    legend += [_key("agreement with supervisor", color=QUIET, linestyle="--", linewidth=1.3)]
    legend += [_key("supervisor", color=QUIET, linestyle=":"), _key("ceiling", color=INK, linewidth=1.2)]
    own = dict.fromkeys(method for block in grid.tasks.values() for method in block.own)
    legend += [_key(f"ceiling of {method}", color=INK, linestyle=OWN_STYLE, linewidth=1.2) for method in own]
    figure, panels = _layout(
        "Accuracy and agreement during training",
        "On test examples; bands: lowest to highest seed. Overfitting: a solid line falls while its dashed one rises.",
        legend,
        _by_pair(grid),
    )
    for (task, weak, strong, view), axes in panels.items():
        for row in tables["summary"].select(task=task, role="supervisor", weak=weak, metric="accuracy"):
            axes.axhline(row["value"], color=grid.supervisor(weak), linestyle=":", linewidth=1.6)
        block = grid.tasks[task]
        for method, style in [(block.ceiling, "-"), *((method, OWN_STYLE) for method in block.own)]:
            ceiling = tables["curves"].select(task=task, role="ceiling", strong=strong, method=method)
            x, y = ([row[key] for row in ceiling] for key in ("progress", "accuracy"))
            axes.plot(x, y, color=INK, linestyle=style, linewidth=1.2)
        for method in block.views[view]:
            rows = tables["curves"].select(task=task, role="student", weak=weak, strong=strong, method=method)
            x, y, low, high, agreed = (
                [row[key] for row in rows] for key in ("progress", "accuracy", "low", "high", "agreement")
            )
            look = grid.method(method)
            axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
            axes.plot(x, y, **look, markevery=[-1], clip_on=False, zorder=3)
            axes.plot(x, agreed, color=look["color"], linestyle="--", linewidth=1.3)
        axes.set_title(grid.label(task, f"{weak} → {strong}", view))
        axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
        _percent(axes, "test examples", "share of training done")
    return figure


def training(tables: Tables) -> Figure:
    """Loss and accuracy against the labels trained on: colour says whose labels, line style which model."""
    grid = Grid.of(tables)
    table = tables["training"]
    dash = {strong: LINE_STYLES[index % len(LINE_STYLES)] for index, strong in enumerate(grid.strong)}
    legend = [_key("ceilings", color=INK)]
    legend += [_key(f"{weak} and its students", color=grid.supervisor(weak)) for weak in grid.weak]
    legend += [_key(f"size {model}", color=QUIET, linestyle=style) for model, style in dash.items()]
    truth = "truth"
    figure, panels = _layout(
        "Training: loss and accuracy on the labels trained on",
        "Mean over seeds, smoothed over 5 % of training. Students learn weak labels, all others ground truth.",
        legend,
        [
            [
                (task, quantity, column)
                for column in (truth, *block.methods)
                if column == truth or table.select(task=task, role="student", method=column)
            ]
            for task, block in grid.tasks.items()
            for quantity in ("loss", "accuracy")
        ],
        columns=4,
        shared=2,
    )
    for (task, quantity, column), axes in panels.items():
        block = grid.tasks[task]
        runs: list[tuple[list[Row], dict[str, Any]]] = []
        if column == truth:
            for weak in block.weak:
                runs.append((table.select(task=task, role="supervisor", weak=weak), {"color": grid.supervisor(weak)}))
        else:
            for weak, strong in block.pairs:
                student = table.select(task=task, role="student", weak=weak, strong=strong, method=column)
                runs.append((student, {"color": grid.supervisor(weak), "linestyle": dash[strong]}))
        if column == truth or column in block.own:  # a further ceiling stands beside the students of its method
            method = block.ceiling if column == truth else column
            for strong in block.strong:
                ceiling = table.select(task=task, role="ceiling", strong=strong, method=method)
                runs.append((ceiling, {"color": INK, "linestyle": dash[strong]}))
        for run, look in runs:
            known = [(row["step"], row[quantity]) for row in run if row[quantity] is not None]
            axes.plot([step for step, _ in known], _smooth([value for _, value in known]), linewidth=1.4, **look)
        axes.set_title(grid.label(task, column))
        _x_label(axes, "optimizer step")
        _y_label(axes, quantity)
        if quantity == "accuracy":
            axes.yaxis.set_major_formatter(PER_CENT)
    return figure


def calibration(tables: Tables) -> Figure:
    """Reliability: of the examples given probability p, how many are true; below the diagonal is overconfident."""
    grid = Grid.of(tables)
    tasks = distinct(tables["calibration"], "task")
    methods = dict.fromkeys(method for task in tasks for method in grid.tasks[task].methods)
    legend = [_key(f"student, {method}", **grid.method(method)) for method in methods]
    legend += [
        _key("supervisor (in its colour)", color=QUIET, linewidth=1.3),
        _key("ceiling", color=INK, linewidth=1.3),
    ]
    figure, panels = _layout(
        "Calibration: stated probability against what came true",
        "How often what a model states of a test example comes true. Larger points hold more examples.",
        legend,
        [[(task, *pair, view) for pair in grid.tasks[task].pairs for view in grid.tasks[task].views] for task in tasks],
        columns=4,
    )
    for (task, weak, strong, view), axes in panels.items():
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, zorder=1)
        table = tables["calibration"]
        ceiling = table.select(task=task, role="ceiling", strong=strong, method=grid.tasks[task].ceiling)
        _reliability(axes, ceiling, INK, "o", 1.3)
        _reliability(axes, table.select(task=task, role="supervisor", weak=weak), grid.supervisor(weak), "o", 1.3)
        for method in grid.tasks[task].views[view]:
            student = table.select(task=task, role="student", weak=weak, strong=strong, method=method)
            _reliability(axes, student, **grid.method(method), width=1.8)
        axes.set_title(grid.label(task, f"{weak} → {strong}", view))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        _percent(axes, "share that came true", "stated probability")
    return figure


FIGURES: dict[str, Callable[[Tables], Figure]] = {  # each has a table of its name
    "settings": settings,
    "scaling": scaling,
    "pgr": pgr,
    "agreement": agreement,
    "curves": curves,
    "training": training,
    "calibration": calibration,
    "comparison": comparison,
    "overfitting": overfitting,
    "saliency": saliency,
}


def draw(tables: Tables) -> dict[str, bytes]:
    """Every figure that has something to show, as PNG."""
    return {name: png(name, tables) for name in FIGURES if tables[name]}


def png(name: str, tables: Tables) -> bytes:
    """One figure as PNG: the same tables give the same bytes."""
    with rc_context(STYLE):
        figure = FIGURES[name](tables)
        out = io.BytesIO()
        dpi = min(DPI, LONGEST / figure.get_figheight())
        FigureCanvasAgg(figure).print_figure(out, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
        return out.getvalue()


# -- Shared parts -----------------------------------------------------------------------------------------------------


def _layout(
    title: str,
    subtitle: str,
    legend: list[Line2D],
    groups: list[list[tuple[str, ...]]],
    columns: int = 3,
    shared: int = 1,
    heights: Mapping[tuple[str, ...], float] = MappingProxyType({}),
    left: float = 0.75,
) -> tuple[Figure, dict[tuple[str, ...], Axes]]:
    """A header over panels by key; every group begins a new row and wraps after `columns`.

    Panels whose keys agree in their first `shared` parts have the same y axis. In inches: `heights` of panels that are
    not all alike; `left` for labels, of every panel if keys are no longer than `shared`.
    All places are computed here: a layout engine takes minutes for 500 panels.
    """
    columns = min(columns, max(len(group) for group in groups))
    rows = [group[start : start + columns] for group in groups for start in range(0, len(group), columns)]
    alike = {1: 3.5, 2: 2.6, 3: 2.0}.get(columns, 1.75)
    tall = [max(heights.get(key, alike) for key in row) for row in rows]
    across = next((n for n in range(len(legend), 1, -1) if _legend_width(legend, n) <= WIDTH), 1)
    header, gap, bottom, right = 0.98 + 0.22 * math.ceil(len(legend) / across), 0.88, 0.6, 0.28
    between = left if len(groups[0][0]) <= shared else 0.42
    total = header + sum(tall) + (len(rows) - 1) * gap + bottom
    figure = Figure(figsize=(WIDTH, total))
    figure.text(0.006, 1 - 0.08 / total, title, fontsize=14, weight="bold", va="top")
    figure.text(0.006, 1 - 0.37 / total, subtitle, fontsize=9.5, color=QUIET, va="top")
    place = (0.004, 1 - 0.6 / total)
    figure.legend(
        handles=legend, loc="upper left", bbox_to_anchor=place, ncols=across, handlelength=2.4, borderaxespad=0
    )
    width = (WIDTH - left - right - (columns - 1) * between) / columns
    cells = figure.add_gridspec(
        len(rows),
        columns,
        left=left / WIDTH,
        right=1 - right / WIDTH,
        top=1 - header / total,
        bottom=bottom / total,
        hspace=gap / fmean(tall),
        wspace=between / width,
        height_ratios=tall,
    )
    panels: dict[tuple[str, ...], Axes] = {}
    first: dict[tuple[str, ...], Axes] = {}
    for row, keys in enumerate(rows):
        for column, key in enumerate(keys):
            axes = figure.add_subplot(cells[row, column], sharey=first.get(key[:shared]))
            panels[key] = first[key[:shared]] = axes
    return figure, panels


def _legend_width(legend: list[Line2D], columns: int) -> float:
    """Inches that a legend takes; it fills its columns from the top, the first ones with one entry more."""
    rows, longer = divmod(len(legend), columns)
    starts = [rows * column + min(column, longer) for column in range(columns + 1)]
    widths = [len(str(key.get_label())) * 0.078 + 0.75 for key in legend]
    return sum(max(widths[start:end]) for start, end in pairwise(starts))


def _lanes(
    title: str,
    subtitle: str,
    legend: list[Line2D],
    grid: Grid,
    rows: Iterable[Row],
    limits: tuple[float, float],
    label: str,
    notes: Mapping[tuple[str, ...], str] = MappingProxyType({}),
) -> tuple[Figure, dict[str, Axes], dict[str, list[tuple[Row, float]]]]:
    """A panel a task, in it a strip a pair, in it a lane a method: the rows of students, each with the height of its
    lane. Pairs keep their order; `notes` stand under their names."""
    strips: dict[str, dict[tuple[str, str], list[Row]]] = {}
    for row in rows:
        strips.setdefault(row["task"], {}).setdefault((row["weak"], row["strong"]), []).append(row)
    methods = dict.fromkeys(row["method"] for strip in strips.values() for lane in strip.values() for row in lane)
    names = [f"{weak} → {strong}" for strip in strips.values() for weak, strong in strip]
    figure, panels = _layout(
        title,
        subtitle,
        [_key(method, **grid.method(method), linestyle="-") for method in grid.methods if method in methods] + legend,
        [[(task,) for task in tasks if task in strips] for tasks in grid.settings.values() if strips.keys() & {*tasks}],
        columns=2,
        heights={
            (task,): LANE * sum(max(LEAST, len(lanes)) for lanes in strip.values()) for task, strip in strips.items()
        },
        left=0.35 + 0.075 * max(map(len, names)),
    )
    places: dict[str, list[tuple[Row, float]]] = {task: [] for task in strips}
    for (task,), axes in panels.items():
        ticks, top = {}, 0.0
        for (weak, strong), lanes in strips[task].items():
            height = max(LEAST, len(lanes))
            ticks[top + height / 2] = f"{weak} → {strong}{notes.get((task, weak, strong), '')}"
            first = top + (height - len(lanes) + 1) / 2
            places[task] += [(row, first + index) for index, row in enumerate(lanes)]
            if top:
                axes.axhline(top, color=FAINT, linewidth=0.6)
            top += height
        axes.grid(False)
        axes.set(xlim=limits, ylim=(top, 0))
        _x_label(axes, label)
        axes.set_yticks([*ticks], [*ticks.values()])
        axes.tick_params(axis="y", length=0)
        axes.set_title(task)
    return figure, {task: axes for (task,), axes in panels.items()}, places


def _differences(
    title: str,
    subtitle: str,
    legend: list[Line2D],
    grid: Grid,
    rows: Sequence[Row],
    label: str,
    look: Callable[[Row], dict[str, Any]],
    notes: Mapping[tuple[str, ...], str] = MappingProxyType({}),
) -> Figure:
    """Differences of students with their intervals, in lanes on an axis that holds zero, and all but those far off."""
    ends = sorted([0.0, *(row[key] for row in rows for key in ("low", "high"))])
    first, _, third = quantiles(ends, method="inclusive")
    far = FAR * max(0.01, third - first)
    near = [end for end in ends if min(0, first - far) <= end <= max(0, third + far)]
    room = max(0.01, 0.05 * (near[-1] - near[0]))
    limits = near[0] - room, near[-1] + room
    figure, panels, places = _lanes(title, subtitle, legend, grid, rows, limits, label, notes)
    for task, axes in panels.items():
        for row, y in places[task]:
            _interval(axes, row["difference"], row["low"], row["high"], y, limits, look(row))
            for side, end in ((-1, limits[0]), (1, limits[1])):
                if side * row["difference"] > side * end:  # only an arrow is seen: how far does it point?
                    place: dict[str, Any] = {"ha": "left" if side < 0 else "right", "va": "center", "fontsize": 8.5}
                    says = f"{100 * row['difference']:+.1f}".replace("-", "−")
                    axes.annotate(says, (end, y), (-9 * side, 0), textcoords="offset points", **place)
        axes.axvline(0, color=INK, linewidth=1, zorder=1)
        axes.xaxis.set_major_formatter(POINTS)
    return figure


def _points(difference: float) -> str:
    """A difference of accuracies in points."""
    return f"{100 * difference:+.3g}".replace("-", "−") if difference else "0"


def _by_pair(grid: Grid) -> list[list[tuple[str, ...]]]:
    """A panel a pair and view of its methods, from a new row for each supervisor."""
    return [
        [(task, weak, strong, view) for strong in block.strong for view in block.views]
        for task, block in grid.tasks.items()
        for weak in block.weak
    ]


def _best(table: Table, grid: Grid, tasks: list[str]) -> str | None:
    """A setting's method, other than the baseline, with the best mean accuracy at its tasks' widest gaps."""
    block = grid.tasks[tasks[0]]

    def accuracy(method: str) -> float:
        return fmean(
            row["accuracy"] for task in tasks for row in table.select(task=task, role="student", method=method)
        )

    return max((method for method in block.methods if method != block.baseline), key=accuracy, default=None)


def _over_tasks(rows: list[Row]) -> tuple[float, float, float]:
    """One task's accuracy with its interval; of several tasks the median with the quartiles."""
    if len(rows) == 1:
        return rows[0]["accuracy"], rows[0]["low"], rows[0]["high"]
    low, middle, high = quantiles((row["accuracy"] for row in rows), n=4, method="inclusive")
    return middle, low, high


def _key(label: str, **look: Any) -> Line2D:
    return Line2D([], [], label=label, **look)


def _percent(axes: Axes, y: str, x: str | None = None) -> None:
    """Axes that count in whole per cent."""
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PER_CENT)
    _y_label(axes, y)
    if x:
        axes.xaxis.set_major_formatter(PER_CENT)
        _x_label(axes, x)


def _y_label(axes: Axes, label: str) -> None:
    """What y means and its numbers, said once a row (a row shares its y axis)."""
    spec = axes.get_subplotspec()
    at_left = spec is None or spec.is_first_col()
    axes.tick_params(labelleft=at_left)
    axes.set_ylabel(label if at_left else "")


def _x_label(axes: Axes, label: str) -> None:
    """What x means, said once, under the last row."""
    spec = axes.get_subplotspec()
    if spec is None or spec.is_last_row():
        axes.set_xlabel(label)


def _sizes(axes: Axes, grid: Grid, models: list[str]) -> None:
    """A logarithmic x axis with a tick at every model; labels that would touch the one before are left out."""
    axes.set_xscale("log")
    _x_label(axes, "model size (parameters)")
    ordered = sorted(models, key=grid.size.__getitem__)
    low, high = math.log(grid.size[ordered[0]]), math.log(grid.size[ordered[-1]])
    margin = 0.06 * (high - low) or 0.5
    inches = axes.get_position().width * WIDTH
    labels, end = [], -math.inf
    for model in ordered:
        name = f"{model}\n{human(grid.size[model])}" if max(map(len, ordered)) <= 16 else human(grid.size[model])
        half = 0.045 * max(map(len, name.split("\n")))
        centre = (math.log(grid.size[model]) - low + margin) / (high - low + 2 * margin) * inches
        fits = centre - half > end + 0.08
        labels.append(name if fits else "")
        end = centre + half if fits else end
    axes.set_xlim(math.exp(low - margin), math.exp(high + margin))
    axes.xaxis.set_major_locator(FixedLocator([grid.size[model] for model in ordered]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_ticklabels(labels)


def _interval(
    axes: Axes, value: float, low: float, high: float, y: float, limits: tuple[float, float], look: dict[str, Any]
) -> None:
    """A point with its interval on a horizontal lane; an end beyond the axis becomes an arrow."""
    left, right = limits
    axes.plot([max(low, left), min(high, right)], [y, y], color=look["color"], linewidth=2, solid_capstyle="butt")
    for beyond, x, arrow in ((low < left, left, "<"), (high > right, right, ">")):
        if beyond:
            axes.plot(x, y, marker=arrow, color=look["color"], clip_on=False)
    if left <= value <= right:
        axes.plot(value, y, **{"markeredgecolor": "white"} | look, markersize=6.5, zorder=3)


def _reliability(axes: Axes, rows: list[Row], color: str, marker: str, width: float) -> None:
    rows = [row for row in rows if row["count"]]
    x, y, count = ([row[key] for row in rows] for key in ("confidence", "frequency", "count"))
    axes.plot(x, y, color=color, linewidth=width, alpha=0.8)
    axes.scatter(x, y, s=[6 + 110 * n / sum(count) for n in count], color=color, marker=marker, zorder=2)


def _smooth(values: list[float]) -> list[float]:
    """Centred running mean over about 5 % of the points; narrower at the ends."""
    half = len(values) // 40
    windows = (values[max(0, i - half) : i + half + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]
