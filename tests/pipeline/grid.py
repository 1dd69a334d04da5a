"""A small repository with a DVC remote, for runs on several machines: its stages sleep and say where they ran."""

import subprocess
from collections import Counter
from pathlib import Path

import yaml

from tests.pipeline.kills import MARK, Pipeline

PEOPLE = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
LOG = "W2S_TEST_LOG"  # a file outside of all clones, to which every stage adds a line when it starts
STAGE = f'''"""Writes what depends on another file or folder, slowly."""

import hashlib
import os
import time
from pathlib import Path

from w2s.core.stage import run


def main(before: str, out: str) -> None:
    with open(os.environ["{LOG}"], "a") as log:
        log.write(f"{{out}} {{os.getcwd()}} {{os.getpid()}}\\n")
    time.sleep(float(Path(os.environ["{LOG}"]).with_name("seconds").read_text()))
    path = Path(before)
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    text = "".join(f"{{file}} {{file.read_text()}}" for file in found if file.is_file())
    target = Path(out) if Path(out).suffix or not out.startswith("runs") else Path(out, "file")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(hashlib.sha256(text.encode()).hexdigest() + out)


if __name__ == "__main__":
    run(main)
'''


def stage(before: str, out: str, cached: bool = True, **more: object) -> dict:
    return {
        "cmd": f"python -m stages.cell {before} {out}",
        "deps": [before],
        "outs": [out if cached else {out: {"cache": False}}],
        **more,
    }


class Grid(Pipeline):
    """A repository, its remote, and a log of every stage that ran on any machine."""

    def __init__(self, path: Path, cells: int = 3) -> None:
        self.cells = cells
        self.remote, self.log = path / "remote", path / "log"
        super().__init__(path / "repo")
        self.let_last(0)

    def _enter(self, path: Path) -> None:
        super()._enter(path)
        self.environment[LOG] = str(self.log)
        self.environment[MARK] = str(self.remote)  # of all machines
        del self.environment["PYTHONPATH"]

    def _make(self) -> None:
        path = self.path
        path.mkdir(parents=True)
        super()._make()
        (path / "stages/make.py").unlink()
        (path / "stages/cell.py").write_text(STAGE)
        (path / ".gitignore").write_text("__pycache__/\n/data/\n/runs/\n/part\n")
        (path / ".dvcignore").write_text("__pycache__\n")
        (path / "dvc.yaml").write_text(yaml.safe_dump({"stages": self._graph()}, sort_keys=False))
        self.dvc("remote", "add", "-d", "lab", str(self.remote))
        self.commit()
        self.log.touch()

    def _graph(self) -> dict:
        """Cells of two stages, one that git keeps, one that takes a part of a folder, and one that takes all."""
        matrix = {"matrix": {"cell": list(range(self.cells))}}
        return {
            "first": stage("seed", "data/first-${item.cell}", **matrix),
            "second": stage("data/first-${item.cell}", "runs/${item.cell}", **matrix),
            "kept": stage("data/first-0", "kept", cached=False),
            "part": stage("runs/0/file", "part"),
            "last": stage("runs", "last", cached=False),
        }

    def let_last(self, seconds: float) -> None:
        """Let every stage that starts from now on last as long, wherever it runs."""
        self.log.with_name("seconds").write_text(f"{seconds}\n")

    def dvc(self, *arguments: str) -> None:
        subprocess.run(["dvc", *arguments, "-q"], cwd=self.path, env=self.environment, check=True)

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *PEOPLE, *arguments], cwd=self.path, env=self.environment, check=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "a state")

    def clone(self, path: Path) -> "Grid":
        """Another machine's clone."""
        self.git("clone", "-q", str(self.path), str(path))
        return self.at(path)  # type: ignore[return-value]

    def start_on(self, where: str) -> subprocess.Popen[str]:
        return self.launch("--cluster", where)

    def run_on(self, where: str, fails: bool = False) -> str:
        """Run to the end; what it said."""
        process = self.start_on(where)
        said = "".join(process.communicate(timeout=900))
        assert (process.returncode != 0) == fails, f"exit {process.returncode}\n{said}"
        return said

    def ran(self) -> Counter[str]:
        """How often each stage has started, on whatever machine, by its output."""
        return Counter(line.split()[0] for line in self.log.read_text().splitlines())

    def lock(self) -> dict:
        return yaml.safe_load((self.path / "dvc.lock").read_text())

    def worker(self, address: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """A Dask worker, started in this clone."""
        command = [
            "dask",
            "worker",
            address,
            "--nthreads",
            "1",
            "--no-dashboard",
            "--local-directory",
            "/tmp",
            *options,
        ]
        environment = self.environment | environment
        return subprocess.Popen(
            command, cwd=self.path, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
        )


def every(cells: int) -> Counter[str]:
    """What `ran` is when each stage ran once."""
    outs = [out for cell in range(cells) for out in (f"data/first-{cell}", f"runs/{cell}")]
    return Counter([*outs, "kept", "part", "last"])
