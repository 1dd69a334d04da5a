"""Reproduces the whole pipeline on several cores at once.

DVC runs one stage at a time, but lets several processes share a workspace. A stage starts as soon as all that it
depends on is done and a process is free (`workers`). Only this process writes dvc.lock, in the end: what is computed,
locked and cached is what `dvc repro` alone would have made.
"""

import sys
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from graphlib import TopologicalSorter
from multiprocessing import get_context
from typing import Any

from tqdm import tqdm

from w2s.core.errors import UserError
from w2s.pipeline import dvc, workers

Entries = dict[str, dict[str, Any]]  # of dvc.lock, by stage


def reproduce(jobs: int) -> None:
    """Bring every stage up to date; raises `UserError` after showing the failed stage's own last words."""
    with dvc.opened() as repo:
        upstream = dvc.upstream(repo)
    entries: Entries = {}
    try:
        _run(upstream, jobs, entries)
    except workers.StageFailedError as error:
        print(error, file=sys.stderr)
        raise UserError("a stage failed; what it said stands above. Finished stages are kept") from None
    except BrokenProcessPool:
        raise UserError("a process was killed, perhaps for want of memory. Finished stages are kept") from None
    finally:
        with dvc.opened() as repo:
            dvc.record(repo, entries)


def _run(upstream: dict[str, set[str]], jobs: int, entries: Entries) -> None:
    """Run all stages, each after those it depends on; fills `entries` as they finish, whatever happens."""
    sorter = TopologicalSorter(upstream)
    sorter.prepare()
    running: dict[Future[dict[str, Any] | None], str] = {}

    def collect(future: Future[dict[str, Any] | None]) -> None:
        name = running.pop(future)
        if entry := future.result():
            entries[name] = entry
        sorter.done(name)
        bar.set_postfix_str(name)
        bar.update()

    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=workers.start)
    with tqdm(total=len(upstream), desc="reproduce", unit="stage", dynamic_ncols=True, smoothing=0.1) as bar:
        try:
            while sorter.is_active():
                for name in sorter.get_ready():
                    running[pool.submit(workers.run, name)] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    collect(future)
        finally:
            pool.shutdown(cancel_futures=True)
            for future in [future for future in running if not future.cancelled() and not future.exception()]:
                collect(future)
