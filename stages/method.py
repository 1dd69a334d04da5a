"""Method: what one method's students depend on, beside what all students do.

That is the code of its parts and its loss, and the base models that its labels pass through. Gathered in a folder of
its own, neither another method's code nor another base model makes the students of this method anew.
"""

import itertools
import json
import shutil

from w2s.core import files
from w2s.core.checks import load
from w2s.core.grid import intermediate_models, setting_blocks
from w2s.core.stage import run
from w2s.methods import compatibility
from w2s.models.heads import LanguageHead
from w2s.settings import setting as kind_of


def main(setting: str, method: str) -> None:
    params = load()
    entry, block = params.methods[method], setting_blocks(params.grid)[setting]
    compatibility.require(params, setting, method)  # once more: a method may change without the grid
    code = json.loads((files.CODE / "students" / f"{method}.json").read_text(encoding="utf-8"))
    pairs = itertools.product(block.weak, block.strong) if entry.via else []
    paths = [(intermediate_models(params.grid, entry, weak, strong), strong) for weak, strong in pairs]
    passed = {rung for path, strong in paths for rung in path if rung != strong}
    rungs = [rung for rung in params.grid.ladder if rung in passed]
    if entry.texts or kind_of(setting, "params.yaml: setting").HEAD is LanguageHead:
        for model in dict.fromkeys([*block.weak, *rungs, *block.strong]):
            LanguageHead.configured(files.BASES / model)  # refuses encoders
    with files.atomic(files.method(setting, method)) as out:
        files.write_json(out / "method.json", {"code": code, "rungs": rungs})
        for rung in rungs:
            shutil.copytree(files.BASES / rung, out / rung, ignore=shutil.ignore_patterns("live"))


if __name__ == "__main__":
    run(main)
