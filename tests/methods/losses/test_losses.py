"""Losses against NumPy written from the paper's formulas, and where their gradients go."""

from collections.abc import Callable
from functools import partial
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import logit, rel_entr

from w2s.core.errors import UserError
from w2s.methods.loss import Loss as LossPart
from w2s.methods.losses.confidence import confidence, hardened
from w2s.methods.losses.entropy import entropy as minimum_entropy
from w2s.methods.losses.kl import kl
from w2s.methods.losses.product import product
from w2s.methods.losses.reverse_kl import reverse_kl
from w2s.methods.losses.weighted import weighted
from w2s.methods.losses.window import window
from w2s.settings.binary import cross_entropy

Loss = Callable[..., torch.Tensor]

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


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def slope(loss: Loss, logits: np.ndarray, labels: np.ndarray, progress: float = 0.5, **options: float) -> np.ndarray:
    z = torch.tensor(logits, requires_grad=True)
    loss(z, torch.tensor(labels), progress, **options).backward()
    assert z.grad is not None
    return z.grad.numpy()


@pytest.mark.slow
@given(batches, st.floats(0.1, 2), st.floats(0.1, 2))
def test_product(batch: list[tuple[float, float]], weak: float, own: float) -> None:
    """The target is the normalised product of powers, and a constant."""
    logits, labels = arrays(batch)
    yes = labels**weak * sigmoid(logits) ** own
    no = (1 - labels) ** weak * sigmoid(-logits) ** own
    target = yes / (yes + no)
    found = product(torch.tensor(logits), torch.tensor(labels), 0.5, weak=weak, own=own)
    assert found.item() == pytest.approx(entropy(logits, target), rel=1e-6, abs=1e-9)
    expected = (sigmoid(logits) - target) / len(logits)
    np.testing.assert_allclose(slope(product, logits, labels, weak=weak, own=own), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@given(batches, fractions, st.floats(0.1, 2), st.floats(0.01, 1))
def test_entropy(batch: list[tuple[float, float]], progress: float, weight: float, warmup: float) -> None:
    logits, labels = arrays(batch)
    coefficient = np.interp(progress, [0, warmup], [0, weight])
    expected = entropy(logits, labels) + coefficient * entropy(logits, sigmoid(logits))  # H(f) = CE(f, f)
    found = minimum_entropy(torch.tensor(logits), torch.tensor(labels), progress, weight=weight, warmup=warmup)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    f = sigmoid(logits)
    grown = slope(minimum_entropy, logits, labels, progress, weight=weight, warmup=warmup)
    expected = (f - labels - coefficient * logits * f * (1 - f)) / len(logits)  # dH/dz = −z·f·(1−f)
    np.testing.assert_allclose(grown, expected, rtol=1e-7, atol=1e-10)


@given(batches, st.floats(0.01, 0.49))
def test_window(batch: list[tuple[float, float]], radius: float) -> None:
    logits, labels = arrays(batch)
    inside = np.maximum(sigmoid(logits), sigmoid(-logits)) < 0.5 + radius
    assume(np.abs(np.abs(sigmoid(logits) - 0.5) - radius).min() > 1e-9)
    each = labels * np.logaddexp(0, -logits) + (1 - labels) * np.logaddexp(0, logits)
    found = window(torch.tensor(logits), torch.tensor(labels), 0.5, radius=radius)
    assert found.item() == pytest.approx((each * inside).sum() / len(logits), rel=1e-9, abs=1e-12)
    expected = np.where(inside, sigmoid(logits) - labels, 0) / len(logits)
    np.testing.assert_allclose(slope(window, logits, labels, radius=radius), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@given(batches)
def test_kl(batch: list[tuple[float, float]]) -> None:
    """Against PyTorch's own, between two distributions over yes and no; 0 where they are one."""
    logits, labels = map(torch.tensor, arrays(batch))
    log_f = torch.stack([torch.nn.functional.logsigmoid(z) for z in (logits, -logits)], dim=1)
    expected = torch.nn.functional.kl_div(log_f, torch.stack([labels, 1 - labels], dim=1), reduction="batchmean")
    assert kl(logits, labels, 0.5).item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-12)
    assert kl(logits, logits.sigmoid(), 0.5).item() == pytest.approx(0, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-15, 15), st.floats(0.001, 0.999)), min_size=1, max_size=20))
