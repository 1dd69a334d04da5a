"""The tables of a grid's results: each declared once, with its path, its columns and the function that makes its rows.

summary.csv holds every number over seeds once; tables under plots/ are selections that figures are drawn from.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from w2s.core import files
from w2s.core.errors import UserError
from w2s.results import metrics
from w2s.results.collect import CONTROLS, ModelKey, TrainingRun, ceiling_of, supervisor_of
from w2s.results.measure import TaskMeasurements, TaskSummary
from w2s.results.pgr import pgr as gap_recovered
from w2s.results.statistics import Estimate, estimate, holm, p_value

Row = dict[str, Any]
Rows = Callable[[TaskMeasurements, TaskSummary], Iterable[Row]]

MODEL = ModelKey._fields
STUDENT = ("weak", "strong", "method")
INTERVAL = ("low", "high")
CELL_METRICS = ("auroc", "ece", "margin", "agreement", "agreement_right", "agreement_wrong")
AGREEMENT_SUBSETS = {
    "agreement": "all",
    "agreement_right": "supervisor right",
    "agreement_wrong": "supervisor wrong",
}
LIVE_CURVES = ("loss", "learning_rate", "accuracy", "agreement")


@dataclass(frozen=True)
class Table:
    """One table of all tasks."""

    columns: list[str]
    rows: Rows  # of one task, without the column `task`


TABLES: dict[str, Table] = {}  # by path in the folder of results


def table(path: str, *columns: str) -> Callable[[Rows], Rows]:
    """Declare a table by the function that makes one task's rows; `task` is added as its first column."""

    def declare(rows: Rows) -> Rows:
        TABLES[path] = Table(["task", *columns], rows)
        return rows

    return declare


def rows_by_path(measured: TaskMeasurements, summary: TaskSummary) -> dict[str, list[Row]]:
    """One task's rows of every table."""
    task = {"task": measured.grid.task}
    return {path: [task | row for row in table.rows(measured, summary)] for path, table in TABLES.items()}


