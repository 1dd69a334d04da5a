"""From the grid's predictions to every table of the report.

Per task: gather the predictions by id, measure every model on every seed under one bootstrap, average over seeds.
`summary` then holds each number once, and the tables that figures are drawn from are selections of it.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.grid import ceiling_method, setting_blocks
from w2s.core.params import Block, Grid, Params, Simulated
from w2s.results import metrics, probes
from w2s.results.metrics import Answers, Array, Mask
from w2s.results.statistics import Bootstrap, Estimate, holm, p_value, without_bias

Row = dict[str, Any]
MODELS = Path("models")
NAME = ["role", "weak", "strong", "method"]
INTERVAL = ["value", "low", "high", "reason"]
CELL = ["auroc", "ece", "margin", "agreement", "agreement_right", "agreement_wrong"]
COLUMNS = {  # of every table, by its path under reports/
    "results.csv": [
        *["task", "weak", "strong", "method", "seed"],
        *["supervisor_accuracy", "student_accuracy", "student_low", "student_high", "ceiling", "ceiling_accuracy"],
        *CELL,
        *["pgr", "pgr_low", "pgr_high", "pgr_reason"],
    ],
    "summary.csv": ["task", *NAME, "metric", *INTERVAL],
    "plots/settings.csv": ["task", "setting", *NAME, "accuracy", "low", "high", "pgr"],
    "plots/scaling.csv": ["task", "series", "method", "model", "parameters", "accuracy", "low", "high"],
    "plots/pgr.csv": ["task", "weak", "strong", "method", "pgr", "low", "high", "reason"],
    "plots/agreement.csv": ["task", "weak", "strong", "method", "subset", "agreement", "low", "high"],
    "plots/curves.csv": ["task", *NAME, "step", "progress", "accuracy", "low", "high", "agreement"],
    "plots/training.csv": ["task", *NAME, "step", "loss", "learning_rate", "accuracy", "agreement"],
    "plots/calibration.csv": ["task", *NAME, "bin", "confidence", "frequency", "count"],
    "plots/comparison.csv": [
        *["task", "weak", "strong", "method", "gap", "difference", "low", "high", "p", "p_corrected", "significant"]
    ],
    "plots/overfitting.csv": ["task", "weak", "strong", "method", "best", "end", "difference", "low", "high"],
    "plots/saliency.csv": ["task", *NAME, "probe", "low", "high"],
}
UNDEFINED = {  # why a metric can have no value
    "auroc": "the test truth has one class only",
    "agreement_right": "a supervisor is never right",
    "agreement_wrong": "a supervisor is never wrong",
    "halfway_agreement_wrong": "a supervisor is never wrong",
    "late_agreement_wrong": "a supervisor is never wrong",
}
SUBSETS = {"agreement": "all", "agreement_right": "supervisor right", "agreement_wrong": "supervisor wrong"}
CURVES = ("loss", "learning_rate", "accuracy", "agreement")


class Name(NamedTuple):
    """Which model of a task: its role and, as far as the role has them, its place in the grid."""

    role: str  # supervisor, ceiling, student, zero_shot, scratch or base (of which only features are measured)
    weak: str = ""
    strong: str = ""
    method: str = ""


@dataclass(frozen=True)
class Run:
    """One training: what it predicted of the test inputs on the way, and where it lies."""

    folder: Path
    steps: list[int]  # rising
    answers: Answers  # [steps, N]
    parameters: int


@dataclass(frozen=True)
class Subject:
    """A model in its role, under every seed."""

    name: Name
    answers: Answers  # [seeds, N]: final predictions; one row for a model that has no seed
    runs: list[Run]  # by seed; none for what was not trained: zero-shot models, simulated supervisors

    @property
    def model(self) -> str:
        """The model that predicts."""
        return self.name.strong or self.name.weak


@dataclass(frozen=True)
class Exam:
    """A task's models, its test truth, and what was measured under draws that all models share."""

    task: str
    block: Block
    seeds: list[int]
    smallest_gap: float
    truth: Answers  # [N]
    bootstrap: Bootstrap
    subjects: dict[Name, Subject]  # supervisors first, students last
    measured: dict[Name, dict[str, Array]]  # metric → [seeds, 1 + resamples]; one row for a model without seed

    @property
    def students(self) -> list[Name]:
        return [name for name in self.subjects if name.role == "student"]

    @property
    def pairs(self) -> list[Name]:
        """The students whose supervisor is a model, and so has a size."""
        return [name for name in self.students if self.subjects[supervisor_of(name)].runs]

    def parameters(self, name: Name) -> int:
        return self.subjects[name].runs[0].parameters


