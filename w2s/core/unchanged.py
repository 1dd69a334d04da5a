"""Are a stage's results those of the parameters and the code that DVC will record for them?

DVC hashes both when a stage has ended. Whoever edits params.yaml or a source file while a model trains would have the
result recorded, and served by the run cache ever after, as that of values it never saw. So a stage notes both when it
starts, and compares when it ends: what it does not depend on may change meanwhile. Under DVC its code must also be what
stage `code`, earlier in the run, took the fingerprints of.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from w2s.core import files
from w2s.core.checks import read
from w2s.core.errors import UserError
from w2s.core.fingerprint import DATA, PER_ENTRY, Sources
from w2s.core.params import PARAMS

# In which catalogue of params.yaml a stage's argument names an entry.
CATALOGUES = {"task": "tasks", "weak": "models", "strong": "models", "model": "models", "method": "methods"}
# What else stages with such arguments read of it; those without read all of it.
SECTIONS = {"prepare": ("split", "corpora"), "base": ("corpora",), "simulate": ("grid",), "method": ("grid",)}


class Note:
    """What a stage's result depends on, as it was when this note was taken.

    `stage` is the name of its script, and `arguments` are those of its `main`.
    """

    def __init__(self, stage: str, arguments: Mapping[str, object]) -> None:
        self.stage = stage
        self.arguments = arguments
        self.params = self._own_params()
        self.code = {path: path.read_bytes() for path in _sources()}

    def require_unchanged(self) -> None:
        """Raise `UserError` that names what the stage depends on and is no longer as it was."""
        now = self._own_params()
        changed = [key for key in self.params if now.get(key) != self.params[key]]
        if changed:
            raise UserError(f"{PARAMS}: {changed[0]} was changed while this stage ran; run it again")
        if edited := {path.as_posix() for path in _sources() if path.read_bytes() != self.code.get(path)}:
            for file in sorted(edited if self.stage == "code" else edited & self._own_code()):
                if self._means_otherwise(file):
                    raise UserError(f"{file} was changed while this stage ran; run it again")
        if "DVC_STAGE" in os.environ and self.stage != "code" and files.CODE.exists():
            self._require_fingerprinted()

    def _require_fingerprinted(self) -> None:
        """Raise `UserError` if code of this stage was edited after stage `code` had run."""
        written = files.CODE.stat().st_mtime
        later = {path.as_posix() for path in _sources() if path.stat().st_mtime > written}
        if not later:
            return
        fingerprints = {digest for path in files.CODE.rglob("*.json") for digest in _leaves(files.read_json(path))}
        sources = Sources(Path())
        for file in sorted(later & self._own_code()):
            # Taken with or without the docstrings that stand in the report.
            if fingerprints.isdisjoint([*sources.digests([file]).values(), *sources.digests([file], [file]).values()]):
                raise UserError(f"{file} was changed after stage `code` had run; run it again")

    def _own_params(self) -> dict[str, Any]:
        """Values by their keys in params.yaml. Raises `UserError` where it cannot be read."""
        _, content = read(PARAMS)
        if not isinstance(content, dict):
            return {"top level": content}
        chosen = [(CATALOGUES[name], value) for name, value in self.arguments.items() if name in CATALOGUES]
        if not chosen:
            return content
        found = {key: content.get(key) for key in SECTIONS.get(self.stage, ("finetune",))}
        for catalogue, name in chosen:
            found[f"{catalogue}.{name}"] = (content.get(catalogue) or {}).get(name)
        return found

    def _own_code(self) -> set[str]:
        """The files that the stage imports, with those of its task, setting and method that this process did."""
        # By the packages in which params.yaml chooses modules.
        by_name = {package.replace(".", "/") for package in PER_ENTRY}
        loaded = {name.replace(".", "/") + ".py" for name in list(sys.modules)}
        chosen = {file for file in loaded if file.rpartition("/")[0] in by_name}
        try:
            return Sources(Path()).closure(f"stages/{self.stage}.py") | chosen
        except SyntaxError as error:
            raise UserError(f"{error.filename} was changed while this stage ran, and cannot be read now") from None

    def _means_otherwise(self, file: str) -> bool:
        """Whether more than comments, docstrings and formatting differ."""
        before = self.code.get(Path(file))
        if before is None or not file.endswith(".py"):
            return True
        try:
            return Sources.essence(before) != Sources.essence(Path(file).read_bytes())
        except SyntaxError:  # amid an edit
            return True


def _leaves(content: Any) -> Iterator[str]:
    """All texts in a JSON file of stage `code`."""
    if isinstance(content, dict):
        for value in content.values():
            yield from _leaves(value)
    elif isinstance(content, str):
        yield content


def _sources() -> list[Path]:
    return [path for folder in ("stages", "w2s") for kind in ("*.py", DATA) for path in Path(folder).rglob(kind)]
