"""Simulated supervisors err as often as the real one, but elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s.core.determinism import numpy_generator
from w2s.core.errors import UserError
from w2s.data.simulated import ERRORS, require_known, simulated_labels

EXAMPLES = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)


def wrong(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (answers > 0.5) != (truth > 0.5)


def simulated(name: str, truth: np.ndarray, weak: np.ndarray, seed: int = 0) -> np.ndarray:
    return simulated_labels(name, truth, weak, numpy_generator("test", seed))


def split(examples: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    truth, weak = zip(*examples, strict=True)
    return np.array(truth, float), np.array(weak)


@given(EXAMPLES, st.sampled_from(sorted(ERRORS)))
def test_as_many_labels_are_wrong_as_of_the_supervisor(examples: list[tuple[bool, float]], name: str) -> None:
    truth, weak = split(examples)
    made = simulated(name, truth, weak)
    assert set(made) <= {0, 1}
    assert wrong(made, truth).sum() == wrong(weak, truth).sum()


@given(EXAMPLES)
def test_class_errors_are_as_many_in_each_class(examples: list[tuple[bool, float]]) -> None:
    truth, weak = split(examples)
    made = simulated("class-errors", truth, weak)
    for true in (0, 1):
        assert wrong(made, truth)[truth == true].sum() == wrong(weak, truth)[truth == true].sum()


@given(EXAMPLES)
def test_hard_errors_are_where_the_supervisor_is_least_sure(examples: list[tuple[bool, float]]) -> None:
    truth, weak = split(examples)
    missed, sure = wrong(simulated("hard-errors", truth, weak), truth), np.abs(weak - 0.5)
    assert missed.all() or not missed.any() or sure[missed].max() <= sure[~missed].min()


@pytest.mark.parametrize("name", ["random-errors", "class-errors"])
def test_errors_fall_anywhere(name: str) -> None:
    """Each example is wrong in its share of many draws, whatever the supervisor said of it; a seed gives one draw."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0.0, 1.0], 50)
    weak = np.where(np.arange(100) % 50 < 15, 1 - truth, truth) * 0.8 + 0.1  # 30 % wrong in both classes
    drawn = np.stack([simulated_labels(name, truth, weak, rng) for _ in range(2000)])
    share = (drawn != truth).mean(0)
    assert np.abs(share - 0.3).max() < 4.5 * np.sqrt(0.3 * 0.7 / 2000)
    assert np.array_equal(simulated(name, truth, weak, 1), simulated(name, truth, weak, 1))
    assert not np.array_equal(simulated(name, truth, weak, 1), simulated(name, truth, weak, 2))


def test_an_unknown_one() -> None:
    require_known([*ERRORS], "grid.simulated.weak")
    with pytest.raises(UserError, match=r"^grid.simulated.weak: unknown name 'rare-errors' .*random-errors"):
        require_known(["random-errors", "rare-errors"], "grid.simulated.weak")
