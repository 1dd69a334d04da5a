"""The DVC remote that several machines share: results of single stages, and what each was made from.

A stage that has ended has its outputs there as objects, as `dvc push` puts them, and then one small file under `runs`,
named and filled like DVC's run cache, by which every machine knows that it need not run again. DVC itself copies that
folder only as a whole; here a single entry is asked for by its key. Beside `dvc` the only module that asks DVC.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from uuid import uuid4

from dvc.config import Config, RemoteConfigError
from dvc.exceptions import DvcException
from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
from dvc.stage.cache import _get_cache_hash, _get_stage_hash
from dvc.utils.serialize import dump_yaml, parse_yaml

from w2s.core.errors import UserError
from w2s.pipeline.dvc import Output, Repo, Stage

Entry = dict[str, Any]  # of dvc.lock
T = TypeVar("T")
PAUSES = (1, 5, 20)  # seconds before the network is tried again


class Remote:
    """A repository's default remote. Raises `UserError` if there is none, or while it cannot be reached."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        try:
            self.place = repo.cloud.get_remote(None, "push")
        except RemoteConfigError as error:
            raise UserError(
                f"machines share results by a DVC remote: `dvc remote add -d NAME URL`, and commit that ({error})"
            ) from None
        except DvcException as error:
            raise UserError(f"the DVC remote cannot be opened: {' '.join(str(error).split())}") from None

    def lacks(self, outs: Iterable[Output]) -> set[str]:
        """The hashes among those of these outputs that are not there. A folder is there when all its files are."""
        wanted = {out.hash_info.value for out in outs}
        return wanted - set(self._tried(lambda: list(self.place.odb.oids_exist(list(wanted)))))

    def send(self, outs: Iterable[Output]) -> None:
        """Copy outputs from the cache; what is there already is not sent again."""
        objects = _objects(outs)
        if objects and self._tried(lambda: self.repo.cloud.push(objects)).failed:
            raise UserError(f"{self}: could not be written to")

    def bring_listings(self, outs: Iterable[Output]) -> None:
        """Copy into the cache what says which files each folder among these outputs holds, all at once."""
        cache = self.repo.cache.local
        missing = {out.hash_info for out in outs if out.hash_info.isdir and not cache.exists(out.hash_info.value)}
        if missing:
            self._tried(lambda: self.repo.cloud.pull(missing))

    def bring(self, stage: Stage) -> None:
        """Put a stage's outputs into the workspace, from the cache or else from there."""
        if not any(out.workspace_status() for out in stage.outs):
            return
        objects = self._tried(lambda: _objects(stage.outs))
        if self._tried(lambda: self.repo.cloud.pull(objects)).failed or not stage.outs_cached():
            raise UserError(f"{self}: lacks what {stage.cmd} made")
        with self.repo.lock:
            stage.checkout(force=True)

    def entry(self, key: str) -> Entry | None:
        """What a run from these inputs made, or None if none has ended."""

        def read() -> Entry | None:
            fs = self.place.fs
            folder = self._runs(key)
            if not fs.exists(folder):
                return None
            # Two machines that ended at once: the same for everyone who asks.
            first = min(fs.find(folder), default=None)
            if first is None:
                return None
            with fs.open(first, "r", encoding="utf-8") as file:
                found: Entry = COMPILED_LOCK_FILE_STAGE_SCHEMA(parse_yaml(file.read(), first))
                return found

        return self._tried(read)

    def record(self, key: str, entry: Entry) -> None:
        """Say that this run has ended, once its outputs are there."""
        fs = self.place.fs
        with TemporaryDirectory() as folder:
            path = Path(folder, "entry")
            dump_yaml(str(path), entry)
            self.put(path, fs.join(self._runs(key), _get_cache_hash(entry)))

    def forget(self, key: str) -> None:
        """Remove an entry."""
        self._tried(lambda: self.place.fs.remove(self._runs(key), recursive=True))

    def put(self, file: Path, path: str) -> None:
        """Copy a file there, whole or not at all."""
        fs = self.place.fs

        def write() -> None:
            temporary = fs.join(self.place.path, f".{uuid4().hex}.tmp")
            fs.makedirs(fs.parent(path))
            fs.put_file(str(file), temporary)
            fs.move(temporary, path)

        self._tried(write)

    def _runs(self, key: str) -> str:
        path: str = self.place.fs.join(self.place.path, "runs", key[:2], key)
        return path

    def _tried(self, ask: Callable[[], T]) -> T:
        for pause in (*PAUSES, None):
            try:
                return ask()
            except Exception as error:  # each kind of remote has its own
                if pause is None:
                    said = " ".join(str(error).split()) or type(error).__name__
                    raise UserError(f"{self}: cannot be reached ({said})") from None
                time.sleep(pause)
        raise AssertionError

    def __str__(self) -> str:
        return f"DVC remote {self.place.name} ({self.place.fs.unstrip_protocol(self.place.path)})"


def made(repo: Repo, entry: Entry) -> Stage:
    """A stage of dvc.yaml as it was when `entry` was noted, all outputs in DVC's cache, even those git keeps."""
    found: Stage = repo.stage_cache._create_stage(deepcopy(entry), wdir=repo.root_dir)
    return found


def key_of(entry: Entry) -> str:
    """The key of the run cache: a hash of command, inputs and parameters."""
    key: str = _get_cache_hash(deepcopy(entry), key=True)
    return key


def key_foreseen(stage: Stage) -> str:
    """The same of a stage whose dependencies are foreseen (`dvc.foresee`)."""
    for dep in stage.deps:
        dep.get_hash = lambda dep=dep: dep.hash_info
    key: str = _get_stage_hash(stage)
    return key


def keep(stage: Stage) -> bool:
    """Put the outputs of a stage that lie in the workspace as noted into the cache; whether all are there now."""
    for out in stage.outs:
        if out.changed_cache() and out.exists and not out.workspace_status():
            out.commit(relink=False)
    return stage.outs_cached()


def configure(workspace: Path, source: Path) -> None:
    """Let a clone share another's remotes, with what is secret of them, and its cache."""
    with Repo(str(source)) as repo:
        config: Mapping[str, Any] = repo.config
        cache = repo.cache.local_cache_dir
        remotes = {name: dict(remote) for name, remote in config["remote"].items()}
        default = config["core"].get("remote")
    with Config(str(workspace / ".dvc"), validate=False).edit("local") as local:
        local["remote"] = remotes
        local["cache"] = {"dir": cache}
        if default:
            local["core"] = {"remote": default}


def _objects(outs: Iterable[Output]) -> set[Any]:
    return {found for out in outs for objects in out.get_used_objs().values() for found in objects}
