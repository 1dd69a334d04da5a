"""Runs a stage script: arguments by position, user errors in one line."""

import argparse
import inspect
import sys
from collections.abc import Callable

from w2s.errors import UserError


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's arguments, named and typed by its own signature.

    A `UserError` ends the process with exit code 1 and one line on stderr; any other exception is a bug of ours and
    keeps its traceback.
    """
    parser = argparse.ArgumentParser(description=inspect.getdoc(inspect.getmodule(main)))
    for name, parameter in inspect.signature(main).parameters.items():
        parser.add_argument(name, type=parameter.annotation)
    try:
        main(**vars(parser.parse_args()))
    except UserError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(1)
