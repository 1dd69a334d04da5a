"""Intervals against SciPy and the binomial law, PGR against its definition, Holm by hand."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from w2s.results import metrics
from w2s.results.pgr import linearised, pgr
from w2s.results.statistics import BLOCKS, COLUMNS, Blocks, estimate, holm, p_value


def constant(values: list[float]) -> np.ndarray:
    """Values by seed that no block of examples changes."""
    return np.repeat(np.array(values, float)[:, None], 1 + COLUMNS, axis=1)


def measured(answers: np.ndarray, groups: list[list[str]]) -> np.ndarray:
    """Accuracy of hard answers [seeds, N], where all is true."""
    blocks = Blocks.of_groups(groups)
    truth = np.ones(answers.shape[1])
    return np.stack(
        [blocks.measure(s, lambda w, one=one: metrics.accuracy(one, truth, w)) for s, one in enumerate(answers)]
    )


def own_groups(seeds: int, examples: int, of: int = 1) -> list[list[str]]:
    return [[f"{seed}/{example // of}" for example in range(examples)] for seed in range(seeds)]


def test_an_interval_over_seeds_is_that_of_a_t_test() -> None:
    answers = np.random.default_rng(0).random((5, 300)) < [[0.7], [0.72], [0.8], [0.66], [0.71]]
    found = measured(answers.astype(float), own_groups(5, 300))
    test = scipy.stats.ttest_1samp(answers.mean(1) - 0.6, 0)
    interval = test.confidence_interval(0.95)
    estimated = estimate(found - 0.6, 0.95)
    assert (estimated.low, estimated.high) == pytest.approx((interval.low, interval.high))
    assert p_value(found - 0.6) == pytest.approx(test.pvalue)
    assert p_value(0.6 - found) == pytest.approx(test.pvalue)


def test_one_seed_has_the_binomial_interval_over_its_examples() -> None:
    answers = np.random.default_rng(0).random((1, 4000)) < 0.7
    estimated = estimate(measured(answers.astype(float), own_groups(1, 4000)), 0.95)
    error = np.sqrt(0.7 * 0.3 / 4000)
    # A hundred blocks tell the standard error to 1/sqrt(200) = 7 %: three of these.
    assert (estimated.high - estimated.low) / 2 == pytest.approx(1.98 * error, rel=0.22)


def test_examples_that_stand_ten_times_in_a_group_tell_no_more() -> None:
    answers = (np.random.default_rng(0).random((1, 500)) < 0.7).astype(float)
    once = estimate(measured(answers, own_groups(1, 500)), 0.95)
    ten_times = estimate(measured(np.repeat(answers, 10, axis=1), own_groups(1, 5000, of=10)), 0.95)
    assert (ten_times.low, ten_times.high) == pytest.approx((once.low, once.high))


def test_examples_that_seeds_have_in_common_widen_the_interval() -> None:
    """Every seed repeats the same answers: five of them know no more than one."""
    answers = np.repeat((np.random.default_rng(0).random((1, 2000)) < 0.7).astype(float), 5, axis=0)
    common = [[str(example) for example in range(2000)]] * 5
    alone = estimate(measured(answers[:1], common[:1]), 0.95)
    together = estimate(measured(answers, common), 0.95)
    assert alone.high is not None
    assert together.high is not None
    assert together.high - 0.7 == pytest.approx(alone.high - 0.7, rel=0.15)
    apart = estimate(measured(answers, own_groups(5, 2000)), 0.95)
    assert (apart.low, apart.high) == (apart.value, apart.value)


def test_a_group_is_in_one_block_in_every_seed() -> None:
    blocks = Blocks.of_groups([["a", "b", "a"], ["b", "c"]])
    first, second = blocks.of_examples
    assert first[0] == first[2] >= BLOCKS
    assert first[1] == second[0] < BLOCKS


accuracies = st.lists(st.floats(0.6, 0.99), min_size=4, max_size=4)


@given(accuracies)
def test_pgr_is_nothing_at_the_supervisor_and_all_at_the_ceiling(student: list[float]) -> None:
    supervisor = constant([0.5, 0.51, 0.49, 0.52])
    ceiling = constant([0.99, 0.98, 0.99, 0.97])
    at_floor = pgr(supervisor, supervisor, ceiling, 0.05, 0.95)
    at_top = pgr(ceiling, supervisor, ceiling, 0.05, 0.95)
    assert (at_floor.value, at_floor.low, at_floor.high) == pytest.approx((0, 0, 0), abs=1e-6)
    assert (at_top.value, at_top.low, at_top.high) == pytest.approx((1, 1, 1), abs=1e-6)
    between = pgr(constant(student), supervisor, ceiling, 0.05, 0.95)
    expected = (np.mean(student) - 0.505) / (0.9825 - 0.505)
    assert between.value == pytest.approx(expected)
    assert linearised(constant(student), supervisor, ceiling)[:, 0].mean() == pytest.approx(expected)


def test_the_ends_of_a_pgr_are_where_a_t_test_just_rejects() -> None:
    """Fieller's interval by its definition: at each end the t test of gain − end · gap has p = 0.05."""
    supervisor = np.array([0.58, 0.61, 0.57, 0.66, 0.6])
    student = np.array([0.72, 0.71, 0.75, 0.74, 0.7])
    ceiling = np.array([0.9, 0.93, 0.91, 0.95, 0.9])
    found = pgr(*(constant([*values]) for values in (student, supervisor, ceiling)), 0.05, 0.95)
    for end in (found.low, found.high):
        assert end is not None
        residual = student - supervisor - end * (ceiling - supervisor)
        assert scipy.stats.ttest_1samp(residual, 0).pvalue == pytest.approx(0.05)


def test_pgr_is_undefined_with_its_reason() -> None:
    flat = constant([0.8] * 3)
    small = pgr(flat, flat, flat + 0.021, 0.05, 0.95)
    assert (small.value, small.low, small.high) == (None, None, None)
    assert small.reason == "gap of 2.10 points is under 5"
    assert pgr(flat, flat, flat - 0.1, 0.05, 0.95).reason == "gap of −10.00 points is under 5"
    assert pgr(flat, flat, flat + 0.05, 0.05, 0.95).value == 0  # 0.85 − 0.80 < 0.05 in floating point
    unsure = constant([0.82, 0.86, 0.9])
    assert pgr(flat, flat, unsure, 0.05, 0.95).reason == "gap is not clearly positive: 6.00 [−3.94, 15.94] points"


def test_a_value_that_a_seed_lacks_is_undefined_and_says_so() -> None:
    assert estimate(constant([0.5, np.nan, 0.6]), 0.95, "never wrong").reason == "never wrong (in 1 of 3 seeds)"
    assert estimate(constant([np.nan]), 0.95, "never wrong").reason == "never wrong"


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
