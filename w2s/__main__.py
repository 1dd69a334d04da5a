"""`python -m w2s COMMAND`: what is asked of results after the pipeline has run."""

import argparse
import sys

from w2s.analysis import verdict
from w2s.errors import UserError


def main() -> int:
    """Run one command; its exit code is returned."""
    parser = argparse.ArgumentParser(prog="python -m w2s", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("verdict", help="show the results, and compare them with the committed ones")
    command.set_defaults(run=verdict.run)
    try:
        return parser.parse_args().run()
    except UserError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