def test_reverse_kl(batch: list[tuple[float, float]]) -> None:
    """Against SciPy's relative entropy of the two distributions, and its slope as worked out by hand."""
    logits, labels = arrays(batch)
    f = sigmoid(logits)
    expected = rel_entr([f, 1 - f], [labels, 1 - labels]).sum(axis=0).mean()
    assert value(reverse_kl, logits, labels) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    expected = f * (1 - f) * (logits - logit(labels)) / len(logits)
    np.testing.assert_allclose(slope(reverse_kl, logits, labels), expected, rtol=1e-6, atol=1e-9)
    assert value(reverse_kl, logits, f) == pytest.approx(0, abs=1e-9)


def test_reverse_kl_leaves_a_sure_student_alone() -> None:
    """A label of 0.3 pulls a student at 0.999 far less than it does by cross-entropy; one at 0.6 about as much."""
    labels = np.array([0.3, 0.3])
    logits = logit(np.array([0.999, 0.6]))
    sure, unsure = slope(reverse_kl, logits, labels) / slope(cross_entropy, logits, labels)
    assert sure < 0.02
    assert 0.9 < unsure < 1.1


@given(batches)
def test_weighted(batch: list[tuple[float, float]]) -> None:
    """NumPy's weighted average; as cross-entropy where all labels are hard."""
    logits, labels = arrays(batch)
    assume((labels != 0.5).any())
    each = labels * np.logaddexp(0, -logits) + (1 - labels) * np.logaddexp(0, logits)
    expected = np.average(each, weights=np.maximum(labels, 1 - labels) - 0.5)
    assert value(weighted, logits, labels) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    hard = np.round(labels)
    assert value(weighted, logits, hard) == pytest.approx(entropy(logits, hard), rel=1e-9, abs=1e-12)


def test_nothing_is_learnt_of_an_undecided_supervisor() -> None:
    logits = np.array([3.0, -1.0])
    assert slope(weighted, logits, np.array([0.5, 0.5])).tolist() == [0, 0]
    assert slope(weighted, logits, np.array([0.5, 0.9]))[0] == 0


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (reverse_kl, {}),
        (weighted, {}),
        (product, {"weak": 1.0, "own": 1.0}),
        (minimum_entropy, {"weight": 1.0, "warmup": 0.2}),
        (window, {"radius": 0.4}),
        (kl, {}),
    ],
)
def test_certain_labels_and_extreme_logits_have_finite_slopes(loss: Loss, options: dict[str, float]) -> None:
    logits = np.array([1e4, -1e4, 100, -100, 0, 0])
    labels = np.array([0.0, 1, 0, 1, 0, 1])
    assert np.isfinite(slope(loss, logits, labels, **options)).all()
    assert np.isfinite(slope(loss, logits.astype(np.float32), labels.astype(np.float32), **options)).all()


soft = st.lists(st.tuples(st.floats(-15, 15), fractions), min_size=1, max_size=20)
some = st.floats(0.1, 2)
smooth = st.sampled_from([kl, reverse_kl, weighted]) | st.builds(
    partial, st.just(minimum_entropy), weight=some, warmup=fractions
)
losses = (
    smooth
    | st.builds(partial, st.just(product), weak=some, own=some)
    | st.builds(partial, st.just(window), radius=st.floats(0.01, 0.49))
)


def value(loss: Loss, logits: np.ndarray, labels: np.ndarray, progress: float = 0.5, **options: float) -> float:
    return loss(torch.tensor(logits), torch.tensor(labels), progress, **options).item()


