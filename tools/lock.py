"""Renew requirements.lock and requirements-torch.lock from pyproject.toml: `make lock`.

One resolution serves every platform and every Python that pyproject.toml admits. A locked version stays as long as
pyproject.toml admits it; delete both files first to move everything to its newest release.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

UV = "uv==0.13.9"
ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
TORCH_LOCK = ROOT / "requirements-torch.lock"
HEADER = "# Renewed by `make lock`; not to be edited by hand. {}\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        packages = resolve(Path(folder))
    torch = [package for package in packages if of_torch(package)]
    rest = [package for package in packages if not of_torch(package)]
    LOCK.write_text(HEADER.format("Everything but torch.") + "".join(rest), encoding="utf-8")
    of_pypi = HEADER.format("torch as PyPI has it, with CUDA's libraries on Linux.")
    TORCH_LOCK.write_text(of_pypi + "".join(torch), encoding="utf-8")


def resolve(folder: Path) -> list[str]:
    """Every package that w2s needs with its extras `cluster` and `test`: version, markers and hashes."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", UV], check=True)
    locked = folder / "locked.txt"
    locked.write_text(
        "".join(file.read_text(encoding="utf-8") for file in (LOCK, TORCH_LOCK) if file.exists()), encoding="utf-8"
    )
    command = [python, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--no-config"]
    command += ["--extra", "cluster", "--extra", "test"]
    # One version on every Python, where there is one for all: results depend on it.
    command += ["--universal", "--fork-strategy", "fewest", "--generate-hashes", "--no-header"]
    subprocess.run([*command, "--output-file", locked], cwd=ROOT, check=True)
    return re.findall(r"^\S.*\n(?:\s.*\n)*", locked.read_text(encoding="utf-8"), flags=re.MULTILINE)


def of_torch(package: str) -> bool:
    """Whether it is torch or belongs to its CUDA build, the only one that needs anything on Linux alone."""
    requirement = package.partition("\n")[0]
    return requirement.startswith("torch==") or "sys_platform == 'linux'" in requirement


if __name__ == "__main__":
    sys.exit(main())
