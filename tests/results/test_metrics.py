"""Metrics against scikit-learn, plain loops and identities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from w2s.results import metrics

N = 40
coarse = hnp.arrays(float, N, elements=st.integers(0, 12).map(lambda k: k / 12))  # many ties
truths = hnp.arrays(float, N, elements=st.sampled_from([0.0, 1.0]))
words = hnp.arrays(np.int64, N, elements=st.integers(0, 4))
counts = hnp.arrays(float, (3, N), elements=st.integers(0, 4).map(float))


@pytest.mark.slow
@given(coarse, truths, counts)
def test_auroc_is_scikit_learns_with_weights_and_ties(p: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> None:
    truth[:2], weights[:, :2] = (0, 1), 1  # both classes
    expected = [roc_auc_score(truth, p, sample_weight=row) for row in weights]
    assert metrics.auroc(p, truth, weights) == pytest.approx(expected, abs=1e-12)
    assert metrics.auroc(p, truth) == pytest.approx(roc_auc_score(truth, p), abs=1e-12)


def test_auroc_by_hand() -> None:
    truth = np.array([0.0, 1, 0, 1])
    assert metrics.auroc(np.array([0.1, 0.9, 0.2, 0.8]), truth) == 1
    assert metrics.auroc(np.full(4, 0.3), truth) == 0.5
    assert metrics.auroc(np.array([0.1, 0.2, 0.2, 0.8]), truth) == (1 + 0.5 + 1 + 1) / 4
    assert np.isnan(metrics.auroc(truth, np.ones(4)))


@given(coarse, truths, counts)
def test_whole_weights_are_repeated_examples(p: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> None:
    truth[:2], weights[:, :2] = (0, 1), 1
    for metric in (metrics.accuracy, metrics.auroc, metrics.ece):
        for row, weighted in zip(weights, metric(p, truth, weights), strict=True):
            repeated = np.repeat(np.arange(N), row.astype(int))
            assert weighted == pytest.approx(metric(p[repeated], truth[repeated]), abs=1e-12)


@given(coarse, truths, st.permutations(range(N)))
def test_the_order_of_examples_is_nothing(p: np.ndarray, truth: np.ndarray, order: list[int]) -> None:
    for metric in (metrics.accuracy, metrics.auroc, metrics.ece):
        assert metric(p, truth) == pytest.approx(metric(p[order], truth[order]), abs=1e-12, nan_ok=True)


@given(coarse, coarse, truths, counts)
def test_agreement_divides_by_where_the_supervisor_is_right(
    student: np.ndarray, supervisor: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> None:
    """agreement = a·(agreement where right) + (1 − a)·(agreement where wrong); accuracy follows from both."""
    supervisor[:2], truth[:2], weights[:, :2] = (1, 0), 1, 1  # once right, once wrong
    right = metrics.same(supervisor, truth)
    a = metrics.accuracy(supervisor, truth, weights)
    where_right = metrics.agreement(student, supervisor, weights, right)
    where_wrong = metrics.agreement(student, supervisor, weights, ~right)
    assert metrics.agreement(student, supervisor, weights) == pytest.approx(a * where_right + (1 - a) * where_wrong)
    assert metrics.accuracy(student, truth, weights) == pytest.approx(a * where_right + (1 - a) * (1 - where_wrong))


def test_a_half_says_false_and_a_share_of_nothing_is_nan() -> None:
    assert metrics.accuracy(np.array([0.5, 0.5]), np.array([0.0, 1.0])) == 0.5
    assert np.isnan(metrics.agreement(np.ones(2), np.ones(2), among=np.zeros(2, bool)))


@given(words, words, words, counts)
def test_answers_in_words_are_right_if_they_are_the_truth(
    student: np.ndarray, supervisor: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> None:
    """The shares are plain counts, whichever numbers stand for the words."""
    weights[:, 0] = 1
    other_numbers = np.array([3, 0, 4, 1, 2])
    for row, accuracy in zip(weights, metrics.accuracy(student, truth, weights), strict=True):
        assert accuracy == pytest.approx(sum(row[student == truth]) / sum(row))
    assert metrics.accuracy(other_numbers[student], other_numbers[truth]) == metrics.accuracy(student, truth)
    right = metrics.same(supervisor, truth)
    if right.any():
        where_right = np.mean([a == b for a, b, c in zip(student, supervisor, truth, strict=True) if b == c])
        assert metrics.agreement(student, supervisor, among=right) == pytest.approx(where_right)


@given(coarse, counts)
def test_what_says_true_is_counted_by_weight(p: np.ndarray, weights: np.ndarray) -> None:
    weights[:, 0] = 1
    repeated = [np.repeat(p, row.astype(int)) for row in weights]
    assert metrics.says_true(p, weights) == pytest.approx([np.mean(answers > 0.5) for answers in repeated])


@given(hnp.arrays(float, N, elements=st.floats(0, 1)), coarse, counts)
def test_a_margin_is_the_difference_of_two_rewards(any_p: np.ndarray, p: np.ndarray, weights: np.ndarray) -> None:
    """With p = σ(a − b) it is |a − b|; it is finite, and does not depend on which of two texts comes first."""
    weights[:, 0] = 1
    assert np.isfinite(metrics.margin(any_p, weights)).all()
    assert metrics.margin(1 - p, weights) == pytest.approx(metrics.margin(p, weights))
    rewards = np.random.default_rng(0).normal(size=(2, N))
    preferred = 1 / (1 + np.exp(rewards[1] - rewards[0]))
    differences = np.abs(rewards[0] - rewards[1])
    assert metrics.margin(preferred, weights) == pytest.approx((weights * differences).sum(-1) / weights.sum(-1))


@given(coarse, truths)
def test_ece_is_the_definition(p: np.ndarray, truth: np.ndarray) -> None:
    expected = 0.0
    for k in range(10):
        inside = [i for i in range(N) if min(int(p[i] * 10), 9) == k]
        if inside:
            expected += len(inside) / N * abs(p[inside].mean() - truth[inside].mean())
    assert metrics.ece(p, truth) == pytest.approx(expected, abs=1e-12)


@given(coarse, truths)
def test_a_reliability_diagram_sums_to_the_ece(p: np.ndarray, truth: np.ndarray) -> None:
    bins = metrics.reliability(p, truth)
    assert sum(b.count for b in bins) == N
    assert [b.bin for b in bins] == sorted({b.bin for b in bins})
    assert sum(b.count / N * abs(b.confidence - b.frequency) for b in bins) == pytest.approx(metrics.ece(p, truth))
    assert all(b.bin / 10 <= b.confidence + 1e-9 and b.confidence <= (b.bin + 1) / 10 + 1e-9 for b in bins)


def test_bins_are_closed_below_and_one_is_in_the_last() -> None:
    assert list(metrics.bin_of(np.array([0, 0.05, 0.1, 0.55, 0.9, 1.0]))) == [0, 0, 1, 5, 9, 9]
