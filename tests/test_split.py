"""The parts of a task: exact sizes, nothing twice, no group in two."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s.errors import UserError
from w2s.params import Split
from w2s.split import divide
from w2s.tasks import Example

sizes = st.builds(lambda counts: dict(zip(NAMES, counts, strict=True)), st.tuples(*[st.integers(1, 6)] * 4))
NAMES = ("supervisor", "student", "validation", "test")


def stream(groups: list[int]) -> list[Example]:
    return [Example(str(index), f"text {index}", str(group), index % 2 == 0) for index, group in enumerate(groups)]


@given(sizes, st.lists(st.integers(0, 9), max_size=60))
def test_sizes_are_exact_and_no_group_straddles(counts: dict[str, int], groups: list[int]) -> None:
    endless = itertools.chain(stream(groups), (Example(f"+{k}", "", f"+{k}", True) for k in itertools.count()))
    parts = divide(endless, Split(seed=0, **counts), "here")
    assert {name: len(part) for name, part in parts.items()} == counts
    drawn = [example.id for part in parts.values() for example in part]
    assert len(set(drawn)) == len(drawn)
    homes = [{example.group for example in part} for part in parts.values()]
    assert all(one.isdisjoint(two) for one, two in itertools.combinations(homes, 2))


@given(sizes, st.integers(0, 24))
def test_a_stream_is_enough_exactly_when_it_fills_every_part(counts: dict[str, int], length: int) -> None:
    wanted, examples = sum(counts.values()), stream(list(range(length)))
    if length >= wanted:
        parts = divide(iter(examples), Split(seed=0, **counts), "here")
        assert [example for part in parts.values() for example in part] == examples[:wanted]  # in the order drawn
    else:
        with pytest.raises(UserError) as error:
            divide(iter(examples), Split(seed=0, **counts), "params.yaml: tasks.mine")
        filled = dict(zip(NAMES, itertools.repeat(0)))
        for name in NAMES:
            filled[name] = min(counts[name], length - sum(filled.values()))
        told = f"params.yaml: tasks.mine: too few examples for the split (wanted {counts}, found {filled})"
        assert str(error.value) == told


def test_one_large_group_cannot_fill_two_parts() -> None:
    with pytest.raises(UserError, match="too few examples for the split"):
        divide(iter(stream([0] * 100)), Split(seed=0, supervisor=5, student=5, validation=5, test=5), "here")
