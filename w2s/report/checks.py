"""What must be true of a ladder before its students can tell anything, and what its models knew before finetuning.

A check *holds* when it is clear, by intervals, wherever it should show; it *does not hold* when its opposite is clear
anywhere; else it is *undecided*. Only how far students had learned their labels is judged by a mean over seeds. The
paper's own claims are judged in `w2s.results.claims`.
"""

from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from w2s.core.params import Params
from w2s.report.formats import interval, percent
from w2s.report.summary import Estimate, Status, Summary
from w2s.report.tables import Row, Table
from w2s.results.metrics import CHANCE

NEAR = 0.05  # "near chance" and "zero-shot near the ceiling": within 5 points


class Evidence(NamedTuple):
    """What one model, or two neighbours on the ladder, contribute to a check."""

    where: str
    measured: str
    status: Status


@dataclass(frozen=True)
class Check:
    """What a ladder must show, held against every place where it should."""

    claim: str
    evidence: list[Evidence]

    @property
    def status(self) -> Status:
        found = {evidence.status for evidence in self.evidence}
        if "does not hold" in found:
            return "does not hold"
        return "undecided" if "undecided" in found else "holds"


class Control(NamedTuple):
    """Accuracy of a strong model's controls beside its ceiling; `probe` is of the base model's features."""

    task: str
    strong: str
    zero_shot: Estimate
    probe: Estimate
    supervisor_truth: Estimate
    scratch: Estimate
    ceiling: Estimate

    @property
    def leaked(self) -> bool:
        """Zero-shot within 5 points of the ceiling: pretraining has already taught the task."""
        if self.zero_shot.value is None or self.ceiling.value is None:
            return False
        return self.zero_shot.value >= self.ceiling.value - NEAR


def controls(summary: Summary) -> list[Control]:
    """One for each student model of each task."""
    return [
        Control(
            task,
            strong,
            zero_shot=summary.get(task, "zero_shot", "accuracy", strong=strong),
            probe=summary.get(task, "base", "probe", strong=strong),
            supervisor_truth=summary.get(task, "supervisor_truth", "accuracy", strong=strong),
            scratch=summary.get(task, "scratch", "accuracy", strong=strong),
            ceiling=summary.ceiling(task, strong),
        )
        for task, part in summary.grid.tasks.items()
        for strong in part.strong
    ]


def checks(summary: Summary, training: Table, experiment: Params) -> list[Check]:
    """Those that have any evidence in this grid; `training` holds the curves."""
    grid = summary.grid
    chance = []
    below_half = []
    for control in controls(summary):
        where = grid.label(control.task, control.strong)
        setting = grid.tasks[control.task].setting
        if setting in CHANCE:
            status = _near(control.scratch, CHANCE[setting])
            chance.append(Evidence(where, interval(control.scratch), status))
        else:
            measured = f"{interval(control.scratch)} of {percent(control.ceiling.value)}"
            below_half.append(Evidence(where, measured, _under_half(control.scratch, control.ceiling)))
    found = [
        Check("Trained on ground truth, larger models are more accurate", _neighbours(summary)),
        Check("Without pretraining, the same models stay near chance (50 ± 5\u202f%)", chance),
        Check("Without pretraining, the same models stay under half of their ceiling", below_half),
        Check(
            "When a loss comes to trust a student's own answers in full, these agree with its labels (over 55\u202f%)",
            _learned_before_trusted(summary, training, experiment),
        ),
    ]
    return [check for check in found if check.evidence]


def _neighbours(summary: Summary) -> list[Evidence]:
    """Neighbours on the ladder; one is clearly better than the other when their intervals do not touch."""
    grid = summary.grid
    found = []
    for task, part in grid.tasks.items():
        ladder = sorted({*part.weak, *part.strong}, key=lambda model: grid.size[model])
        for small, large in pairwise(ladder):
            smaller = summary.on_truth(task, small)
            larger = summary.on_truth(task, large)
            if smaller.value is None or larger.value is None:
                continue
            status = _greater(larger, smaller)
            measured = f"{percent(smaller.value)} → {percent(larger.value)}"
            found.append(Evidence(grid.label(task, f"{small} → {large}"), measured, status))
    return found


def _learned_before_trusted(summary: Summary, training: Table, experiment: Params) -> list[Evidence]:
    """Agreement with the labels trained on, over the second half of a loss's warm-up or, without one, at first.

    From then on the student's own answers weigh most; those of one that is barely trained would be guesses.
    """
    students: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in training.select(role="student"):
        students.setdefault((row["task"], row["weak"], row["strong"], row["method"]), []).append(row)
    found = []
    for (task, weak, strong, method), rows in students.items():
        loss = experiment.methods[method].parts.get("loss", {})
        if "warmup" not in loss:
            continue
        end = max(loss["warmup"] * max(row["step"] for row in rows), min(row["step"] for row in rows))
        agreed = fmean(row["accuracy"] for row in rows if end / 2 < row["step"] <= end)
        status: Status = "holds" if agreed > 0.5 + NEAR else "does not hold"
        found.append(Evidence(summary.grid.label(task, f"{weak} → {strong}", method), percent(agreed), status))
    return found


def _greater(one: Estimate, other: Estimate) -> Status:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return "undecided"
    if one.low > other.high:
        return "holds"
    return "does not hold" if one.high < other.low else "undecided"


def _near(estimate: Estimate, chance: float) -> Status:
    above = estimate.above(chance + NEAR)
    below = estimate.above(chance - NEAR)
    if above == "holds" or below == "does not hold":
        return "does not hold"
    return "holds" if above == "does not hold" and below == "holds" else "undecided"


def _under_half(scratch: Estimate, ceiling: Estimate) -> Status:
    if ceiling.value is None or ceiling.low is None or ceiling.high is None:
        return "undecided"
    return _greater(Estimate(ceiling.value / 2, ceiling.low / 2, ceiling.high / 2), scratch)
