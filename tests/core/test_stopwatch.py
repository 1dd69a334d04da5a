"""What a stage reports of its training and prediction."""

import time
from pathlib import Path

import pytest

from w2s.core.stopwatch import FILE, Stopwatch


def test_what_runs_inside_counts_once_and_what_runs_between_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 3.0, 10.0, 14.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()

    @watch
    def predict() -> None: ...

    @watch
    def train() -> None:
        predict()

    train()
    with pytest.raises(ValueError, match="stopped"), watch:
        raise ValueError("stopped")
    monkeypatch.setenv(FILE, str(tmp_path / "seconds"))
    watch.report()
    assert (tmp_path / "seconds").read_text() == "7.0"
