"""Many machines: workers of a Dask cluster, each in a clone of its own, that share nothing but a DVC remote."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipeline import kills
from tests.pipeline.grid import Grid, every

pytest.importorskip("distributed")
# Each of these runs for seconds.
pytestmark = pytest.mark.slow

CELLS = 3
END = 20  # seconds within which the processes of a run have ended


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    return Grid(tmp_path, CELLS)


def until(holds: Callable[[], object], grid: Grid) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, grid.alive()
        time.sleep(0.05)


@contextmanager
def scheduler(grid: Grid) -> Iterator[str]:
    """A Dask scheduler's address. All that began in the grid's environment ends with it."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    with subprocess.Popen(
        command, cwd=grid.path.parent, env=grid.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            yield next(found[0] for line in process.stderr if (found := re.search(r"tcp://[\d.]+:\d+", line)))
        finally:
            for left in grid.alive():
                os.kill(left, signal.SIGKILL)


def with_lasting_stages(grid: Grid, seconds: float) -> None:
    (grid.path / "seconds").write_text(f"{seconds}\n")
    grid.commit()


def test_machines_leave_what_one_does_and_nothing_runs_twice(grid: Grid, tmp_path: Path) -> None:
    shutil.copytree(grid.path, tmp_path / "one")
    one = grid.at(tmp_path / "one")
    subprocess.run(["dvc", "repro", "-q"], cwd=one.path, env=one.environment, check=True)
    grid.log.write_text("")
    with scheduler(grid) as address:
        for name in ("a", "b", "c"):
            grid.clone(tmp_path / name).worker(address)
        grid.run_on(address)
        assert grid.lock() == one.lock()
        assert (grid.path / "last").read_text() == (one.path / "last").read_text()
        assert grid.ran() == every(CELLS)
        # Also not for a driver that knows nothing, and if a result was made by no cluster.
        other = grid.clone(tmp_path / "other")
        other.run_on(address)
        assert other.lock() == one.lock()
        assert (other.path / "last").read_text() == (one.path / "last").read_text()
        assert grid.ran() == every(CELLS)
        machines = {line.split()[1].split("/.dvc")[0] for line in grid.log.read_text().splitlines()}
        assert machines <= {str(tmp_path / name) for name in ("a", "b", "c")}
        assert len(machines) > 1
    subprocess.run(["dvc", "pull", "-q"], cwd=grid.path, env=grid.environment, check=True)
    assert (grid.path / "runs/2/file").read_text() == (one.path / "runs/2/file").read_text()
    status = subprocess.run(["dvc", "status"], cwd=grid.path, env=grid.environment, capture_output=True, text=True)
    assert "up to date" in status.stdout


def test_what_was_made_here_is_sent_and_not_made_again(grid: Grid) -> None:
    subprocess.run(["dvc", "repro", "-q"], cwd=grid.path, env=grid.environment, check=True)
    (grid.path / "seed").write_text("another\n")
    grid.commit()
    subprocess.run(["dvc", "repro", "-q", "first@0", "second@0"], cwd=grid.path, env=grid.environment, check=True)
    grid.log.write_text("")
    grid.commit()
    grid.run_on("local:2")
    assert grid.ran() == every(CELLS) - every(1) + every(0)


def test_a_worker_killed_amid_a_stage_costs_that_stage_only(grid: Grid) -> None:
    draw = random.Random(0)
    with_lasting_stages(grid, 1)
    process = grid.start_on("local:2")
    for ended in (1, 3):
        until(lambda ended=ended: grid.ran().total() > ended, grid)
        time.sleep(draw.uniform(0, 0.5))
        workers = [number for number, command in grid.alive().items() if "--multiprocessing-fork" in command]
        benches = [number for number, command in grid.alive().items() if "w2s.pipeline.bench" in command]
        os.kill(draw.choice(workers if ended == 1 else benches), signal.SIGKILL)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert every(CELLS) <= grid.ran()
    assert grid.ran().total() <= every(CELLS).total() + 2
    assert grid.lock()["stages"].keys() >= {"first@0", "second@2", "last"}


