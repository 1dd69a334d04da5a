"""What a stage's command in dvc.yaml says: its kind and arguments, and so what processes and memory it takes."""

import ast
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from w2s.core.hparams import hparams_for
from w2s.core.params import Finetune, Hub, Params

PREFIX = "python -m stages."
PROCESS = 2**30  # bytes of a process with torch, DVC and a task's examples


def parsed(command: str) -> tuple[str, dict[str, str]]:
    """The script in stages/ and its arguments by name; nothing of a command that is no script there."""
    if not command.startswith(PREFIX):
        return "", {}
    kind, *values = shlex.split(command.removeprefix(PREFIX))
    return kind, dict(zip(arguments(kind), values, strict=True))


@cache
def arguments(kind: str) -> tuple[str, ...]:
    """What a kind of stage is repeated over: the arguments of its `main`, which is not imported."""
    path = Path("stages", f"{kind}.py")
    functions = [node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.FunctionDef)]
    (main,) = (function for function in functions if function.name == "main")
    return tuple(argument.arg for argument in main.args.args)


def processes(item: Mapping[str, str], params: Params) -> int:
    """How many processes share a stage with these arguments: one, unless it finetunes or labels."""
    hparams = _hparams(item, params)
    return hparams.processes if hparams else 1


def memory(item: Mapping[str, str], params: Params) -> int:
    """The bytes that a stage with these arguments cannot do without: of its processes, and of what each holds of a hub
    model's weights, gradients and moments. How many texts it reads at a time it fits to the memory that is left.
    """
    hparams = _hparams(item, params)
    model = params.models.get(item.get("strong", item.get("weak", "")))
    if not hparams or not isinstance(model, Hub):
        return PROCESS * processes(item, params)
    from w2s.models.memory import states  # imports torch

    trainable = model.parameters if hparams.tune == "full" else 0
    return hparams.processes * (PROCESS + states(model.parameters, trainable, hparams))


def _hparams(item: Mapping[str, str], params: Params) -> Finetune | None:
    """Those of the model that a stage finetunes or labels with, if it does."""
    model = item.get("strong", item.get("weak"))
    if model not in params.models or "task" not in item:
        return None
    method = params.methods[item["method"]] if "method" in item else None
    return hparams_for(params, item["task"], model, method)
