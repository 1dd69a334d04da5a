"""Simulated supervisors err as often as the real one, but elsewhere; or some of its labels are true."""

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


def lengths_of(weak: np.ndarray) -> np.ndarray:
    """Lengths that have nothing to do with the labels, some of them equal."""
    return np.arange(len(weak)) * 7 % 11


def simulated(name: str, truth: np.ndarray, weak: np.ndarray, seed: int = 0) -> np.ndarray:
    return simulated_labels(name, "student", truth, weak, lengths_of(weak), numpy_generator("test", seed))


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


@given(EXAMPLES)
def test_long_and_short_errors_are_in_the_longest_and_shortest_texts(examples: list[tuple[bool, float]]) -> None:
    truth, weak = split(examples)
    for name, lengths in (("long-errors", lengths_of(weak)), ("short-errors", -lengths_of(weak))):
        missed = wrong(simulated(name, truth, weak), truth)
        assert missed.all() or not missed.any() or lengths[missed].min() >= lengths[~missed].max()


@pytest.mark.parametrize("name", ["random-errors", "class-errors"])
def test_errors_fall_anywhere(name: str) -> None:
    """Each example is wrong in its share of many draws, whatever the supervisor said of it; a seed gives one draw."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0.0, 1.0], 50)
    weak = np.where(np.arange(100) % 50 < 15, 1 - truth, truth) * 0.8 + 0.1  # 30 % wrong in both classes
    drawn = np.stack([simulated_labels(name, "student", truth, weak, lengths_of(weak), rng) for _ in range(2000)])
    share = (drawn != truth).mean(0)
    assert np.abs(share - 0.3).max() < 4.5 * np.sqrt(0.3 * 0.7 / 2000)
    assert np.array_equal(simulated(name, truth, weak, 1), simulated(name, truth, weak, 1))
    assert not np.array_equal(simulated(name, truth, weak, 1), simulated(name, truth, weak, 2))


@given(EXAMPLES, st.integers(1, 70), st.integers(0, 9))
def test_so_many_labels_are_true_and_the_others_the_supervisors(
    examples: list[tuple[bool, float]], count: int, seed: int
) -> None:
    truth, weak = split(examples)
    name = f"true-labels-{count}"
    made = simulated(name, truth, weak, seed)
    told = made != weak
    assert np.array_equal(made[told], truth[told])
    # A label that was true already does not show.
    assert told.sum() <= min(count, len(truth)) <= told.sum() + (weak == truth).sum()
    for part in ("validation", "test"):
        assert np.array_equal(
            simulated_labels(name, part, truth, weak, lengths_of(weak), numpy_generator("test", seed)), weak
        )


def test_experts_label_anywhere() -> None:
    truth, weak = np.ones(40), np.full(40, 0.3)
    rng = np.random.default_rng(0)
    drawn = np.stack(
        [simulated_labels("true-labels-10", "student", truth, weak, lengths_of(weak), rng) for _ in range(2000)]
    )
    assert ((drawn == 1).sum(1) == 10).all()
    assert np.abs((drawn == 1).mean(0) - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / 2000)


def test_an_unknown_one() -> None:
    require_known([*ERRORS, "true-labels-8"], 8, "grid.simulated.weak")
    for name in ("rare-errors", "true-labels-0", "true-labels-", "true-labels-08"):
        with pytest.raises(UserError, match=rf"^grid.simulated.weak: unknown name '{name}' .*random-errors"):
            require_known(["random-errors", name], 8, "grid.simulated.weak")


def test_no_more_true_labels_than_there_are() -> None:
    with pytest.raises(UserError) as error:
        require_known(["true-labels-9"], 8, "grid.simulated.weak")
    assert str(error.value) == "grid.simulated.weak: 'true-labels-9' is more than split.student, 8"
