"""What this machine can do: its device, its memory, and whether it has units that compute in bf16."""

from functools import cache
from pathlib import Path
from typing import Literal

import psutil
import torch

from w2s.core import ranks
from w2s.core.params import Finetune

# A container's limit in bytes, or "max"; psutil shows the whole machine's memory.
CGROUP = Path("/sys/fs/cgroup/memory.max")


@cache
def device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


@cache
def memory() -> int:
    """Bytes that one process may use: nine tenths of an accelerator's memory, or a stage's share of half the machine's.

    The total, not what is free at the moment, so that the same machine always makes the same micro-batches.
    """
    if device().type == "cuda":
        return int(0.9 * torch.cuda.get_device_properties(device()).total_memory)
    limit = CGROUP.read_text(encoding="utf-8").strip() if CGROUP.exists() else "max"
    total = psutil.virtual_memory().total
    return min(total, total if limit == "max" else int(limit)) // 2 // ranks.SIZE


def precision(wanted: Literal["auto", "fp32", "bf16"]) -> Literal["fp32", "bf16"]:
    """`wanted`, or for auto bf16 where the hardware has units for it.

    The precision decides results, so it follows from what the hardware says of itself, never from a measured time,
    which depends on what else runs.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if has_bf16_units() else "fp32"


@cache
def has_bf16_units() -> bool:
    """Whether matrix products in bf16 are native here, and so faster than in fp32.

    NVIDIA GPUs from compute capability 8.0 (Ampere) on, AMD and Intel ones as PyTorch reports them, and x86 CPUs with
    AVX512-BF16 or AMX-BF16 (measured on such a Xeon: a tenth of the time of fp32). Anything else counts as without:
    emulated bf16 takes several times as long, while fp32 is merely slower than it could be.
    """
    if device().type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(unit, False) for unit in ("avx512_bf16", "amx_bf16"))
    is_supported = getattr(torch.get_device_module(device()), "is_bf16_supported", None)
    return is_supported is not None and is_supported(including_emulation=False)


def bf16(hparams: Finetune) -> bool:
    """Whether models compute in bf16."""
    return precision(hparams.precision) == "bf16"
