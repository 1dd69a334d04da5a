"""A stage script's last word: one line for a user's fault, a traceback for ours."""

import subprocess
import sys

import pytest

from w2s.core.errors import UserError
from w2s.core.stage import run


def faulty(task: str, seed: int) -> None:
    """Fails as its task says."""
    if task == "user":
        raise UserError(f"labels.parquet: broken\n  in seed {seed + 1}")
    if task == "bug":
        raise KeyError("ours")
    print(task, seed + 1)


def test_arguments_are_named_and_typed_by_the_signature(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stage", "reviews", "1"])
    run(faulty)
    assert capsys.readouterr() == ("reviews 2\n", "")


def test_a_users_fault_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stage", "user", "1"])
    with pytest.raises(SystemExit) as stopped:
        run(faulty)
    assert stopped.value.code == 1
    assert capsys.readouterr() == ("", "error: labels.parquet: broken in seed 2\n")


@pytest.mark.parametrize("arguments", [["user"], ["user", "one"], ["user", "1", "2"]])
def test_wrong_arguments_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stage", *arguments])
    with pytest.raises(SystemExit) as stopped:
        run(faulty)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("usage: stage [-h] task seed\n")


@pytest.mark.parametrize("task", ["user", "bug"])
def test_a_bug_keeps_its_traceback_and_a_users_fault_has_none(task: str) -> None:
    script = "from tests.core.test_stage import faulty\nfrom w2s.core.stage import run\nrun(faulty)"
    done = subprocess.run([sys.executable, "-c", script, task, "0"], capture_output=True, text=True)
    assert done.returncode == 1
    assert ("Traceback (most recent call last)" in done.stderr) == (task == "bug")
    assert done.stderr.endswith(
        {"bug": "KeyError: 'ours'\n", "user": "error: labels.parquet: broken in seed 1\n"}[task]
    )
