"""Supervisors that are no models: their labels are made of a real supervisor's and of truth, for comparison only.

`…-errors` is the truth with as many errors as a real supervisor makes, but other ones (paper, sections E.1 and E.2): if
students forgave all errors alike, they would learn as much from these as from the supervisor itself. `true-labels-K`
are the supervisor's own labels, K of them replaced by the truth: what would so many labels by experts be worth? An
`ensemble` is made of several supervisors' labels and of no truth.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from w2s.core.errors import UserError, unknown
from w2s.core.params import Simulated

ENSEMBLE = "ensemble"
TRUE_LABELS = re.compile(r"true-labels-([1-9][0-9]*)")
# Those without a meaning in generation, and why.
NOT_IN_WORDS = {
    "class-errors": "answers in words have no two classes",
    "hard-errors": "answers in words do not tell how sure a supervisor is",
}


def gathered(task: str, seed: int) -> Path:
    """Where labels of several supervisors lie side by side, so that a stage can depend on all of them at once."""
    return Path("data/gathered", task, str(seed))


def simulated_labels(
    name: str, part: str, truth: np.ndarray, of: Sequence[np.ndarray], lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A simulated supervisor's labels of a part, given its truth, real supervisors' labels and lengths: all [examples].

    Labels are P(true), or answers in words. Those with errors are 0 or 1. Experts label some of the student half;
    elsewhere their supervisor is the real one.
    """
    if name == ENSEMBLE:
        return ensemble(of)
    weak = of[0]
    if count := _true_labels(name):
        known = np.isin(np.arange(len(truth)), rng.permutation(len(truth))[:count])
        return np.where(known & (part == "student"), truth, weak)
    in_words = truth.dtype == object
    weak_errors = weak != truth if in_words else (weak > 0.5) != (truth > 0.5)
    errors = ERRORS[name](weak_errors, truth, weak, lengths, rng)
    return _wrong_words(errors, truth, weak, rng) if in_words else np.where(errors, 1 - truth, truth)


def ensemble(of: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of several supervisors' labels; of answers in words the most frequent, of equals the first's."""
    if of[0].dtype == object:
        return np.array([Counter(answers).most_common(1)[0][0] for answers in zip(*of, strict=True)], object)
    return np.mean(of, axis=0)


def _true_labels(name: str) -> int:
    """How many labels are true in `true-labels-K`; 0 for any other name."""
    found = TRUE_LABELS.fullmatch(name)
    return int(found[1]) if found else 0


def _wrong_words(errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The truth but for errors: there the supervisor's own wrong answer or, where it is right, another example's."""
    answers = truth.copy()
    others = np.concatenate([truth, weak])  # the supervisor's too: it has a wrong one even if all truth is the same
    for i in np.flatnonzero(errors):
        answers[i] = weak[i] if weak[i] != truth[i] else rng.choice(others[others != truth[i]])
    return answers


def random_errors(
    weak_errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Errors at random examples."""
    return rng.permutation(weak_errors)


def class_errors(
    weak_errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Errors at random examples of each class, as many as the supervisor makes in that class."""
    errors = np.empty_like(weak_errors)
    for label in (0, 1):
        errors[truth == label] = rng.permutation(weak_errors[truth == label])
    return errors


def hard_errors(
    weak_errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Errors where the supervisor is least confident.

    The paper asks this of the ceiling's confidence; the supervisor's is known before any student is trained.
    """
    return _first(np.abs(weak - 0.5), weak_errors.sum())


def long_errors(
    weak_errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Errors in the longest texts."""
    return _first(-lengths, weak_errors.sum())


def short_errors(
    weak_errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Errors in the shortest texts."""
    return _first(lengths, weak_errors.sum())


def _first(values: np.ndarray, count: int) -> np.ndarray:
    """Which values [examples] are the `count` smallest; of equals the first."""
    return np.isin(np.arange(len(values)), np.argsort(values, kind="stable")[:count])


ERRORS = {
    "random-errors": random_errors,
    "class-errors": class_errors,
    "hard-errors": hard_errors,
    "long-errors": long_errors,
    "short-errors": short_errors,
}


def require(simulated: Simulated, students: int, probabilities: bool, param_path: str) -> None:
    """Raise `UserError` for a name that is unknown or has no meaning where labels are, or are not, probabilities."""
    for name in simulated.weak:
        if _true_labels(name) > students:
            raise UserError(f"{param_path}.weak: '{name}' is more than split.student, {students}")
        if name not in (*ERRORS, ENSEMBLE) and not _true_labels(name):
            raise unknown(f"{param_path}.weak", name, [*ERRORS, "true-labels-100", ENSEMBLE])
        if name in NOT_IN_WORDS and not probabilities:
            raise UserError(f"{param_path}.weak: '{name}' is not in generation: {NOT_IN_WORDS[name]}")
    needed = 2 if probabilities else 3  # a majority is of three
    if ENSEMBLE in simulated.weak and len(simulated.of) < needed:
        raise UserError(f"{param_path}.of: '{ENSEMBLE}' needs {needed} or more (found {', '.join(simulated.of)})")
