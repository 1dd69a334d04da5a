"""Simulated supervisors: the truth with as many errors as a real supervisor makes, but other ones (paper, section E.2).

If students forgave all errors alike, they would learn as much from these as from the supervisor itself.
"""

import numpy as np

from w2s.core.errors import unknown


def simulated_labels(name: str, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels 0 or 1 [examples], wrong as often as the supervisor whose weak labels P(true) [examples] are `weak`."""
    weak_errors = (weak > 0.5) != (truth > 0.5)
    errors = ERRORS[name](weak_errors, truth, weak, rng)
    return np.where(errors, 1 - truth, truth)


def random_errors(weak_errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Errors at random examples."""
    return rng.permutation(weak_errors)


def class_errors(weak_errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Errors at random examples of each class, as many as the supervisor makes in that class."""
    errors = np.empty_like(weak_errors)
    for label in (0, 1):
        errors[truth == label] = rng.permutation(weak_errors[truth == label])
    return errors


def hard_errors(weak_errors: np.ndarray, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Errors where the supervisor is least confident.

    The paper asks this of the ceiling's confidence; the supervisor's is known before any student is trained.
    """
    least_confident = np.argsort(np.abs(weak - 0.5), kind="stable")[: weak_errors.sum()]
    errors = np.zeros_like(weak_errors)
    errors[least_confident] = True
    return errors


ERRORS = {"random-errors": random_errors, "class-errors": class_errors, "hard-errors": hard_errors}


def require_known(names: list[str], param_path: str) -> None:
    """Raise `UserError` where one of the names is not a simulated supervisor's."""
    for name in names:
        if name not in ERRORS:
            raise unknown(param_path, name, ERRORS)
