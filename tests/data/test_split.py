"""The parts of a task: classes balanced, sizes in proportion, nothing twice, no group in two."""

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from w2s.core.errors import UserError
from w2s.core.params import Split
from w2s.core.validation import validate
from w2s.data.questions import Example, Origin
from w2s.data.split import divide

NAMES = ("supervisor", "student", "validation", "test")
sizes = st.builds(
    lambda halves: dict(zip(NAMES, (2 * h for h in halves), strict=True)), st.tuples(*[st.integers(1, 6)] * 4)
)
labels = st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from(Origin))


def example(index: int, group: object, true: bool, origin: Origin = Origin.ANY) -> Example:
    return Example({"text": f"text {index}"}, true, str(group), str(index), origin)


def endless() -> Iterator[Example]:
    """Examples of their own groups that may go anywhere, until all parts are full."""
    return (example(-k, f"+{k}", k % 2 == 0) for k in itertools.count(1))


def parts_of(examples: Iterator[Example] | list[Example], **counts: int) -> dict[str, list[Example]]:
    return divide(iter(examples), Split(**counts), "params.yaml: tasks.mine")


@given(sizes, st.lists(labels, max_size=80))
def test_parts_are_full_balanced_and_share_no_group(counts: dict[str, int], drawn: list[tuple]) -> None:
    first = [example(index, *row) for index, row in enumerate(drawn)]
    parts = parts_of(itertools.chain(first, endless()), **counts)
    assert {name: len(part) for name, part in parts.items()} == counts
    assert all(sum(item.answer for item in part) * 2 == len(part) for part in parts.values())
    for name, part in parts.items():
        assert len({item.id for item in part}) == len(part), "nothing twice"
        own = Origin.TEST if name == "test" else Origin.TRAIN
        assert {item.origin for item in part} <= {Origin.ANY, own}
    homes = [{item.group for item in part} for part in parts.values()]
    assert all(one.isdisjoint(two) for one, two in itertools.combinations(homes, 2))


@given(sizes, st.integers(0, 9), st.integers(0, 2**16))
def test_too_few_examples_are_divided_in_proportion(counts: dict[str, int], largest: int, seed: int) -> None:
    rng, counts = random.Random(seed), {name: 40 * count for name, count in counts.items()}
    groups = [f"g{k}" for k in range(sum(counts.values()) // 4) for _ in range(rng.randint(1, 1 + largest % 3))]
    examples = [example(index, group, rng.random() < 0.5) for index, group in enumerate(groups)]
    rng.shuffle(examples)
    parts = parts_of(examples, **counts)
    shares = [len(part) / counts[name] for name, part in parts.items()]
    assert max(shares) - min(shares) < 0.2
    assert sum(len(part) for part in parts.values()) > 0.7 * len(examples)


def test_a_rare_class_decides_how_much_there_is() -> None:
    examples = [example(index, index, index % 10 == 0) for index in range(400)]
    parts = parts_of(examples, supervisor=200, student=200, validation=100, test=100)
    assert [len(part) for part in parts.values()] == pytest.approx([80 / 3, 80 / 3, 40 / 3, 40 / 3], abs=2.1)
    assert all(sum(item.answer for item in part) * 2 == len(part) for part in parts.values())


@given(st.integers(0, 2**16), st.sampled_from([0.05, 0.2, 0.7, 0.9]), st.sampled_from(["sorted", "shuffled"]))
def test_the_order_tells_nothing_of_the_truth_where_classes_are_unequal(seed: int, share: float, order: str) -> None:
    rng = random.Random(seed)
    truths = [rng.random() < share for _ in range(2000)]
    truths = sorted(truths) if order == "sorted" else truths
    examples = [example(index, f"of {index // 2}", true) for index, true in enumerate(truths)]
    rng.shuffle(examples)  # as the rows of a file are drawn
    parts = parts_of(examples, supervisor=400, student=400, validation=100, test=400)
    for part in parts.values():
        positions: dict[bool, list[int]] = {True: [], False: []}
        for position, item in enumerate(part):
            positions[item.answer].append(position)
        # Kolmogorov and Smirnov: would one threshold on the row's number tell?
        assert ks_2samp(positions[True], positions[False]).pvalue > 1e-6


def test_groups_of_the_public_test_split_never_train() -> None:
    tested = [example(index, index % 20, index % 2 == 0, Origin.TEST) for index in range(200)]
    train = [example(1000 + index, index % 40, index // 40 % 2 == 0, Origin.TRAIN) for index in range(400)]
    parts = parts_of(tested + train, supervisor=40, student=40, validation=20, test=10)
    assert len(parts["test"]) == 10
    for name in ("supervisor", "student", "validation"):
        assert {int(item.group) for item in parts[name]} <= set(range(20, 40)), name


def test_a_group_stays_where_it_came_first() -> None:
    train = [example(index, index % 20, index // 20 % 2 == 0, Origin.TRAIN) for index in range(200)]
    tested = [example(1000 + index, index % 30, index // 30 % 2 == 0, Origin.TEST) for index in range(120)]
    parts = parts_of(train + tested, supervisor=40, student=40, validation=20, test=20)
    assert {int(item.group) for item in parts["test"]} <= set(range(20, 30))


@pytest.mark.parametrize(
    ("examples", "told"),
    [
        ([], "supervisor wants 6, half of them true, and got 0 true and 0 false ones"),
        ([example(k, k, True) for k in range(99)], "supervisor wants 6, half of them true, and got 3 true and 0 false"),
        (
            [example(k, 0, k % 2 == 0) for k in range(99)],
            "student wants 4, half of them true, and got 0 true and 0 false",
        ),
        (
            [example(k, k, k % 2 == 0, Origin.TRAIN) for k in range(99)],
            "test wants 2, half of them true, and got 0 true and 0 f",
        ),
    ],
    ids=["nothing", "one class", "one group", "no test split"],
)
def test_a_part_that_lacks_a_class_is_refused(examples: list[Example], told: str) -> None:
    with pytest.raises(UserError) as error:
        parts_of(examples, supervisor=6, student=4, validation=2, test=2)
    assert str(error.value).startswith(f"params.yaml: tasks.mine: too few examples for the split: {told}")


def test_sizes_are_even() -> None:
    with pytest.raises(UserError, match=r"^split: test: must be a multiple of 2 \(found 5\)$"):
        validate(Split, {"supervisor": 2, "student": 2, "validation": 2, "test": 5}, "split")
