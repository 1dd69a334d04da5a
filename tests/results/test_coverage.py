"""How often intervals and verdicts are right, by simulation of whole experiments.

A coverage simulated `REPORTS` times is known to ± two standard errors, 2 · sqrt(.95 · .05 / REPORTS): the bounds below
are 93 and 97 % and nothing is tuned to pass; a true coverage of 95 % misses them once in 20,000 runs.
"""

import numpy as np
import pytest

from w2s.results.pgr import pgr
from w2s.results.statistics import BLOCKS, COLUMNS, estimate, holm, p_value

REPORTS = 2000
EXAMPLES = 400
PER_GROUP = 8

# Standard deviations of the effects of seeds and of groups on accuracy; the sampling of examples is always there.
DOMINATING = {"seeds": (0.04, 0.0), "examples": (0.001, 0.0), "groups": (0.001, 0.25)}
# Of supervisor, student and ceiling; PGR is one half.
ACCURACY = np.array([0.6, 0.7, 0.8])


def accuracies(rng: np.random.Generator, seeds: int, dominating: str, common: bool = False) -> np.ndarray:
    """Accuracies of a supervisor, its student and its ceiling, measured over seeds: [3, seeds, 1 + COLUMNS].

    Each block holds one group. Seeds have test examples of their own unless they have all `in common`.
    """
    of_seeds, of_groups = DOMINATING[dominating]
    groups = EXAMPLES // PER_GROUP if dominating == "groups" else BLOCKS
    size = EXAMPLES // groups
    difficulty = rng.normal(0, of_groups, (3, 1 if common else seeds, groups))
    chance = ACCURACY[:, None, None] + rng.normal(0, of_seeds, (3, seeds, 1)) + difficulty * np.ones((3, seeds, 1))
    right = rng.binomial(size, np.clip(chance, 0, 1))
    total = right.sum(-1, keepdims=True)
    measured = np.repeat(total / EXAMPLES, 1 + COLUMNS, axis=-1)
    start = 1 if common else 1 + BLOCKS
    measured[..., start : start + groups] = (total - right) / (EXAMPLES - size)
    return measured


def expected(dominating: str) -> np.ndarray:
    """The accuracies that seeds vary around: chances are cut at 0 and 1, and so differ a little from ACCURACY."""
    rng = np.random.default_rng(1)
    of_seeds, of_groups = DOMINATING[dominating]
    noise = rng.normal(0, np.hypot(of_seeds, of_groups), 2_000_000)
    return np.array([np.clip(chance + noise, 0, 1).mean() for chance in ACCURACY])


def covers(found: object, truth: float) -> bool:
    return found.low <= truth <= found.high  # type: ignore[attr-defined, no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("dominating", DOMINATING)
@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_cover_as_often_as_they_say(seeds: int, dominating: str) -> None:
    rng = np.random.default_rng([seeds, len(dominating)])
    weak, middle, strong = expected(dominating)
    of_difference, of_ratio = [], []
    for _ in range(REPORTS):
        supervisor, student, ceiling = accuracies(rng, seeds, dominating)
        of_difference.append(covers(estimate(student - supervisor, 0.95), middle - weak))
        recovered = pgr(student, supervisor, ceiling, 0.05, 0.95)
        if recovered.value is not None:
            of_ratio.append(covers(recovered, (middle - weak) / (strong - weak)))
    assert len(of_ratio) > 0.9 * REPORTS
    assert 0.93 < np.mean(of_difference) < 0.97
    assert 0.93 < np.mean(of_ratio) < 0.97


@pytest.mark.slow
def test_one_seed_covers_the_draw_of_its_groups() -> None:
    rng = np.random.default_rng(2)
    weak, middle, _ = expected("groups")
    found = []
    for _ in range(REPORTS):
        supervisor, student, _ceiling = accuracies(rng, 1, "groups")
        found.append(covers(estimate(student - supervisor, 0.95), middle - weak))
    assert 0.93 < np.mean(found) < 0.97


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10])
def test_a_claim_without_effect_is_undecided(seeds: int) -> None:
    """Among claims that clearly hold, one without effect is decided once in twenty reports; among nine, so is any."""
    rng = np.random.default_rng(seeds)
    alone, any_of_nine = [], []
    for _ in range(REPORTS):
        p = [p_value(rng.normal(0, 0.02, (seeds, 1)) * np.ones((1, 1 + COLUMNS))) for _ in range(9)]
        alone.append(holm([p[0], *[1e-9] * 8])[0] < 0.05)
        any_of_nine.append(min(holm(p)) < 0.05)
    assert 0.93 < 1 - np.mean(alone) < 0.97
    assert 0.93 < 1 - np.mean(any_of_nine) < 0.97
