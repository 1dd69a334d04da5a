"""The process in a workspace of `machine`: fetches what a stage takes, runs it, sends what it made.

Its argument is the number of the connection by which jobs come; its input closes when it is to end.
"""

import sys
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from w2s.core.errors import UserError
from w2s.pipeline import dvc, remote, workers
from w2s.pipeline.machine import Job, git


def main() -> None:
    """Answer jobs until the worker ends."""
    jobs: Connection[Any, Any] = Connection(int(sys.argv[1]))
    runner = workers.start()
    dvc.release_locks(runner.repo)  # of one that was killed here
    shared = remote.Remote(runner.repo)
    while True:
        job, gpus = jobs.recv()
        try:
            jobs.send(_done(job, gpus, runner.stages, shared))
        except (workers.StageFailedError, UserError) as error:
            jobs.send(error)
        except Exception:  # what the driver would else take for a death
            jobs.send(workers.StageFailedError(traceback.format_exc()))


def _done(job: Job, gpus: str, stages: Mapping[str, dvc.Stage], shared: remote.Remote) -> tuple[dict[str, Any], float]:
    """The stage's entry, and the seconds that it trained and predicted."""
    if found := shared.entry(job.key):
        return found, 0.0
    for folder in job.mixed:
        git("clean", "-fdxq", folder)
    for entry in job.before:
        shared.bring(remote.made(shared.repo, entry))
    new, seconds = workers.run(job.name, gpus)
    entry = new or dvc.entry_of(stages[job.name])
    if remote.key_of(entry) != job.key:
        raise UserError(f"{job.name}: what it was made from here is not what the driver foresaw; it is not kept")
    outs = remote.made(shared.repo, entry)
    remote.keep(outs)
    shared.send(outs.outs)
    shared.record(job.key, entry)
    return entry, seconds


if __name__ == "__main__":
    main()