@dataclass(frozen=True)
class Outcome:
    """What a task came to, over its seeds: light enough to keep every task's."""

    task: str
    setting: str
    block: Block
    simulated: Simulated
    sizes: dict[str, int]  # parameters of each model
    confidence: float
    means: dict[Name, dict[str, Array]]  # metric → [1 + resamples]
    estimates: dict[tuple[Name, str], Estimate]

    @property
    def pairs(self) -> list[Name]:
        """The students whose supervisor is a model."""
        return [name for name in self.means if name.role == "student" and name.weak in self.sizes]

    def gap(self, student: Name) -> Array:
        """Accuracy of the ceiling that stands for the task − that of the supervisor."""
        ceiling = Name("ceiling", strong=student.strong, method=ceiling_method(self.block, "naive"))
        return self.means[ceiling]["accuracy"] - self.means[supervisor_of(student)]["accuracy"]


def evaluate(params: Params) -> tuple[dict[str, list[Row]], dict[str, Any], list[Outcome]]:
    """Every table by its path under reports/ (see `COLUMNS`), the nested point values of metrics.json, the outcomes."""
    tables: dict[str, list[Row]] = {path: [] for path in COLUMNS}
    values: dict[str, Any] = {}
    outcomes = []
    for setting, block in setting_blocks(params.grid).items():
        for task in block.tasks:
            exam = examine(task, block, params)
            outcome = conclude(exam, setting, params.grid.simulated)
            estimates = outcome.estimates
            for path, rows in {
                "results.csv": results(exam),
                "summary.csv": summary(estimates),
                "plots/settings.csv": [{"setting": setting, **row} for row in widest(exam, estimates)],
                "plots/scaling.csv": scaling(exam, estimates),
                "plots/pgr.csv": pgr(estimates),
                "plots/agreement.csv": agreement(estimates),
                "plots/curves.csv": curves(exam),
                "plots/training.csv": training(exam),
                "plots/calibration.csv": calibration(exam),
                "plots/comparison.csv": comparison(outcome),
                "plots/overfitting.csv": overfitting(estimates),
                "plots/saliency.csv": saliency(estimates),
            }.items():
                tables[path] += [{"task": task, **row} for row in rows]
            values[task] = nested(estimates)
            outcomes.append(outcome)
    return tables, values, outcomes


