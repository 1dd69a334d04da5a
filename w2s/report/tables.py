"""The report's data: the tables that `evaluate` wrote, and the names in them with their order."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s.core.grid import ceiling_method, setting_blocks
from w2s.core.params import Block, Params
from w2s.results import recipes

Row = dict[str, Any]

TEXT_COLUMNS = frozenset(
    {
        *("task", "setting", "series", "role", "weak", "strong", "method", "ceiling", "model", "metric", "subset"),
        *("reason", "pgr_reason"),
    }
)


class Table(list[Row]):
    """The rows of a CSV file: numbers as floats, an empty number as None."""

    def __init__(self, file: Path) -> None:
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                self.append({column: _value(column, text) for column, text in row.items()})
        self._indices: dict[tuple[str, ...], dict[tuple[Any, ...], list[Row]]] = {}

    def select(self, **wanted: str) -> list[Row]:
        """The rows that have these values.

        Each set of columns is indexed once: a large grid asks thousands of times.
        """
        columns = tuple(wanted)
        if columns not in self._indices:
            index = self._indices[columns] = defaultdict(list)
            for row in self:
                index[tuple(row[column] for column in columns)].append(row)
        return self._indices[columns].get(tuple(wanted.values()), [])


def _value(column: str, text: str) -> Any:
    if column in TEXT_COLUMNS:
        return text
    return float(text) if text else None


Tables = dict[str, Table]


def read_tables(reports: Path) -> Tables:
    """The tables under `reports/` by name."""
    files = [reports / "summary.csv", reports / "results.csv", *sorted((reports / "plots").glob("*.csv"))]
    return {file.stem: Table(file) for file in files}


CONTROLS = {
    "zero_shot": "zero-shot",
    "supervisor_truth": "supervisor's truth",
    "scratch": "from scratch",
    "base": "probe of base",
}


def name_of(row: Row) -> str:
    """What a row of students and controls stands for: a student's method, or the control."""
    return row["method"] or CONTROLS[row["role"]]


def distinct(rows: Iterable[Row], column: str) -> list[str]:
    """The values of a column, each once, in order of appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


@dataclass(frozen=True)
class TaskGrid:
    """One task's part of the grid."""

    setting: str
    block: Block
    # naive finetuning; without it, the first method
    baseline: str
    # supervisors and students, by rising size
    weak: list[str]
    strong: list[str]

    @property
    def simulated(self) -> list[str]:
        """Supervisors that are no models, and have no size."""
        return self.block.simulated.weak

    @property
    def methods(self) -> list[str]:
        return self.block.methods

    @property
    def ceiling(self) -> str:
        """The method of the ceiling that stands for the task: that of the baseline."""
        return self.ceiling_of(self.baseline)

    def ceiling_of(self, method: str) -> str:
        """The method of the ceiling that students by `method` are compared with."""
        return ceiling_method(self.block, method)

    @property
    def other_ceilings(self) -> list[str]:
        """The methods of all further ceilings."""
        return [method for method in self.block.ceilings if method != self.ceiling]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(weak, strong) for weak in self.weak for strong in self.strong]


@dataclass(frozen=True)
class ReportGrid:
    """`params.grid` as the report shows it, with the sizes of models, which only tables know."""

    tasks: dict[str, TaskGrid]
    # parameters of each model
    size: dict[str, float]

    @classmethod
    def of(cls, experiment: Params, tables: Tables) -> "ReportGrid":
        size = {row["model"]: row["parameters"] for row in tables["scaling"]}
        tasks = {}
        for setting, block in setting_blocks(experiment.grid).items():
            baseline = recipes.baseline({name: experiment.methods[name] for name in block.methods})
            for task in block.tasks:
                tasks[task] = TaskGrid(
                    setting=setting,
                    block=block,
                    baseline=baseline or block.methods[0],
                    weak=sorted(block.weak, key=size.__getitem__),
                    strong=sorted(block.strong, key=size.__getitem__),
                )
        return cls(tasks, size)

    @property
    def settings(self) -> dict[str, list[str]]:
        """The tasks of each setting."""
        found: dict[str, list[str]] = {}
        for task, part in self.tasks.items():
            found.setdefault(part.setting, []).append(task)
        return found

    @property
    def weak(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.tasks.values() for name in part.weak))

    @property
    def strong(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.tasks.values() for name in part.strong))

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.tasks.values() for name in part.methods))

    @property
    def simulated(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.tasks.values() for name in part.simulated))

    @property
    def baselines(self) -> list[str]:
        return list(dict.fromkeys(part.baseline for part in self.tasks.values()))

    def label(self, task: str, *rest: str) -> str:
        """A name such as `reviews · xs → l`; the task is left out where it is the only one."""
        return " · ".join(([task] if len(self.tasks) > 1 else []) + [part for part in rest if part])
