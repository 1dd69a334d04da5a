"""Runs the pipeline on many machines: the scheduler of `schedule`, with the workers of a Dask cluster for processes.

The driver decides from what a stage will depend on whether it is done, by dvc.lock or by what any machine has put into
the DVC remote (`remote`); what is not, a worker runs in a workspace of its own (`machine`). Only the driver writes
dvc.lock. It keeps nothing that the next one would lack: whatever ends it, that one goes on from the remote.
"""

import logging
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from w2s.core import checks
from w2s.core.errors import UserError
from w2s.core.params import PARAMS, Params
from w2s.pipeline import commands, dvc, machine, schedule
from w2s.pipeline.cost.plan import Plan
from w2s.pipeline.machine import Experiment, Job
from w2s.pipeline.remote import Remote, keep, key_foreseen, made
from w2s.pipeline.workers import StageKilledError

try:
    import distributed
except ImportError:
    raise UserError("--cluster needs Dask: pip install 'w2s[cluster]'") from None

DEATHS = 3  # of one stage, on whatever machines, that end the run
FLUSH = 60  # seconds after which dvc.lock is written amid a run, or twenty times as long as that takes
COMING = 60  # seconds within which a worker has come to a cluster that is already there
GONE = "the Dask scheduler has gone; start it and its workers, then run this again: finished stages are kept"
GPU = "GPU"  # the resource, as `dask worker --resources GPU=1` names it


def reproduce(where: str) -> None:
    """Bring every stage up to date on a cluster (`connected`), and say how long it took. Raises `UserError`."""
    params = checks.load()
    experiment = Experiment(machine.git("rev-parse", "HEAD"), checks.read(PARAMS)[0], machine.versions())
    with dvc.opened() as repo, schedule.frozen_params():
        dvc.release_locks(repo)
        remote = Remote(repo)
        _require_committed(repo)
        with connected(where) as client:
            offered = _require_fit(client, experiment, remote)
            gpus = _gpus(dvc.stages(repo), params, offered)
            pool = Cluster(client, experiment, repo, params, remote, gpus)
            upstream = dvc.upstream(repo)
            schedule.run(upstream, pool.finished(upstream), pool, pool.record, sum(client.nthreads().values()))
            pool.bring_back()


# What there is


@contextmanager
def connected(where: str) -> Iterator[distributed.Client]:
    """A client of the cluster at an address, of `local:N` workers here, or of Slurm jobs as `slurm:FILE` describes.

    Raises `UserError`.
    """

    # Each death of a worker is told to us, who count them. The scheduler need not have this package: what is defined
    # inside of a function is sent whole.
    def tell_of_deaths(dask_scheduler: Any) -> None:
        dask_scheduler.allowed_failures = 0

    kind, _, rest = where.partition(":")
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel("CRITICAL")  # what becomes of the cluster is said here
    with ExitStack() as stack:
        try:
            cluster: Any = where
            if kind == "local":
                cluster = distributed.LocalCluster(
                    n_workers=_count(rest), threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL"
                )
                stack.callback(cluster.close)
            elif kind == "slurm":
                cluster = _slurm(Path(rest))
                stack.callback(cluster.close)
            client = stack.enter_context(distributed.Client(cluster, timeout=10, set_as_default=False))
            client.run_on_scheduler(tell_of_deaths)
        except (OSError, ValueError) as error:
            said = " ".join(str(error).split())
            raise UserError(
                f"--cluster {where}: no Dask scheduler there (`dask scheduler` starts one): {said}"
            ) from None
        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
        try:
            client.wait_for_workers(1, timeout=None if kind == "slurm" else COMING)
        except TimeoutError:
            raise UserError(f"{where}: no worker has come; on each machine: dask worker {where}") from None
        yield client


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise UserError(f"--cluster local:{text}: a number of workers is expected, as in local:2")
    return int(text)


