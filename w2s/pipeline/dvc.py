"""All that w2s asks of DVC's Python interface, much of which is private: beside `remote` no other module imports it.

It was checked against one version of DVC and refuses others by name, since a private function may change its meaning
without a word. After an upgrade: run tests/pipeline, then set `CHECKED`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dpath
import dvc
import psutil

from w2s.core.checks import FROZEN
from w2s.core.errors import UserError
from w2s.core.files import atomic

KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # exit codes, the latter by way of a shell
DYING = 3  # seconds within which the processes of a killed run have ended
CHECKED = "3.67.1"
if dvc.__version__ != CHECKED:
    raise UserError(f"DVC is {dvc.__version__}, but w2s.pipeline.dvc was checked against {CHECKED}: install that")
try:
    from dvc.dependency import Dependency, ParamsDependency
    from dvc.dvcfile import LOCK_FILE, PROJECT_FILE, load_file
    from dvc.exceptions import DvcException
    from dvc.lock import make_lock
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK
    from dvc.stage import PipelineStage as Stage
    from dvc.stage import run as stage_run
    from dvc.stage.exceptions import StageCmdFailedError
    from dvc.stage.serialize import to_single_stage_lockfile
    from dvc.utils.serialize import dump_yaml, load_path, load_yaml, modify_yaml
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.db.local import LocalHashFileDB
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.meta import Meta
    from dvc_data.hashfile.tree import Tree
except (ImportError, AttributeError) as error:
    raise UserError(f"DVC {CHECKED} is not whole, install it again ({error})") from None

__all__ = ["Dependency", "DvcException", "Output", "Repo", "Stage"]

CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
Key = tuple[str, ...]  # a place in a folder


@contextmanager
def opened() -> Iterator[Repo]:
    """The repository here. DVC's own errors become a `UserError`."""
    if CONFLICT.search(Path(LOCK_FILE).read_text(encoding="utf-8") if Path(LOCK_FILE).is_file() else ""):
        raise UserError(
            f"{LOCK_FILE} holds a merge conflict: take one side whole (`git checkout --ours {LOCK_FILE}`), then rerun: "
            "stages that differ come from the run cache or are computed anew"
        )
    try:
        with Repo(_wait_for_lock=True) as repo:
            yield repo
    except DvcException as error:
        found = " ".join(str(error).split())
        advice = "; `git init` makes it one, or `dvc config --local core.no_scm true` lets it be without"
        raise UserError(found + (advice if found.endswith("is not a git repository") else "")) from None


def stages(repo: Repo) -> dict[str, Stage]:
    """All stages that run something, by name, in the order of dvc.yaml."""
    return {stage.addressing: stage for stage in repo.index.stages if stage.cmd}


def upstream(repo: Repo) -> dict[str, set[str]]:
    """The names of the stages that each stage waits for, directly; stages in the order of dvc.yaml."""
    graph = repo.index.graph
    return {
        name: {before.addressing for before in graph.successors(stage) if before.cmd}
        for name, stage in stages(repo).items()
    }


# Running


class KilledError(StageCmdFailedError):
    """A stage's command that was ended by signal 9."""


class Runner:
    """Brings single stages up to date as `dvc repro --single-item` does, with dvc.yaml and dvc.lock read once.

    What the cache holds is compared with its hash before it is used, since DVC trusts every file that is read-only.
    """

    def __init__(self, repo: Repo) -> None:
        LocalHashFileDB.check = HashFileDB.check  # type: ignore[method-assign]
        self.repo = repo
        known = load_file(repo, PROJECT_FILE).stages

        def collect(name: str, **_: object) -> list[Stage]:
            stage = known[name]
            for dep in stage.params:
                dep.fs_path = os.environ.get(FROZEN, dep.fs_path)
            return [stage]

        repo.stage.collect = collect
        self.stages = known

    def run(self, name: str) -> dict[str, Any] | None:
        """The stage's new entry for dvc.lock, or None if it was up to date. Raises `DvcException`."""
        done = self.repo.reproduce([name], single_item=True, repro_fn=lambda stage, **how: stage.reproduce(**how))
        return to_single_stage_lockfile(done[0]) if done else None


