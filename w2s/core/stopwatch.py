"""How long a stage trains and predicts; `w2s reproduce` holds its own time against the sum."""

import os
import time
from contextlib import ContextDecorator
from pathlib import Path

FILE = "W2S_STOPWATCH"  # the variable of the environment that names the file to report to


class Stopwatch(ContextDecorator):
    """Adds up what it decorates; what runs inside that again counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._start = 0.0

    def __enter__(self) -> None:
        if self._depth == 0:
            self._start = time.perf_counter()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._start

    def report(self) -> None:
        """Write the seconds to the file that the environment names, if it names one."""
        if file := os.environ.get(FILE):
            Path(file).write_text(str(self.seconds), encoding="utf-8")


compute = Stopwatch()  # training and prediction of this process
