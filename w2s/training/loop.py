"""The one loop that finetunes everything, on labels and on texts alike."""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from dvclive import Live
from torch import nn
from tqdm import tqdm

from w2s.core.determinism import prepare_torch
from w2s.core.errors import UserError
from w2s.core.params import Finetune
from w2s.core.stopwatch import compute
from w2s.training.state import Checkpoint, TrainState

Metrics = dict[str, float]  # what is logged, by name
# Adds the gradient of one batch, given the fraction of training done, in [0, 1); what it returns is logged.
Update = Callable[[float], Metrics]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: AdamW under a linear warm-up and a cosine to zero."""

    steps: int  # optimizer updates
    learning_rate: float  # at the peak
    warmup: float  # fraction of the updates
    weight_decay: float  # decoupled, on matrices only
    clip: float  # largest gradient norm
    betas: tuple[float, float] = (0.9, 0.999)
    threads: int = 1  # of the CPU

    @classmethod
    def of(cls, hparams: Finetune, examples: int) -> Self:
        """Finetuning on so many examples."""
        return cls(
            steps=hparams.epochs * -(-examples // hparams.batch_size),
            learning_rate=hparams.learning_rate,
            warmup=hparams.warmup,
            weight_decay=hparams.weight_decay,
            clip=hparams.clip,
            threads=hparams.threads,
        )

    def rate(self, step: int) -> float:
        """The fraction of the peak learning rate used in update `step` (from 0)."""
        rising = self.warmup * self.steps
        if step < rising:
            return (step + 1) / (rising + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1.0, self.steps - rising)))


@compute
def train(
    model: nn.Module,
    updates: Iterator[Update],
    schedule: Schedule,
    *,
    live: Path,
    name: str,
    snapshot: Callable[[int], Metrics] | None = None,
    snapshots: int = 0,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train `model` in place, on the device that it is on, from the state of `checkpoint` on if there is one.

    `updates` yields one function an optimizer update, which returns the mean `loss` among its metrics; those that were
    made before are passed over. `snapshot(step)` is called after `snapshots` evenly spaced updates, the last one among
    them; what it returns is logged, too. Curves go to `live` by DVCLive. Raises `UserError` when the loss or the
    gradient is not finite; the weights are then those of the last sound update.
    """
    prepare_torch(schedule.threads)
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    learning = list(named.values())
    matrices = [parameter for parameter in learning if parameter.ndim >= 2]
    others = [parameter for parameter in learning if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups,
        lr=schedule.learning_rate,
        betas=schedule.betas,
        weight_decay=schedule.weight_decay,
        fused=True,
    )
    due = {max(1, round(schedule.steps * k / snapshots)) for k in range(1, snapshots + 1)}
    state = TrainState(step=0, weights=named, optimizer={}, curves=[])
    if checkpoint and (found := checkpoint.load()):
        print(f"{name}: goes on after update {found.step} of {schedule.steps}", file=sys.stderr)
        model.load_state_dict(found.weights, strict=False)
        moments = {int(index): kept for index, kept in found.optimizer.items()}
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
        state.step = found.step
        state.curves = found.curves
    with Live(str(live), save_dvc_exp=False, dvcyaml=None) as log:

        def draw(step: int, metrics: Metrics) -> None:
            log.step = step
            for key, value in metrics.items():
                log.log_metric(key, value)

        for point in state.curves:
            draw(*point)
        steps = range(state.step, schedule.steps)
        bar = tqdm(steps, name, schedule.steps, initial=state.step, unit="update", mininterval=1.0, file=sys.stderr)
        for step, update in zip(bar, islice(updates, state.step, None), strict=False):
            model.train()
            rate = schedule.learning_rate * schedule.rate(step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            metrics = update(step / schedule.steps)
            gradient_norm = float(torch.nn.utils.clip_grad_norm_(learning, schedule.clip))
            for what, value in (("loss", metrics["loss"]), ("norm of the gradient", gradient_norm)):
                if not math.isfinite(value):
                    raise UserError(f"{name}: the {what} is {value} at update {step + 1}; try a smaller learning_rate")
            optimizer.step()
            optimizer.zero_grad()
            at_snapshot = snapshot(step + 1) if snapshot and step + 1 in due else {}
            state.curves.append((step + 1, metrics | {"learning_rate": rate} | at_snapshot))
            draw(*state.curves[-1])
            state.step = step + 1
            has_ended = state.step == schedule.steps
            if checkpoint and checkpoint.is_due(state, has_ended):
                state.optimizer = {} if has_ended else optimizer.state_dict()["state"]
                checkpoint.save(state)
