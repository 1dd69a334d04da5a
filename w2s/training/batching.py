"""Which examples meet in an update: length-bucketed, reshuffled every epoch by an explicit generator."""

from collections.abc import Iterator, Sequence
from itertools import count

import torch

from w2s.core.determinism import generator

POOL = 32  # batches sorted by length together: wide enough to save padding, narrow enough to keep batches mixed


def epoch(lengths: Sequence[int], batch_size: int, rng: torch.Generator) -> Iterator[list[int]]:
    """Every index once, in batches of similar lengths and random order; one batch may be smaller than the rest."""
    order = torch.randperm(len(lengths), generator=rng).tolist()
    pool = POOL * batch_size
    batches = []
    for start in range(0, len(order), pool):
        chunk = sorted(order[start : start + pool], key=lambda index: lengths[index])
        batches += [chunk[first : first + batch_size] for first in range(0, len(chunk), batch_size)]
    for position in torch.randperm(len(batches), generator=rng).tolist():
        yield batches[position]


def epochs(lengths: Sequence[int], batch_size: int, *rng_key: object) -> Iterator[list[int]]:
    """Such batches without end, the order of each epoch drawn by the key and its number alone."""
    for number in count():
        yield from epoch(lengths, batch_size, generator(*rng_key, "epoch", number))
