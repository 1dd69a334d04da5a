"""Token sequences as padded tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor


def padded(sequences: Sequence[Sequence[int]], pad: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both int64 [batch, longest], padded on the right to the longest here only."""
    longest = max(len(sequence) for sequence in sequences)
    ids = [[*sequence, *[pad] * (longest - len(sequence))] for sequence in sequences]
    mask = [[1] * len(sequence) + [0] * (longest - len(sequence)) for sequence in sequences]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Every index once, in batches, longest first: for prediction (a batch too large fails at once)."""
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
