"""The bootstrap against plain loops and known coverage; PGR against its definition."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s.results import metrics
from w2s.results.statistics import CHUNK, Bootstrap, holm, p_value, without_bias


def draw(examples: int = 200, seeds: int = 3, resamples: int = 300, rng: int = 0) -> Bootstrap:
    return Bootstrap.draw(examples, seeds, resamples, 0.95, np.random.default_rng(rng))


def test_row_zero_is_the_sample_and_every_replicate_draws_as_many() -> None:
    bootstrap = draw()
    assert bootstrap.examples.shape == (301, 200)
    assert (bootstrap.examples[0] == 1).all()
    assert (bootstrap.seeds[0] == 1).all()
    assert (bootstrap.examples.sum(1) == 200).all()
    assert (bootstrap.seeds.sum(1) == 3).all()
    assert bootstrap.examples[1:].var() == pytest.approx(1 - 1 / 200, rel=0.02)  # multinomial: variance 1 − 1/N


def test_more_seeds_leave_the_example_draws_alone() -> None:
    assert (draw(seeds=3).examples == draw(seeds=5).examples).all()


def test_estimates_are_a_plain_loop_over_drawn_examples_and_seeds() -> None:
    """The same replicates, spelled out: repeat examples and seeds as drawn, average accuracies, sort, cut."""
    bootstrap = draw(examples=30, seeds=2, resamples=200)
    rng = np.random.default_rng(1)
    truth = (rng.random(30) > 0.5).astype(float)
    p = rng.random((2, 30))
    measured = np.stack([bootstrap.measure(lambda w, one=one: metrics.accuracy(one, truth, w)) for one in p])
    estimate = bootstrap.estimate(bootstrap.over_seeds(measured))

    replicates = []
    for examples, seeds in zip(bootstrap.examples[1:], bootstrap.seeds[1:], strict=True):
        accuracies = []
        for s, times in enumerate(seeds):
            hits = [(p[s][i] > 0.5) == (truth[i] > 0.5) for i, k in enumerate(examples) for _ in range(int(k))]
            accuracies += [sum(hits) / len(hits)] * int(times)
        replicates.append(sum(accuracies) / len(accuracies))
    assert estimate.value == pytest.approx(np.mean((p > 0.5) == (truth > 0.5)))
    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(replicates, [0.025, 0.975])))


def test_blocks_join_into_one_measurement() -> None:
    bootstrap = draw(resamples=2 * CHUNK + 7)
    assert (bootstrap.measure(lambda w: w[:, 0]) == bootstrap.examples[:, 0]).all()


def test_an_interval_over_examples_is_the_binomial_one() -> None:
    bootstrap = draw(examples=2000, seeds=1, resamples=2000)
    hits = (np.arange(2000) < 1400).astype(float)
    estimate = bootstrap.estimate(bootstrap.measure(lambda w: metrics.accuracy(hits, np.ones(2000), w)))
    half = 1.96 * np.sqrt(0.7 * 0.3 / 2000)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.7, 0.7 - half, 0.7 + half), abs=0.003)


def test_seeds_that_differ_widen_the_interval_and_equal_ones_do_not() -> None:
    bootstrap = draw(examples=2000, seeds=3)
    p = np.stack([(np.arange(2000) < cut).astype(float) for cut in (1200, 1400, 1600)])

    def width(rows: np.ndarray) -> float:
        measured = np.stack([bootstrap.measure(lambda w, r=r: metrics.accuracy(r, np.ones(2000), w)) for r in rows])
        estimate = bootstrap.estimate(bootstrap.over_seeds(measured))
        return np.subtract(estimate.high, estimate.low)

    assert width(p) > 3 * width(p[[1, 1, 1]])
    assert width(p[[1, 1, 1]]) == pytest.approx(width(p[1:2]))  # one row stands for every seed


def test_paired_differences_are_tighter_than_unpaired_ones() -> None:
    bootstrap = draw(examples=1000, seeds=1)
    rng = np.random.default_rng(0)
    a = (rng.random(1000) < 0.7).astype(float)
    b = np.where(rng.random(1000) < 0.02, 1 - a, a)
    first, second = (bootstrap.measure(lambda w, x=x: metrics.accuracy(x, np.ones(1000), w)) for x in (a, b))
    assert (first - second)[1:].std() < 0.3 * np.hypot(first[1:].std(), second[1:].std())


accuracies = st.lists(st.floats(0.6, 0.99), min_size=3, max_size=3)


@given(accuracies)
def test_pgr_is_nothing_at_the_supervisor_and_all_at_the_ceiling(student: list[float]) -> None:
    bootstrap = draw(examples=10, resamples=100)
    rng = np.random.default_rng(0)
    supervisor = 0.5 + rng.normal(0, 0.003, 101)
    ceiling = 0.99 + rng.normal(0, 0.003, 101)
    at_floor = bootstrap.pgr(supervisor, supervisor, ceiling, 0.05)
    at_top = bootstrap.pgr(ceiling, supervisor, ceiling, 0.05)
    assert (at_floor.value, at_floor.low, at_floor.high) == (0, 0, 0)
    assert (at_top.value, at_top.low, at_top.high) == (1, 1, 1)
    between = bootstrap.pgr(np.full(101, student[0]), supervisor, ceiling, 0.05)
    assert between.value == pytest.approx((student[0] - supervisor[0]) / (ceiling[0] - supervisor[0]))


def test_pgr_is_undefined_with_its_reason() -> None:
    bootstrap = draw(resamples=100)
    flat = np.full(101, 0.8)
    small = bootstrap.pgr(flat, flat, flat + 0.021, 0.05)
    assert (small.value, small.low, small.high) == (None, None, None)
    assert small.reason == "gap of 2.10 points is under 5"
    assert bootstrap.pgr(flat, flat, flat - 0.1, 0.05).reason == "gap of −10.00 points is under 5"
    assert bootstrap.pgr(flat, flat, flat + 0.05, 0.05).value == 0  # 0.85 − 0.80 < 0.05 in floating point
    unsure = flat + np.concatenate([[0.06], np.linspace(-0.01, 0.12, 101)[:100]])
    assert bootstrap.pgr(flat, flat, unsure, 0.05).reason == "gap is not clearly positive: interval [-0.007, 0.115]"


def test_undefined_replicates_are_left_out_and_an_undefined_value_has_a_reason() -> None:
    bootstrap = draw(resamples=100)
    measured = np.concatenate([[0.5], np.full(50, 0.5), np.full(50, np.nan)])
    assert bootstrap.estimate(measured).low == 0.5
    assert bootstrap.estimate(np.full(101, np.nan), "because").reason == "because"


def test_the_shift_of_ece_centres_its_replicates_on_the_value() -> None:
    """A perfectly calibrated model: unshifted, most replicates lie above the observed ECE."""
    bootstrap = draw(examples=1000, resamples=500)
    rng = np.random.default_rng(3)
    p = rng.random(1000)
    truth = (rng.random(1000) < p).astype(float)
    measured = bootstrap.measure(lambda w: metrics.ece(p, truth, w))
    assert (measured[1:] > measured[0]).mean() > 0.8
    shifted = without_bias(np.stack([measured, measured]))[0]
    assert shifted[0] == measured[0]
    assert shifted[1:].mean() == pytest.approx(measured[0])
    estimate = bootstrap.estimate(shifted)
    low, value, high = np.array([estimate.low, estimate.value, estimate.high], float)
    assert 0 <= low < value < high


def test_a_p_value_is_that_of_a_z_test_of_paired_differences() -> None:
    """Two classifiers on 2,000 examples: the standard error of a mean of paired differences, from its own formula."""
    bootstrap = draw(examples=2000, seeds=1, resamples=4000)
    rng = np.random.default_rng(5)
    one = rng.random(2000) < 0.70
    other = np.where(rng.random(2000) < 0.1, rng.random(2000) < 0.8, one)
    difference = other.astype(float) - one
    z = difference.mean() / (difference.std() / np.sqrt(2000))
    expected = 2 * (1 - NormalDist().cdf(abs(z)))
    measured = bootstrap.measure(lambda w: w @ difference / 2000)
    assert 0.001 < expected < 0.2
    assert p_value(measured) == pytest.approx(expected, rel=0.25)
    assert p_value(-measured) == p_value(measured)
    assert p_value(np.zeros(101)) == 1
    assert p_value(np.full(101, 0.1)) == 0


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.022, 0.5, times 4, 3, 2, 1, and never falling."""
    assert holm([0.5, 0.01, 0.022, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert holm([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert holm([0.7, 0.9, 0.8]) == [1, 1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_stepping_down_rejects(p: list[float]) -> None:
    level, rejected = 0.05, set()
    for step, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        if p[index] * (len(p) - step) >= level:
            break
        rejected.add(index)
    assert {index for index, corrected in enumerate(holm(p)) if corrected < level} == rejected
