"""The one loop that trains everything, pretraining and finetuning alike."""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from accelerate import Accelerator
from dvclive import Live
from torch import Tensor, nn
from tqdm import tqdm

from w2s.core.determinism import prepare_torch
from w2s.core.errors import UserError
from w2s.core.params import Finetune

Meter = dict[str, float]  # what is logged, by name
Backward = Callable[[Tensor], None]
Update = Callable[[nn.Module, float, Backward], Meter]  # model, progress in [0, 1), backward


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: AdamW under a linear warm-up and a cosine to zero."""

    steps: int
    learning_rate: float
    warmup: float
    weight_decay: float
    clip: float
    betas: tuple[float, float] = (0.9, 0.999)
    threads: int = 1

    @classmethod
    def of(cls, settings: Finetune, examples: int) -> Self:
        """Finetuning on so many examples."""
        steps = settings.epochs * -(-examples // settings.batch_size)
        pace = settings.learning_rate, settings.warmup, settings.weight_decay, settings.clip
        return cls(steps, *pace, threads=settings.threads)

    def rate(self, step: int) -> float:
        """The fraction of the peak learning rate used in update `step` (from 0)."""
        rising = self.warmup * self.steps
        if step < rising:
            return (step + 1) / (rising + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1.0, self.steps - rising)))


def train(
    model: nn.Module,
    updates: Iterator[Update],
    recipe: Recipe,
    live: Path,
    name: str,
    snapshot: Callable[[nn.Module, int], Meter] | None = None,
    snapshots: int = 0,
    log_every: int = 1,
) -> None:
    """Train `model` in place.

    `updates` yields one function an optimizer update: `update(model, progress, backward)` accumulates the gradient of
    its batch and returns what to log, the mean `loss` among it. `snapshot(model, step)` is called after `snapshots`
    evenly spaced updates, the last one among them; what it returns is logged too. Curves go to `live` by DVCLive,
    one point every `log_every` updates. Raises `UserError` when the loss is not finite.
    """
    prepare_torch(recipe.threads)
    accelerator = Accelerator()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in learning if parameter.ndim >= 2]
    others = [parameter for parameter in learning if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups,
        lr=recipe.learning_rate,
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    due = {max(1, round(recipe.steps * k / snapshots)) for k in range(1, snapshots + 1)}
    with Live(str(live), save_dvc_exp=False, dvcyaml=None) as log:
        for step in tqdm(range(recipe.steps), desc=name, unit="update", mininterval=1.0, file=sys.stderr):
            model.train()
            rate = recipe.learning_rate * recipe.rate(step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            meter = next(updates)(model, step / recipe.steps, accelerator.backward)
            if not math.isfinite(meter["loss"]):
                raise UserError(
                    f"{name}: the loss is {meter['loss']} at update {step + 1}; try a smaller learning_rate"
                )
            accelerator.clip_grad_norm_(learning, recipe.clip)
            optimizer.step()
            optimizer.zero_grad()
            taken = snapshot(model, step + 1) if snapshot and step + 1 in due else {}
            if (step + 1) % log_every == 0 or taken:
                log.step = step + 1
                for key, value in (meter | {"learning_rate": rate} | taken).items():
                    log.log_metric(key, value)
