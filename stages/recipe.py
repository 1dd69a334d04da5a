"""Recipe: what one method's students depend on, beside what all students do.

That is the code of its loss, and the rungs its labels pass through. Gathered in a folder of its own, neither another
file among the losses nor another rung of the ladder makes the students of other methods anew.
"""

import hashlib
import itertools
import shutil
import sys
from pathlib import Path

from w2s.core import files
from w2s.core.checks import load
from w2s.core.grid import intermediate_models, setting_blocks
from w2s.core.stage import run
from w2s.methods import compatibility, losses
from w2s.models.heads import LanguageHead
from w2s.settings import setting as kind_of


def main(setting: str, method: str) -> None:
    params = load()
    recipe, block = params.methods[method], setting_blocks(params.grid)[setting]
    compatibility.require(params, setting, method)  # once more: a recipe may change without the grid
    used = {name: module for name, module in sys.modules.items() if name.startswith(f"{losses.__name__}.")}
    code = {name: hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for name, module in used.items()}
    pairs = itertools.product(block.weak, block.strong) if recipe.via else []
    paths = [(intermediate_models(params.grid, recipe, weak, strong), strong) for weak, strong in pairs]
    passed = {rung for path, strong in paths for rung in path if rung != strong}
    rungs = [rung for rung in params.grid.ladder if rung in passed]
    if recipe.texts or kind_of(setting, "params.yaml: setting").HEAD is LanguageHead:
        for model in dict.fromkeys([*block.weak, *rungs, *block.strong]):
            LanguageHead.configured(files.BASES / model)  # refuses encoders
    with files.atomic(files.recipe(setting, method)) as out:
        files.write_json(out / "recipe.json", {"loss": dict(sorted(code.items())), "rungs": rungs})
        for rung in rungs:
            shutil.copytree(files.BASES / rung, out / rung, ignore=shutil.ignore_patterns("live"))


if __name__ == "__main__":
    run(main)
