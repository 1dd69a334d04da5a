"""How a model reads a task and answers: one file a setting, found by its name."""

from pathlib import Path
from typing import TYPE_CHECKING

from w2s.core.params import Params
from w2s.core.registry import chosen, member

if TYPE_CHECKING:
    from w2s.settings.base import Setting

SHARED = ("base", "binary")  # modules here that are no setting


def setting_class(name: str, param_path: str) -> "type[Setting]":
    """The class of a setting; `param_path` names the parameter that asked for it."""
    from w2s.settings.base import Setting  # heavy: torch

    kind: type[Setting] = member(chosen("w2s.settings", name, param_path), Setting)
    return kind


def setting_for(params: Params, task: str, model: str, bases: Path, method: str | None = None) -> "Setting":
    """A task's setting for one base model, of those in the folder `bases`, with a method's hyperparameters."""
    kind = setting_class(params.tasks[task].setting, f"params.yaml: tasks.{task}.setting")
    return kind(params, task, model, method, bases)
