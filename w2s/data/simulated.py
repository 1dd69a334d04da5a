"""Simulated supervisors: the truth with as many errors as a real supervisor makes, but other ones (paper, section 5.1).

If students forgave all errors alike, they would learn as much from these as from the supervisor itself.
"""

import numpy as np

from w2s.core.errors import unknown


def labels(name: str, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels 0 or 1 [N], wrong as often as the supervisor whose `weak` labels, P(true) [N], these are."""
    wrong = ERRORS[name]((weak > 0.5) != (truth > 0.5), truth, weak, rng)
    return np.where(wrong, 1 - truth, truth)


def random_errors(wrong: np.ndarray, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Anywhere."""
    return rng.permutation(wrong)


def class_errors(wrong: np.ndarray, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Anywhere among the true and among the false ones, as many as the supervisor makes in each."""
    moved = np.empty_like(wrong)
    for true in (0, 1):
        moved[truth == true] = rng.permutation(wrong[truth == true])
    return moved


def hard_errors(wrong: np.ndarray, truth: np.ndarray, weak: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the supervisor is least sure."""
    moved = np.zeros_like(wrong)
    moved[np.argsort(np.abs(weak - 0.5), kind="stable")[: wrong.sum()]] = True
    return moved


ERRORS = {"random-errors": random_errors, "class-errors": class_errors, "hard-errors": hard_errors}


def known(names: list[str], where: str) -> None:
    """Raise `UserError` where one of the names is not a simulated supervisor's."""
    for name in names:
        if name not in ERRORS:
            raise unknown(where, name, ERRORS)
