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

    Not where AVX2 is unknown; and what the environment says already stays.
    """
    if has_avx2() and is_portable(arguments, params):
        for name, value in PORTABLE.items():
            os.environ.setdefault(name, value)


def is_portable(arguments: list[str], params: Path = Path("params.yaml")) -> bool:
    """Whether a stage with these arguments computes as any processor would: with embedded models only.

    A hub model would be a multiple slower than its processor can. Without a model among the arguments, a grid of hub
    models alone decides so, too.
    """
    try:
        content = load(params.read_text(encoding="utf-8"), CSafeLoader)
        families = {name: model["family"] for name, model in content["models"].items()}
        named = [families[word] for word in arguments if word in families]
        return "hub" not in named if named else any(families[name] != "hub" for name in content["grid"]["ladder"])
    except (OSError, UnicodeDecodeError, YAMLError, LookupError, TypeError, AttributeError, RecursionError):
        # What is wrong with params.yaml is not for here to say.
        return True


def has_avx2() -> bool:
    """Whether this is an x86-64 processor that is known to have AVX2."""
    if platform.machine() not in ("x86_64", "AMD64") or not CPUINFO.exists():
        return False
    return " avx2 " in CPUINFO.read_text(encoding="utf-8")
