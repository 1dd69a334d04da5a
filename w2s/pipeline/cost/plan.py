"""What `dvc repro` would do now, stage by stage, found without doing it and without changing the workspace.

`dvc status` and `dvc repro --dry` judge each stage by the files of this moment, and so misjudge one that comes after
another that has yet to run. Here the outputs that a stage will have are handed on to the stages after it: as they are
kept, as DVC's run cache brings them back or, of stages whose outputs are cheap to tell, as computed here.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cache, cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from w2s.core import files
from w2s.core.params import Params
from w2s.pipeline import dvc

CHECK = "python -m stages.check"  # writes the same bytes whatever the parameters
CODE = "python -m stages.code"
METHOD = "python -m stages.method"


class Status(Enum):
    """What the next `dvc repro` does with a stage."""

    KEPT = "up to date"
    CACHED = "cached"
    RUN = "to run"


class Plan:
    """Tells what becomes of stages; to be asked in an order in which they could run."""

    def __init__(self, repo: dvc.Repo, params: Params) -> None:
        self.repo = repo
        self.params = params
        self.upstream = repo.index.graph.successors
        self.outputs: dict[Path, dvc.Content | None] = {}  # that stages will have; None: only a run will tell
        self.workspace: dict[Path, dvc.Content] = {}  # of files that no stage makes
        self.locked: dict[str, list[Any]] = {}  # hashes of the dependencies of each stage, by dvc.lock
        self.recorded: set[str] = set()  # stages to run that dvc.lock knows, and whose outputs are not here
        self.values = cache(lambda path: dvc.load_params(repo, path))

    def up_to_date(self, upstream: Mapping[str, set[str]], stages: Mapping[str, dvc.Stage]) -> set[str]:
        """The stages that are done, with all before them."""
        done: set[str] = set()
        for name in TopologicalSorter(upstream).static_order():
            stage = stages[name]
            if upstream[name] <= done and self.foresee(stage)[1] and self._is_kept(stage):
                self._note(stage, self._contents(stage.outs))
                done.add(name)
        return done

    def statuses(self, upstream: Mapping[str, set[str]], stages: Mapping[str, dvc.Stage]) -> dict[str, Status]:
        """What becomes of every stage."""
        return {name: self.status(stages[name]) for name in TopologicalSorter(upstream).static_order()}

    def status(self, stage: dvc.Stage) -> Status:
        """What becomes of this stage, given what becomes of those before it."""
        known, same = self.foresee(stage)
        if same and self._is_kept(stage):
            status = Status.KEPT
            outputs = self._contents(stage.outs)
        elif known and (restored := dvc.run_cached(self.repo, stage, same)):
            status = Status.CACHED
            outputs = self._contents(restored)
        else:
            status = Status.RUN
            # The same inputs make the same bits, so a run that repeats a recorded one is no surprise.
            outputs = self._contents(stage.outs) if same or stage.cmd == CHECK else self._computed(stage)
            if same:
                self.recorded.add(stage.addressing)
        self._note(stage, outputs)
        return status

    def _is_kept(self, stage: dvc.Stage) -> bool:
        """Whether a stage need not run whose dependencies are those of dvc.lock."""
        return not (stage.always_changed or stage.is_callback or any(out.status() for out in stage.outs))

    def _note(self, stage: dvc.Stage, outputs: Mapping[Path, dvc.Content | None]) -> None:
        self.outputs |= {Path(out.fs_path): outputs.get(Path(out.fs_path)) for out in stage.outs}

    def foresee(self, stage: dvc.Stage) -> tuple[bool, bool]:
        """Let its dependencies have what they will: whether all are known, and whether none differs from dvc.lock."""
        # What is foreseen takes the place of what dvc.lock says, also for whoever asks again.
        locked = self.locked.setdefault(stage.addressing, [dep.hash_info for dep in stage.deps])
        known = all([self._foresee(dep, stage) for dep in stage.deps])
        return known, known and not stage.cmd_changed and locked == [dep.hash_info for dep in stage.deps]

    def _contents(self, outs: list[dvc.Output]) -> dict[Path, dvc.Content | None]:
        """What these hold by dvc.lock or the run cache; of one that git keeps, if it lies there now."""
        return {
            Path(out.fs_path): dvc.Content(out.hash_info, out)
            if out.hash_info and (out.use_cache or not out.status())
            else None
            for out in outs
        }

    @cached_property
    def _fingerprints(self) -> dict[str, dict[str, Any]]:
        from stages.code import fingerprints

        return fingerprints(self.params, Path(self.repo.root_dir))

    def _computed(self, stage: dvc.Stage) -> dict[Path, dvc.Content | None]:
        """The output of a stage that need not be run to tell, by its path; of other stages, nothing."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            if stage.cmd == CODE:
                from stages.code import write

                write(self._fingerprints, folder)
                return {Path(stage.outs[0].fs_path): dvc.Content.written(folder)}
            if stage.cmd.startswith(METHOD):
                setting, method, seed = stage.cmd.split()[-3:]
                return {Path(stage.outs[0].fs_path): self._pinned(setting, method, int(seed), folder)}
        return {}

    def _pinned(self, setting: str, method: str, seed: int, folder: Path) -> dvc.Content | None:
        """What stage `method` will write: for this it needs but the base models that labels pass through."""
        from stages.method import pinned  # imports torch

        code = {name: self._fingerprints[name] for name in (f"settings/{setting}", f"students/{method}")}
        content = pinned(self.params, setting, method, code)
        files.write_json(folder / "method.json", content)
        found = dvc.Content.written(folder).files
        for model in content["base_models"]:
            base = self.outputs.get(Path(self.repo.root_dir) / files.bases(seed) / model)
            if base is None:
                return None
            found |= {(model, *key): hashed for key, hashed in base.files.items() if "loss.parquet" not in key}
        return dvc.Content.folder(found)

    def _foresee(self, dep: dvc.Dependency, stage: dvc.Stage) -> bool:
        """Let `dep` have the content that it will have when its stage's turn comes; False if that cannot be known."""
        if dvc.reads_params(dep):
            dvc.foresee_params(dep, self.values(dep.fs_path))
            return True
        outs = [Path(out.fs_path) for before in self.upstream(stage) for out in before.outs]
        try:
            content = self._content(dep, outs)
        except (dvc.DvcException, OSError):
            return False
        if content:
            dvc.foresee(dep, content)
        return bool(content)

    def _lies_there(self, dep: dvc.Dependency) -> dvc.Content:
        return dvc.in_workspace(dep)

    def _content(self, dep: dvc.Dependency, outs: list[Path]) -> dvc.Content | None:
        """What a path will hold: an output, a part of one, or a folder around several and files that no stage makes."""
        path = Path(dep.fs_path)
        for out in outs:
            if path.is_relative_to(out):
                content = self.outputs[out]
                return content and content.inside(path.relative_to(out).parts)
        made = {out: self.outputs[out] for out in outs if out.is_relative_to(path)}
        if path not in self.workspace and (not made or dep.exists):
            self.workspace[path] = self._lies_there(dep)
        if not made:
            return self.workspace[path]
        found = {}
        places = {out: out.relative_to(path).parts for out in made}
        if path in self.workspace:
            taken = {*places.values()}
            for key, hashed in self.workspace[path].files.items():
                if not any(key[:length] in taken for length in range(1, len(key) + 1)):
                    found[key] = hashed
        for out, content in made.items():
            if content is None:
                return None
            place = places[out]
            found |= {(*place, *key): hashed for key, hashed in content.files.items()}
        return dvc.Content.folder(found)
