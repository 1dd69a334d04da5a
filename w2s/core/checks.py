"""Reads params.yaml and refuses names that are not known and names that do not go together.

Values are refused by their fields in `params`; what a method makes no sense with, by `w2s.methods.compatibility`.
"""

import itertools
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from w2s.core.errors import UserError, unknown
from w2s.core.grid import intermediate_models, setting_blocks
from w2s.core.hparams import override
from w2s.core.params import PARAMS, Embedded, Finetune, Params
from w2s.core.validation import validate


def read(path: str | Path) -> tuple[str, Any]:
    """A YAML file's text and content; raises `UserError`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        return text, YAML(typ="safe", pure=True).load(text)  # as DVC reads it
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}: not valid YAML{line} ({getattr(error, 'problem', error)})") from None


def load(path: str | Path = PARAMS) -> Params:
    """Read and check the whole file; raises `UserError` that names the key, what was found and what is allowed."""
    _, content = read(path)
    params = validate(Params, content, str(path))
    for key, names, catalogue in _references(params):
        for name in names:
            if name not in catalogue:
                raise unknown(f"{path}: {key}", name, catalogue)
    _agree(params, str(path))
    given: list[tuple[str, dict[str, Any]]] = [
        *((f"models.{name}.finetune", entry.finetune) for name, entry in params.models.items()),
        *((f"tasks.{name}.finetune", entry.finetune) for name, entry in params.tasks.items()),
        *((f"methods.{name}.finetune", entry.finetune) for name, entry in params.methods.items()),
    ]
    for where, overrides in given:  # alone; whether they go together is for `hparams_for` to say
        validate(Finetune, override(params.finetune.model_dump() | {"tune": "lora"}, overrides), f"{path}: {where}")
    return params


def _agree(params: Params, path: str) -> None:
    """Names of the grid that are known, but do not go together."""
    simulated, block = params.grid.simulated, params.grid.classification
    if simulated.tasks:
        for key in ("tasks", "strong", "methods"):
            if alien := [name for name in getattr(simulated, key) if name not in getattr(block, key)]:
                raise UserError(f"{path}: grid.simulated.{key}: '{alien[0]}' is not in grid.classification.{key}")
        if led := [name for name in simulated.methods if params.methods[name].via]:
            raise UserError(f"{path}: grid.simulated.methods: '{led[0]}' goes up from a supervisor of the ladder (via)")
        if simulated.of not in block.weak:
            raise UserError(f"{path}: grid.simulated.of: '{simulated.of}' is not in grid.classification.weak")
    for setting, block in setting_blocks(params.grid).items():
        for task in block.tasks:
            if (own := params.tasks[task].setting) != setting:
                raise UserError(f"{path}: grid.{setting}.tasks: '{task}' is a {own} task; list it under grid.{own}")
        for name in block.methods:
            method = params.methods[name]
            if name in block.ceilings[1:] and method.taught == params.methods[block.ceilings[0]].taught:
                raise UserError(f"{path}: grid.{setting}.ceilings: '{name}' is the same as '{block.ceilings[0]}'")
            if method.texts and name not in block.ceilings:
                raise UserError(
                    f"{path}: grid.{setting}.ceilings: '{name}' is missing; it finetunes on texts, and must be held "
                    "against a ceiling that does so too"
                )
            for weak, strong in itertools.product(block.weak, block.strong) if method.via else []:
                try:
                    intermediate_models(params.grid, method, weak, strong)
                except ValueError as error:
                    raise UserError(f"{path}: methods.{name}.via: {error}") from None


def _references(params: Params) -> list[tuple[str, list[str], list[str]]]:
    grid = params.grid
    corpora = list(params.corpora)
    return [
        ("grid.ladder", grid.ladder, list(params.models)),
        *(
            (f"grid.{setting}.{key}{must}", getattr(block, key), allowed)
            for setting, block in setting_blocks(grid).items()
            for key, must, allowed in (
                ("tasks", "", list(params.tasks)),
                ("weak", " (must be in grid.ladder)", grid.ladder),
                ("strong", " (must be in grid.ladder)", grid.ladder),
                ("methods", "", list(params.methods)),
            )
        ),
        *((f"tasks.{name}.corpus", [task.corpus], corpora) for name, task in params.tasks.items() if task.corpus),
        *(
            (f"models.{name}.corpus", [model.corpus], corpora)
            for name, model in params.models.items()
            if isinstance(model, Embedded)
        ),
    ]
