"""What a Dask worker does on its machine: it keeps workspaces, and a process in each that runs one stage after another.

The worker is started in a clone of this repository. It never runs a stage there: for each of its threads it makes a
clone of that clone, with the driver's commit and parameters. Nothing but the DVC remote is shared between machines.
"""

import platform
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from w2s.core.errors import UserError
from w2s.core.params import PARAMS
from w2s.core.ranks import cards
from w2s.pipeline import ending
from w2s.pipeline.workers import StageKilledError

PLACE = Path(".dvc/tmp/machine")  # of the workspaces, in the clone in which the worker was started
ASKING = 0.5  # seconds after which it is asked again whether a driver still waits
DECIDING = ("torch", "transformers", "tokenizers", "numpy", "scipy", "scikit-learn", "peft", "dvc")


@dataclass(frozen=True)
class Experiment:
    """What all machines must agree on."""

    commit: str
    params: str  # the text of params.yaml
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Job:
    """A stage to run."""

    name: str
    key: str  # in the run cache
    before: tuple[dict[str, Any], ...]  # entries of dvc.lock of the stages whose outputs it takes
    mixed: tuple[str, ...]  # folders that it takes whole, with all that such stages have put into them
    gpus: int


def versions() -> tuple[tuple[str, str], ...]:
    """What the bits of a result depend on beside code and parameters, where the processor is alike."""
    return ("Python", platform.python_version()), *((name, version(name)) for name in DECIDING)


def git(*arguments: str, folder: Path = Path()) -> str:
    """What a git command says. Raises `UserError`."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def fault(experiment: Experiment, probe: str) -> str:
    """Why this worker cannot take part, or nothing; `probe` is the key of what the driver has just put into the remote.

    In one line that names the worker.
    """
    try:
        _require(experiment)
        from w2s.pipeline import dvc
        from w2s.pipeline.remote import Remote

        with dvc.opened() as repo:
            remote = Remote(repo)
            if remote.entry(probe) is None:
                raise UserError(f"{remote} is not the driver's: what that has just put there is not there")
    except UserError as error:
        return f"{_me()}: {error}"
    return ""


def _require(experiment: Experiment) -> None:
    commit = git("rev-parse", "HEAD")
    if commit != experiment.commit:
        raise UserError(
            f"is at commit {commit[:12]}, the driver at {experiment.commit[:12]}: check that out, and start it again"
        )
    for (name, here), (_, there) in zip(versions(), experiment.versions, strict=True):
        if here != there:
            raise UserError(f"has {name} {here}, the driver {there}: install the same")


def _me() -> str:
    return f"worker in {Path.cwd()} on {socket.gethostname()}"


# Running, one stage a thread of the worker

_resting: list["Bench"] = []
_cards = cards()
_free = threading.Condition()


def run(experiment: Experiment, job: Job) -> tuple[dict[str, Any], float]:
    """Run a stage, or take over what another machine has made of the same; its entry for dvc.lock, and its seconds.

    Raises `StageFailedError`, or `UserError`.
    """
    from distributed import get_worker

    worker = get_worker()
    task = worker.get_current_task()

    def is_wanted() -> bool:
        """Whether a driver still waits for this, which one that was stopped or killed does not."""
        state = worker.state.tasks.get(task)
        return state is not None and state.state not in ("cancelled", "resumed")

    with _free:
        _free.wait_for(lambda: not _cards or len(_cards) >= job.gpus)
        given = [_cards.pop(0) for _ in range(job.gpus if _cards else 0)]
        bench = next((bench for bench in _resting if bench.experiment == experiment), None)
        if bench:
            _resting.remove(bench)
    try:
        bench = bench or Bench(experiment)
        result = bench.run(job, ",".join(given), is_wanted)
        with _free:
            _resting.append(bench)
        return result
    finally:
        with _free:
            _cards.extend(given)
            _free.notify_all()


class Bench:
    """A workspace and the process in it. Both end with this worker, however that ends."""

    def __init__(self, experiment: Experiment) -> None:
        _require(experiment)
        self.experiment = experiment
        self.held = ExitStack()
        self.folder = self._take()
        _set_up(self.folder, experiment)
        here, there = Pipe()
        self.connection = here
        self.process = subprocess.Popen(
            [sys.executable, "-m", "w2s.pipeline.bench", str(there.fileno())],
            cwd=self.folder,
            stdin=subprocess.PIPE,  # closes with this process, and the other ends
            pass_fds=[there.fileno()],
            start_new_session=True,  # Ctrl-C is for the driver to answer
        )
        there.close()

    def _take(self) -> Path:
        """The first workspace that no other thread or worker holds; it may be from an earlier run, with its cache."""
        number = 0
        while True:
            folder = (PLACE / str(number)).absolute()
            try:
                self.held.enter_context(ending.alone(folder.with_suffix(".lock")))
                return folder
            except UserError:
                number += 1

    def run(self, job: Job, gpus: str, is_wanted: Callable[[], bool]) -> tuple[dict[str, Any], float]:
        """As the function `run`."""
        try:
            self.connection.send((job, gpus))
            while not self.connection.poll(ASKING):
                if not is_wanted():
                    raise EOFError
            reply = self.connection.recv()
        except (EOFError, OSError):  # of a process that was killed, which may be while it rested
            self.end()
            raise StageKilledError(f"the process that ran {job.name} was killed ({_me()})") from None
        if isinstance(reply, Exception):
            self.end()
            raise reply
        entry, seconds = reply
        return entry, seconds

    def end(self) -> None:
        """End the process with all that it started, and leave the workspace to others."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.held.close()


def _set_up(folder: Path, experiment: Experiment) -> None:
    from w2s.pipeline import remote

    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git("clone", "-q", "--shared", "--no-checkout", str(Path.cwd()), str(folder))
    git("checkout", "-q", "--force", "--detach", experiment.commit, folder=folder)
    (folder / PARAMS).write_text(experiment.params, encoding="utf-8")
    remote.configure(folder, Path.cwd())