def _slurm(file: Path) -> Any:
    """As many Slurm jobs as `jobs` says, each a worker; those that reach their time limit are replaced."""
    from dask_jobqueue import SLURMCluster

    if not shutil.which("sbatch"):
        raise UserError("--cluster slurm: sbatch is not here; run this where jobs are submitted")
    try:
        options = yaml.safe_load(file.read_text(encoding="utf-8"))
        jobs = options.pop("jobs")
        cluster = SLURMCluster(**options)
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{file}: expected are `jobs` and what dask_jobqueue.SLURMCluster takes ({type(error).__name__}: {error})"
        ) from None
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def _require_committed(repo: dvc.Repo) -> None:
    """Refuse what workers, who have the commit and the parameters, would not have."""
    outs = [Path(out.fs_path).relative_to(repo.root_dir) for stage in repo.index.stages for out in stage.outs]
    listed = machine.git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all").split("\0")
    for path in (Path(line[2:].strip()) for line in listed if line):
        if path not in (Path(PARAMS), Path("dvc.lock")) and not any(path.is_relative_to(out) for out in outs):
            raise UserError(f"{path}: not committed, and so no worker has it as it is here")


def _require_fit(client: distributed.Client, experiment: Experiment, remote: Remote) -> int:
    """Refuse workers that cannot take part; the largest number of GPUs that one has."""
    probe = uuid4().hex
    remote.record(probe, {"cmd": f"asked by {os.uname().nodename}"})
    try:
        faults = [found for found in client.run(machine.fault, experiment, probe).values() if found]
    finally:
        remote.forget(probe)
    if faults:
        more = f"; {len(faults) - 1} other workers, too" if faults[1:] else ""
        raise UserError(faults[0] + more)
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return max(int(worker["resources"].get(GPU, 0)) for worker in workers)


def _gpus(stages: dict[str, dvc.Stage], params: Params, offered: int) -> dict[str, int]:
    """How many GPUs each stage takes: those that compute with a model one a process, if any worker has some."""
    found = {}
    for name, stage in stages.items():
        item = commands.parsed(stage.cmd)[1]
        uses = {"model", "weak", "strong"}.intersection(item) and offered
        found[name] = commands.processes(item, params) if uses else 0
        if found[name] > offered:
            raise UserError(
                f"{name} takes {found[name]} GPUs (finetune.processes), and no worker has more than {offered}"
            )
    return found


# Running


class Known(Plan):
    """What stages will have, where nothing counts but the commit and the outputs of stages."""

    def _lies_there(self, dep: dvc.Dependency) -> dvc.Content:
        folder = Path(dep.fs_path)
        if not folder.is_dir():
            return super()._lies_there(dep)
        tracked = machine.git("ls-files", "-z", "--", str(folder)).split("\0")
        paths = [Path(self.repo.root_dir, name) for name in tracked if name]
        return dvc.Content.folder({path.relative_to(folder).parts: dvc.hash_of(path) for path in paths})


