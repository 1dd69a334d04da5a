"""How well a grid spreads over workers, and what a large one costs that is done already.

    python -m benchmarks.cluster

Prints three tables: what a stage costs beside its own work, the parallel efficiency of 1, 2 and 4 workers on stages
that sleep (so that two cores can show it), and the seconds that commands take on a grid of 5,000 cells.
"""

import hashlib
import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from tabulate import tabulate

from tests.pipeline.grid import Grid, stage

BASES = 10
WORKERS = (1, 2, 4)
STAGES, SECONDS = 24, 8.0  # that sleep, each as long
EMPTY = (10, 60)  # stages that do nothing, of two runs whose difference is their cost
CELLS = 5000


class Large(Grid):
    """A grid of cells, each of which takes one of ten bases, and a last stage that takes them all."""

    def _graph(self) -> dict:
        numbers = {"base": list(range(BASES)), "cell": list(range(self.cells // BASES))}
        return {
            "base": stage("seed", "data/base-${item.base}", matrix={"base": numbers["base"]}),
            "cell": stage("data/base-${item.base}", "runs/${item.base}-${item.cell}.txt", matrix=numbers),
            "last": stage("runs", "last", cached=False),
        }

    def pretend(self) -> None:
        """Let everything have run, with its results in the workspace, in dvc.lock, in the cache and in the remote."""
        cells = [f"{base}-{cell}" for base in range(BASES) for cell in range(self.cells // BASES)]
        entries = {}
        for base in range(BASES):
            entries[f"base@{base}"] = self._pretended("seed", f"data/base-{base}")
        for cell in cells:
            entries[f"cell@{cell}"] = self._pretended(f"data/base-{cell.partition('-')[0]}", f"runs/{cell}.txt")
        entries["last"] = self._pretended("runs", "last")
        lock = {"schema": "2.0", "stages": entries}
        self._write("dvc.lock", yaml.dump(lock, Dumper=yaml.CSafeDumper, sort_keys=False))
        self.commit()

    def _pretended(self, before: str, out: str) -> dict:
        self._write(out, out)
        if out != "last":
            self._keep(out.encode())
        return {
            "cmd": f"python -m stages.cell {before} {out}",
            "deps": [self._noted(before)],
            "outs": [self._noted(out)],
        }

    def _noted(self, path: str) -> dict:
        file = self.path / path
        if file.is_file():
            content = file.read_bytes()
            return {"path": path, "hash": "md5", "md5": _md5(content), "size": len(content)}
        files = sorted(file.iterdir())
        listed = [{"md5": _md5(inside.read_bytes()), "relpath": inside.name} for inside in files]
        size = sum(inside.stat().st_size for inside in files)
        digest = _md5(json.dumps(listed).encode())
        return {"path": path, "hash": "md5", "md5": f"{digest}.dir", "size": size, "nfiles": len(files)}

    def _keep(self, content: bytes) -> None:
        name = _md5(content)
        for store in (self.path / ".dvc/cache", self.remote):
            file = store / "files/md5" / name[:2] / name[2:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o444)

    def _write(self, path: str, text: str) -> None:
        (self.path / path).parent.mkdir(parents=True, exist_ok=True)
        (self.path / path).write_text(text, encoding="utf-8")


class Independent(Grid):
    """Stages that wait for none."""

    def _graph(self) -> dict:
        return {"cell": stage("seed", "runs/${item.cell}.txt", matrix={"cell": list(range(self.cells))})}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def spread(cells: int, sleep: float, workers: int) -> float:
    """Seconds that stages take which sleep, from the plan to the last entry of dvc.lock."""
    with TemporaryDirectory() as folder:
        grid = Independent(Path(folder), cells)
        grid.let_last(sleep)
        said = grid.run_on(f"local:{workers}")
        assert grid.ran().total() == cells
        found = re.search(r"Reproduced in (\d+) s", said)
        assert found
        return float(found[1])


def overhead() -> str:
    """What a stage costs beside its own work."""
    few, many = EMPTY
    each = (spread(many, 0, 1) - spread(few, 0, 1)) / (many - few)
    return f"A stage that does nothing: {each:.2f} s on one worker (start, hashes, remote, entry)."


def efficiency() -> str:
    """The seconds of one worker, over those of several times their number."""
    took = {workers: spread(STAGES, SECONDS, workers) for workers in WORKERS}
    rows = [(workers, found, f"{took[1] / workers / found:.0%}") for workers, found in took.items()]
    return tabulate(rows, ["workers", f"seconds, {STAGES} stages of {SECONDS:.0f} s", "efficiency"])


def seconds(grid: Grid, *command: str) -> tuple[float, float]:
    """How long a command of w2s takes, and how much of that it computes: the rest it waits, as on a busy machine."""
    start = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "w2s", *command], cwd=grid.path, env=grid.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def large() -> str:
    """Planning, status and a run in which nothing is to do."""
    commands = ("status", "reproduce", "reproduce --cluster local:1")
    with TemporaryDirectory() as folder:
        grid = Large(Path(folder), CELLS)
        rows = [("w2s status", "nothing", *seconds(grid, "status"))]
        grid.pretend()
        rows += [(f"w2s {command}", "all", *seconds(grid, *command.split())) for command in commands]
        assert not grid.ran()
    return tabulate(rows, [f"{CELLS} cells", "of them done", "seconds", "of CPU"], floatfmt=".1f")


def main() -> None:
    for measured in (overhead, efficiency, large):
        print(measured(), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
