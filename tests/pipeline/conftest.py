"""A real repository with a micro grid, reproduced once by the real `dvc`; each test works on a copy of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parents[2]
NOT_SIMULATED: dict[str, list[str]] = {"of": [], "weak": [], "methods": []}
SIMULATED = {"of": ["xs"], "weak": ["random-errors"], "methods": ["naive"]}
REVIEWS = {"tasks": ["reviews"], "weak": ["xs"], "strong": ["m"], "methods": ["naive", "confidence"]}
REVIEWS |= {"ceilings": ["naive"], "simulated": SIMULATED}
PREFERENCES = {"tasks": ["preferences"], "weak": ["xs"], "strong": ["m"], "methods": ["generative"]}
PREFERENCES |= {"ceilings": ["generative"], "simulated": NOT_SIMULATED}
CHESS = {"tasks": ["endgames"], "weak": ["chess-xs"], "strong": ["chess-m"], "methods": ["bootstrap"]}
CHESS |= {"ceilings": ["bootstrap"], "simulated": NOT_SIMULATED}
MICRO = {
    "grid": {
        "reports": "reports",
        "ladder": ["xs", "m", "chess-xs", "chess-s", "chess-m"],
        "seeds": [0],
        "classification": REVIEWS,
        "preference": PREFERENCES,
        "generation": CHESS,
    },
    "split": {"supervisor": 96, "student": 96, "validation": 32, "test": 128},
    "corpora.reviews.documents": 2000,
    "corpora.endgames.documents": 2000,
    **{f"models.{rung}.steps": 60 for rung in ("xs", "m", "chess-xs", "chess-s", "chess-m")},
    "tasks.reviews.finetune.epochs": 2,
    "methods.generative.generative.epochs": 1,
    "finetune.snapshots": 2,
}
PEOPLE = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]


class Workspace:
    """A checkout in which commands run as a user would type them."""

    def __init__(self, path: Path, **environment: str) -> None:
        self.path, self.environment = path, environment

    def run(self, *command: str, fails: bool = False) -> str:
        """The command's stdout and stderr; asserts that it succeeds, or fails."""
        bin_folder = str(Path(sys.executable).parent)
        environment = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
        environment |= self.environment
        for name in ("DVC_EXP_BASELINE_REV", "DVC_EXP_NAME", "DVC_ROOT"):
            environment.pop(name, None)
        done = subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True, timeout=1800)
        assert (done.returncode != 0) == fails, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def git(self, *arguments: str) -> str:
        return self.run("git", *PEOPLE, *arguments)

    def stages_run(self, output: str) -> set[str]:
        """Names of the stages that a `dvc repro` or `dvc exp run` printed as running."""
        return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")}

    def set(self, key: str, value: object) -> None:
        """Change one parameter in params.yaml, by its dotted key."""
        file = self.path / "params.yaml"
        params = yaml.safe_load(file.read_text())
        *way, last = key.split(".")
        place = params
        for part in way:
            place = place[part]
        place[last] = value
        file.write_text(yaml.safe_dump(params, sort_keys=False))


def checkout(path: Path, **environment: str) -> Workspace:
    """A committed copy of this repository with the micro grid, before anything ran."""
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in files.stdout.split():
        if name != "dvc.lock" and not name.startswith(("reports/", "models/")) and (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    workspace = Workspace(path, **environment)
    for key, value in MICRO.items():
        workspace.set(key, value)
    workspace.git("init", "-q")
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", "micro")
    return workspace


def made_once(name: str, tmp_path_factory: pytest.TempPathFactory, make: Callable[[Workspace], None]) -> Workspace:
    """A checkout that the first worker of pytest to need it makes and commits, and all others find."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    done = folder / f"{name}.done"
    with FileLock(folder / f"{name}.lock"):
        if done.exists():
            return Workspace(folder / name)
        shutil.rmtree(folder / name, ignore_errors=True)  # of a worker that failed
        workspace = checkout(folder / name)
        make(workspace)
        workspace.git("add", "-A")
        workspace.git("commit", "-qm", "results")
        done.touch()
        return workspace


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The micro grid of all three settings, its results committed. Not to be changed: take `workspace`."""

    def make(workspace: Workspace) -> None:
        workspace.run("python", "-m", "w2s", "reproduce", "--jobs", "4")

    return made_once("micro", tmp_path_factory, make)


STUB = '''"""Stands for every stage but code and check: writes outputs that depend on all that the stage depends on."""

import hashlib
import sys
from pathlib import Path

import yaml

deps, params, outs = (argument.split(",") for argument in sys.argv[1:])
values = yaml.load(Path("params.yaml").read_text(), yaml.CSafeLoader)
digest = hashlib.sha256()
for key in filter(None, params):
    value = values
    for part in key.split("."):
        value = value[part]
    digest.update(repr(value).encode())
for path in sorted(file for dep in map(Path, deps) for file in ([dep] if dep.is_file() else dep.rglob("*"))):
    digest.update(path.read_bytes() if path.is_file() else b"")
for out in map(Path, outs):
    file = out if out.suffix else out / "file"
    file.parent.mkdir(parents=True, exist_ok=True)
    if out.parts[0] != "models" or out.parts[1] in ("base", "method"):
        file.write_text(f"{digest.hexdigest()} {out}\\n")
'''


def stub(workspace: Workspace) -> None:
    """Let every stage but code and check write placeholders, and those that keep no weights an empty folder."""
    file = workspace.path / "dvc.yaml"
    graph = yaml.safe_load(file.read_text())
    for name, stage in graph["stages"].items():
        if name not in ("code", "check"):
            outs = [
                next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"] + stage.get("metrics", [])
            ]
            lists = (stage["deps"], stage.get("params", []), outs)
            stage["cmd"] = " ".join(["python stub.py", *(f"'{','.join(paths)}'" for paths in lists)])
    file.write_text(yaml.safe_dump(graph, sort_keys=False))
    (workspace.path / "stub.py").write_text(STUB)


@pytest.fixture(scope="session")
def stubbed_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The micro grid with stubs for stages, reproduced by `dvc repro`. Not to be changed: take `stubbed`."""

    def make(workspace: Workspace) -> None:
        stub(workspace)
        workspace.run("dvc", "repro")

    return made_once("stubbed", tmp_path_factory, make)


@pytest.fixture
def stubbed(stubbed_once: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the micro repository with stubs."""
    path = tmp_path / "repo"
    shutil.copytree(stubbed_once.path, path, symlinks=True)
    return Workspace(path)


@pytest.fixture
def workspace(reproduced: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the reproduced micro repository."""
    path = tmp_path / "repo"
    shutil.copytree(reproduced.path, path, symlinks=True)
    return Workspace(path)