def run_commands_by(execute: Callable[[str, Mapping[str, str]], int]) -> None:
    """Let `execute(command, environment)` run every stage's command from here on, in place of a shell.

    What it returns is the exit code.
    """

    def run(_: str | None, command: str, *, env: Mapping[str, str], **__: Any) -> None:
        code = execute(command, env)
        if code:
            raise (KilledError if code in KILLED else StageCmdFailedError)(command, code)

    if not hasattr(stage_run, "_run"):
        raise UserError(f"DVC {CHECKED} is not whole, install it again (dvc.stage.run has no _run)")
    stage_run._run = run


def release_locks(repo: Repo) -> None:
    """Remove what killed processes left in DVC's list of who reads and writes what; `UserError` if one is alive."""
    path = Path(repo.tmp_dir, RWLOCK_FILE)
    deadline = time.monotonic() + DYING
    while holders := _alive(path):
        if time.monotonic() > deadline:
            process, command = holders.popitem()
            raise UserError(f"process {process} ({command}) already runs here; wait for it to end, or stop it")
        time.sleep(0.1)
    with make_lock(
        str(path.with_name(RWLOCK_LOCK)), tmp_dir=repo.tmp_dir, hardlink_lock=repo.config["core"]["hardlink_lock"]
    ):
        path.unlink(missing_ok=True)


def _alive(path: Path) -> dict[int, str]:
    """The commands of the processes that hold something by this file, without those that are gone."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        written = path.stat().st_mtime
    except FileNotFoundError:
        return {}
    except ValueError:
        # Its writer was killed within.
        return {}
    infos = [*held.get("write", {}).values(), *chain.from_iterable(held.get("read", {}).values())]
    return {info["pid"]: info["cmd"] for info in infos if _is_alive(info["pid"], written)}


def _is_alive(process: int, noted: float) -> bool:
    """Whether the process that had this number then still runs, and not another that has its number now."""
    try:
        found = psutil.Process(process)
        return found.status() != psutil.STATUS_ZOMBIE and found.create_time() <= noted
    except psutil.NoSuchProcess:
        return False


def record(repo: Repo, entries: Mapping[str, dict[str, Any]]) -> None:
    """Put entries into dvc.lock; those that dvc.yaml has stand in its order, whatever ran when, then the others."""
    with repo.lock:
        lock: dict[str, Any] = load_yaml(LOCK_FILE) if Path(LOCK_FILE).exists() else {"schema": "2.0"}
        before = lock.get("stages", {})
        recorded = before | entries
        order = [*dict.fromkeys([*(name for name in stages(repo) if name in recorded), *recorded])]
        if entries or order != [*before]:
            lock["stages"] = {name: recorded[name] for name in order}
            with atomic(Path(LOCK_FILE)) as temporary:
                dump_yaml(str(temporary), lock)


# Looking ahead


@dataclass(frozen=True)
class Content:
    """What a path holds, or will hold: the hash of a file, or of a folder and of all files in it."""

    hash_info: HashInfo
    made: Output | None = None  # whose folder this is, if dvc.lock or the run cache says so
    tree: Tree | None = None  # of a folder that was put together here

    @classmethod
    def folder(cls, files: Mapping[Key, HashInfo]) -> Content:
        """A folder by its files' hashes."""
        tree = Tree()
        for key, found in files.items():
            tree.add(key, None, found)
        tree.digest()
        return cls(tree.hash_info, tree=tree)

    @classmethod
    def written(cls, folder: Path) -> Content:
        """What a folder anywhere holds now."""
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return cls.folder({path.relative_to(folder).parts: hash_of(path) for path in paths})

    @cached_property
    def files(self) -> dict[Key, HashInfo]:
        """The hashes of a folder's files by their places in it; a file's own place is ()."""
        if not self.hash_info.isdir:
            return {(): self.hash_info}
        if self.made and not self.made.use_cache:
            return self.written(Path(self.made.fs_path)).files
        tree = Tree.load(self.made.cache, self.hash_info) if self.made else self.tree
        return {key: found for key, _, found in tree or ()}

    def inside(self, place: Key) -> Content | None:
        """What lies at a place in this folder, or None."""
        if not place:
            return self
        if place in self.files:
            return Content(self.files[place])
        below = {key[len(place) :]: found for key, found in self.files.items() if key[: len(place)] == place}
        return Content.folder(below) if below else None