def write(tables: dict[str, list[Row]], values: dict[str, Any], folder: Path) -> None:
    """Write the tables and metrics.json; floats in full, so that equal files mean equal bits."""
    for path, rows in tables.items():
        with files.atomic(folder / path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS[path], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    files.write_json(folder / "metrics.json", values)


# Gathering


def examine(task: str, block: Block, params: Params) -> Exam:
    """Gather a task's predictions and measure them."""
    seeds, how = params.grid.seeds, params.evaluate
    path = files.truth(task, "test")
    table = files.read_labels(path).sort_by("id")  # the draws go by position, and so by id
    read = Reader(table["id"], table.column_names[-1], {})
    truth = read(table, path)
    if len(truth) == 0 or not (read.column == "answer" or np.isin(truth, (0, 1)).all()):
        raise UserError(f"{path}: truth must be 0 or 1, or an answer in words, for at least one example")
    rng = np.random.default_rng([how.seed, *task.encode()])  # by name: another task in the grid changes nothing here
    bootstrap = Bootstrap.draw(len(truth), len(seeds), how.resamples, how.confidence, rng)
    subjects = {subject.name: subject for subject in gather(task, block, params.grid, read)}
    mixed = rng.permutation(len(truth))
    halves = np.empty(len(truth), np.int64)
    halves[mixed[np.argsort(truth[mixed], kind="stable")]] = np.arange(len(truth)) % 2  # each answer as often in both
    measured = {
        name: measure(subject, subjects.get(supervisor_of(name)), truth, bootstrap)
        for name, subject in subjects.items()
    }
    for name, subject in subjects.items():
        if name.role == "student" and len(subject.runs[0].steps) > 1:
            measured[name] |= before_the_end(subject, subjects[supervisor_of(name)], truth, halves, bootstrap)
    for name, shown in probed(task, subjects, table["id"], truth, how.seed):
        among = ~np.isnan(shown[0])
        probe = [bootstrap.measure(partial(metrics.agreement, row, np.ones(len(row)), among=among)) for row in shown]
        measured.setdefault(name, {})["probe"] = np.stack(probe)
    return Exam(task, block, seeds, how.smallest_gap, truth, bootstrap, subjects, measured)


@dataclass(frozen=True)
class Reader:
    """Reads a task's answers in the order of `ids`: P(true), or answers in words as the numbers given to them."""

    ids: pa.ChunkedArray
    column: str  # what the truth has: p or answer
    codes: dict[str, int]  # of the answers in words met so far

    def __call__(self, labels: pa.Table, path: Path) -> Answers:
        if (found := labels.column_names[-1]) != self.column:
            raise UserError(f"{path}: has the column {found}, but the task's truth has {self.column}")
        answers = files.aligned(labels, self.ids, path)
        if self.column == "p":
            return answers
        return np.array([self.codes.setdefault(answer, len(self.codes)) for answer in answers], np.int64)


def gather(task: str, block: Block, grid: Grid, read: Reader) -> Iterator[Subject]:
    """The grid's models on one task: each file is looked for by name, so that leftovers of other grids stay out."""
    seeds, simulated = grid.seeds, grid.simulated
    lessons = [*product(block.weak, block.strong, block.methods)]
    if task in simulated.tasks:
        lessons += product(simulated.weak, simulated.strong, simulated.methods)

    def trained(name: Name, folder: Path) -> Subject:
        runs = [read_run(folder / str(seed), read) for seed in seeds]
        for run in runs:
            if len(run.steps) != len(runs[0].steps):  # filtered labels may leave a seed fewer updates
                raise UserError(f"{run.folder}: predicts at steps {run.steps}, the first seed at {runs[0].steps}")
        return Subject(name, np.stack([run.answers[-1] for run in runs]), runs)

    def labels(path: Path) -> Answers:
        return read(files.read_labels(path), path)

    for weak in dict.fromkeys(weak for weak, *_ in lessons):
        labelled = np.stack([labels(files.weak_labels(task, weak, seed) / "test.parquet") for seed in seeds])
        supervisor = Subject(Name("supervisor", weak), labelled, [])
        if weak in block.weak:  # what students learn from is what is measured
            supervisor = replace(trained(supervisor.name, MODELS / "supervisor" / task / weak), answers=labelled)
        yield supervisor
    for strong in block.strong:
        for method in block.ceilings:
            name = Name("ceiling", strong=strong, method=method)
            yield trained(name, MODELS / "ceiling" / task / strong / method)
        control = MODELS / "control" / task / strong
        whole = control.is_dir()  # then what is not there could not be made: models without words, frozen bodies
        if (zero_shot := control / "zero_shot.parquet").exists() or not whole:
            yield Subject(Name("zero_shot", strong=strong), labels(zero_shot)[None], [])
        if (scratch := control / "scratch").exists() or not whole:
            yield trained(Name("scratch", strong=strong), scratch)
    for weak, strong, method in lessons:
        yield trained(Name("student", weak, strong, method), MODELS / "student" / task / weak / strong / method)


def read_run(folder: Path, read: Reader) -> Run:
    """The predictions of one training at each recorded step."""
    path = folder / "predictions.parquet"
    table = files.read_predictions(path)
    steps = sorted(pc.unique(table["step"]).to_pylist())
    if not steps:
        raise UserError(f"{path}: holds no prediction")
    answers = [read(table.filter(pc.equal(table["step"], step)), path) for step in steps]
    try:
        parameters = int(json.loads((folder / "run.json").read_text())["parameters"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder / 'run.json'}: not a run's record with its number of parameters") from None
    return Run(folder, steps, np.stack(answers), parameters)


def probed(
    task: str, subjects: dict[Name, Subject], ids: pa.ChunkedArray, truth: Answers, seed: int
) -> Iterator[tuple[Name, Array]]:
    """Whose features were kept, base models included: where a probe of them is right, 0 or 1, else NaN [seeds, N].

    All are probed on the same halves of the same examples, and no group of examples is in both.
    """
    folders = {
        name: [run.folder for run in subject.runs]
        for name, subject in subjects.items()
        if name.role in ("ceiling", "student")
    }
    for strong in dict.fromkeys(name.strong for name in folders):
        folders[Name("base", strong=strong)] = [MODELS / "control" / task / strong]
    half: dict[tuple[int, ...], probes.Folds | None] = {}
    for name, places in folders.items():
        feature_files = [folder / "features.parquet" for folder in places]
        if not all(file.exists() for file in feature_files):
            continue
        shown = np.full((len(feature_files), len(truth)), np.nan)
        for row, file in zip(shown, feature_files, strict=True):
            own, features = probes.read(file)
            rows = pc.index_in(own, value_set=ids)
            if rows.null_count:
                raise UserError(f"{file}: {rows.null_count} ids are not among the test inputs")
            at = rows.to_numpy()
            if (key := tuple(at)) not in half:
                inputs = pq.read_table(files.inputs(task, "test"), columns=["id", "group"])
                groups = inputs["group"].take(pc.index_in(own, value_set=inputs["id"])).to_numpy()
                half[key] = probes.folds(truth[at], groups, seed)
            if (halves := half[key]) is not None:
                row[at] = probes.right(features, truth[at], halves)
        yield name, shown


# Measuring


def supervisor_of(student: Name) -> Name:
    """The supervisor that a student learnt from (for another role: no such name)."""
    return Name("supervisor" if student.role == "student" else "", student.weak)


def ceiling_of(student: Name, block: Block) -> Name:
    """The ceiling that a student is held against."""
    return Name("ceiling", strong=student.strong, method=ceiling_method(block, student.method))


def measure(subject: Subject, supervisor: Subject | None, truth: Answers, bootstrap: Bootstrap) -> dict[str, Array]:
    """Every metric of a subject, on the sample and all replicates, seed by seed.

    Agreement if it has a supervisor; what weighs probabilities unless it answers in words.
    """

    def by_seed(metric: Callable[[int, Array], Array]) -> Array:
        return np.stack([bootstrap.measure(partial(metric, s)) for s in range(len(p))])

    p = subject.answers
    measured = {"accuracy": by_seed(lambda s, weights: metrics.accuracy(p[s], truth, weights))}
    if p.dtype.kind == "f":
        measured |= {
            "auroc": by_seed(lambda s, weights: metrics.auroc(p[s], truth, weights)),
            "ece": without_bias(by_seed(lambda s, weights: metrics.ece(p[s], truth, weights))),
            "margin": by_seed(lambda s, weights: metrics.margin(p[s], weights)),
        }
    if supervisor:
        q = supervisor.answers
        right = metrics.same(q, truth)
        measured |= {
            "agreement": by_seed(lambda s, weights: metrics.agreement(p[s], q[s], weights)),
            "agreement_right": by_seed(lambda s, weights: metrics.agreement(p[s], q[s], weights, right[s])),
            "agreement_wrong": by_seed(lambda s, weights: metrics.agreement(p[s], q[s], weights, ~right[s])),
        }
    return measured


def before_the_end(
    student: Subject, supervisor: Subject, truth: Answers, halves: Answers, bootstrap: Bootstrap
) -> dict[str, Array]:
    """What a student was at the best snapshot of each run (see `oracle`), and how often it agrees with an error at the
    snapshot nearest to half of the training (of two, the earlier)."""
    best = [oracle(run, truth, halves) for run in student.runs]
    halfway = [run.answers[np.abs(np.array(run.steps) - run.steps[-1] / 2).argmin()] for run in student.runs]
    wrong = [~metrics.same(q, truth) for q in supervisor.answers]
    repeated = [metrics.same(p, q) & w for p, q, w in zip(halfway, supervisor.answers, wrong, strict=True)]
    counted = np.stack([*best, *repeated, *wrong], axis=1).astype(float)  # in one pass over the weights
    right, agreed, erred = np.split(bootstrap.measure(lambda weights: weights @ counted).T, 3)
    with np.errstate(invalid="ignore"):
        return {"best": right / len(truth), "halfway_agreement_wrong": agreed / erred}


def oracle(run: Run, truth: Answers, halves: Answers) -> Mask:
    """Which examples a run gets right at its best snapshot, chosen by truth: on each half, the other half's choice.

    The highest of several accuracies on one set of examples would be partly luck, and lie above the end's without any
    overfitting.
    """
    right = np.stack([metrics.same(answers, truth) for answers in run.answers])
    chosen = [right[:, halves != half].mean(1).argmax() for half in (0, 1)]
    return np.where(halves == 0, right[chosen[0]], right[chosen[1]])


def conclude(exam: Exam, setting: str, simulated: Simulated) -> Outcome:
    """Every metric of every model over the seeds, and every difference that takes two models."""
    bootstrap = exam.bootstrap
    means = {
        name: {metric: bootstrap.over_seeds(values) for metric, values in measured.items()}
        for name, measured in exam.measured.items()
    }
    recovered = {}
    for name in exam.students:
        accuracy, supervisor = means[name]["accuracy"], means[supervisor_of(name)]["accuracy"]
        ceiling = means[ceiling_of(name, exam.block)]["accuracy"]
        recovered[name, "pgr"] = bootstrap.pgr(accuracy, supervisor, ceiling, exam.smallest_gap)
        if recovered[name, "pgr"].value is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                means[name]["pgr"] = (accuracy - supervisor) / (ceiling - supervisor)
        if "best" in means[name]:
            means[name]["overfit"] = means[name]["best"] - accuracy
            means[name]["late_agreement_wrong"] = (
                means[name]["agreement_wrong"] - means[name]["halfway_agreement_wrong"]
            )
        means[name]["over_supervisor"] = accuracy - supervisor
        if name.method != "naive" and (naive := name._replace(method="naive")) in means:
            means[name]["over_naive"] = accuracy - means[naive]["accuracy"]
    estimates = {
        (name, metric): bootstrap.estimate(value, UNDEFINED.get(metric, ""))
        for name, values in means.items()
        for metric, value in values.items()
    }
    sizes = {subject.model: exam.parameters(name) for name, subject in exam.subjects.items() if subject.runs}
    return Outcome(exam.task, setting, exam.block, simulated, sizes, bootstrap.confidence, means, estimates | recovered)


# Tables


def summary(estimates: dict[tuple[Name, str], Estimate]) -> list[Row]:
    """Every estimate once, one a row."""
    return [{**name._asdict(), "metric": metric, **asdict(value)} for (name, metric), value in estimates.items()]


def results(exam: Exam) -> list[Row]:
    """One row a cell; its intervals are over the test examples alone."""
    rows = []
    for name in exam.students:
        student = {key: values for key, values in exam.measured[name].items() if key in ("accuracy", *CELL)}
        supervisor = exam.measured[supervisor_of(name)]["accuracy"]
        ceiling = exam.measured[ceiling_of(name, exam.block)]["accuracy"]
        for s, seed in enumerate(exam.seeds):
            cell = {metric: exam.bootstrap.estimate(values[s]) for metric, values in student.items()}
            accuracy = cell.pop("accuracy")
            recovered = exam.bootstrap.pgr(student["accuracy"][s], supervisor[s], ceiling[s], exam.smallest_gap)
            row = _place(name) | {"seed": seed, "supervisor_accuracy": float(supervisor[s, 0])}
            row |= {"student_accuracy": accuracy.value, "student_low": accuracy.low, "student_high": accuracy.high}
            row |= {"ceiling": ceiling_of(name, exam.block).method, "ceiling_accuracy": float(ceiling[s, 0])}
            row |= {metric: estimate.value for metric, estimate in cell.items()}
            row |= {"pgr": recovered.value, "pgr_low": recovered.low, "pgr_high": recovered.high}
            rows.append(row | {"pgr_reason": recovered.reason})
    return rows


def widest(exam: Exam, estimates: dict[tuple[Name, str], Estimate]) -> list[Row]:
    """The pair with the widest gap between ceiling and supervisor (paper, figure 2): all models of its two sizes.

    The gap is that of the naive method (or of the first), among students larger than their supervisor if there are any.
    """

    def gap(student: Name) -> tuple[bool, float]:
        ends = [
            estimates[name, "accuracy"].value or 0.0
            for name in (supervisor_of(student), ceiling_of(student, exam.block))
        ]
        return exam.parameters(student) > exam.parameters(supervisor_of(student)), ends[1] - ends[0]

    methods = exam.block.methods
    baseline = "naive" if "naive" in methods else methods[0]
    _, weak, strong, _ = max((name for name in exam.pairs if name.method == baseline), key=gap)
    names = [
        Name("supervisor", weak),
        *(Name("student", weak, strong, method) for method in methods),
        *(Name("ceiling", strong=strong, method=method) for method in exam.block.ceilings),
    ]
    return [
        {**name._asdict(), **_as("accuracy", estimates[name, "accuracy"])}
        | ({"pgr": estimates[name, "pgr"].value} if name.role == "student" else {})
        for name in names
    ]


def scaling(exam: Exam, estimates: dict[tuple[Name, str], Estimate]) -> list[Row]:
    """Accuracy by size (paper, figure 3), for each method: ground truth along the ladder, and one series a supervisor.

    A supervisor's series starts at itself. A model that is both supervisor and ceiling counts as ceiling, and the
    ceilings are those that the method's students are held against.
    """

    def points(series: str, method: str, names: Iterable[Name], start: Iterable[Name] = ()) -> Iterator[Row]:
        for name in [*start, *sorted(names, key=exam.parameters)]:
            row = {"series": series, "method": method, "model": exam.subjects[name].model}
            yield row | {"parameters": exam.parameters(name)} | _as("accuracy", estimates[name, "accuracy"])

    rows: list[Row] = []
    for method in exam.block.methods:
        students = [name for name in exam.pairs if name.method == method]
        truth = [*map(supervisor_of, students), *(ceiling_of(student, exam.block) for student in students)]
        rows += points("ground truth", method, {exam.subjects[name].model: name for name in truth}.values())
        for weak in exam.block.weak:
            own = [name for name in students if name.weak == weak]
            rows += points(f"supervisor {weak}", method, own, start=[Name("supervisor", weak)])
    return rows


def pgr(estimates: dict[tuple[Name, str], Estimate]) -> list[Row]:
    """PGR of every student over the seeds, with the reason where it has none."""
    return [
        {**_place(name), **_as("pgr", estimate), "reason": estimate.reason}
        for (name, metric), estimate in estimates.items()
        if metric == "pgr"
    ]


def agreement(estimates: dict[tuple[Name, str], Estimate]) -> list[Row]:
    """How often a student repeats its supervisor: on all test inputs, and where that is right or wrong."""
    return [
        {**_place(name), "subset": SUBSETS[metric], **_as("agreement", estimate)}
        for (name, metric), estimate in estimates.items()
        if metric in SUBSETS
    ]


def curves(exam: Exam) -> list[Row]:
    """Accuracy against truth on the test inputs during training; low and high are the extremes over seeds."""
    rows = []
    for name, subject in exam.subjects.items():
        supervisor = exam.subjects.get(supervisor_of(name))
        for t, step in enumerate(subject.runs[0].steps if subject.runs else []):
            answers = [run.answers[t] for run in subject.runs]
            accuracy = [float(metrics.accuracy(one, exam.truth)) for one in answers]
            row = {**name._asdict(), "step": step, "progress": step / max(subject.runs[0].steps[-1], 1)}
            row |= {"accuracy": fmean(accuracy), "low": min(accuracy), "high": max(accuracy)}
            if supervisor:
                pairs = zip(answers, supervisor.answers, strict=True)
                row["agreement"] = fmean(float(metrics.agreement(*pair)) for pair in pairs)
            rows.append(row)
    return rows


def training(exam: Exam) -> list[Row]:
    """DVCLive's curves, mean over the seeds that logged a step; a value that was not logged is left empty."""
    rows = []
    for name, subject in exam.subjects.items():
        logged = {curve: [_live(run.folder, curve) for run in subject.runs] for curve in CURVES}
        for step in sorted({step for runs in logged.values() for run in runs for step in run}):
            values = {curve: [run[step] for run in runs if step in run] for curve, runs in logged.items()}
            means = {curve: fmean(found) for curve, found in values.items() if found}
            rows.append({**name._asdict(), "step": step, **means})
    return rows


def calibration(exam: Exam) -> list[Row]:
    """Reliability diagrams, pooled over seeds; bins without an example are left out, and so are answers in words."""
    return [
        {**name._asdict(), **asdict(bin)}
        for name, subject in exam.subjects.items()
        if subject.answers.dtype.kind == "f"
        for bin in metrics.reliability(subject.answers.ravel(), np.tile(exam.truth, len(subject.answers)))
    ]


def comparison(outcome: Outcome) -> list[Row]:
    """Each method against naive on the same examples and seeds, widest gap first; p as if alone, and corrected (Holm)
    for all comparisons of the task."""
    compared = [name for name in outcome.pairs if (name, "over_naive") in outcome.estimates]
    compared.sort(key=lambda name: -outcome.gap(name)[0])
    alone = [p_value(outcome.means[name]["over_naive"]) for name in compared]
    return [
        {**_place(name), "gap": float(outcome.gap(name)[0])}
        | _as("difference", outcome.estimates[name, "over_naive"])
        | {"p": p, "p_corrected": corrected, "significant": int(corrected < 1 - outcome.confidence)}
        for name, p, corrected in zip(compared, alone, holm(alone), strict=True)
    ]


def overfitting(estimates: dict[tuple[Name, str], Estimate]) -> list[Row]:
    """Accuracy at the snapshot an oracle would have stopped at, at the end, and by how much the first is higher."""
    return [
        {**_place(name), "best": estimates[name, "best"].value, "end": estimates[name, "accuracy"].value}
        | _as("difference", estimate)
        for (name, metric), estimate in estimates.items()
        if metric == "overfit"
    ]


def saliency(estimates: dict[tuple[Name, str], Estimate]) -> list[Row]:
    """How often a linear probe of a model's features says the truth."""
    return [
        {**name._asdict(), **_as("probe", estimate)}
        for (name, metric), estimate in estimates.items()
        if metric == "probe" and estimate.value is not None
    ]


def nested(estimates: dict[tuple[Name, str], Estimate]) -> dict[str, Any]:
    """One task's part of metrics.json: point values over seeds, to four digits, for `dvc metrics diff`."""
    values: dict[str, Any] = {role: {} for role in ("supervisor", "ceiling", "student", "zero_shot", "scratch")}
    for (name, metric), estimate in estimates.items():
        rounded = None if estimate.value is None else round(estimate.value, 4)
        if name.role == "student" and metric in ("accuracy", "pgr", "agreement"):
            methods = values["student"].setdefault(name.weak, {}).setdefault(name.strong, {})
            methods.setdefault(name.method, {})[metric] = rounded
        elif metric == "accuracy" and name.role == "ceiling":
            values["ceiling"].setdefault(name.strong, {})[name.method] = rounded
        elif metric == "accuracy":
            values[name.role][name.strong or name.weak] = rounded
    return values


def _place(student: Name) -> Row:
    return {"weak": student.weak, "strong": student.strong, "method": student.method}


def _as(column: str, estimate: Estimate) -> Row:
    return {column: estimate.value, "low": estimate.low, "high": estimate.high}


def _live(run: Path, curve: str) -> dict[int, float]:
    """One of a run's DVCLive curves: step → value; empty where the run does not log it."""
    path = run / "live/plots/metrics" / f"{curve}.tsv"
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return {int(row["step"]): float(row[curve]) for row in csv.DictReader(file, delimiter="\t")}
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}: not a DVCLive curve with columns step and {curve}") from None
