"""What a stage's command in dvc.yaml says: its kind and arguments, and so how many processes it takes."""

import ast
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from w2s.core.hparams import hparams_for
from w2s.core.params import Params

PREFIX = "python -m stages."


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
    model = item.get("strong", item.get("weak"))
    if model not in params.models or "task" not in item:
        return 1
    method = params.methods[item["method"]] if "method" in item else None
    return hparams_for(params, item["task"], model, method).processes
