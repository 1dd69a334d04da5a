"""Commands beside DVC's own: `python -m w2s <command>`."""

import argparse
import sys
from pathlib import Path

from w2s.core.errors import UserError
from w2s.pipeline import grids, schedule
from w2s.pipeline.cost import listing
from w2s.results import claims, verdict


def main() -> int:
    """Run the command named on the command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m w2s", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    reproduce = commands.add_parser("reproduce", help="bring every stage up to date, several at a time")
    reproduce.add_argument("-j", "--jobs", type=int, default=2, help="stages that run at the same time (default: 2)")
    reproduce.add_argument("-g", "--grid", type=Path, help="first put this file's grid into params.yaml")
    price = commands.add_parser(
        "cost", help="list what is cached and what will run, with its FLOPs, memory and time here"
    )
    price.add_argument("-j", "--jobs", type=int, default=2, help="stages that would run at the same time (default: 2)")
    commands.add_parser("verdict", help="show the results and whether they are the committed ones")
    commands.add_parser("claims", help="show which of the paper's claims hold in the results")
    arguments = parser.parse_args()
    try:
        if arguments.command == "reproduce":
            if arguments.grid:
                grids.put(arguments.grid)
            schedule.reproduce(max(1, arguments.jobs))
            return 0
        if arguments.command == "cost":
            listing.run(max(1, arguments.jobs))
            return 0
        if arguments.command == "claims":
            claims.show()
            return 0
        return verdict.run()
    except UserError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
