"""One process of those that `schedule` hands stages to: runs them by DVC's own means, one after the other.

It reads dvc.yaml and dvc.lock once; the `dvc` command would do so anew for every stage, and rewrite dvc.lock after it,
which in a grid of hundreds of stages takes seconds each, for which all others wait. Nothing is lost with a process
that is killed: the next run finds in DVC's run cache what this one finished.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psutil

from w2s.pipeline import dvc

TAIL = 30  # lines of a failed stage's output that are shown

_runner: dvc.Runner
_output: IO[bytes]


class StageFailedError(Exception):
    """A stage that failed; its message is the end of what the stage and DVC said."""


def start() -> None:
    """Prepare this process, whose output from here on is kept apart."""
    global _runner, _output
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ctrl-C reaches the stage's own process, too, and DVC reports that it failed.
    signal.signal(signal.SIGINT, lambda *_: None)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    _output = TemporaryFile()  # noqa: SIM115, open as long as this process
    os.dup2(_output.fileno(), sys.stdout.fileno())
    os.dup2(_output.fileno(), sys.stderr.fileno())
    _runner = dvc.Runner(dvc.Repo(_wait_for_lock=True))


def run(name: str) -> dict[str, Any] | None:
    """Bring one stage up to date; its new entry for dvc.lock, or None. Raises `StageFailedError`."""
    _output.seek(0)
    _output.truncate()
    try:
        return _runner.run(name)
    except dvc.DvcException:
        logging.getLogger("dvc").exception("")  # in DVC's own words
        raise StageFailedError(_tail()) from None


def _tail() -> str:
    sys.stdout.flush()
    sys.stderr.flush()
    _output.seek(0)
    lines = _output.read().decode(errors="replace").splitlines()
    # Of a progress bar that is drawn over and over, the last state.
    return "\n".join(line.rstrip().rsplit("\r", 1)[-1] for line in lines[-TAIL:])


def _end_with_parent() -> None:
    """When the scheduler is killed, end the running stage and this process."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)
