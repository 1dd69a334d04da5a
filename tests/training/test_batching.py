"""Who meets whom in an update."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from w2s.core.determinism import generator
from w2s.training.batching import epoch, epochs

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=400)
sizes = st.integers(1, 12)


@given(lengths, sizes, st.integers())
def test_an_epoch_holds_every_index_once_in_full_batches(lengths: list[int], size: int, seed: int) -> None:
    batches = list(epoch(lengths, size, generator(seed)))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert max(map(len, batches)) <= size


LENGTHS = [5 + index * 7 % 40 for index in range(600)]


def run(*key: object) -> list[list[int]]:
    return list(epoch(LENGTHS, 8, generator(*key)))


def test_the_order_is_its_keys() -> None:
    assert run("student", "reviews", 0) == run("student", "reviews", 0)
    assert run("student", "reviews", 0) != run("student", "reviews", 1)
    assert run("student", "reviews", 0) != run("supervisor", "reviews", 0)


def test_epochs_mix_anew() -> None:
    drawn = epochs(LENGTHS, 8, "key")
    one, two = ([next(drawn) for _ in range(75)] for _ in range(2))
    # The second is what it is without the first.
    assert two == list(epoch(LENGTHS, 8, generator("key", "epoch", 1)))
    together = [{frozenset(batch) for batch in batches} for batches in (one, two)]
    assert len(together[0] & together[1]) < len(one) / 10  # other batches, not the same ones in another order


def waste(batches: list[list[int]]) -> int:
    return sum(max(LENGTHS[index] for index in batch) - LENGTHS[index] for batch in batches for index in batch)


def test_batches_are_of_a_length_but_not_in_order_of_it() -> None:
    batches = run("key")
    unsorted = [list(range(first, first + 8)) for first in range(0, len(LENGTHS), 8)]
    assert waste(batches) < waste(unsorted) / 5
    longest = [max(LENGTHS[index] for index in batch) for batch in batches]
    rises = sum(later > earlier for earlier, later in itertools.pairwise(longest))
    assert 0.3 < rises / len(longest) < 0.7