class Cluster:
    """Where stages run: a `schedule.Pool`."""

    def __init__(
        self,
        client: distributed.Client,
        experiment: Experiment,
        repo: dvc.Repo,
        params: Params,
        remote: Remote,
        gpus: dict[str, int],
    ) -> None:
        self.client, self.experiment, self.repo, self.remote, self.gpus = client, experiment, repo, remote, gpus
        self.stages = dvc.stages(repo)
        self.plan = Known(repo, params)
        self.entries = {name: dvc.entry_of(stage) for name, stage in self.stages.items() if dvc.is_recorded(stage)}
        self.running: dict[str, Future[schedule.Done]] = {}
        self.tasks: dict[str, distributed.Future] = {}  # held, as Dask stops what nobody holds
        self.deaths: Counter[str] = Counter()
        self.fresh: schedule.Entries = {}  # not yet in dvc.lock
        self.new: set[str] = set()
        self.due = time.monotonic() + FLUSH
        self.shared = self._share()

    def _share(self) -> set[str]:
        """Those of the recorded stages whose outputs are in the remote, after those that are only here were sent."""
        recorded = {name: self._made(name) for name in self.entries}
        missing = self.remote.lacks(out for stage in recorded.values() for out in stage.outs)
        lacking = {
            name for name, stage in recorded.items() if any(out.hash_info.value in missing for out in stage.outs)
        }
        here = {name for name in lacking if keep(recorded[name])}
        self.remote.send(out for name in here for out in recorded[name].outs)
        shared = recorded.keys() - lacking | here
        self.remote.bring_listings(out for name in shared for out in recorded[name].outs)
        return shared

    def finished(self, upstream: Mapping[str, set[str]]) -> set[str]:
        """The stages that need not run, by dvc.lock, and all before them neither."""
        done: set[str] = set()
        for name in TopologicalSorter(upstream).static_order():
            if name in self.shared and upstream[name] <= done and self.plan.foresee(self.stages[name])[1]:
                self._note(name)
                done.add(name)
        return done

    def has_room(self, name: str) -> bool:
        try:
            return len(self.running) < max(1, sum(self.client.nthreads().values()))
        except OSError:
            raise UserError(GONE) from None

    def start(self, name: str) -> Future[schedule.Done]:
        """Run a stage, unless it has an entry in dvc.lock or in the remote for what it will depend on."""
        stage = self.stages[name]
        known, same = self.plan.foresee(stage)
        if not known:
            raise UserError(f"{name}: one of its dependencies is no output of a stage, and is not here")
        future: Future[schedule.Done] = Future()
        if same and name in self.shared:
            self._note(name)
            future.set_result((None, 0.0))
            return future
        key = key_foreseen(stage)
        if entry := self.remote.entry(key):
            future.set_result((entry, 0.0))
            return future
        upstream = [before for before in self.plan.upstream(stage) if before.cmd]
        outs = [Path(out.fs_path) for before in upstream for out in before.outs]
        mixed = {dep.def_path for dep in stage.deps for out in outs if Path(dep.fs_path) in out.parents}
        before = tuple(self.entries[one.addressing] for one in upstream)
        self.running[name] = future
        self._submit(Job(name, key, before, tuple(sorted(mixed)), self.gpus[name]), future)
        return future

    def _submit(self, job: Job, future: Future[schedule.Done]) -> None:
        resources = {GPU: job.gpus} if job.gpus else None
        running = self.client.submit(
            machine.run, self.experiment, job, key=f"{job.name}-{uuid4().hex}", resources=resources, pure=False
        )
        self.tasks[job.name] = running

        def ended(running: distributed.Future) -> None:
            if running.status == "cancelled":
                future.set_exception(UserError(GONE))
                return
            error = running.exception()
            if isinstance(error, StageKilledError | distributed.scheduler.KilledWorker):
                self.deaths[job.name] += 1
                if self.deaths[job.name] < DEATHS:
                    self._submit(job, future)
                    return
                error = StageKilledError(
                    f"{error}\nerror: {job.name} was killed {DEATHS} times, and is not tried again"
                )
            if error:
                future.set_exception(error)
            else:
                future.set_result(running.result())

        running.add_done_callback(ended)

    def done(self, name: str, entry: schedule.Entry | None) -> None:
        self.running.pop(name, None)
        self.tasks.pop(name, None)
        if not entry:
            return
        self.entries[name] = self.fresh[name] = entry
        self.new.add(name)
        self._note(name)
        if time.monotonic() > self.due:
            start = time.monotonic()
            self.record(self.fresh)
            self.fresh = {}
            self.due = time.monotonic() + max(FLUSH, 20 * (time.monotonic() - start))

    def _note(self, name: str) -> None:
        """Let the plan know what the stage has made."""
        for out in self._made(name).outs:
            self.plan.outputs[Path(out.fs_path)] = dvc.Content(out.hash_info, out)
            if out.hash_info.isdir:
                out.get_dir_cache()

    def record(self, entries: schedule.Entries) -> None:
        """Put entries into dvc.lock."""
        dvc.record(self.repo, entries)

    def close(self) -> None:
        """Wait for what runs, but not when stopped: workers stop what no client waits for."""
        if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
            wait(self.running.values())

    def bring_back(self) -> None:
        """Put into the workspace what git keeps of what was made."""
        for name in self.new:
            if any(not out.use_cache for out in self.stages[name].outs):
                self.remote.bring(self._made(name))

    def _made(self, name: str) -> dvc.Stage:
        """A stage as its entry has it, all outputs in DVC's cache."""
        stage = self.stages[name]
        # To make each of thousands anew takes longer than all the rest.
        is_so = name not in self.new and all(out.use_cache for out in stage.outs)
        return stage if is_so else made(self.repo, self.entries[name])
