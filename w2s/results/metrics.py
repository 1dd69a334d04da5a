"""Metrics of predictions against the truth: point values, optionally under example weights.

Answers are P(true) per example, float [N] (a truth is 0 or 1), or integers that stand for answers in words. Metrics of
hard decisions (accuracy, agreement) take both; metrics of probabilities take `p` only. `weights` are example weights
[..., N], one row for each block of examples that is left out; the result has shape [...], and without weights it is one
number. A share of no example is NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Answers = npt.NDArray[Any]  # float64: P(true); int64: answers in words
Mask = npt.NDArray[np.bool_]

BINS = 10
# Accuracy by chance, of as many true as false examples; an answer in words has no such level.
CHANCE = {"classification": 0.5, "preference": 0.5}


def are_probabilities(answers: Answers) -> bool:
    """Whether the answers are P(true), and not codes of answers in words."""
    return answers.dtype.kind == "f"


def hard(answers: Answers) -> Answers:
    """Hard decisions: whether p > 0.5, or the answer in words itself."""
    return answers > 0.5 if are_probabilities(answers) else answers


def same(answers: Answers, other: Answers) -> Mask:
    """Where the hard decisions of two predictions are the same [N]."""
    return hard(answers) == hard(other)


def accuracy(answers: Answers, truth: Answers, weights: Array | None = None) -> Array:
    """Share of examples whose hard decision is the truth; an answer in words must be exactly the truth."""
    return agreement(answers, truth, weights)


def agreement(answers: Answers, other: Answers, weights: Array | None = None, among: Mask | None = None) -> Array:
    """Share of examples (of those in `among`, if given) with the same hard decision in both (paper, section 5.1)."""
    among = np.ones(len(answers), bool) if among is None else among
    return _share(same(answers, other) & among, among, weights)


def _share(part: Answers, whole: Answers, weights: Array | None) -> Array:
    """Weighted sum of `part` over that of `whole`, in one pass over the weights."""
    both = np.stack([part, whole], axis=-1).astype(float)
    sums = (np.ones(len(part)) if weights is None else weights) @ both
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def auroc(p: Array, truth: Array, weights: Array | None = None) -> Array:
    """P(a true example is ranked above a false one), ties counting one half; NaN if the truth has one class.

    Each true example beats the weight of the false ones below it, which a cumulative sum over the sorted false ones
    holds for all rows of weights at once: the weighted Mann-Whitney statistic in O(N log N + rows × N).
    """
    weights = np.ones(len(p)) if weights is None else weights
    order = np.argsort(p, kind="stable")
    true = order[truth[order] > 0.5]
    false = order[truth[order] <= 0.5]
    mass = np.zeros((*weights.shape[:-1], len(false) + 1))
    np.cumsum(weights[..., false], axis=-1, out=mass[..., 1:])
    below = mass[..., np.searchsorted(p[false], p[true], "left")]
    below_or_tied = mass[..., np.searchsorted(p[false], p[true], "right")]
    of_true = weights[..., true]
    won = np.einsum("...i,...i->...", of_true, below + below_or_tied) / 2
    with np.errstate(invalid="ignore"):
        return won / (of_true.sum(-1) * mass[..., -1])


def ece(p: Array, truth: Array, weights: Array | None = None) -> Array:
    """Expected calibration error of P(true): Σ over bins of (share of examples) · |mean p − frequency of true|."""
    weights = np.ones(len(p)) if weights is None else weights
    excess = np.zeros((len(p), BINS))
    excess[np.arange(len(p)), bin_of(p)] = p - truth
    return np.abs(weights @ excess).sum(-1) / weights.sum(-1)


def margin(p: Array, weights: Array | None = None) -> Array:
    """Mean |logit p|: by how much one answer is preferred (of two texts, the difference of their rewards).

    A p of exactly 0 or 1 counts as the float64 next to it.
    """
    nearest = np.finfo(float).epsneg
    p = np.clip(p, nearest, 1 - nearest)
    return _share(np.abs(np.log(p) - np.log1p(-p)), np.ones(len(p)), weights)


def says_true(p: Array, weights: Array | None = None) -> Array:
    """Share of examples that are answered by yes."""
    yes = hard(p)
    return _share(yes, np.ones(len(yes)), weights)


def bin_of(p: Array) -> npt.NDArray[np.intp]:
    """Which of ten equal bins of [0, 1] each p falls in; the last one includes 1."""
    return np.minimum((p * BINS).astype(np.intp), BINS - 1)


@dataclass(frozen=True)
class Bin:
    """One point of a reliability diagram."""

    bin: int
    confidence: float  # mean p
    frequency: float  # share of true
    count: int


def reliability(p: Array, truth: Array) -> list[Bin]:
    """The reliability diagram of P(true): its bins that hold an example, in rising order."""
    bins = bin_of(p)
    return [
        Bin(int(k), float(p[bins == k].mean()), float(truth[bins == k].mean()), int((bins == k).sum()))
        for k in np.unique(bins)
    ]
