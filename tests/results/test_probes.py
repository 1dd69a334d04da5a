"""The probe against a logistic regression written out, and its halves against their promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s.results import probes


def newton(features: np.ndarray, truth: np.ndarray, ridge: float) -> np.ndarray:
    """Weights and, last, the intercept that minimize the mean logistic loss + ½ ridge ‖weights‖²."""
    x = np.column_stack([features, np.ones(len(features))])
    penalty = ridge * np.diag([1.0] * features.shape[1] + [0.0])
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (p - truth) / len(x) + penalty @ weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x / len(x) + penalty
        weights -= np.linalg.solve(curvature, slope)
    return weights


def test_a_probe_is_logistic_regression_fitted_on_the_other_half() -> None:
    rng = np.random.default_rng(0)
    truth = (np.arange(200) % 2).astype(float)
    features = rng.normal(size=(200, 6)) * [1, 5, 0.1, 2, 1, 30] + truth[:, None] * [1, 0, 0.1, 0, 0, 3] + 7
    half = rng.permutation(200) % 2
    predicted = np.empty(200)
    for held_out in (0, 1):
        fitted = half != held_out
        mean = features[fitted].mean(0)
        spread = features[fitted].std(0)
        weights = newton((features[fitted] - mean) / spread, truth[fitted], probes.PENALTY)
        predicted[~fitted] = (features[~fitted] - mean) / spread @ weights[:-1] + weights[-1] > 0
    correct = probes.correct(features, truth, half)
    assert 0.6 < correct.mean() < 0.95
    assert (correct == (predicted == truth)).all()


@given(st.integers(2, 40), st.integers(0, 100))
def test_no_group_is_in_both_halves_and_each_holds_both_answers(groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.integers(groups, size=80).astype(str)
    truth = (np.arange(80) % 2).astype(float)
    half = probes.split_in_halves(truth, group, seed)
    if half is not None:
        assert not set(group[half == 0]) & set(group[half == 1])
        assert all(set(truth[half == h]) == {0, 1} for h in (0, 1))


def test_too_few_examples_have_no_halves() -> None:
    assert probes.split_in_halves(np.array([0.0, 1.0, 1.0]), np.array(["a", "b", "c"]), 0) is None
    assert probes.split_in_halves(np.array([0.0, 0.0, 1.0, 1.0]), np.array(["a"] * 4), 0) is None
    with pytest.raises(ValueError, match="class"):
        probes.correct(np.zeros((4, 1)), np.array([0.0, 0.0, 1.0, 1.0]), np.array([0, 0, 1, 1]))
