"""How a run ends: by a signal, beside another, after one that was killed. `tests.pipeline.kills` kills more often."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline import kills
from tests.pipeline.kills import Pipeline, kill
from w2s.core.errors import UserError
from w2s.pipeline import dvc, ending

HOLD = """
import sys
from pathlib import Path
from w2s.pipeline import ending

with ending.alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """In a folder whose name needs quoting."""
    return Pipeline(tmp_path_factory.mktemp("a run's ünï 中 $HOME"))


def started(pipeline: Pipeline) -> subprocess.Popen[str]:
    """A run within a stage that is a command of its own, which a signal to the run alone does not reach."""
    process = pipeline.start()
    deadline = time.monotonic() + kills.START
    while not any("stages/make.py" in command for command in pipeline.alive().values()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.slow
def test_a_stopped_run_leaves_no_process_and_the_next_ends_with_the_same_bits(pipeline: Pipeline) -> None:
    expected = pipeline.finish()
    seed = pipeline.path / "seed"
    before = seed.read_text()
    for number, group in [
        (signal.SIGINT, True),
        (signal.SIGINT, False),
        (signal.SIGTERM, False),
        (signal.SIGKILL, False),
    ]:
        seed.write_text(f"{number} {group}\n")
        kill(started(pipeline), pipeline, number, group)
    seed.write_text(before)
    assert pipeline.finish() == expected


@pytest.mark.slow
def test_a_second_run_says_at_once_which_process_runs(pipeline: Pipeline) -> None:
    (pipeline.path / "seed").write_text("another\n")
    process = pipeline.start()
    second = pipeline.reproduce()
    assert second.returncode == 1
    assert second.stderr.startswith(f"error: process {process.pid} on ")
    assert second.stderr.endswith(" already runs here; wait for it to end, or stop it\n")
    assert process.poll() is None
    kill(process, pipeline, signal.SIGTERM, group=False)


def test_a_workspace_is_free_once_its_process_is_gone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline()
        with pytest.raises(UserError, match=f"process {holder.pid} on "), ending.alone(lock):
            pass
        holder.kill()
    with ending.alone(lock), pytest.raises(UserError, match=f"process {os.getpid()} on "), ending.alone(lock):
        pass


def held_by(*processes: int) -> str:
    """DVC's list when the first process writes a path and the others read one."""
    entries = [{"pid": process, "cmd": "dvc repro"} for process in processes]
    return json.dumps({"write": {"a": entries[0]}, "read": {"b": entries[1:]}})


@pytest.mark.parametrize("content", ["", '{"write": {"a": {"pi', held_by(2**22 + 1, 2**22 + 2)])
def test_what_killed_processes_left_in_dvcs_list_is_removed(content: str, tmp_path: Path) -> None:
    repo = dvc.Repo.init(str(tmp_path), no_scm=True)
    path = Path(repo.tmp_dir, "rwlock")
    path.write_text(content)
    dvc.release_locks(repo)
    assert not path.exists()


def test_a_process_in_dvcs_list_is_named_but_for_one_that_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dvc, "DYING", 0)
    repo = dvc.Repo.init(str(tmp_path), no_scm=True)
    path = Path(repo.tmp_dir, "rwlock")
    path.write_text(held_by(2**22 + 1, os.getpid()))
    with pytest.raises(UserError, match=rf"process {os.getpid()} \(dvc repro\) already runs here"):
        dvc.release_locks(repo)
    assert path.exists()
    # The list is older than the process that has this number now.
    os.utime(path, (0, 0))
    dvc.release_locks(repo)
    assert not path.exists()
