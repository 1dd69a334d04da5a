"""How a run ends: one at a time in a workspace, stopped by one signal, and no process outlives the one that started it.

A process learns of the other's end by a pipe whose far end closes with it, whatever ended it. Linux also kills it for
us, which reaches a process that is importing or inside native code, too.
"""

import ctypes
import fcntl
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

from w2s.core.errors import UserError

LOCK = Path(".dvc/tmp/w2s.lock")
PR_SET_PDEATHSIG = 1


class Stopped(KeyboardInterrupt):
    """The run was ended by a signal; `code` is the exit code that says so."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped; finished stages are kept")
        self.code = 128 + number


@contextmanager
def alone(path: Path = LOCK) -> Iterator[None]:
    """Hold this workspace; raises `UserError` at once if another process does.

    The system lets go of it with the process that holds it, so that a killed one leaves nothing to remove.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = path.read_text(encoding="utf-8")
            raise UserError(f"{running} already runs here; wait for it to end, or stop it") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def is_held(path: Path = LOCK) -> bool:
    """Whether a process holds this workspace."""
    if not path.exists():
        return False
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def stoppable() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM or a closed terminal kill all workers of this process, then raise `Stopped` in it.

    A second signal ends the process as it stands. Those that are ignored, as under nohup, stay ignored.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heeded = [number for number, handler in handlers.items() if handler is not signal.SIG_IGN]

    def stop(number: int, _: FrameType | None) -> None:
        for each in heeded:
            signal.signal(each, signal.SIG_DFL)
        for worker in multiprocessing.active_children():
            worker.kill()
        raise Stopped(number)

    for number in heeded:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, handlers[number])


def end_with_parent() -> None:
    """Let this process, and all that it started, end when the one that started it does.

    One that `multiprocessing` did not start has a pipe for its input, and nothing comes through it.
    """
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    else:
        os.read(0, 1)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)


def be_killed_with_parent() -> None:
    """Let Linux kill this process, without those that it started, when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
