"""Simulated supervisors err as often as the real one, but elsewhere; or some of its labels are true; or they vote."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s.core.determinism import numpy_generator
from w2s.core.errors import UserError
from w2s.core.params import Simulated
from w2s.data.simulated import ERRORS, NOT_IN_WORDS, require, simulated_labels

EXAMPLES = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)
WORDS = st.sampled_from(["e4", "Nf3", "Qxd5", "O-O"])
EXAMPLES_IN_WORDS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=60)
IN_WORDS = sorted(ERRORS.keys() - NOT_IN_WORDS)


def wrong(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return answers != truth if truth.dtype == object else (answers > 0.5) != (truth > 0.5)


def lengths_of(weak: np.ndarray) -> np.ndarray:
    """Lengths that have nothing to do with the labels, some of them equal."""
    return np.arange(len(weak)) * 7 % 11


def simulated(name: str, truth: np.ndarray, weak: np.ndarray, seed: int = 0) -> np.ndarray:
    return simulated_labels(name, "student", truth, [weak], lengths_of(weak), numpy_generator("test", seed))


def split(examples: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    truth, weak = zip(*examples, strict=True)
    return np.array(truth, float), np.array(weak)


def split_words(examples: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    truth, weak = zip(*examples, strict=True)
    return np.array(truth, object), np.array(weak, object)


@given(EXAMPLES, st.sampled_from(sorted(ERRORS)))
def test_as_many_labels_are_wrong_as_of_the_supervisor(examples: list[tuple[bool, float]], name: str) -> None:
    truth, weak = split(examples)
    made = simulated(name, truth, weak)
    assert set(made) <= {0, 1}
    assert wrong(made, truth).sum() == wrong(weak, truth).sum()


@given(EXAMPLES_IN_WORDS, st.sampled_from(IN_WORDS))
def test_as_many_answers_in_words_are_wrong_where_the_supervisor_errs_its_own(
    examples: list[tuple[str, str]], name: str
) -> None:
    truth, weak = split_words(examples)
    made = simulated(name, truth, weak)
    missed, weak_missed = wrong(made, truth), wrong(weak, truth)
    assert missed.sum() == weak_missed.sum()
    assert np.array_equal(made[missed & weak_missed], weak[missed & weak_missed])
    assert set(made[missed]) <= {*truth, *weak}


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


@given(EXAMPLES.map(split) | EXAMPLES_IN_WORDS.map(split_words))
def test_long_and_short_errors_are_in_the_longest_and_shortest_texts(examples: tuple[np.ndarray, np.ndarray]) -> None:
    truth, weak = examples
    for name, lengths in (("long-errors", lengths_of(weak)), ("short-errors", -lengths_of(weak))):
        missed = wrong(simulated(name, truth, weak), truth)
        assert missed.all() or not missed.any() or lengths[missed].min() >= lengths[~missed].max()


@pytest.mark.parametrize("name", ["random-errors", "class-errors"])
def test_errors_fall_anywhere(name: str) -> None:
    """Each example is wrong in its share of many draws, whatever the supervisor said of it; a seed gives one draw."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0.0, 1.0], 50)
    weak = np.where(np.arange(100) % 50 < 15, 1 - truth, truth) * 0.8 + 0.1  # 30 % wrong in both classes
    drawn = np.stack([simulated_labels(name, "student", truth, [weak], lengths_of(weak), rng) for _ in range(2000)])
    share = (drawn != truth).mean(0)
    assert np.abs(share - 0.3).max() < 4.5 * np.sqrt(0.3 * 0.7 / 2000)
    assert np.array_equal(simulated(name, truth, weak, 1), simulated(name, truth, weak, 1))
    assert not np.array_equal(simulated(name, truth, weak, 1), simulated(name, truth, weak, 2))


