"""summary.csv by its keys: what was measured of each model, with intervals."""

from typing import Literal, NamedTuple

from w2s.report.tables import ReportGrid, Tables, TaskGrid

Status = Literal["holds", "does not hold", "undecided"]


class Estimate(NamedTuple):
    """A value with its interval; None, with the reason, where it is undefined."""

    value: float | None
    low: float | None
    high: float | None
    reason: str = ""

    def above(self, threshold: float) -> Status:
        """Whether the value is clearly above a threshold: by its whole interval."""
        if self.low is None or self.high is None:
            return "undecided"
        if self.low > threshold:
            return "holds"
        return "does not hold" if self.high < threshold else "undecided"


class Pair(NamedTuple):
    """A supervisor and a larger student on a task, and the gap between their accuracies on ground truth."""

    task: str
    weak: str
    strong: str
    supervisor: Estimate
    ceiling: Estimate
    gap: float


class Summary:
    """The rows of summary.csv, by task, role, metric and models."""

    def __init__(self, tables: Tables, grid: ReportGrid) -> None:
        self.grid = grid
        self._rows = {
            tuple(row[key] for key in ("task", "role", "metric", "weak", "strong", "method")): Estimate(
                row["value"], row["low"], row["high"], row["reason"]
            )
            for row in tables["summary"]
        }

    def get(self, task: str, role: str, metric: str, *, weak: str = "", strong: str = "", method: str = "") -> Estimate:
        return self._rows.get((task, role, metric, weak, strong, method), Estimate(None, None, None, "not measured"))

    def student(self, pair: Pair, method: str, metric: str) -> Estimate:
        return self.get(pair.task, "student", metric, weak=pair.weak, strong=pair.strong, method=method)

    def control(self, pair: Pair, role: str) -> Estimate:
        """Accuracy of a control of a pair's strong model; of a base model, its probe's."""
        return self.get(pair.task, role, "probe" if role == "base" else "accuracy", strong=pair.strong)

    def ceiling(self, task: str, strong: str, method: str | None = None) -> Estimate:
        """Accuracy of the ceiling that students by a method are held against; without one, of the task's main one."""
        part = self.grid.tasks[task]
        by = part.ceiling_of(method or part.baseline)
        return self.get(task, "ceiling", "accuracy", strong=strong, method=by)

    def on_truth(self, task: str, model: str) -> Estimate:
        """Accuracy of a model trained on ground truth: as ceiling if it is one, else as supervisor."""
        if model in self.grid.tasks[task].strong:
            return self.ceiling(task, model)
        return self.get(task, "supervisor", "accuracy", weak=model)

    @property
    def pairs(self) -> list[Pair]:
        """Pairs whose student is larger than its supervisor, task by task, widest gap first."""
        found = []
        for task, part in self.grid.tasks.items():
            pairs = [self._pair(task, *names) for names in part.pairs]
            found += sorted(filter(None, pairs), key=lambda pair: -pair.gap)
        return found

    def _pair(self, task: str, weak: str, strong: str) -> Pair | None:
        supervisor = self.get(task, "supervisor", "accuracy", weak=weak)
        ceiling = self.ceiling(task, strong)
        if self.grid.size[strong] <= self.grid.size[weak] or supervisor.value is None or ceiling.value is None:
            return None
        return Pair(task, weak, strong, supervisor, ceiling, ceiling.value - supervisor.value)

    def task(self, pair: Pair) -> TaskGrid:
        return self.grid.tasks[pair.task]

    def name(self, pair: Pair) -> str:
        return self.grid.label(pair.task, f"{pair.weak} → {pair.strong}")
