"""What `dvc repro` would do now, stage by stage, found without doing it and without changing the workspace.

`dvc status` and `dvc repro --dry` judge each stage by the files of this moment, and so misjudge one that comes after
another that has yet to run. Here the outputs that a stage will have (kept, or brought back from DVC's run cache) are
handed on to the stages after it.
"""

import hashlib
import json
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import dpath
from dvc.dependency import Dependency, ParamsDependency
from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.serialize import to_single_stage_lockfile
from dvc.utils.serialize import load_path
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree

from w2s.core.files import BASES

CONSTANT = "python -m stages.check"  # writes the same bytes whatever the parameters
RECIPE = "python -m stages.recipe"
LOSSES = "w2s/methods/losses"


class Fate(Enum):
    """What becomes of a stage in the next `dvc repro`."""

    KEPT = "up to date"
    CACHED = "cached"
    RUN = "to run"


class Outlook:
    """Tells stages' fates; to be asked in an order in which the stages could run."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.upstream = repo.index.graph.successors
        self.made: dict[str, Output | None] = {}  # by path, with the hash it will have; None: only a run will tell
        self.found: dict[str, Dependency] = {}  # by path, with the hash that the workspace's own files have
        self.params = cache(lambda path: load_path(path, repo.fs))

    def fate(self, stage: PipelineStage) -> Fate:
        """What becomes of this stage, given what becomes of those before it."""
        recorded = [dep.hash_info for dep in stage.deps]
        known = all([self._foresee(dep, stage) for dep in stage.deps])
        same = known and not stage.cmd_changed and recorded == [dep.hash_info for dep in stage.deps]
        if same and not any(out.status() for out in stage.outs):
            fate, outs = Fate.KEPT, stage.outs
        elif restored := self._restored(stage, same) if known else []:
            fate, outs = Fate.CACHED, restored
        else:
            fate, outs = Fate.RUN, stage.outs
        # The same inputs make the same bits, so a run that repeats a recorded one is no surprise to those after it.
        sure = fate is not Fate.RUN or same or stage.cmd == CONSTANT or _repeats(stage, recorded, known)
        self.made |= {out.fs_path: out if sure and out.hash_info else None for out in outs}
        return fate

    def _foresee(self, dep: Dependency, stage: PipelineStage) -> bool:
        """Give `dep` the hash that it will have when its stage's turn comes; False if that cannot be known."""
        if isinstance(dep, ParamsDependency):
            content = self.params(dep.fs_path)
            values = {key: dpath.get(content, key, separator=".", default=None) for key in dep.params}
            dep.hash_info = HashInfo(dep.PARAM_PARAMS, values)  # type: ignore[arg-type]
            return True
        folder = f"{dep.fs_path}/"
        outs = [out.fs_path for before in self.upstream(stage) for out in before.outs]
        inside = [self.made[path] for path in outs if f"{path}/".startswith(folder)]
        made = [out for out in inside if out]
        if len(made) < len(inside):
            return False
        try:
            if not made:
                dep.hash_info, dep.meta = self._workspace(dep)
            elif made[0].fs_path == dep.fs_path:
                dep.hash_info, dep.meta = made[0].hash_info, Meta()
            else:
                dep.hash_info, dep.meta = self._composed(dep, made), Meta()
        except (DvcException, OSError):
            return False
        return True

    def _workspace(self, dep: Dependency) -> tuple[HashInfo, Meta]:
        if dep.fs_path not in self.found:
            dep.save()
            self.found[dep.fs_path] = dep
        found = self.found[dep.fs_path]
        return found.hash_info, found.meta

    def _composed(self, dep: Dependency, made: list[Output]) -> HashInfo:
        """The hash of a folder that holds these outputs, and of other files what lies in it now."""
        tree, folder = Tree(), Path(dep.fs_path)
        if dep.exists:
            dep.save()
            inside = [Path(out.fs_path) for out in made]
            for key, _, content in dep.obj:
                if not any(folder.joinpath(*key).is_relative_to(path) for path in inside):
                    tree.add(key, None, content)
        for out in made:
            key = Path(out.fs_path).relative_to(folder).parts
            if out.hash_info.isdir:
                for rest, _, content in Tree.load(out.cache, out.hash_info):
                    tree.add((*key, *rest), None, content)
            else:
                tree.add(key, None, out.hash_info)
        tree.digest()
        return tree.hash_info

    def _restored(self, stage: PipelineStage, same: bool) -> list[Output]:
        """The outputs that DVC would bring back instead of running the stage; none if it would run."""
        for dep in stage.deps:
            dep.get_hash = lambda dep=dep: dep.hash_info  # as foreseen: its file may not be there yet
        runs = self.repo.stage_cache
        entry = to_single_stage_lockfile(stage) if same else runs._load(stage)
        kept = runs._create_stage(entry, wdir=stage.wdir) if entry else None
        return kept.outs if kept and kept.outs_cached() else []


def _repeats(stage: PipelineStage, recorded: list[HashInfo], known: bool) -> bool:
    """Whether a recipe comes out as recorded: of the grid, all base models and all losses it takes what it uses."""
    if not stage.cmd.startswith(RECIPE) or not stage.outs[0].hash_info:
        return False
    setting, method = stage.cmd.split()[-2:]

    def used(params: HashInfo) -> tuple[Any, Any]:
        """The loss, and between which models labels go if they go via others."""
        values: Any = params.value or {}
        recipe, block = values.get(f"methods.{method}", {}), values.get(f"grid.{setting}", {})
        via = recipe.get("via")
        return recipe.get("loss"), via and [via, values.get("grid.ladder"), block.get("weak"), block.get("strong")]

    pairs = list(zip(stage.deps, recorded, strict=True))
    before, now = next((used(old), used(dep.hash_info)) for dep, old in pairs if isinstance(dep, ParamsDependency))
    changed = {dep.def_path for dep, old in pairs if dep.hash_info != old and not isinstance(dep, ParamsDependency)}
    if now[1] is None:
        known = True
        changed.discard(str(BASES))
    if _same_losses(Path(stage.outs[0].fs_path) / "recipe.json"):
        changed.discard(LOSSES)
    return known and not changed and before == now


def _same_losses(recipe: Path) -> bool:
    """Whether the code of a recipe's own losses is what it was."""
    if not recipe.exists():
        return False
    code = json.loads(recipe.read_text())["loss"]
    files = {Path(*name.split(".")).with_suffix(".py"): digest for name, digest in code.items()}
    return all(file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == files[file] for file in files)
