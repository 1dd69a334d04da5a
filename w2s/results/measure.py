"""Every metric of a task's models: seed by seed, on the same blocks of examples; then over seeds, with differences.

A difference of two models is taken within each seed, and so is paired by example.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from w2s.core.params import Evaluate
from w2s.results import metrics, probes
from w2s.results.collect import (
    CONTROLS,
    ModelKey,
    ModelRuns,
    TaskGrid,
    TaskPredictions,
    TrainingRun,
    ceiling_of,
    supervisor_of,
)
from w2s.results.metrics import Answers, Array, Mask
from w2s.results.pgr import linearised, pgr
from w2s.results.statistics import Blocks, Estimate, estimate

# Differences and the margin lie anywhere, all other metrics between 0 and 1.
NO_SHARES = ("margin", "overfit", "late_agreement_wrong", "over_supervisor", "over_naive")
# Why a metric can have no value.
UNDEFINED = {
    "auroc": "the test truth has one class only",
    "agreement_right": "a supervisor is never right",
    "agreement_wrong": "a supervisor is never wrong",
    "halfway_agreement_wrong": "a supervisor is never wrong",
    "late_agreement_wrong": "a supervisor is never wrong",
}


@dataclass(frozen=True)
class TaskMeasurements:
    """A task's predictions with every metric of every model, seed by seed."""

    grid: TaskGrid
    truth: list[Answers]  # by seed [N]
    models: dict[ModelKey, ModelRuns]  # supervisors first, students last
    blocks: Blocks
    smallest_gap: float
    confidence: float
    metrics: dict[ModelKey, dict[str, Array]]  # metric → [seeds, 1 + COLUMNS] (see `statistics`)

    @property
    def students(self) -> list[ModelKey]:
        return [key for key in self.models if key.role == "student"]

    @property
    def pairs(self) -> list[ModelKey]:
        """The students whose supervisor is a model, and so has a size."""
        return [key for key in self.students if self.models[supervisor_of(key)].runs]

    @property
    def controls(self) -> dict[ModelKey, Array]:
        """Accuracy of every control of each pair, its base model's probe among them [seeds, 1 + COLUMNS]."""
        found = {}
        for weak, strong in dict.fromkeys((key.weak, key.strong) for key in self.pairs):
            for role, metric in (*((role, "accuracy") for role in CONTROLS), ("base", "probe")):
                measured = self.metrics.get(ModelKey(role, strong=strong), {})
                if metric in measured:
                    found[ModelKey(role, weak, strong)] = measured[metric]
        return found

    def parameters(self, key: ModelKey) -> int:
        """Number of parameters of a trained model."""
        return self.models[key].runs[0].parameters


@dataclass(frozen=True)
class TaskSummary:
    """A task's results over seeds, small enough to hold for all tasks at once."""

    grid: TaskGrid
    sizes: dict[str, int]  # parameters of each model
    confidence: float
    metrics: dict[ModelKey, dict[str, Array]]  # metric → [seeds, 1 + COLUMNS]; NaN where it is undefined
    estimates: dict[tuple[ModelKey, str], Estimate]  # of (model, metric), over seeds

    @property
    def pairs(self) -> list[ModelKey]:
        """The students whose supervisor is a model, and so has a size."""
        return [key for key in self.metrics if key.role == "student" and key.weak in self.sizes]

    def gap(self, student: ModelKey) -> Array:
        """Accuracy of the ceiling that stands for the task − that of the supervisor [seeds, 1 + COLUMNS]."""
        ceiling = ModelKey("ceiling", strong=student.strong, method=self.grid.reference_ceiling)
        return self.metrics[ceiling]["accuracy"] - self.metrics[supervisor_of(student)]["accuracy"]


def measure(predictions: TaskPredictions, evaluate: Evaluate) -> TaskMeasurements:
    """Measure every model of a task, on every seed's test examples and without each block of them."""
    grid = predictions.grid
    truth = predictions.truth
    models = predictions.models
    # Seeded by the task's name: another task in the grid changes nothing here.
    rng = np.random.default_rng([evaluate.seed, *grid.task.encode()])
    blocks = Blocks.of_groups(predictions.groups)
    halves = [stratified_halves(of_seed, rng) for of_seed in truth]
    measured: dict[ModelKey, dict[str, Array]] = {}
    for key, model in models.items():
        supervisor = models[supervisor_of(key)] if key.role == "student" else None
        measured[key] = measure_model(model, supervisor, truth, blocks)
        if supervisor and len(model.runs[0].steps) > 1:
            measured[key] |= measure_snapshots(model, supervisor, truth, halves, blocks)
    for key, correct_by_seed in probes.probe(predictions, evaluate.seed):
        measured.setdefault(key, {})["probe"] = _measure_probe(correct_by_seed, blocks)
    return TaskMeasurements(
        grid=grid,
        truth=truth,
        models=models,
        blocks=blocks,
        smallest_gap=evaluate.smallest_gap,
        confidence=evaluate.confidence,
        metrics=measured,
    )


def stratified_halves(truth: Answers, rng: np.random.Generator) -> Answers:
    """Which half each example is in, 0 or 1, drawn so that each answer is as often in both [N]."""
    shuffled = rng.permutation(len(truth))
    by_answer = shuffled[np.argsort(truth[shuffled], kind="stable")]
    halves = np.zeros(len(truth), np.int64)
    halves[by_answer[1::2]] = 1
    return halves