@pytest.mark.slow
@given(losses, soft, fractions, st.randoms(use_true_random=False))
def test_order_does_not_matter(loss: Loss, batch: list[tuple[float, float]], progress: float, random: Random) -> None:
    logits, labels = arrays(batch)
    order = random.sample(range(len(batch)), len(batch))
    assert value(loss, logits[order], labels[order], progress) == pytest.approx(value(loss, logits, labels, progress))
    found = slope(loss, logits[order], labels[order], progress)
    np.testing.assert_allclose(found, slope(loss, logits, labels, progress)[order], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@given(smooth, st.lists(st.tuples(st.floats(-5, 5), fractions), min_size=1, max_size=5), fractions)
def test_slopes_are_finite_differences(loss: Loss, batch: list[tuple[float, float]], progress: float) -> None:
    logits, labels = map(torch.tensor, arrays(batch))
    assert torch.autograd.gradcheck(lambda z: loss(z, labels, progress), logits.requires_grad_())


@pytest.mark.slow
@given(soft)
def test_in_the_limit_they_are_cross_entropy(batch: list[tuple[float, float]]) -> None:
    logits, labels = arrays(batch)
    plain = slope(cross_entropy, logits, labels)
    for loss, progress in (
        (partial(product, weak=1, own=0), 0.5),
        (partial(minimum_entropy, weight=0, warmup=0.2), 0.5),
        (partial(minimum_entropy, weight=1, warmup=0.2), 0.0),
        (partial(window, radius=0.5), 0.5),
        (kl, 0.5),
    ):
        np.testing.assert_allclose(slope(loss, logits, labels, progress), plain, rtol=1e-9, atol=1e-12)
        if loss is not kl:
            assert value(loss, logits, labels, progress) == pytest.approx(entropy(logits, labels), rel=1e-9)


@given(st.floats(0.01, 0.99), some, st.floats(0.1, 0.9))
def test_the_product_is_at_rest_where_it_multiplies_the_odds(label: float, weak: float, own: float) -> None:
    """f = t where z = weak·logit(label) / (1 − own)."""
    rest = weak * np.log(label / (1 - label)) / (1 - own)
    around = np.array([rest - 0.1, rest, rest + 0.1])
    below, at, above = slope(product, around, np.full(3, label), weak=weak, own=own)
    assert at == pytest.approx(0, abs=1e-12)
    assert below <= 0 <= above


@given(st.lists(st.tuples(st.floats(-100, 100), st.booleans()), min_size=1), some, some)
def test_no_answer_of_the_student_changes_a_hard_label_in_the_product(
    batch: list[tuple[float, bool]], weak: float, own: float
) -> None:
    logits, labels = arrays(batch)
    found = slope(product, logits, labels, weak=weak, own=own)
    np.testing.assert_allclose(found, slope(cross_entropy, logits, labels), rtol=1e-9, atol=1e-12)


def test_the_product_of_equals_hardens_labels() -> None:
    """The sure student of a hesitant supervisor is driven on, where cross-entropy holds it back."""
    logits = np.array([5.0, -5.0, 5.0])
    labels = np.array([0.6, 0.4, 0.5])
    assert np.sign(slope(product, logits, labels, weak=1, own=1)).tolist() == [-1, 1, 0]
    assert np.sign(slope(cross_entropy, logits, labels)).tolist() == [1, -1, 1]


def test_the_window_closes_on_both_sides_and_counts_all() -> None:
    # f is 0.7, 0.3 or 0.6.
    odds = np.array([7 / 3, 7 / 3, 3 / 7, 3 / 7, 3 / 2])
    labels = np.array([1.0, 0, 1, 0, 0])
    assert value(window, np.log(odds), labels, radius=0.15) == pytest.approx(-np.log(0.4) / 5)
    np.testing.assert_allclose(slope(window, np.log(odds), labels, radius=0.15), [0, 0, 0, 0, 0.6 / 5])
    assert value(window, np.log(odds), labels, radius=0.05) == 0


@pytest.mark.slow
@given(losses, st.lists(st.tuples(st.sampled_from([-100, -20, 0, 20, 100]), st.sampled_from([0, 0.5, 1])), min_size=1))
def test_extreme_answers_leave_value_and_slope_finite(loss: Loss, batch: list[tuple[float, float]]) -> None:
    logits, labels = (column.astype(np.float32) for column in arrays(batch))
    assert np.isfinite(value(loss, logits, labels))
    # Of reverse KL, f·(1−f)·|z − logit(weak)| with |logit(weak)| < 16.
    assert (abs(slope(loss, logits, labels)) <= 4 / len(batch)).all()


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("product", {"weak": 0.0, "own": 1.0}),
        ("product", {"weak": 1.0}),
        ("entropy", {"weight": 0.5, "warmup": 1.5}),
        # It would learn nothing.
        ("window", {"radius": 0.0}),
        ("window", {"radius": 0.6}),
        ("kl", {"weight": 1.0}),
    ],
)
def test_options_out_of_range_are_refused(function: str, options: dict[str, float]) -> None:
    with pytest.raises(UserError):
        LossPart(function=function, **options).bound("params.yaml: methods.mine.loss")
