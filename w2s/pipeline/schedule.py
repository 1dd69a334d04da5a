"""Reproduces the whole pipeline on several cores at once.

DVC runs one stage at a time, but lets several processes share a workspace. A stage starts as soon as all that it
depends on is done and a process is free (`workers`). Only this process writes dvc.lock, in the end: what is computed,
locked and cached is what `dvc repro` alone would have made. With GPUs, each stage has one to itself, or as many as it
has processes.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from graphlib import TopologicalSorter
from multiprocessing import get_context
from tempfile import NamedTemporaryFile
from typing import Any

from tqdm import tqdm

from w2s.core import checks
from w2s.core.errors import UserError
from w2s.core.params import PARAMS
from w2s.pipeline import commands, dvc, workers
from w2s.pipeline.slots import slots

Entries = dict[str, dict[str, Any]]  # of dvc.lock, by stage
Done = tuple[dict[str, Any] | None, float]  # what `workers.run` returns


def reproduce(jobs: int | None) -> None:
    """Bring every stage up to date, `jobs` at a time (`slots`), and say how long it took.

    Raises `UserError` after showing the failed stage's own last words.
    """
    start = time.perf_counter()
    # DVC would say at length what is wrong there.
    params = checks.load()
    free = slots(jobs)
    with dvc.opened() as repo:
        dvc.release_locks(repo)
        upstream = dvc.upstream(repo)
        items = {name: commands.parsed(stage.cmd)[1] for name, stage in dvc.stages(repo).items()}
    needed = {name: commands.processes(item, params) for name, item in items.items()}
    entries: Entries = {}
    try:
        with frozen_params():
            computing = _run(upstream, needed, free, entries)
    except workers.StageFailedError as error:
        print(error, file=sys.stderr)
        raise UserError("a stage failed; what it said stands above. Finished stages are kept") from None
    except BrokenProcessPool:
        raise UserError(
            "a process was killed, perhaps for want of memory: try --jobs 1. Finished stages are kept"
        ) from None
    finally:
        with dvc.opened() as repo:
            dvc.record(repo, entries)
    print(*duration(time.perf_counter() - start, computing, len(free)), sep="\n")


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


def _run(upstream: dict[str, set[str]], needed: dict[str, int], free: list[str], entries: Entries) -> float:
    """Run all stages, each after those it depends on; the sum of their seconds of training and prediction.

    A stage takes as many of the slots in `free` as it `needed`, or all. Fills `entries` as they finish, whatever
    happens.
    """
    free = free.copy()
    jobs = len(free)
    computing = 0.0
    sorter = TopologicalSorter(upstream)
    sorter.prepare()
    running: dict[Future[Done], str] = {}
    waiting: deque[str] = deque()
    taken: dict[str, list[str]] = {}

    def start(name: str) -> None:
        taken[name] = [free.pop(0) for _ in range(min(needed[name], jobs))]
        running[pool.submit(workers.run, name, ",".join(filter(None, taken[name])))] = name

    def collect(future: Future[Done]) -> None:
        nonlocal computing
        name = running.pop(future)
        free.extend(taken.pop(name))
        entry, seconds = future.result()
        computing += seconds
        if entry:
            entries[name] = entry
        sorter.done(name)
        bar.set_postfix_str(name)
        bar.update()

    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=workers.start)
    with tqdm(total=len(upstream), desc="reproduce", unit="stage", dynamic_ncols=True, smoothing=0.1) as bar:
        try:
            while sorter.is_active():
                waiting.extend(sorter.get_ready())
                while waiting and min(needed[waiting[0]], jobs) <= len(free):
                    start(waiting.popleft())
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    collect(future)
        finally:
            pool.shutdown(cancel_futures=True)
            for future in [future for future in running if not future.cancelled() and not future.exception()]:
                collect(future)
    return computing
