"""Finetunes a model on labels: how supervisors, students and ceilings alike come to be."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from w2s.core import files
from w2s.core.determinism import generator
from w2s.core.params import Keep
from w2s.methods.losses.cross_entropy import cross_entropy
from w2s.models import hardware
from w2s.models.heads import Head
from w2s.settings import Labelled, Loss, Reader
from w2s.training.batching import epoch
from w2s.training.loop import Backward, Meter, Recipe, Update, train


@dataclass(frozen=True)
class Nearest:
    """The snapshot that came nearest to held-out labels so far."""

    distance: float = math.inf
    step: int = 0
    answers: Any = None
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


def finetune(
    model: Head,
    reader: Reader,
    examples: Labelled,
    seed: tuple[object, ...],
    test: Path,
    out: Path,
    name: str,
    keep: Keep,
    loss: Loss | None = None,
    validation: Labelled | None = None,
    stop: bool = False,
) -> None:
    """Train `model` in place and write to `out`: predictions.parquet (test inputs at several steps), features.parquet
    (of some of them in the end, where probes can read them), run.json, live/, and, if `keep` says so, model/.

    `seed` names the stream that orders the examples; no `loss` means cross-entropy. `validation` holds weak labels of
    examples the student does not learn from, to watch its agreement with its supervisor; truth is never seen here. With
    `stop`, the model is in the end what it was at the snapshot that came nearest to them, and later ones repeat that.
    """
    settings = reader.settings
    ids, items = reader.inputs(test)
    taken: list[tuple[int, np.ndarray]] = []
    nearest = Nearest()

    def snapshot(_: nn.Module, step: int) -> Meter:
        nonlocal nearest
        taken.append((step, reader.predict(model, items)))
        if validation is None:
            return {}
        said = reader.predict(model, validation.items)
        if stop and (distance := reader.distance(said, validation.labels)) < nearest.distance:
            nearest = Nearest(distance, step, taken[-1][1], model.trainable_state_dict())
        elif stop:
            taken[-1] = (step, nearest.answers)
        return {"agreement": float(reader.agree(said, validation.labels).mean())}

    recipe = Recipe.of(settings, len(examples.items))
    loss = loss or (reader.LOSSES or {}).get("cross_entropy", cross_entropy)
    updates = _updates(model, reader, examples, loss, generator(*seed))
    train(model, updates, recipe, out / "live", name, snapshot, settings.snapshots)
    if stop:
        model.load_state_dict(nearest.weights, strict=False)
    files.write_predictions(out, reader.LABELS, ids, taken)
    reader.keep_features(model, ids.to_pylist(), items, out)
    run = {
        "parameters": model.parameter_count,
        "trainable": model.trainable,
        "examples": len(examples.items),
        "steps": recipe.steps,
        "precision": hardware.precision(settings.precision),
        "micro_batch": model.budget.tokens,
    } | ({"stopped": nearest.step} if stop else {})
    files.write_json(out / "run.json", run)
    if keep != "none":
        model.save(out / "model", whole=keep == "full")
    if keep == "full":
        reader.tokenizer.save_pretrained(out / "model")


def _updates(model: Head, reader: Reader, examples: Labelled, loss: Loss, rng: torch.Generator) -> Iterator[Update]:
    items, targets = reader.learnable(examples)
    lengths = [reader.tokens(item) for item in items]

    def scores_of(indices: list[int]) -> torch.Tensor:
        with reader.autocast():
            return reader.scores(model, [items[index] for index in indices])

    def update(batch: list[int], progress: float, backward: Backward) -> Meter:
        """The loss sees the whole batch, however it is cut: it may depend on the balance of all its labels.

        A batch in several parts is read twice: once for the loss's slope in every score, once to carry these slopes
        back part by part (Gao et al., 2021).
        """
        cut = model.budget.micro_batches([lengths[index] for index in batch])
        parts = [[batch[place] for place in part] for part in cut]
        labels = targets[[index for part in parts for index in part]].to(hardware.device())
        if len(parts) == 1:
            scores = scores_of(parts[0])
            value = loss(scores, labels, progress)
            backward(value)
        else:
            with torch.no_grad():
                scores = torch.cat([scores_of(part) for part in parts]).requires_grad_()
            value = loss(scores, labels, progress)
            (slopes,) = torch.autograd.grad(value, scores)
            for part, slope in zip(parts, slopes.split([len(part) for part in parts]), strict=True):
                backward((scores_of(part) * slope).sum())
        return {"loss": value.item(), "accuracy": reader.right(scores, labels).float().mean().item()}

    def affordable(batch: list[int], _: nn.Module, progress: float, backward: Backward) -> Meter:
        return model.budget.retry_on_oom(partial(update, batch, progress, backward), reset=model.zero_grad)

    while True:
        for batch in epoch(lengths, reader.settings.batch_size, rng):
            yield partial(affordable, batch)
