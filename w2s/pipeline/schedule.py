"""Reproduces the whole pipeline on several cores or machines at once.

DVC runs one stage at a time, but lets several processes share a workspace. A stage starts as soon as all that it
depends on is done and a process is free (`workers`), or a thread of a Dask cluster (`cluster`). Only this process
writes dvc.lock: what is computed, locked and cached is what `dvc repro` alone would have made. With GPUs, each stage
has one to itself, or as many as it has processes.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from graphlib import TopologicalSorter
from multiprocessing import get_context
from tempfile import NamedTemporaryFile
from typing import Any, Protocol

from tqdm import tqdm

from w2s.core import checks
from w2s.core.errors import UserError
from w2s.core.params import PARAMS
from w2s.pipeline import commands, dvc, progress, workers
from w2s.pipeline.cost.plan import Plan
from w2s.pipeline.slots import slots

JOINED = 1.0  # seconds after which it is asked again whether there is room, as machines may join
Entry = dict[str, Any]  # of dvc.lock
Entries = dict[str, Entry]  # by stage
Done = tuple[Entry | None, float]  # what `workers.run` returns


class Pool(Protocol):
    """Where stages run."""

    def has_room(self, name: str) -> bool:
        """Whether this stage may start now."""

    def start(self, name: str) -> Future[Done]:
        """Run a stage, after which it will be said to be `done`."""

    def done(self, name: str, entry: Entry | None) -> None:
        """Take note that a stage has ended, with a new entry for dvc.lock or none."""

    def close(self) -> None:
        """Start no more, and wait for those that run."""


def reproduce(jobs: int | None) -> None:
    """Bring every stage up to date, `jobs` at a time (`slots`), and say how long it took.

    Raises `UserError` after showing the failed stage's own last words.
    """
    # DVC would say at length what is wrong there.
    params = checks.load()
    free = slots(jobs)
    with dvc.opened() as repo, frozen_params():
        dvc.release_locks(repo)
        upstream, stages = dvc.upstream(repo), dvc.stages(repo)
        needed = {name: commands.processes(commands.parsed(stage.cmd)[1], params) for name, stage in stages.items()}
        done = Plan(repo, params).up_to_date(upstream, stages)
        run(upstream, done, Here(needed, free), lambda entries: dvc.record(repo, entries), len(free))


def run(
    upstream: Mapping[str, set[str]],
    finished: set[str],
    pool: Pool,
    record: Callable[[Entries], None],
    jobs: int,
) -> None:
    """Run stages, each after those it depends on, and let `record` put their entries into dvc.lock, come what may.

    Those that are `finished` are not looked at again.
    Raises `UserError` after showing the failed stage's own last words.
    """
    start = time.perf_counter()
    entries: Entries = {}
    try:
        with progress.noted() as note:
            computing = _run(upstream, finished, pool, entries, note)
    except workers.StageFailedError as error:
        print(error, file=sys.stderr)
        raise UserError("a stage failed; what it said stands above. Finished stages are kept") from None
    except BrokenProcessPool:
        raise UserError(
            "a process was killed, perhaps for want of memory: try --jobs 1. Finished stages are kept"
        ) from None
    finally:
        record(entries)
    print(*duration(time.perf_counter() - start, computing, jobs), sep="\n")


@contextmanager
def frozen_params() -> Iterator[None]:
    """Let every stage and DVC read params.yaml as it is now: what is edited meanwhile belongs to the next run."""
    with NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as copy:  # DVC goes by the suffix
        copy.write(checks.read(PARAMS)[0])
        copy.flush()
        os.environ[checks.FROZEN] = copy.name
        try:
            yield
        finally:
            del os.environ[checks.FROZEN]


def duration(wall: float, computing: float, jobs: int) -> list[str]:
    """How long a run took, beside the training and prediction in it, all in seconds."""
    lines = [f"Reproduced in {wall:.0f} s; training and prediction of all stages that ran: {computing:.0f} s."]
    if computing:
        lines.append(f"With {jobs} at a time that is {wall * jobs / computing:.2f} × (their sum ÷ {jobs}).")
    return lines


class Here:
    """Processes on this machine, each of which takes as many of the slots in `free` as its stage `needed`, or all."""

    def __init__(self, needed: Mapping[str, int], free: list[str]) -> None:
        self.jobs = len(free)
        self.needed = {name: min(count, self.jobs) for name, count in needed.items()}
        self.free = free.copy()
        self.taken: dict[str, list[str]] = {}
        self.processes = ProcessPoolExecutor(self.jobs, mp_context=get_context("spawn"), initializer=workers.start)

    def has_room(self, name: str) -> bool:
        return self.needed[name] <= len(self.free)

    def start(self, name: str) -> Future[Done]:
        self.taken[name] = [self.free.pop(0) for _ in range(self.needed[name])]
        return self.processes.submit(workers.run, name, ",".join(filter(None, self.taken[name])))

    def done(self, name: str, entry: Entry | None) -> None:
        self.free.extend(self.taken.pop(name))

    def close(self) -> None:
        self.processes.shutdown(cancel_futures=True)


def _run(
    upstream: Mapping[str, set[str]], finished: set[str], pool: Pool, entries: Entries, note: progress.Note
) -> float:
    """The sum of all stages' seconds of training and prediction. Fills `entries` as they finish, whatever happens."""
    computing = 0.0
    sorter = TopologicalSorter({name: upstream[name] - finished for name in upstream if name not in finished})
    sorter.prepare()
    running: dict[Future[Done], str] = {}
    waiting: deque[str] = deque()

    def collect(future: Future[Done]) -> None:
        nonlocal computing
        name = running.pop(future)
        note("failed" if future.exception() else "done", name)
        entry, seconds = future.result()
        pool.done(name, entry)
        computing += seconds
        if entry:
            entries[name] = entry
        sorter.done(name)
        bar.set_postfix_str(name, refresh=False)
        bar.update()

    shape = {"total": len(upstream), "initial": len(finished), "dynamic_ncols": True, "smoothing": 0.1}
    with tqdm(desc="reproduce", unit="stage", **shape) as bar:
        try:
            while sorter.is_active():
                waiting.extend(sorter.get_ready())
                while waiting and pool.has_room(waiting[0]):
                    name = waiting.popleft()
                    note("running", name)
                    running[pool.start(name)] = name
                for future in wait(running, JOINED, FIRST_COMPLETED).done:
                    collect(future)
        finally:
            pool.close()
            for future in [future for future in running if future.done() and not future.cancelled()]:
                if future.exception():
                    note("failed", running[future])
                else:
                    collect(future)
    return computing
