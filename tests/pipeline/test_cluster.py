"""Many machines: workers of a Dask cluster, each in a clone of its own, that share nothing but a DVC remote."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.pipeline import kills
from tests.pipeline.grid import Grid, every

pytest.importorskip("distributed")
# Each of these runs for seconds.
pytestmark = pytest.mark.slow

CELLS = 3


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


def test_workers_killed_amid_stages_cost_these_stages_only(tmp_path: Path) -> None:
    """Five times, at random: the worker, the process in its workspace, or one that this runs stages in."""
    cells = 48  # with 24 the stages once ran out while a slow machine began its workers anew
    grid = Grid(tmp_path, cells)
    grid.let_last(0.3)
    draw = random.Random(0)
    process = grid.start_on("local:2")
    kinds = ["--multiprocessing-fork", "w2s.pipeline.bench", "forkserver"]
    for name in (kinds * 2)[:5]:
        before = grid.ran().total()

        def both_go_on(before: int = before) -> bool:
            """Each worker has begun two stages since, and so ended one: none is hit three times."""
            places = Counter(line.split()[1] for line in grid.log.read_text().splitlines()[before:])
            return sum(count >= 2 for count in places.values()) >= 2 or process.poll() is not None

        until(both_go_on, grid)
        time.sleep(draw.uniform(0, 0.5))
        assert process.poll() is None, process.communicate()
        found = [number for number, command in grid.alive().items() if name in command]
        os.kill(draw.choice(found), signal.SIGKILL)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert every(cells) <= grid.ran()
    # With a worker's process ends whatever it has begun.
    assert grid.ran().total() <= every(cells).total() + 5
    assert len(grid.lock()["stages"]) == every(cells).total()


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
    grid.let_last(1)
    with scheduler(grid) as address:
        grid.worker(address)
        first = grid.start_on(address)
        until(lambda: grid.ran().total() >= 2, grid)
        grid.let_last(60)
        until(lambda: grid.ran().total() >= 3, grid)
        time.sleep(1)
        first.send_signal(number)
        said = "".join(first.communicate(timeout=60))
        assert first.returncode == kills.CODES[number], said
        assert "Traceback" not in said
        out, _, stage = grid.log.read_text().splitlines()[-1].split()
        until(lambda: int(stage) not in grid.alive(), grid)
        grid.let_last(0)
        grid.run_on(address)
        assert grid.ran() == every(CELLS) + Counter([out])


def test_a_remote_that_is_away_for_a_moment_is_tried_again_and_for_good_ends_the_run(grid: Grid) -> None:
    grid.let_last(1)
    with scheduler(grid) as address:
        grid.worker(address)
        process = grid.start_on(address)
        for finished, seconds in ((1, 3), (3, None)):
            until(lambda finished=finished: grid.ran().total() > finished, grid)
            away = grid.remote.with_name("away")
            grid.remote.rename(away)
            grid.remote.touch()  # everything in it is "not a directory"
            if seconds:
                time.sleep(seconds)
                grid.remote.unlink()
                away.rename(grid.remote)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 1, said
        assert re.search(r"error: DVC remote lab \(.*\): cannot be reached", said.splitlines()[-1]), said
        assert "Traceback" not in said
        finished = grid.ran().total() - 1
        assert len(grid.lock()["stages"]) == finished
        grid.remote.unlink()
        away.rename(grid.remote)
        grid.let_last(0)
        grid.run_on(address)
        # Not even what had ended while it was away.
        assert grid.ran() == every(CELLS)


def test_a_scheduler_that_ends_ends_the_run_in_one_line(grid: Grid) -> None:
    with scheduler(grid) as address:
        grid.worker(address)
        grid.let_last(60)
        process = grid.start_on(address)
        until(lambda: grid.ran(), grid)
        (dask,) = [number for number, command in grid.alive().items() if "dask_scheduler" in command]
        os.kill(dask, signal.SIGKILL)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 1, said
        assert "Traceback" not in said, said
        assert said.splitlines()[-1].startswith("error: the Dask scheduler has gone")


SBATCH = """#!/bin/sh
cp "$1" "$1.job"  # which is gone at once
setsid sh "$1.job" > /dev/null 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -- "-$1"
"""


def test_workers_may_be_jobs_of_slurm(grid: Grid, tmp_path: Path) -> None:
    """By stand-ins for its commands, which run a job here."""
    pytest.importorskip("dask_jobqueue")
    for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(script)
        file.chmod(0o755)
    options = yaml.safe_load((kills.ROOT / "docs/slurm.yaml").read_text())
    file = tmp_path / "slurm.yaml"
    file.write_text(yaml.safe_dump(options | {"jobs": 2, "memory": "1GB"}))
    assert "sbatch is not here" in refused(grid, f"slurm:{file}")
    grid.environment["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{grid.environment['PATH']}"
    grid.run_on(f"slurm:{file}")
    assert grid.ran() == every(CELLS)
    until(lambda: not grid.alive(), grid)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that speaks the protocol of S3, with a bucket `lab`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "lab")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "lab")
    pytest.importorskip("dvc_s3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    urlopen(Request(f"http://{host}:{port}/lab", method="PUT")).close()
    yield f"http://{host}:{port}"
    server.stop()


def test_the_remote_may_be_in_s3(s3: str, grid: Grid, tmp_path: Path) -> None:
    grid.dvc("remote", "modify", "lab", "url", "s3://lab/w2s")
    grid.dvc("remote", "modify", "lab", "endpointurl", s3)
    grid.commit()
    grid.run_on("local:2")
    assert grid.ran() == every(CELLS)
    other = grid.clone(tmp_path / "other")
    other.run_on("local:1")
    assert grid.ran() == every(CELLS)
    assert other.lock() == grid.lock()
    other.dvc("pull")
    assert (other.path / "runs/2/file").exists()


def test_ctrl_c_leaves_no_process(grid: Grid) -> None:
    grid.let_last(60)
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
    (grid.path / "seed").write_text("another\n")
    grid.commit()
    with scheduler(grid) as address:
        other.worker(address)
        assert re.fullmatch(
            rf"error: worker in {other.path} on .*: is at commit \w+, the driver at \w+: .*", refused(grid, address)
        )


def test_a_worker_with_another_torch_is_refused(grid: Grid, tmp_path: Path) -> None:
    other = grid.clone(tmp_path / "other")
    metadata = tmp_path / "site/torch-9.9.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9\n")
    with scheduler(grid) as address:
        other.worker(address, PYTHONPATH=str(tmp_path / "site"))
        said = refused(grid, address)
    has, needs = "has torch 9.9", f"the driver {version('torch')}: install the same"
    assert re.fullmatch(f"error: worker in {other.path} on .*: {has}, {re.escape(needs)}", said)


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
