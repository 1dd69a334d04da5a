"""One stage's command, in a fork of the server that `workers` started: ends with the worker."""

import importlib
import inspect
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping

from w2s.core import arithmetic, stage
from w2s.pipeline import ending


def run(command: str, environment: Mapping[str, str]) -> None:
    """Run a stage's command and end this process with its exit code.

    `python -m stages.…` is run right here if its arithmetic is that of the grid, as which the server was started;
    anything else by a shell.
    """
    ending.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    words = shlex.split(command)
    is_script = words[:2] == ["python", "-m"] and words[2].startswith("stages.")
    if not is_script or arithmetic.is_portable(words) != arithmetic.is_portable([]):
        code = subprocess.run(command, shell=True, env=environment, check=False).returncode
        sys.exit(code if code >= 0 else 128 - code)  # of a signal, as shells do
    ending.be_killed_with_parent()
    _, _, module, *arguments = words
    os.environ.update(environment)
    script = importlib.import_module(module)
    sys.argv = [inspect.getfile(script), *arguments]
    stage.run(script.main)
