"""Reads params.yaml and refuses names that are unknown, and names that do not go together.

Values are refused by their fields in `params`, methods without a meaning by `w2s.methods.compatibility`. Nothing here
decides a result.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from w2s.core.errors import UserError, unknown
from w2s.core.grid import setting_blocks
from w2s.core.hparams import override
from w2s.core.params import PARAMS, Block, Embedded, Finetune, Params
from w2s.core.validation import validate

FROZEN = "W2S_PARAMS"  # environment: the copy of params.yaml that all stages of a run read in its place


def read(path: str | Path) -> tuple[str, Any]:
    """A YAML file's text and content; raises `UserError`."""
    source = os.environ.get(FROZEN, path) if str(path) == PARAMS else path
    try:
        text = Path(source).read_text(encoding="utf-8")
        return text, _parsed(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise UserError(f"{path}: not valid YAML{line} ({problem})") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply") from None
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        # The parser's own faults, as with a directive amid the text.
        raise UserError(f"{path}: not valid YAML ({error!r})") from None


@cache
def _parsed(text: str) -> Any:
    """As DVC reads it, which takes a tenth of a second: forks of one process have it from there."""
    return YAML(typ="safe", pure=True).load(text)


def load(path: str | Path = PARAMS) -> Params:
    """Read and check the whole file; raises `UserError` that names the key, what was found and what is allowed."""
    _, content = read(path)
    params = validate(Params, content, str(path))
    for key, names, catalogue in _references(params):
        for name in names:
            if name not in catalogue:
                raise unknown(f"{path}: {key}", name, catalogue)
    for setting in ("classification", "preference", "generation"):
        _check_block(params, setting, getattr(params.grid, setting), str(path))
    overrides: list[tuple[str, dict[str, Any]]] = [
        *((f"models.{name}.finetune", entry.finetune) for name, entry in params.models.items()),
        *((f"tasks.{name}.finetune", entry.finetune) for name, entry in params.tasks.items()),
        *((f"methods.{name}.finetune", entry.finetune) for name, entry in params.methods.items()),
    ]
    # Each alone, with any `keep`; whether they go together is for `hparams_for` to say.
    general = params.finetune.model_dump() | {"tune": "lora"}
    for key, changes in overrides:
        validate(Finetune, override(general, changes), f"{path}: {key}")
    return params


def _check_block(params: Params, setting: str, block: Block, path: str) -> None:
    """Tasks are of the block's setting; ceilings are of its methods, simulated supervisors of its supervisors."""
    where = f"{path}: grid.{setting}"
    for key, names, own in (
        ("ceilings", block.ceilings, "methods"),
        ("simulated.of", block.simulated.of, "weak"),
        ("simulated.methods", block.simulated.methods, "methods"),
    ):
        known = getattr(block, own)
        if missing := [name for name in names if name not in known]:
            raise UserError(f"{where}.{key}: '{missing[0]}' must be one of its {own}: {', '.join(known) or 'none'}")
    for task in block.tasks:
        own = params.tasks[task].setting
        if own != setting:
            raise UserError(f"{where}.tasks: '{task}' is a {own} task; list it under grid.{own}")


def _references(params: Params) -> list[tuple[str, list[str], list[str]]]:
    """Keys that hold names of something, with these names and those that are known."""
    grid = params.grid
    corpora = list(params.corpora)
    return [
        ("grid.ladder", grid.ladder, list(params.models)),
        *(
            (f"grid.{setting}.{key}{note}", getattr(block, key), known)
            for setting, block in setting_blocks(grid).items()
            for key, note, known in (
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
