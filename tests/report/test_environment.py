"""Where results came from."""

import platform
import re
import subprocess
from pathlib import Path

import pytest

from tests.report.made import ROOT
from w2s.report.environment import environment


def test_the_commit_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment()["commit"] == "unknown"

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def commit(name: str) -> str:
        (tmp_path / name).write_text(name)
        git("add", ".")
        git("commit", "-m", name)
        return git("rev-parse", "HEAD")

    git("init")
    code = commit("params.yaml")
    commit("report.html")
    assert environment()["commit"] == code
    (tmp_path / "params.yaml").write_text("changed")
    assert environment()["commit"] == f"{code} + uncommitted changes"


def test_the_environment_names_no_machine_and_no_place() -> None:
    found = environment()
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", found["torch"])
    assert platform.node() not in found.values()
    assert not any(str(Path.home()) in value or str(ROOT) in value for value in found.values())


@pytest.mark.parametrize(
    ("flags", "told"),
    [("sse4_1 avx avx2", "AVX2"), ("avx2 avx512f", "AVX-512"), ("avx2 avx512f avx512_bf16", "AVX-512 with bf16")],
)
def test_instructions_that_decide_results_are_named(
    flags: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : fpu {flags}\n")
    monkeypatch.setattr("w2s.report.environment.CPUINFO", tmp_path / "cpuinfo")
    assert environment()["instruction set"] == told
