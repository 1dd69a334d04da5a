"""What stands in the way of a run is said in one line, with what to do about it, and before DVC says it at length."""

from pathlib import Path

import pytest

from tests.pipeline.conftest import ROOT
from w2s.core.errors import UserError
from w2s.pipeline import dvc, schedule

CONFLICT = "schema: '2.0'\nstages:\n<<<<<<< HEAD\n  code: {cmd: a}\n=======\n  code: {cmd: b}\n>>>>>>> other\n"


def test_a_merge_conflict_in_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text(CONFLICT)
    with (
        pytest.raises(UserError, match=r"^dvc.lock holds a merge conflict: .*`git checkout --ours dvc.lock`"),
        dvc.opened(),
    ):
        pass


def test_parameters_are_checked_before_dvc_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert "\n  seeds: [" in text
    Path("params.yaml").write_text(text.replace("\n  seeds: [", "\n  seeds: 0 #", 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"^params.yaml: grid.seeds: must be a list \(found 0\)$"):
        schedule.reproduce(1)
