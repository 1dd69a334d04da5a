"""Method: what one method's students depend on, beside what all students do.

That is its entry in params.yaml, the hyperparameters and the code of its setting, the code of its parts, and the base
models that labels are passed on through. Gathered in a folder of its own, neither another part's code nor another rung
of the ladder makes the students of other methods anew.
"""

import shutil
from itertools import product
from typing import Any

from w2s.core import files
from w2s.core.checks import load
from w2s.core.grid import setting_blocks
from w2s.core.params import Params
from w2s.core.stage import run
from w2s.methods import compatibility, parts_of
from w2s.models.heads import LanguageHead
from w2s.settings import setting_class


def main(setting: str, method: str, seed: int) -> None:
    params = load()
    block = setting_blocks(params.grid)[setting]
    # Once more after `check`: a method may change without the grid.
    compatibility.require(params, setting, method)
    code = {
        name: files.read_json(files.CODE / f"{name}.json") for name in (f"settings/{setting}", f"students/{method}")
    }
    content = pinned(params, setting, method, code)
    if setting_class(setting, "params.yaml: setting").HEAD is LanguageHead or any(
        part.needs_language_model for part in parts_of(params.methods[method])
    ):
        for model in dict.fromkeys([*block.weak, *content["base_models"], *block.strong]):
            LanguageHead.configured(files.bases(seed) / model)  # refuses encoders
    with files.atomic(files.method(setting, method, seed)) as out:
        files.write_json(out / "method.json", content)
        for model in content["base_models"]:
            shutil.copytree(files.bases(seed) / model, out / model, ignore=shutil.ignore_patterns("loss.parquet"))


def pinned(params: Params, setting: str, method: str, code: dict[str, Any]) -> dict[str, Any]:
    """What method.json says, given what stage `code` wrote of the setting and the method.

    That is the entry, both of these, and the base models whose copies stand beside the file, with what they override.
    """
    block = setting_blocks(params.grid)[setting]
    needed = {
        model
        for part in parts_of(params.methods[method])
        for weak, strong in product(block.weak, block.strong)
        for model in part.base_models(params, weak, strong)
    }
    return {
        "entry": params.methods[method].model_dump(),
        **{name.split("/")[0]: content for name, content in code.items()},
        "base_models": {model: params.models[model].finetune for model in params.grid.ladder if model in needed},
    }


if __name__ == "__main__":
    run(main)