@given(EXAMPLES.map(split) | EXAMPLES_IN_WORDS.map(split_words), st.integers(1, 70), st.integers(0, 9))
def test_so_many_labels_are_true_and_the_others_the_supervisors(
    examples: tuple[np.ndarray, np.ndarray], count: int, seed: int
) -> None:
    truth, weak = examples
    name = f"true-labels-{count}"
    made = simulated(name, truth, weak, seed)
    told = made != weak
    assert np.array_equal(made[told], truth[told])
    # A label that was true already does not show.
    assert told.sum() <= min(count, len(truth)) <= told.sum() + (weak == truth).sum()
    for part in ("validation", "test"):
        assert np.array_equal(
            simulated_labels(name, part, truth, [weak], lengths_of(weak), numpy_generator("test", seed)), weak
        )


def test_experts_label_anywhere() -> None:
    truth, weak = np.ones(40), np.full(40, 0.3)
    rng = np.random.default_rng(0)
    drawn = np.stack(
        [simulated_labels("true-labels-10", "student", truth, [weak], lengths_of(weak), rng) for _ in range(2000)]
    )
    assert ((drawn == 1).sum(1) == 10).all()
    assert np.abs((drawn == 1).mean(0) - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / 2000)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=2, max_size=5))
def test_an_ensembles_labels_are_the_mean_of_its_supervisors(of: list[list[float]]) -> None:
    made = simulated_labels(
        "ensemble", "student", np.ones(3), [*map(np.array, of)], np.ones(3), numpy_generator("test")
    )
    assert made == pytest.approx([sum(labels) / len(of) for labels in zip(*of, strict=True)])
    assert (made >= 0).all()
    assert (made <= 1).all()


@given(st.lists(st.lists(WORDS, min_size=4, max_size=4), min_size=3, max_size=5))
def test_an_ensembles_answers_in_words_are_the_most_frequent_of_equals_the_first_supervisors(
    of: list[list[str]],
) -> None:
    supervisors = [np.array(answers, object) for answers in of]
    made = simulated_labels("ensemble", "test", supervisors[0], supervisors, np.ones(4), numpy_generator("test"))
    for answer, votes in zip(made, zip(*of, strict=True), strict=True):
        counted = Counter(votes)
        assert counted[answer] == max(counted.values())
        assert answer == next(vote for vote in votes if counted[vote] == counted[answer])


def required(weak: list[str], of: int = 1, probabilities: bool = True) -> None:
    supervisors = [f"s{k}" for k in range(of)]
    require(Simulated(of=supervisors, weak=weak, methods=["naive"]), 8, probabilities, "simulated")


def test_what_has_a_meaning() -> None:
    required([*ERRORS, "true-labels-8"])
    required([*ERRORS, "true-labels-8", "ensemble"], of=2)
    required([*IN_WORDS, "true-labels-8", "ensemble"], of=3, probabilities=False)


@pytest.mark.parametrize("name", ["rare-errors", "true-labels-0", "true-labels-x", "true-labels-08"])
def test_an_unknown_one(name: str) -> None:
    with pytest.raises(UserError, match=rf"^simulated.weak: unknown name '{name}' .*random-errors"):
        required(["random-errors", name])


@pytest.mark.parametrize(
    ("weak", "of", "probabilities", "expected"),
    [
        ("true-labels-9", 1, True, "weak: 'true-labels-9' is more than split.student, 8"),
        (
            "hard-errors",
            1,
            False,
            "weak: 'hard-errors' is not in generation: answers in words do not tell how sure a supervisor is",
        ),
        ("class-errors", 1, False, "weak: 'class-errors' is not in generation: answers in words have no two classes"),
        ("ensemble", 1, True, "of: 'ensemble' needs 2 or more (found s0)"),
        ("ensemble", 2, False, "of: 'ensemble' needs 3 or more (found s0, s1)"),
    ],
)
def test_what_has_none(weak: str, of: int, probabilities: bool, expected: str) -> None:
    with pytest.raises(UserError) as error:
        required([weak], of, probabilities)
    assert str(error.value) == f"simulated.{expected}"
