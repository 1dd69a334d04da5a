"""What this machine can do: its device, its memory, and whether it computes bf16 fast."""

import time
from functools import cache
from pathlib import Path
from typing import Literal

import psutil
import torch

from w2s.core.params import Finetune

CGROUP = Path("/sys/fs/cgroup/memory.max")  # a container's limit, which the machine's own figure does not show


@cache
def device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


@cache
def memory() -> int:
    """Bytes that one training may use: nine tenths of an accelerator, or half of the machine's own memory.

    The total, not what is free at the moment, so that the same machine always cuts batches in the same way.
    """
    if device().type == "cuda":
        return int(0.9 * torch.cuda.get_device_properties(device()).total_memory)
    limit = CGROUP.read_text().strip() if CGROUP.exists() else "max"
    total = psutil.virtual_memory().total
    return min(total, total if limit == "max" else int(limit)) // 2


@cache
def precision(wanted: Literal["auto", "fp32", "bf16"]) -> Literal["fp32", "bf16"]:
    """`wanted`, or for auto bf16 where a matrix product in it takes less than two thirds of the time of fp32.

    Hardware with bf16 units needs a tenth to a half, hardware without several times as long: the threshold lies far
    from both, so that noise does not decide.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if _product(torch.bfloat16) < _product(torch.float32) / 1.5 else "fp32"


def bf16(hparams: Finetune) -> bool:
    """Whether models compute in 16 bits."""
    return precision(hparams.precision) == "bf16"


def _product(dtype: torch.dtype, repeats: int = 5) -> float:
    """Seconds for a matrix product, the best of a few; large enough that an accelerator's latency does not count."""
    size = 1024 if device().type == "cpu" else 8192
    matrix = torch.ones(size, size, device=device(), dtype=dtype)
    times = []
    for _ in range(repeats + 1):  # the first one warms up
        start = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits for the device
        times.append(time.perf_counter() - start)
    return min(times[1:])
