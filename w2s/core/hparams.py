"""The hyperparameters of one finetuning: the general ones, overridden by the model's, the task's and the method's."""

from collections.abc import Mapping
from typing import Any

from w2s.core.params import PARAMS, Finetune, Method, Params
from w2s.core.validation import validate


def hparams_for(params: Params, task: str, model: str, method: Method | None = None) -> Finetune:
    """Hyperparameters of `model` on `task`; of two overrides of one key the later counts: model, task, method.

    Raises `UserError` where the merged values do not go together.
    """
    merged = override(params.finetune.model_dump(), params.models[model].finetune)
    merged = override(merged, params.tasks[task].finetune)
    if method:
        merged = override(merged, method.finetune)
    return validate(Finetune, merged, f"{PARAMS}: finetune of {task} × {model}")


def override(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes`; a mapping inside is merged key by key, so `lora: {rank: 4}` leaves `alpha` as it was."""
    merged = dict(values)
    for key, change in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(change, Mapping):
            change = override(old, change)
        merged[key] = change
    return merged