def write(path: str, rows: Iterable[Row], folder: Path) -> None:
    """Write a table as CSV; floats in full, so that equal files mean equal bits."""
    with files.atomic(folder / path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, TABLES[path].columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@table(
    "results.csv",
    *(*STUDENT, "seed"),
    *("supervisor_accuracy", "student_accuracy", "student_low", "student_high", "ceiling", "ceiling_accuracy"),
    *CELL_METRICS,
    *("pgr", "pgr_low", "pgr_high", "pgr_reason"),
)
def results(measured: TaskMeasurements, _: TaskSummary) -> Iterator[Row]:
    """One row a cell; its intervals are over the test examples alone."""
    confidence = measured.confidence
    for key in measured.students:
        ceiling_key = ceiling_of(key, measured.grid.block)
        student = measured.metrics[key]
        supervisor = measured.metrics[supervisor_of(key)]["accuracy"]
        ceiling = measured.metrics[ceiling_key]["accuracy"]
        for s, seed in enumerate(measured.grid.seeds):
            one = slice(s, s + 1)
            accuracy = estimate(student["accuracy"][one], confidence).of_share()
            pgr = gap_recovered(
                student["accuracy"][one], supervisor[one], ceiling[one], measured.smallest_gap, confidence
            )
            cell = {metric: student[metric][s, 0] for metric in CELL_METRICS if metric in student}
            yield {
                **_student(key),
                "seed": seed,
                "supervisor_accuracy": float(supervisor[s, 0]),
                "student_accuracy": accuracy.value,
                "student_low": accuracy.low,
                "student_high": accuracy.high,
                "ceiling": ceiling_key.method,
                "ceiling_accuracy": float(ceiling[s, 0]),
                **{metric: float(value) if np.isfinite(value) else None for metric, value in cell.items()},
                "pgr": pgr.value,
                "pgr_low": pgr.low,
                "pgr_high": pgr.high,
                "pgr_reason": pgr.reason,
            }


@table("summary.csv", *MODEL, "metric", "value", *INTERVAL, "reason")
def summary(_: TaskMeasurements, summary: TaskSummary) -> Iterator[Row]:
    """Every estimate over seeds, one a row."""
    for (key, metric), found in summary.estimates.items():
        yield {**key._asdict(), "metric": metric, **asdict(found)}


@table("plots/settings.csv", "setting", *MODEL, "accuracy", *INTERVAL, "pgr")
def settings(measured: TaskMeasurements, summary: TaskSummary) -> Iterator[Row]:
    """The pair with the widest gap between ceiling and supervisor (paper, figure 2): all models of its two sizes.

    The gap is that of the baseline (or of the first method), among students larger than their supervisor if there are
    any.
    """
    grid = measured.grid
    methods = grid.block.methods

    def larger_and_gap(student: ModelKey) -> tuple[bool, float]:
        supervisor = supervisor_of(student)
        low = summary.estimates[supervisor, "accuracy"].value or 0.0
        high = summary.estimates[ceiling_of(student, grid.block), "accuracy"].value or 0.0
        return measured.parameters(student) > measured.parameters(supervisor), high - low

    shown = grid.baseline or methods[0]
    _, weak, strong, _ = max((key for key in measured.pairs if key.method == shown), key=larger_and_gap)
    keys = [
        ModelKey("supervisor", weak),
        *(ModelKey("student", weak, strong, method) for method in methods),
        *(ModelKey("ceiling", strong=strong, method=method) for method in grid.block.ceilings),
        *(key for role in CONTROLS if (key := ModelKey(role, strong=strong)) in measured.models),
    ]
    for key in keys:
        row = {"setting": grid.setting, **key._asdict(), **_interval("accuracy", summary.estimates[key, "accuracy"])}
        if key.role == "student":
            row["pgr"] = summary.estimates[key, "pgr"].value
        yield row


@table("plots/scaling.csv", "series", "method", "model", "parameters", "accuracy", *INTERVAL)
def scaling(measured: TaskMeasurements, summary: TaskSummary) -> Iterator[Row]:
    """Accuracy by size (paper, figure 3), for each method: ground truth along the ladder, a series each supervisor and
    one each control.

    A supervisor's series starts at itself. A model that is both supervisor and ceiling counts as ceiling, and the
    ceilings are those that the method's students are compared with.
    """

    def point(series: str, method: str, key: ModelKey) -> Row:
        return {
            "series": series,
            "method": method,
            "model": measured.models[key].model,
            "parameters": summary.sizes[measured.models[key].model],
            **_interval("accuracy", summary.estimates[key, "accuracy"]),
        }

    block = measured.grid.block
    for method in block.methods:
        students = [key for key in measured.pairs if key.method == method]
        trained_on_truth = [*map(supervisor_of, students), *(ceiling_of(student, block) for student in students)]
        ladder = {measured.models[key].model: key for key in trained_on_truth}
        for key in sorted(ladder.values(), key=measured.parameters):
            yield point("ground truth", method, key)
        for weak in block.weak:
            own = [key for key in students if key.weak == weak]
            for key in [ModelKey("supervisor", weak), *sorted(own, key=measured.parameters)]:
                yield point(f"supervisor {weak}", method, key)
        for role in CONTROLS:
            for key in sorted(key for key in measured.models if key.role == role):
                yield point(role, method, key)


@table("plots/pgr.csv", *MODEL, "pgr", *INTERVAL, "reason")
def pgr(_: TaskMeasurements, summary: TaskSummary) -> Iterator[Row]:
    """PGR of every student and control over the seeds, with the reason where it has none."""
    for (key, metric), found in summary.estimates.items():
        if metric == "pgr":
            yield {**key._asdict(), **_interval("pgr", found), "reason": found.reason}


@table("plots/agreement.csv", *STUDENT, "subset", "agreement", *INTERVAL)
def agreement(_: TaskMeasurements, summary: TaskSummary) -> Iterator[Row]:
    """How often a student repeats its supervisor: on all test inputs, and where that is right or wrong."""
    for (key, metric), found in summary.estimates.items():
        if metric in AGREEMENT_SUBSETS:
            yield {**_student(key), "subset": AGREEMENT_SUBSETS[metric], **_interval("agreement", found)}


@table("plots/curves.csv", *MODEL, "step", "progress", "accuracy", *INTERVAL, "agreement")
def curves(measured: TaskMeasurements, _: TaskSummary) -> Iterator[Row]:
    """Accuracy against truth on the test inputs during training; low and high are the extremes over seeds."""
    for key, model in measured.models.items():
        if not model.runs:
            continue
        steps = model.runs[0].steps
        for t, step in enumerate(steps):
            answers = [run.answers[t] for run in model.runs]
            accuracies = [float(metrics.accuracy(*pair)) for pair in zip(answers, measured.truth, strict=True)]
            row = {**key._asdict(), "step": step, "progress": step / max(steps[-1], 1)}
            row |= {"accuracy": fmean(accuracies), "low": min(accuracies), "high": max(accuracies)}
            if key.role == "student":
                labels = measured.models[supervisor_of(key)].answers
                row["agreement"] = fmean(float(metrics.agreement(*pair)) for pair in zip(answers, labels, strict=True))
            yield row


@table("plots/training.csv", *MODEL, "step", *LIVE_CURVES)
def training(measured: TaskMeasurements, _: TaskSummary) -> Iterator[Row]:
    """DVCLive's curves, mean over the seeds that logged a step; a value that was not logged is left empty."""
    for key, model in measured.models.items():
        logged = {curve: [_read_live(run.folder / "live", curve) for run in model.runs] for curve in LIVE_CURVES}
        steps = {step for runs in logged.values() for run in runs for step in run}
        for step in sorted(steps):
            values = {curve: [run[step] for run in runs if step in run] for curve, runs in logged.items()}
            means = {curve: fmean(of_seeds) for curve, of_seeds in values.items() if of_seeds}
            yield {**key._asdict(), "step": step, **means}


@table("plots/budgets.csv", *MODEL, "updates", "learning_rate")
def budgets(measured: TaskMeasurements, _: TaskSummary) -> Iterator[Row]:
    """How long and how fast each model was trained: updates, mean over seeds, and the peak of the rate at its end.

    Updates are those of all trainings on its way, of other models and on texts, too.
    """
    for key, model in measured.models.items():
        if model.runs:
            rates = _read_live(model.runs[0].folder / "live", "learning_rate").values()
            updates = round(fmean(map(_updates, model.runs)))
            yield {**key._asdict(), "updates": updates, "learning_rate": max(rates, default=None)}


@table("plots/calibration.csv", *MODEL, "bin", "confidence", "frequency", "count")
def calibration(measured: TaskMeasurements, _: TaskSummary) -> Iterator[Row]:
    """Reliability diagrams, pooled over seeds; bins without an example are left out, and so are answers in words."""
    for key, model in measured.models.items():
        answers = np.concatenate(model.answers)
        if metrics.are_probabilities(answers):
            for bin in metrics.reliability(answers, np.concatenate(measured.truth)):
                yield {**key._asdict(), **asdict(bin)}


@table("plots/comparison.csv", *MODEL, "supervisor", "gap", "difference", *INTERVAL, "p", "p_corrected", "significant")
def comparison(_: TaskMeasurements, summary: TaskSummary) -> Iterator[Row]:
    """Each method and control against the baseline on the same examples and seeds; empty without a baseline.

    Widest gap first, which begins at the supervisor's difference to the baseline. p of a method as if tested alone, and
    corrected (Holm) for all methods compared in the task.
    """
    compared = [key for key, metric in summary.estimates if metric == "over_naive" and key.weak in summary.sizes]
    compared.sort(key=lambda key: -summary.gap(key)[:, 0].mean())
    p_values = {key: p_value(summary.metrics[key]["over_naive"]) for key in compared if key.role == "student"}
    corrected = dict(zip(p_values, holm([*p_values.values()]), strict=True))
    for key in compared:
        row = {
            **key._asdict(),
            "supervisor": float(
                (summary.metrics[key]["over_naive"] - summary.metrics[key]["over_supervisor"])[:, 0].mean()
            ),
            "gap": float(summary.gap(key)[:, 0].mean()),
            **_interval("difference", summary.estimates[key, "over_naive"]),
        }
        if key in p_values:
            row |= {"p": p_values[key], "p_corrected": corrected[key]}
            row["significant"] = int(corrected[key] < 1 - summary.confidence)
        yield row


@table("plots/overfitting.csv", *STUDENT, "best", "end", "difference", *INTERVAL)
def overfitting(_: TaskMeasurements, summary: TaskSummary) -> Iterator[Row]:
    """Accuracy at the snapshot that an oracle would stop at, at the end, and by how much the first is higher."""
    for (key, metric), found in summary.estimates.items():
        if metric == "overfit":
            yield {
                **_student(key),
                "best": summary.estimates[key, "best"].value,
                "end": summary.estimates[key, "accuracy"].value,
                **_interval("difference", found),
            }


@table("plots/saliency.csv", *MODEL, "probe", *INTERVAL)
def saliency(_: TaskMeasurements, summary: TaskSummary) -> Iterator[Row]:
    """How often a linear probe of a model's features predicts the truth."""
    for (key, metric), found in summary.estimates.items():
        if metric == "probe" and found.value is not None:
            yield {**key._asdict(), **_interval("probe", found)}


COLUMNS = {path: table.columns for path, table in TABLES.items()}


def nested_metrics(summary: TaskSummary) -> dict[str, Any]:
    """One task's part of metrics.json: point values over seeds, to four digits, for `dvc metrics diff`."""
    values: dict[str, Any] = {role: {} for role in ("supervisor", "ceiling", "student", *CONTROLS)}
    for (key, metric), found in summary.estimates.items():
        rounded = None if found.value is None else round(found.value, 4)
        if key.role == "student" and metric in ("accuracy", "pgr", "agreement"):
            by_method = values["student"].setdefault(key.weak, {}).setdefault(key.strong, {})
            by_method.setdefault(key.method, {})[metric] = rounded
        elif metric == "accuracy" and key.role == "ceiling":
            values["ceiling"].setdefault(key.strong, {})[key.method] = rounded
        elif metric == "accuracy":
            values[key.role][key.strong or key.weak] = rounded
    return values


def _student(key: ModelKey) -> Row:
    return {"weak": key.weak, "strong": key.strong, "method": key.method}


def _interval(column: str, estimate: Estimate) -> Row:
    return {column: estimate.value, "low": estimate.low, "high": estimate.high}


def _updates(run: TrainingRun) -> int:
    curves = [_read_live(path.parents[2], "learning_rate") for path in run.folder.rglob("learning_rate.tsv")]
    return sum(max(curve, default=0) for curve in curves)


def _read_live(folder: Path, curve: str) -> dict[int, float]:
    """A curve in a folder of DVCLive's: step → value; empty where it was not logged."""
    path = folder / "plots/metrics" / f"{curve}.tsv"
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return {int(row["step"]): float(row[curve]) for row in csv.DictReader(file, delimiter="\t")}
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}: not a DVCLive curve with columns step and {curve}") from None