def measure_model(
    model: ModelRuns, supervisor: ModelRuns | None, truth: list[Answers], blocks: Blocks
) -> dict[str, Array]:
    """Metrics of a model's final predictions, each [seeds, 1 + COLUMNS].

    Agreement if it has a supervisor; metrics of probabilities unless it answers in words.
    """
    answers = model.answers

    def by_seed(metric: Callable[[int, Array], Array]) -> Array:
        return np.stack([blocks.measure(s, partial(metric, s)) for s in range(len(answers))])

    measured = {"accuracy": by_seed(lambda s, weights: metrics.accuracy(answers[s], truth[s], weights))}
    if metrics.are_probabilities(answers[0]):
        measured |= {
            "auroc": by_seed(lambda s, weights: metrics.auroc(answers[s], truth[s], weights)),
            "ece": by_seed(lambda s, weights: metrics.ece(answers[s], truth[s], weights)),
            "margin": by_seed(lambda s, weights: metrics.margin(answers[s], weights)),
            "says_true": by_seed(lambda s, weights: metrics.says_true(answers[s], weights)),
        }
    if supervisor:
        labels = supervisor.answers
        right = [metrics.same(*pair) for pair in zip(labels, truth, strict=True)]
        measured |= {
            "agreement": by_seed(lambda s, weights: metrics.agreement(answers[s], labels[s], weights)),
            "agreement_right": by_seed(lambda s, weights: metrics.agreement(answers[s], labels[s], weights, right[s])),
            "agreement_wrong": by_seed(lambda s, weights: metrics.agreement(answers[s], labels[s], weights, ~right[s])),
        }
    return measured


def measure_snapshots(
    student: ModelRuns, supervisor: ModelRuns, truth: list[Answers], halves: list[Answers], blocks: Blocks
) -> dict[str, Array]:
    """Metrics of a student before the end of its training, each [seeds, 1 + COLUMNS].

    Accuracy at each run's best snapshot (see `right_at_best_snapshot`), and agreement with the supervisor's errors at
    the snapshot nearest to half of the training (of two, the earlier).
    """
    best, halfway = [], []
    for s, (run, labels) in enumerate(zip(student.runs, supervisor.answers, strict=True)):
        errors = ~metrics.same(labels, truth[s])
        nearest = np.abs(np.array(run.steps) - run.steps[-1] / 2).argmin()
        repeated = metrics.same(run.answers[nearest], labels) & errors
        # All sums in one pass over the weights.
        right_at_best = right_at_best_snapshot(run, truth[s], halves[s])
        indicators = np.stack([right_at_best, repeated, errors, np.ones(len(errors))], axis=1).astype(float)
        right, agreed, erred, weight = blocks.measure(s, indicators.__rmatmul__).T
        best.append(right / weight)
        with np.errstate(invalid="ignore"):
            halfway.append(agreed / erred)
    return {"best": np.stack(best), "halfway_agreement_wrong": np.stack(halfway)}


def right_at_best_snapshot(run: TrainingRun, truth: Answers, halves: Answers) -> Mask:
    """Which examples a run gets right at its best snapshot, an oracle's choice by truth [N].

    On each half of the examples it is the snapshot that is best on the other half: the highest of several accuracies
    on one set of examples would be partly luck, and lie above the end's without any overfitting.
    """
    right = np.stack([metrics.same(answers, truth) for answers in run.answers])
    best_for_first = right[:, halves == 1].mean(1).argmax()
    best_for_second = right[:, halves == 0].mean(1).argmax()
    return np.where(halves == 0, right[best_for_first], right[best_for_second])


def _measure_probe(correct_by_seed: list[Array], blocks: Blocks) -> Array:
    """Share of probed examples on which the probe is correct [seeds, 1 + COLUMNS]."""
    accuracies = []
    for s, correct in enumerate(correct_by_seed):
        accuracy = partial(metrics.agreement, correct, np.ones(len(correct)), among=~np.isnan(correct))
        accuracies.append(blocks.measure(s, accuracy))
    return np.stack(accuracies)


def summarise(measured: TaskMeasurements) -> TaskSummary:
    """Every metric of every model over the seeds, and every difference of two models or two points of training."""
    grid = measured.grid
    confidence = measured.confidence
    found = {key: dict(by_metric) for key, by_metric in measured.metrics.items()}
    recovered = {}
    # A control has no supervisor: it is held against that of each pair in turn.
    for key, accuracy in ({key: found[key]["accuracy"] for key in measured.students} | measured.controls).items():
        compared = found.setdefault(key, {})
        supervisor = found[supervisor_of(key)]["accuracy"]
        accuracies = (accuracy, supervisor, found[ceiling_of(key, grid.block)]["accuracy"])
        recovered[key, "pgr"] = pgr(*accuracies, measured.smallest_gap, confidence)
        defined = recovered[key, "pgr"].value is not None
        compared["pgr"] = linearised(*accuracies) if defined else np.full_like(accuracy, np.nan)
        compared["over_supervisor"] = accuracy - supervisor
        naive = ModelKey("student", key.weak, key.strong, grid.baseline or "")
        if key != naive and naive in found:
            compared["over_naive"] = accuracy - found[naive]["accuracy"]
        if "best" in compared:
            compared["overfit"] = compared["best"] - accuracy
            compared["late_agreement_wrong"] = compared["agreement_wrong"] - compared["halfway_agreement_wrong"]
    estimates = {
        (key, metric): estimate(values, confidence, UNDEFINED.get(metric, "undefined"))
        for key, by_metric in found.items()
        for metric, values in by_metric.items()
    }
    estimates = {
        (key, metric): of_seeds if metric in NO_SHARES else of_seeds.of_share()
        for (key, metric), of_seeds in estimates.items()
    }
    sizes = {model.model: measured.parameters(key) for key, model in measured.models.items() if model.runs}
    return TaskSummary(
        grid=grid,
        sizes=sizes,
        confidence=confidence,
        metrics=found,
        estimates=estimates | recovered,
    )
