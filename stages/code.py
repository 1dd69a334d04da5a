"""Fingerprint the code: for each stage, and each entry of params.yaml that chooses modules, what can change its result.

Every other stage depends on its own of these small files, {source file: digest}, and on no source itself.
"""

from pathlib import Path
from typing import Any

from w2s import methods
from w2s.core import files
from w2s.core.checks import load
from w2s.core.errors import unknown
from w2s.core.fingerprint import Sources
from w2s.core.grid import setting_blocks
from w2s.core.params import Embedded, Model, Params
from w2s.core.registry import names
from w2s.core.stage import run

# Docstrings of functions that these stages put into the report, and so are data.
QUOTED = {"evaluate": ["w2s/results/claims.py"], "plot": ["w2s/results/claims.py", "w2s/methods/losses/"]}


def main() -> None:
    found = fingerprints(load(), Path())
    with files.atomic(files.CODE) as out:
        write(found, out)


def write(found: dict[str, dict[str, str]], out: Path) -> None:
    """One file for each name, and folders as the names have them."""
    for name, content in found.items():
        files.write_json(out / f"{name}.json", content)


def fingerprints(params: Params, root: Path) -> dict[str, dict[str, Any]]:
    """The content of each file by its name; `root` is the repository. Raises `UserError` for an unknown module.

    That is the digest of each source file; with a setting the hyperparameters by which all models are finetuned, with
    a ceiling its method, with an embedded model its recipe and corpus, and with stage `evaluate` the grid's methods.
    What a model overrides when it is finetuned is a file of its own, since it does not make the model anew.
    """
    sources = Sources(root)
    found: dict[str, dict[str, Any]] = {}
    for script in sorted((root / "stages").glob("[!_]*.py")):
        if script.stem in ("code", "base"):  # what base depends on differs between kinds of models
            continue
        quoted = QUOTED.get(script.stem, [])
        closure = sources.closure("stages/__init__.py", f"stages/{script.name}")
        if script.stem == "plot":  # reads them without importing them
            closure.update(f"w2s/methods/losses/{path.name}" for path in (root / "w2s/methods/losses").glob("*.py"))
        found[script.stem] = sources.digests(closure, quoted)
    for name, modules in _chosen(params).items():
        # Of the stage that writes what pretraining made, only its own script counts.
        closure = {"stages/base.py", "w2s/core/arithmetic.py"} if name.startswith("models/") else set()
        for where, module in modules:
            try:
                closure |= sources.module(module)
            except ModuleNotFoundError:
                package, _, unknown_name = module.rpartition(".")
                raise unknown(f"params.yaml: {where}", unknown_name, names(package)) from None
        found[name] = sources.digests(closure)
    # What several stages read of params.yaml lies beside the code that reads it.
    in_grid = {name for block in setting_blocks(params.grid).values() for name in block.methods}
    compared = {name: params.methods[name].model_dump() for name in sorted(in_grid)}
    found["evaluate"] = {"methods": compared, "code": found["evaluate"]}
    for name, content in found.items():
        kind, _, entry = name.partition("/")
        if kind == "models" and isinstance(model := params.models[entry], Embedded):
            corpus = params.corpora[model.corpus].model_dump()
            found[name] = {"recipe": _recipe(model), "corpus": corpus, "code": content}
        elif kind == "models":
            found[name] = {"recipe": _recipe(params.models[entry]), "code": content}
        if kind == "settings":
            found[name] = {"finetune": params.finetune.model_dump(), "code": content}
        if kind == "ceilings":
            found[name] = {"method": methods.as_ceiling(params.methods[entry]).model_dump(), "code": content}
    return found | {f"finetune/{name}": {"finetune": model.finetune} for name, model in params.models.items()}


def _recipe(model: Model) -> dict[str, Any]:
    return model.model_dump(exclude={"finetune"})


def _chosen(params: Params) -> dict[str, list[tuple[str, str]]]:
    """The modules that each entry of params.yaml chooses, with the key that does: by the name of the entry's file."""
    chosen: dict[str, list[tuple[str, str]]] = {}
    for name, task in params.tasks.items():
        chosen[f"tasks/{name}"] = [(f"tasks.{name}.family", f"w2s.data.tasks.{task.family}")]
        chosen[f"settings/{task.setting}"] = [(f"tasks.{name}.setting", f"w2s.settings.{task.setting}")]
    for name, model in params.models.items():
        chosen[f"models/{name}"] = [("models", "w2s.models.checkpoints")]
        if isinstance(model, Embedded):
            family = params.corpora[model.corpus].family
            chosen[f"models/{name}"] = [
                (f"corpora.{model.corpus}.family", f"w2s.data.corpora.{family}"),
                ("models", "w2s.pretraining.pretrain"),
            ]
    for name, method in params.methods.items():
        for role, on_truth in (("students", False), ("ceilings", True)):
            chosen[f"{role}/{name}"] = [
                (f"methods.{name}.loss.function", module) for module in methods.modules(method, on_truth)
            ]
    return chosen


if __name__ == "__main__":
    run(main)