def hash_of(path: Path) -> HashInfo:
    """The hash that DVC gives a file."""
    return HashInfo("md5", hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())


def reads_params(dep: Dependency) -> bool:
    """Whether a dependency is on values of params.yaml, and not on a file."""
    return isinstance(dep, ParamsDependency)


def foresee(dep: Dependency, content: Content) -> None:
    """Let a dependency have this content, whatever its file holds now or whether there is one."""
    dep.hash_info = content.hash_info
    dep.meta = Meta()


def foresee_params(dep: Dependency, values: dict[str, Any]) -> None:
    """Let a dependency on parameters see these."""
    found = {key: dpath.get(values, key, separator=".", default=None) for key in dep.params}
    dep.hash_info = HashInfo(dep.PARAM_PARAMS, found)  # type: ignore[arg-type]


def in_workspace(dep: Dependency) -> Content:
    """What lies at a dependency's path now. Raises `DvcException` or `OSError`."""
    dep.save()
    return Content(dep.hash_info, tree=dep.obj if dep.hash_info.isdir else None)


def entry_of(stage: Stage) -> dict[str, Any]:
    """A stage as dvc.lock has it."""
    return to_single_stage_lockfile(stage)


def is_recorded(stage: Stage) -> bool:
    """Whether dvc.lock has an entry for all that this stage makes."""
    return all(out.hash_info for out in stage.outs)


def load_params(repo: Repo, path: str) -> Any:
    """A parameter file as DVC reads it, or as it was when the run began."""
    return load_path(os.environ.get(FROZEN, path), repo.fs)


def run_cached(repo: Repo, stage: Stage, same: bool) -> list[Output]:
    """The outputs that DVC would bring back instead of running a stage; none if it would run.

    `same`: nothing that the stage depends on differs from dvc.lock.
    """
    for dep in stage.deps:
        dep.get_hash = lambda dep=dep: dep.hash_info  # as foreseen: its file may not be there yet
    runs = repo.stage_cache
    entry = to_single_stage_lockfile(stage) if same else runs._load(stage)
    kept = runs._create_stage(entry, wdir=stage.wdir) if entry else None
    return kept.outs if kept and kept.outs_cached() else []


# How long it takes


def seconds_to_record(stages: Sequence[Stage], sampled: int) -> float:
    """Seconds to write a dvc.lock in which all these stages stand, by one of `sampled` of them."""
    entries = {}
    for stage in stages[:: -(-len(stages) // sampled)]:
        paths = [item.def_path for item in [*stage.deps, *stage.outs] if not reads_params(item)]
        deps = [{"path": path, "hash": "md5", "md5": "0" * 32, "size": 0} for path in paths]
        params = {dep.def_path: dep.hash_info.value for dep in stage.params}
        entries[stage.name] = {"cmd": stage.cmd, "deps": deps, "params": params}
    with TemporaryDirectory() as folder:
        path = f"{folder}/dvc.lock"
        dump_yaml(path, {"schema": "2.0", "stages": entries})
        start = time.perf_counter()
        with modify_yaml(path) as data:
            data["stages"] |= entries
        return (time.perf_counter() - start) * len(stages) / len(entries)
