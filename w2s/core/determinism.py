"""The same commit on the same machine gives the same bits."""

import hashlib
import os

import numpy as np
import torch


def prepare_torch(threads: int) -> None:
    """Make this process deterministic, on a stated number of CPU threads."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)


def generator(*key: object) -> torch.Generator:
    """A CPU generator for one named purpose: the same key gives the same stream, another key an unrelated one."""
    return torch.Generator().manual_seed(_number(key))


def numpy_generator(*key: object) -> np.random.Generator:
    """The same for numpy."""
    return np.random.default_rng(_number(key))


def _number(key: tuple[object, ...]) -> int:
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
