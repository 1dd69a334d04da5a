"""Runs a stage script: arguments by position, user errors in one line."""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.stopwatch import compute
from w2s.core.unchanged import Note


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's arguments, named and typed by its own signature.

    Parameters or code that were changed while it ran, a `UserError`, or memory that ran out, end the process with exit
    code 1 and one line on stderr, and leave nothing; any other exception is a bug and keeps its traceback.
    """
    parser = argparse.ArgumentParser(description=inspect.getdoc(inspect.getmodule(main)))
    for name, parameter in inspect.signature(main).parameters.items():
        parser.add_argument(name, type=parameter.annotation)
    arguments = vars(parser.parse_args())
    try:
        note = Note(Path(inspect.getfile(main)).stem, arguments)
        main(**arguments)
        try:
            note.require_unchanged()
        except UserError:
            files.withdraw()
            raise
        compute.report()
    except UserError as error:
        _fail(str(error))
    except (RuntimeError, MemoryError) as error:
        # An accelerator's own error is a RuntimeError.
        if not isinstance(error, MemoryError) and "out of memory" not in str(error):
            raise
        _fail("out of memory; try one stage at a time (--jobs 1), tune: lora, a shorter context or a smaller model")


def _fail(message: str) -> NoReturn:
    """End the process with exit code 1 and the message on one line of stderr."""
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(1)
