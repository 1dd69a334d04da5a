"""Kills `w2s reproduce` at random moments, again and again: nothing lives on, and the next run ends with the same bits.

Run `python -m tests.pipeline.kills 30` for 30 kills by each signal. The pipeline is small, of stages that a worker
forks and stages that are commands of their own.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from copy import copy
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).parents[2]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
STOPPED = "stopped; finished stages are kept"
RESULT = "Reproduced in"  # said when all stages are done
MARK = "W2S_TEST_OF_KILLS"
# Seconds: of a stage, until a process has started, until all have ended.
STAGE, START, END = 0.3, 60, 5

STAGE_SCRIPT = f'''"""Writes a file that depends on another, slowly."""

import hashlib
import time
from pathlib import Path

from w2s.core.stage import run


def main(before: str, out: str) -> None:
    time.sleep({STAGE})
    Path(out).parent.mkdir(exist_ok=True)
    Path(out).write_text(hashlib.sha256(Path(before).read_bytes()).hexdigest() + out)


if __name__ == "__main__":
    run(main)
'''
GRAPH = {
    "forked": {
        "matrix": {"cell": [0, 1, 2, 3]},
        "cmd": "python -m stages.make seed runs/forked-${item.cell}",
        "deps": ["seed"],
        "outs": ["runs/forked-${item.cell}"],
    },
    "command": {
        "matrix": {"cell": [0, 1, 2, 3]},
        "cmd": "python stages/make.py runs/forked-${item.cell} runs/command-${item.cell} && true",
        "deps": ["runs/forked-${item.cell}"],
        "outs": ["runs/command-${item.cell}"],
    },
    "last": {
        "cmd": "python -m stages.make runs/command-3 last",
        "deps": [f"runs/command-{cell}" for cell in range(4)],
        "outs": ["last"],
    },
}


class Pipeline:
    """A repository with this package and a small graph."""

    def __init__(self, path: Path) -> None:
        self._enter(path)
        self._make()

    def at(self, path: Path) -> "Pipeline":
        """The same in a folder that holds a copy."""
        other = copy(self)
        other._enter(path)
        return other

    def copy(self, path: Path) -> "Pipeline":
        """A copy of all files, and of what ran."""
        shutil.copytree(self.path, path, symlinks=True)
        return self.at(path)

    def _enter(self, path: Path) -> None:
        self.path = path
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(path),
            "DVC_NO_ANALYTICS": "1",
            MARK: str(path),
        }

    def _make(self) -> None:
        path = self.path
        shutil.copytree(ROOT / "w2s", path / "w2s", ignore=shutil.ignore_patterns("__pycache__"))
        (path / "stages").mkdir()
        shutil.copy2(ROOT / "stages/__init__.py", path / "stages")
        (path / "stages/make.py").write_text(STAGE_SCRIPT)
        # What workers would import for seconds, and no stage here needs.
        for name in ("matplotlib", "sklearn", "torch", "transformers"):
            (path / f"{name}.py").write_text("raise ImportError\n")
        shutil.copy2(ROOT / "params.yaml", path)
        (path / "seed").write_text("0\n")
        (path / ".gitignore").write_text("/last\n/runs/\n")
        (path / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH}, sort_keys=False))
        subprocess.run(["git", "init", "-q"], cwd=path, check=True)
        subprocess.run(["dvc", "init", "-q"], cwd=path, env=self.environment, check=True)

    def launch(self, *options: str) -> subprocess.Popen[str]:
        """A run, in a process group of its own, as at a terminal."""
        return subprocess.Popen(
            [sys.executable, "-m", "w2s", "reproduce", *options],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Ctrl-C is ignored by what a shell without a terminal starts in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def start(self) -> subprocess.Popen[str]:
        """A run, once it holds the workspace."""
        process = self.launch("--jobs", "2")
        lock = self.path / ".dvc/tmp/w2s.lock"
        deadline = time.monotonic() + START
        while not (lock.exists() and str(process.pid) in lock.read_text()):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return process

    def reproduce(self) -> subprocess.CompletedProcess[str]:
        """Run to the end, whatever that is."""
        return subprocess.run(
            [sys.executable, "-m", "w2s", "reproduce"],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def finish(self) -> dict[str, str]:
        """Run to a good end; the bits that it leaves."""
        done = self.reproduce()
        assert done.returncode == 0, done.stderr
        return self.bits()

    def bits(self) -> dict[str, str]:
        """The lock and every output that it names: a DVC that was killed may leave a temporary file beside them."""
        lock = (self.path / "dvc.lock").read_text()
        outputs = [out["path"] for stage in yaml.safe_load(lock)["stages"].values() for out in stage["outs"]]
        return {"dvc.lock": lock} | {out: (self.path / out).read_text() for out in outputs}

    def wipe(self) -> None:
        """As before the first run."""
        for path in (self.path / "runs", self.path / ".dvc/cache", self.path / ".dvc/tmp"):
            shutil.rmtree(path, ignore_errors=True)
        for name in ("dvc.lock", "last"):
            (self.path / name).unlink(missing_ok=True)

    def alive(self) -> dict[int, str]:
        """The commands of all processes that began in a run of this pipeline."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.environment[MARK] and process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                # It ended meanwhile, or is another user's.
                continue
        return found


def kill(process: subprocess.Popen[str], pipeline: Pipeline, number: signal.Signals, group: bool) -> None:
    """Send a signal to the run, or to its whole group as a terminal does; asserts that all of it ends in order."""
    (os.killpg if group else os.kill)(process.pid, number)
    results, said = process.communicate(timeout=START)
    deadline = time.monotonic() + END
    while left := pipeline.alive():
        assert time.monotonic() < deadline, f"after {number.name}: {left}"
        time.sleep(0.05)
    assert "Traceback" not in said
    assert "Error" not in said
    if RESULT in results:
        # It was ending by itself.
        assert process.returncode in (0, CODES[number], -number), f"{number.name}: exit {process.returncode}\n{said}"
        return
    assert process.returncode == CODES[number], f"{number.name}: exit {process.returncode}\n{said}"
    if number is not signal.SIGKILL:
        assert said.splitlines()[-1] == STOPPED


def main() -> None:
    count = int(sys.argv[1])
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(Path(folder))
        before = time.monotonic()
        expected = pipeline.finish()
        whole = time.monotonic() - before
        pipeline.wipe()
        waiting = [number for number in SIGNALS for _ in range(count)]
        draw.shuffle(waiting)
        ended = 0
        while waiting:
            process = pipeline.start()
            try:
                process.wait(draw.uniform(0, whole))
            except subprocess.TimeoutExpired:
                number = waiting.pop()
                kill(process, pipeline, number, group=number is not signal.SIGKILL and draw.random() < 0.5)
                continue
            assert process.returncode == 0, process.communicate()[1]
            assert pipeline.bits() == expected
            ended += 1
            pipeline.wipe()
        assert pipeline.finish() == expected
    names = ", ".join(number.name for number in SIGNALS)
    print(f"{count} kills by each of {names}: no process left; {ended + 1} runs ended between them, with the same bits")


if __name__ == "__main__":
    main()
