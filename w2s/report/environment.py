"""Where results came from: code, versions, hardware. Nothing that names a person, a machine, a path or a time."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from w2s.core.arithmetic import CPUINFO, PORTABLE

CODE = ("w2s", "stages", "params.yaml", "dvc.yaml", "pyproject.toml", "requirements.lock", "requirements-torch.lock")
PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
    "dvc",
    "dvclive",
    "matplotlib",
)
INSTRUCTIONS = {"amx_tile": "AMX", "avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sse4_1": "SSE4.1"}
BF16 = {"avx512_bf16", "amx_bf16"}  # units by which `precision: auto` is bf16 on a CPU


def environment() -> dict[str, str]:
    """What a reader needs in order to repeat the run, by name; 'unknown' where it cannot be told."""
    return (
        {"commit": _commit(), "Python": platform.python_version()}
        | {name: _version(name) for name in PACKAGES}
        | _hardware()
    )


def _commit() -> str:
    """The last commit that touched code or parameters, so that committing results does not change it."""
    commit = _output("git", "log", "-1", "--format=%H", "--", *CODE)
    changed = _output("git", "status", "--porcelain", "--", *CODE)
    return (commit or "unknown") + (" + uncommitted changes" if commit and changed else "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _hardware() -> dict[str, str]:
    gpus = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "operating system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "instruction set": _instructions(),
        "arithmetic": _arithmetic() or "not pinned",
        "cores": str(cores or "unknown"),
        "GPU": ", ".join(f"{gpus.count(name)} × {name}" for name in dict.fromkeys(gpus)) or "none",
    }


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or "unknown"


def _instructions() -> str:
    """The widest instructions of the processor that numerical libraries have kernels for, and whether it has bf16."""
    flags = set(_cpuinfo("flags").split())
    widest = next((name for flag, name in INSTRUCTIONS.items() if flag in flags), platform.machine() or "unknown")
    return f"{widest} with bf16" if flags & BF16 else widest


def _arithmetic() -> str:
    """Which kernels the libraries were told to use."""
    return " ".join(f"{name}={os.environ[name]}" for name in PORTABLE if name in os.environ)


def _cpuinfo(field: str) -> str:
    """A field of the first processor; empty where it cannot be told."""
    lines = CPUINFO.read_text(encoding="utf-8").splitlines() if CPUINFO.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")


def _output(*command: str) -> str:
    """What a command printed; empty if it is missing or failed."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", check=True, timeout=30
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
