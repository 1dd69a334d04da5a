"""Padding and the order of prediction."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from w2s.models.batches import by_length, padded

sequences = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=9), min_size=1, max_size=9)


@given(sequences, st.integers(0, 5))
def test_the_mask_marks_exactly_the_sequences(sequences: list[list[int]], pad: int) -> None:
    ids, mask = padded(sequences, pad)
    assert ids.dtype == mask.dtype == torch.int64
    assert ids.shape == mask.shape == (len(sequences), max(map(len, sequences)))
    for row, marks, sequence in zip(ids.tolist(), mask.tolist(), sequences, strict=True):
        assert row == sequence + [pad] * (len(row) - len(sequence))
        assert marks == [1] * len(sequence) + [0] * (len(row) - len(sequence))


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 9))
def test_prediction_takes_every_index_once_longest_first(lengths: list[int], size: int) -> None:
    batches = by_length(lengths, size)
    order = [index for batch in batches for index in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)
    assert all(len(batch) == size for batch in batches[:-1])
