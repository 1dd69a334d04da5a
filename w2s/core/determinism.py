"""The same commit on the same machine gives the same bits.

Every use of chance draws from a stream of its own, named by a key. There are three kinds of stream, kept apart since
another one would change bits: torch (weights, order of examples), NumPy (resampling, label cleaning), both seeded
here, and in `data` Python's `random` and a counter-based one, whose values do not depend on a library's version.
"""

import hashlib
import os

import numpy as np
import torch


def prepare_torch(threads: int) -> None:
    """Make torch deterministic in this process, on this number of CPU threads."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)


def generator(*rng_key: object) -> torch.Generator:
    """A CPU generator for one purpose: the same key gives the same stream, another key an independent one."""
    return torch.Generator().manual_seed(_seed(rng_key))


def numpy_generator(*rng_key: object) -> np.random.Generator:
    """The same for NumPy."""
    return np.random.default_rng(_seed(rng_key))


def _seed(rng_key: tuple[object, ...]) -> int:
    """63 bits of the hash of the key's parts, joined by slashes."""
    digest = hashlib.sha256("/".join(map(str, rng_key)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
