"""A stage killed under the real DVC goes on from what it had saved, and DVC then finds what it would have found."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import Workspace

pytestmark = pytest.mark.slow
STAGE = "student-generation@endgames-chess-xs-chess-m-bootstrap-0"  # saves when its first model has learned


def test_a_killed_stage_goes_on_under_dvc(workspace: Workspace) -> None:
    lock = (workspace.path / "dvc.lock").read_text()
    command = ["repro", "--force", "--single-item", STAGE]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    running = subprocess.Popen(
        ["dvc", *command],
        cwd=workspace.path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    checkpoints = workspace.path / "checkpoints"
    while not any(checkpoints.rglob("state.safetensors")):
        assert running.poll() is None, "ended before it saved anything"
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert workspace.git("status", "--porcelain") == ""
    output = workspace.run("dvc", *command)
    assert "chess-s: goes on after update" in output
    assert (workspace.path / "dvc.lock").read_text() == lock
    assert not any(checkpoints.iterdir())
    assert workspace.git("status", "--porcelain") == ""
