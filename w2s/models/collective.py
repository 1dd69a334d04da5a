"""What the processes of a stage (`w2s.core.ranks`) do together: deal out batches, collect results, add gradients."""

import atexit
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from w2s.core import ranks

T = TypeVar("T")
LONG = timedelta(days=30)  # one may work while others wait; a dead one is noticed otherwise


def dealt(order: Sequence[T]) -> Sequence[T]:
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
    parts: list[dict[int, Any]] = [{}] * ranks.SIZE
    with _together():
        dist.all_gather_object(parts, own)
    return {index: result for part in parts for index, result in part.items()}


def add_up(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by the sum of all processes' tensors, the same bits in each."""
    if ranks.SIZE > 1:
        with _together():
            for work in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
                work.wait()


@contextmanager
def _together() -> Iterator[None]:
    """Ends this process in silence when another one is gone: the one that watches over them says so."""
    try:
        _join()
        yield
    except RuntimeError:
        sys.exit(ranks.LOST)


@cache
def _join() -> None:
    dist.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        init_method=f"file://{ranks.MEETING}",
        rank=ranks.RANK,
        world_size=ranks.SIZE,
        timeout=LONG,
    )
    atexit.register(dist.destroy_process_group)
