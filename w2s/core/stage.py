"""Runs a stage script: arguments by position, user errors in one line."""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from w2s.core import files
from w2s.core.errors import UserError, ends_in_one_line
from w2s.core.stopwatch import compute
from w2s.core.unchanged import Note


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's arguments, named and typed by its own signature.

    Parameters or code that were changed while it ran, a `UserError`, or memory, disk or rights that are lacking, end
    the process with exit code 1 and one line on stderr, and leave nothing; any other exception is a bug and keeps its
    traceback.
    """
    parser = argparse.ArgumentParser(description=inspect.getdoc(inspect.getmodule(main)))
    for name, parameter in inspect.signature(main).parameters.items():
        parser.add_argument(name, type=parameter.annotation)
    arguments = vars(parser.parse_args())

    def work() -> None:
        note = Note(Path(inspect.getfile(main)).stem, arguments)
        main(**arguments)
        try:
            note.require_unchanged()
        except UserError:
            files.withdraw()
            raise
        compute.report()

    if code := ends_in_one_line(work):
        sys.exit(code)
