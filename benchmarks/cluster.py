"""How well a grid spreads over workers, and what a large one costs that is done already.

    python -m benchmarks.cluster [cells]

Prints two tables: the parallel efficiency of 1, 2 and 4 workers on stages that sleep (so that two cores can show it),
and the seconds that commands take on a grid of 5,000 cells.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from tabulate import tabulate

from tests.pipeline.grid import Grid, stage

BASES = 10
SLEEP, SLEEPING = 4.0, 48  # seconds of a stage, and how many there are


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
        (self.path / path).write_text(text)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def seconds(grid: Grid, *command: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "w2s", *command], cwd=grid.path, env=grid.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start


def large(cells: int) -> str:
    """Planning, status and a run in which nothing is to do."""
    commands: dict[str, Callable[[Grid], float]] = {
        "w2s status": lambda grid: seconds(grid, "status"),
        "w2s reproduce": lambda grid: seconds(grid, "reproduce"),
        "w2s reproduce --cluster local:1": lambda grid: seconds(grid, "reproduce", "--cluster", "local:1"),
    }
    with TemporaryDirectory() as folder:
        grid = Large(Path(folder), cells)
        rows = [("w2s status", "nothing", seconds(grid, "status"))]
        grid.pretend()
        rows += [(name, "all", took(grid)) for name, took in commands.items()]
        assert not grid.ran()
    return tabulate(rows, [f"{cells} cells", "of them done", "seconds"], floatfmt=".1f")


def main() -> None:
    print(large(int(sys.argv[1]) if sys.argv[1:] else 5000))


if __name__ == "__main__":
    main()
