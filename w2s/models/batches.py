"""Token sequences as padded tensors, in batches that memory holds."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import Tensor

from w2s.core.errors import UserError

T = TypeVar("T")


def padded(sequences: Sequence[Sequence[int]], pad: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both int64 [batch, longest], padded on the right to the longest here only."""
    longest = max(len(sequence) for sequence in sequences)
    ids = [[*sequence, *[pad] * (longest - len(sequence))] for sequence in sequences]
    mask = [[1] * len(sequence) + [0] * (longest - len(sequence)) for sequence in sequences]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


class Budget:
    """Padded tokens that one forward pass may take; halved for good whenever memory runs out."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.largest, self.single = tokens, False  # of the last cut: its longest batch, and whether all hold one text

    def cut(self, lengths: Sequence[int]) -> list[list[int]]:
        """Every index once, longest first, in batches within the budget (at least one sequence each)."""
        batches: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
            if not batches or lengths[batches[-1][0]] * (len(batches[-1]) + 1) > self.tokens:
                batches.append([])
            batches[-1].append(index)
        self.largest = max((lengths[batch[0]] * len(batch) for batch in batches), default=0)
        self.single = all(len(batch) == 1 for batch in batches)
        return batches

    def spend(self, attempt: Callable[[], T], undo: Callable[[], None] = lambda: None) -> T:
        """What `attempt` returns, which cuts by this budget; when memory ran out, `undo`, and again with half of it."""
        while True:
            try:
                return attempt()
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
            if self.single or self.tokens == 1:
                raise UserError("out of memory with one text at a time; try tune: lora or gradient_checkpointing: true")
            undo()
            clear_device_cache(garbage_collection=True)
            self.tokens = max(1, min(self.tokens, self.largest) // 2)
            print(f"out of memory: going on with {self.tokens} tokens a forward pass", file=sys.stderr)