def test_a_stage_that_is_killed_three_times_ends_the_run_with_its_last_words(grid: Grid) -> None:
    cell = grid.path / "stages/cell.py"
    death = "if out == 'runs/1':\n        print('too large', flush=True)\n        os.kill(os.getpid(), 9)"
    cell.write_text(cell.read_text().replace("    time.sleep", f"    {death}\n    time.sleep"))
    grid.commit()
    said = grid.run_on("local:2", fails=True)
    assert "too large\n" in said
    assert "second@1 was killed 3 times" in said
    assert said.splitlines()[-1] == "error: a stage failed; what it said stands above. Finished stages are kept"
    assert grid.ran()["runs/1"] == 3
    assert "second@0" in grid.lock()["stages"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_driver_that_ends_stops_its_stages_and_the_next_goes_on(number: signal.Signals, grid: Grid) -> None:
    with_lasting_stages(grid, 30)
    with scheduler(grid) as address:
        grid.worker(address)
        first = grid.start_on(address)
        until(lambda: grid.ran(), grid)
        first.send_signal(number)
        said = "".join(first.communicate(timeout=60))
        assert first.returncode == kills.CODES[number], said
        assert "Traceback" not in said
        stage = int(grid.log.read_text().split()[2])
        until(lambda: stage not in grid.alive(), grid)
        with_lasting_stages(grid, 0)


def test_ctrl_c_leaves_no_process(grid: Grid) -> None:
    with_lasting_stages(grid, 30)
    process = grid.start_on("local:2")
    until(lambda: grid.ran().total() == 2, grid)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == kills.STOPPED
    until(lambda: not grid.alive(), grid)


# Refusals, in one line each


def refused(grid: Grid, where: str) -> str:
    said = grid.run_on(where, fails=True)
    assert "Traceback" not in said
    assert not grid.ran()
    return said.splitlines()[-1]


def test_a_worker_at_another_commit_is_refused(grid: Grid, tmp_path: Path) -> None:
    other = grid.clone(tmp_path / "other")
    with_lasting_stages(grid, 0.5)
    with scheduler(grid) as address:
        other.worker(address)
        assert re.fullmatch(
            rf"error: worker in {other.path} on .*: is at commit \w+, the driver at \w+: .*", refused(grid, address)
        )


def test_a_worker_with_another_remote_of_that_name_is_refused(grid: Grid, tmp_path: Path) -> None:
    other = grid.clone(tmp_path / "other")
    other.dvc("remote", "modify", "--local", "lab", "url", str(tmp_path / "elsewhere"))
    with scheduler(grid) as address:
        other.worker(address)
        assert "DVC remote lab" in (said := refused(grid, address))
        assert "is not the driver's" in said


def test_what_no_worker_would_have_is_refused(grid: Grid) -> None:
    (grid.path / "seed").write_text("edited\n")
    assert refused(grid, "local:1") == "error: seed: not committed, and so no worker has it as it is here"


def test_no_remote_and_no_cluster_are_said(grid: Grid) -> None:
    assert "no Dask scheduler there" in refused(grid, "tcp://127.0.0.1:9")
    grid.dvc("remote", "remove", "lab")
    grid.commit()
    assert "share results by a DVC remote: `dvc remote add -d NAME URL`" in refused(grid, "local:1")


def test_more_gpus_than_any_worker_has_are_refused(grid: Grid, tmp_path: Path) -> None:
    (grid.path / "stages/train.py").write_text("def main(task: str, strong: str) -> None: ...\n")
    file = grid.path / "dvc.yaml"
    file.write_text(file.read_text() + "  train:\n    cmd: python -m stages.train reviews xl\n    outs: [trained]\n")
    params = grid.path / "params.yaml"
    params.write_text(params.read_text().replace("  processes: 1\n", "  processes: 2\n", 1))
    grid.commit()
    with scheduler(grid) as address:
        grid.clone(tmp_path / "other").worker(address, "--resources", "GPU=1")
        assert refused(grid, address) == "error: train takes 2 GPUs (finetune.processes), and no worker has more than 1"
