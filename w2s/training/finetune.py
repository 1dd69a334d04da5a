"""Finetunes a model on labels: how supervisors, students and ceilings alike come to be."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from w2s import records
from w2s.models.heads import ScalarHead
from w2s.params import Finetune
from w2s.training.batching import epoch
from w2s.training.determinism import generator, prepare_torch
from w2s.training.loop import Backward, Meter, Recipe, Update, train
from w2s.training.losses import Loss
from w2s.training.reader import Labelled, Reader


def finetune(
    model: ScalarHead,
    reader: Reader,
    examples: Labelled,
    loss: Loss,
    settings: Finetune,
    seed: tuple[object, ...],
    test: Path,
    out: Path,
    name: str,
    validation: Labelled | None = None,
) -> None:
    """Train `model` in place and write to `out`: predictions.parquet (test inputs at several steps), run.json, live/.

    `seed` names the stream that orders the examples. `validation` holds weak labels of examples the student does not
    learn from, to watch its agreement with its supervisor; truth is never seen here.
    """
    prepare_torch(settings.threads)
    ids, items = reader.inputs(test)
    taken: list[tuple[int, np.ndarray]] = []

    def snapshot(current: nn.Module, step: int) -> Meter:
        taken.append((step, reader.predict(current, items)))
        if validation is None:
            return {}
        agrees = (reader.predict(current, validation.items) > 0.5) == (validation.labels > 0.5)
        return {"agreement": float(agrees.mean())}

    steps = settings.epochs * -(-len(examples.items) // settings.batch_size)
    recipe = Recipe(
        steps,
        settings.learning_rate,
        settings.warmup,
        settings.weight_decay,
        settings.clip,
        settings.precision,
        threads=settings.threads,
    )
    updates = _updates(reader, examples, loss, settings, generator(*seed))
    dropout = int(torch.randint(2**31, (), generator=generator("dropout", *seed)))
    train(model, updates, recipe, out / "live", name, dropout, snapshot, settings.snapshots)
    records.write(
        out / "predictions.parquet",
        records.PREDICTIONS,
        {
            "step": np.repeat([step for step, _ in taken], len(ids)).astype(np.int32),
            "id": ids.to_pylist() * len(taken),
            "p": np.concatenate([p for _, p in taken]),
        },
    )
    parameters = sum(parameter.numel() for parameter in model.body.parameters())
    run = {"parameters": parameters, "examples": len(examples.items), "steps": steps}
    records.write_json(out / "run.json", run)


def _updates(
    reader: Reader, examples: Labelled, loss: Loss, settings: Finetune, rng: torch.Generator
) -> Iterator[Update]:
    labels = torch.tensor(examples.labels).float()
    lengths = [len(item) for item in examples.items]

    def logits_of(model: nn.Module, indices: list[int]) -> Tensor:
        return reader.setting.logits(model, [examples.items[index] for index in indices], reader.pad).float()

    def update(batch: list[int], model: nn.Module, progress: float, backward: Backward) -> Meter:
        """The loss sees the whole batch, however it is cut: it may depend on the balance of all its labels.

        A batch in several micro-batches is read twice: once for the loss's slope in every logit, once, under the same
        dropout, to carry these slopes back micro-batch by micro-batch.
        """
        parts = [batch[k : k + settings.micro_batch] for k in range(0, len(batch), settings.micro_batch)]
        if len(parts) == 1:
            logits = logits_of(model, batch)
        else:
            with torch.random.fork_rng(), torch.no_grad():
                logits = torch.cat([logits_of(model, indices) for indices in parts]).requires_grad_()
        weak = labels[batch].to(logits.device)
        value = loss(logits, weak, progress)
        if len(parts) == 1:
            backward(value)
        else:
            (slopes,) = torch.autograd.grad(value, logits)
            for indices, slope in zip(parts, slopes.split(settings.micro_batch), strict=True):
                backward((logits_of(model, indices) * slope).sum())
        accuracy = ((logits > 0) == (weak > 0.5)).float().mean()
        return {"loss": value.item(), "accuracy": accuracy.item()}

    while True:
        for batch in epoch(lengths, settings.batch_size, rng):
            yield partial(update, batch)
