"""The same bits on every x86-64 processor with AVX2: which instructions the numerical libraries use.

They choose by the processor, and so round differently on each; pretraining amplifies that (a PGR of .76 on one machine
was .51 on another). With the settings here, trainings of small language models came out equal to the bit on an AMD
EPYC (Zen 3, AVX2) and an Intel Xeon (AVX-512, AMX), of all single operations tried only `sqrt` of whole tensors
differs, which nothing here uses. MKL's own AVX2 kernels would not do: they differ between the two makers.
"""

import os
import platform
from pathlib import Path

from yaml import CSafeLoader, YAMLError, load

PORTABLE = {
    # PyTorch's own kernels, MKL's and oneDNN's matrix products
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    # NumPy's kernels, and the matrix products of NumPy and SciPy
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
}
CPUINFO = Path("/proc/cpuinfo")


def pin(arguments: list[str], params: Path = Path("params.yaml")) -> None:
    """Set `PORTABLE` for a stage with these arguments, before any of the libraries is loaded.

    Not for a hub model, which would be a multiple slower than its processor can; not where AVX2 is unknown; and what
    the environment says already stays.
    """
    if has_avx2() and not hub_models(params).intersection(arguments):
        for name, value in PORTABLE.items():
            os.environ.setdefault(name, value)


def has_avx2() -> bool:
    """Whether this is an x86-64 processor that is known to have AVX2."""
    if platform.machine() not in ("x86_64", "AMD64") or not CPUINFO.exists():
        return False
    return " avx2 " in CPUINFO.read_text()


def hub_models(params: Path) -> set[str]:
    """The names of the hub models in params.yaml; none where it cannot be read, which is not for here to say."""
    try:
        models = load(params.read_text(encoding="utf-8"), CSafeLoader)["models"]
        return {name for name, model in models.items() if model.get("family") == "hub"}
    except (OSError, UnicodeDecodeError, YAMLError, KeyError, TypeError, AttributeError):
        return set()
