"""One process of those that `schedule` hands stages to: runs them by DVC's own means, one after the other.

It reads dvc.yaml and dvc.lock once; the `dvc` command would do so anew for every stage, and rewrite dvc.lock after it,
which in a grid of hundreds of stages takes seconds each, for which all others wait. A server that has imported the
heavy libraries once forks for each stage: of a small stage's fifteen seconds imports were seven. Nothing is lost with a
process that is killed: the next run finds in DVC's run cache what this one finished.
"""

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Any

from w2s.core import stopwatch
from w2s.core.errors import lacking
from w2s.pipeline import dvc, ending, forks

LOST = 255  # exit code of a process whose server is gone
TAIL = 30  # lines of a failed stage's output that are shown

# What stages import, and what they would import only when they come to it.
PRELOADED = [
    "w2s.pipeline.server",
    "stages",  # pins the arithmetic, which NumPy reads when it is loaded
    "w2s.pipeline.forks",
    *(f"stages.{path.stem}" for path in sorted(Path("stages").glob("[!_]*.py"))),
    "matplotlib.backends.backend_svg",
    "sklearn.linear_model",
    "torch._dynamo",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.gpt_neox.modeling_gpt_neox",
    "w2s.pipeline.preload",
]

_runner: dvc.Runner
_output: IO[bytes]
_seconds: IO[str]  # where a stage reports its training and prediction
_server = multiprocessing.get_context("forkserver")


class StageFailedError(Exception):
    """A stage that failed; its message is the end of what the stage and DVC said."""


class StageKilledError(StageFailedError):
    """One whose command was ended by signal 9, perhaps for want of memory."""


def start() -> dvc.Runner:
    """Prepare this process, whose output from here on is kept apart."""
    global _runner, _output, _seconds
    ending.end_with_parent()
    # Ctrl-C is for the scheduler to answer. Not SIG_IGN, which a stage would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    _output = TemporaryFile()  # noqa: SIM115, open as long as this process
    os.dup2(_output.fileno(), sys.stdout.fileno())
    os.dup2(_output.fileno(), sys.stderr.fileno())
    _seconds = NamedTemporaryFile("r")  # noqa: SIM115, likewise
    os.environ[stopwatch.FILE] = _seconds.name
    _server.set_forkserver_preload(PRELOADED)
    dvc.run_commands_by(_execute)
    _runner = dvc.Runner(dvc.Repo(_wait_for_lock=True))
    return _runner


def run(name: str, gpus: str) -> tuple[dict[str, Any] | None, float]:
    """Bring one stage up to date; its new entry for dvc.lock, or None, and the seconds that it trained and predicted.

    It has these `gpus` to itself, as CUDA_VISIBLE_DEVICES names them; none are named where there are none. Raises
    `StageFailedError`.
    """
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    _output.seek(0)
    _output.truncate()
    os.truncate(_seconds.name, 0)
    try:
        entry = _runner.run(name)
    except dvc.DvcException as error:
        logging.getLogger("dvc").exception("")  # in DVC's own words
        if error.__cause__ and (limit := lacking(error.__cause__)):
            print("error:", limit)
        killed = isinstance(error.__cause__, dvc.KilledError)
        raise (StageKilledError if killed else StageFailedError)(_tail()) from None
    _seconds.seek(0)
    return entry, float(_seconds.read() or 0)


def _execute(command: str, environment: Mapping[str, str]) -> int:
    """Run a stage's command in a fork of the server; its exit code."""
    process = _server.Process(target=forks.run, args=(command, dict(environment)))
    process.start()
    process.join()
    # multiprocessing says so when the server itself was killed, and knows no more.
    code = -signal.SIGKILL if process.exitcode == LOST else process.exitcode or 0
    if code in dvc.KILLED:
        print("error: killed by signal 9, perhaps for want of memory; try one stage at a time (--jobs 1)")
    return code


def _tail() -> str:
    sys.stdout.flush()
    sys.stderr.flush()
    _output.seek(0)
    lines = _output.read().decode(errors="replace").splitlines()
    # Of a progress bar that is drawn over and over, the last state.
    return "\n".join(line.rstrip().rsplit("\r", 1)[-1] for line in lines[-TAIL:])
