"""Commands beside DVC's own: `w2s <command>`, or `python -m w2s <command>`."""

import argparse
import signal
import sys
from pathlib import Path

from w2s.core import arithmetic
from w2s.core.errors import ends_in_one_line
from w2s.pipeline import ending, grids
from w2s.pipeline.ending import Stopped
from w2s.results import claims, verdict


def main() -> int:
    """Run the command named on the command line; its exit code."""
    arguments = _parser().parse_args()
    sys.path.insert(0, str(Path.cwd()))  # for stages/, which is in no package; `python -m` does so, the script not
    if arguments.run is not _reproduce:
        # A reader that goes, say `head`, ends these in silence; a run, joined to its processes by pipes, it must not.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return ends_in_one_line(lambda: arguments.run(arguments))
    except Stopped as stop:
        print(stop, file=sys.stderr)
        return stop.code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    """A command's `run` takes the parsed arguments and returns its exit code, or None for 0."""
    parser = argparse.ArgumentParser(prog="w2s", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    jobs = argparse.ArgumentParser(add_help=False)
    jobs.add_argument(
        "-j", "--jobs", type=_count, help="stages at the same time (default: one for each NVIDIA GPU, without any 2)"
    )

    command = commands.add_parser("reproduce", parents=[jobs], help="bring every stage up to date, several at a time")
    command.add_argument("-g", "--grid", type=Path, help="first put this file's grid into params.yaml")
    command.add_argument(
        "--cluster",
        metavar="WHERE",
        help="run stages on the workers of a Dask cluster: the address of its scheduler, local:N or slurm:FILE",
    )
    command.set_defaults(run=_reproduce)

    command = commands.add_parser(
        "cost", parents=[jobs], help="list what is cached and what will run, with its FLOPs, memory and time here"
    )
    command.set_defaults(run=_cost)

    command = commands.add_parser("status", help="count by kind of stage what is done, cached, to run, running, failed")
    command.set_defaults(run=_status)

    command = commands.add_parser("verdict", help="show the results and whether they are the committed ones")
    command.set_defaults(run=_verdict)

    command = commands.add_parser("claims", help="show which of the paper's claims hold in the results")
    command.set_defaults(run=lambda _: claims.show())

    command = commands.add_parser("readme", help="write the committed reports' numbers into README.md")
    command.set_defaults(run=_readme)
    return parser


def _count(text: str) -> int:
    return max(1, int(text))


def _reproduce(arguments: argparse.Namespace) -> None:
    with ending.stoppable(), ending.alone():
        from w2s.pipeline import schedule  # raises `UserError` where DVC is not the one it knows

        if arguments.grid:
            grids.put(arguments.grid)
        if arguments.cluster:
            from w2s.pipeline import cluster

            cluster.reproduce(arguments.cluster)
        else:
            schedule.reproduce(arguments.jobs)


def _verdict(_: argparse.Namespace) -> int:
    from w2s.report.environment import environment

    arithmetic.pin([])  # as the stages do
    return verdict.run(environment())


def _status(_: argparse.Namespace) -> None:
    from w2s.pipeline import status  # likewise

    status.show()


def _readme(_: argparse.Namespace) -> None:
    from w2s.report import readme

    readme.write(Path("README.md"))


def _cost(arguments: argparse.Namespace) -> None:
    from w2s.pipeline.cost import listing  # likewise

    listing.run(arguments.jobs)


if __name__ == "__main__":
    sys.exit(main())
