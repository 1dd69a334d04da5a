"""What the processes of a stage (`w2s.core.ranks`) do together: deal out batches, collect results, add gradients."""

import pickle
import sys
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from w2s.core import ranks
from w2s.models import hardware

T = TypeVar("T", list[int], Tensor)
LONG = timedelta(days=30)  # one may work while the others wait; that one has died is noticed otherwise


def dealt(order: T) -> T:
    """This process's share, dealt like cards: of texts by length, all get as many long ones and as many short ones."""
    return order[ranks.RANK :: ranks.SIZE]


def collected(own: Tensor, total: int) -> Tensor:
    """The `total` rows of all processes, each with those that `dealt` gave it, in the order before that."""
    if ranks.SIZE == 1:
        return own
    rows = own.new_zeros(total, *own.shape[1:])
    rows[ranks.RANK :: ranks.SIZE] = own
    add_up([rows])
    return rows


def merged(own: dict[int, Any]) -> dict[int, Any]:
    """What all processes found, by index."""
    if ranks.SIZE == 1:
        return own
    mine = torch.frombuffer(bytearray(pickle.dumps(own)), dtype=torch.uint8)
    sizes = torch.zeros(ranks.SIZE, dtype=torch.int64, device=hardware.device())
    sizes[ranks.RANK] = len(mine)
    add_up([sizes])
    rows = torch.zeros(ranks.SIZE, int(sizes.max()), dtype=torch.uint8, device=hardware.device())
    rows[ranks.RANK, : len(mine)] = mine.to(rows.device)
    add_up([rows])
    parts = [pickle.loads(row[:size].numpy()) for row, size in zip(rows.cpu(), sizes.tolist(), strict=True)]
    return {index: result for part in parts for index, result in part.items()}


def add_up(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by the sum of all processes' tensors, the same bits in each.

    Where another process is gone, this one ends in silence: the one that watches over them says so.
    """
    if ranks.SIZE == 1:
        return
    try:
        for work in [_group().allreduce([tensor]) for tensor in tensors]:
            work.wait()
    except RuntimeError:
        sys.exit(ranks.LOST)


@cache
def _group() -> Any:
    """The processes' connection. Not torch's default one: by that transformers would change what it saves and how."""
    store = dist.FileStore(ranks.MEETING, ranks.SIZE)
    if hardware.device().type != "cuda":
        return dist.ProcessGroupGloo(store, ranks.RANK, ranks.SIZE, LONG)
    options = dist.ProcessGroupNCCL.Options()
    options._timeout = LONG
    return dist.ProcessGroupNCCL(store, ranks.RANK, ranks.SIZE, options)
