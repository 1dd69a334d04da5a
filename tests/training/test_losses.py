"""Losses against NumPy written from the paper's formulas, and where their gradients go."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from w2s.training.losses.confidence import confidence, hardened
from w2s.training.losses.cross_entropy import cross_entropy

fractions = st.floats(0, 1)
eighths = st.integers(0, 8).map(lambda count: count / 8)  # their sums are exact
batches = st.lists(st.tuples(st.floats(-30, 30), eighths), min_size=1, max_size=20)


def entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """−t·log f − (1−t)·log(1−f), f = 1 / (1 + e^−z), averaged."""
    return float(np.mean(targets * np.logaddexp(0, -logits) + (1 - targets) * np.logaddexp(0, logits)))


def own_answers(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The most probable ones are true, as many as the labels hold in sum; of equals the earlier."""
    ranked = sorted(range(len(logits)), key=lambda index: (-logits[index], index))
    return np.isin(np.arange(len(logits)), ranked[: round(labels.sum())]).astype(float)


def arrays(batch: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.array(batch).T
    return logits, labels


@given(batches, fractions)
def test_cross_entropy(batch: list[tuple[float, float]], progress: float) -> None:
    logits, labels = arrays(batch)
    found = cross_entropy(torch.tensor(logits), torch.tensor(labels), progress)
    assert found.item() == pytest.approx(entropy(logits, labels), rel=1e-9, abs=1e-12)


@given(batches, fractions, fractions, st.floats(0.01, 1))
def test_confidence(batch: list[tuple[float, float]], progress: float, alpha_max: float, warmup: float) -> None:
    logits, labels = arrays(batch)
    alpha = np.interp(progress, [0, warmup], [0, alpha_max])
    expected = (1 - alpha) * entropy(logits, labels) + alpha * entropy(logits, own_answers(logits, labels))
    found = confidence(torch.tensor(logits), torch.tensor(labels), progress, alpha_max=alpha_max, warmup=warmup)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(batches, fractions, fractions)
def test_no_gradient_goes_through_the_hardened_target(
    batch: list[tuple[float, float]], progress: float, alpha_max: float
) -> None:
    logits, labels = arrays(batch)
    z = torch.tensor(logits, requires_grad=True)
    confidence(z, torch.tensor(labels), progress, alpha_max=alpha_max, warmup=0.5).backward()
    alpha = alpha_max * min(1, 2 * progress)
    target = (1 - alpha) * labels + alpha * own_answers(logits, labels)  # a constant
    slope = (1 / (1 + np.exp(-logits)) - target) / len(logits)
    assert z.grad is not None
    np.testing.assert_allclose(z.grad.numpy(), slope, rtol=1e-9, atol=1e-12)


@given(batches)
def test_hardened_answers_keep_the_class_balance(batch: list[tuple[float, float]]) -> None:
    logits, labels = arrays(batch)
    answers = hardened(torch.tensor(logits), torch.tensor(labels)).numpy()
    assert set(answers) <= {0.0, 1.0}
    assert answers.sum() == round(labels.sum())
    assume(0 < answers.sum() < len(answers))
    assert logits[answers == 1].min() >= logits[answers == 0].max()


def test_the_threshold_moves_with_the_balance() -> None:
    logits = torch.tensor([3.0, 2.0, 1.0, 0.5])  # all true by the usual threshold
    assert hardened(logits, torch.tensor([0.0, 0.9, 0.1, 0.1])).tolist() == [1, 0, 0, 0]
    assert hardened(-logits, torch.tensor([1.0, 0.9, 1.0, 0.1])).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("progress", "warmup", "alpha"),
    [(0, 0.2, 0), (0.05, 0.2, 0.2), (0.1, 0.2, 0.4), (0.2, 0.2, 0.8), (0.9, 0.2, 0.8), (0, 0, 0.8), (0.5, 1, 0.4)],
)
def test_alpha_rises_linearly_over_the_warmup(progress: float, warmup: float, alpha: float) -> None:
    """With a label of 0 and a logit of 0 whose hardened answer is 1, the slope is ½ − α."""
    logits = torch.tensor([0.0, -9.0], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0.0, 1.0], dtype=torch.float64)
    confidence(logits, labels, progress, alpha_max=0.8, warmup=warmup).backward()
    assert logits.grad is not None
    assert 2 * logits.grad[0].item() == pytest.approx(0.5 - alpha, abs=1e-12)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([1e4, -1e4], requires_grad=True)
    loss = confidence(logits, torch.tensor([0.0, 1.0]), 1.0, alpha_max=0.5, warmup=0.2)
    loss.backward()
    assert loss.item() == pytest.approx(5e3)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
