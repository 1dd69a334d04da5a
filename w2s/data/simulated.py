"""Simulated supervisors, whose labels are made from truth: for comparison only.

`…-errors` is the truth with as many errors as a real supervisor makes, but other ones (paper, section E.2): if students
forgave all errors alike, they would learn as much from these as from the supervisor itself. `true-labels-K` are the
supervisor's own labels, K of them replaced by the truth: what would so many labels by experts be worth?
"""

import re

import numpy as np

from w2s.core.errors import UserError, unknown

TRUE_LABELS = re.compile(r"true-labels-([1-9][0-9]*)")


def simulated_labels(
    name: str, part: str, truth: np.ndarray, weak: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A simulated supervisor's labels of a part, given its truth, weak labels P(true) and lengths: all [examples].

    Those with errors are 0 or 1. Experts label some of the student half; elsewhere their supervisor is the real one.
    """
    if count := _true_labels(name):
        known = np.isin(np.arange(len(truth)), rng.permutation(len(truth))[:count])
        return np.where(known & (part == "student"), truth, weak)
    weak_errors = (weak > 0.5) != (truth > 0.5)
    errors = ERRORS[name](weak_errors, truth, weak, lengths, rng)
    return np.where(errors, 1 - truth, truth)


def _true_labels(name: str) -> int:
    """How many labels are true in `true-labels-K`; 0 for any other name."""
    found = TRUE_LABELS.fullmatch(name)
    return int(found[1]) if found else 0


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


def require_known(names: list[str], students: int, param_path: str) -> None:
    """Raise `UserError` where one of the names is not a simulated supervisor's, or has more than all labels true."""
    for name in names:
        if _true_labels(name) > students:
            raise UserError(f"{param_path}: '{name}' is more than split.student, {students}")
        if name not in ERRORS and not _true_labels(name):
            raise unknown(param_path, name, [*ERRORS, "true-labels-100"])
