"""Finetunes a model on labels: how supervisors, students and ceilings alike come to be."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from w2s.core import files
from w2s.models import collective, hardware
from w2s.models.batches import longest_first
from w2s.models.heads import Head
from w2s.settings.base import Examples, Item, LossFunction, Setting
from w2s.training.batching import epochs
from w2s.training.job import Job
from w2s.training.loop import Metrics, Schedule, Update, train


def finetune(job: Job, model: Head | None = None) -> Head:
    """Train `model`, or the one that the job starts from, and return it.

    Written to `job.out`: predictions.parquet (test inputs at every snapshot), features.parquet (of some of them in the
    end, where probes can read them), run.json and live/; to `job.weights`, what `finetune.keep` says. Truth is seen
    only where the job's own labels are the truth.
    """
    model = model or job.load()
    setting = job.setting
    hparams = setting.hparams
    snapshots = Snapshots(job, model)
    schedule = Schedule.of(hparams, len(job.examples.labels))
    loss = job.loss or setting.default_loss
    updates = finetuning_updates(model, setting, job.examples, loss, job.rng_key)
    keeps = {"snapshots": snapshots, **model.remembers()}
    train(
        model,
        updates,
        schedule,
        live=job.out / "live",
        name=job.name,
        snapshot=snapshots.take,
        snapshots=hparams.snapshots,
        checkpoint=job.checkpoints.of(job.out, keeps, job.is_intermediate) if job.checkpoints else None,
    )
    snapshots.end()
    files.write_predictions(job.out, setting.LABELS, job.test["id"], snapshots.predictions)
    setting.write_features(model, job.test["id"].to_pylist(), snapshots.test_items, job.out)
    record = {
        "parameters": model.parameter_count,
        "trainable": model.trainable,
        "examples": len(job.examples.labels),
        "steps": schedule.steps,
        "precision": hardware.precision(hparams.precision),
        "micro_batch": model.budget.tokens,
    }
    if job.early_stopping:
        record["stopped"] = snapshots.best_step
    files.write_json(job.out / "run.json", record)
    if job.weights is not None:
        write_weights(job, model)
    return model


def write_weights(job: Job, model: Head) -> None:
    """Write to `job.weights` what `finetune.keep` says; an empty folder where that is nothing."""
    assert job.weights is not None
    job.weights.mkdir(parents=True, exist_ok=True)
    keep = job.setting.hparams.keep
    if keep != "none":
        model.save(job.weights, whole=keep == "full")
    if keep == "full":
        job.setting.tokenizer.save_pretrained(job.weights)


class Snapshots:
    """What a model answers at points of its training and, with early stopping, the best of these models.

    The best is nearest to the weak labels of the validation inputs. Later snapshots then repeat its answers, so that
    the last prediction is always that of the model which stays.
    """

    def __init__(self, job: Job, model: Head) -> None:
        self.job = job
        self.model = model
        self.test_items = job.setting.encode(job.test)
        self.validation_items = job.setting.encode(job.validation.inputs) if job.validation else []
        self.predictions: list[tuple[int, np.ndarray]] = []  # step of training, answers [N]
        self.best_distance = math.inf
        self.best_step = 0
        self.best_answers: np.ndarray | None = None
        self.best_weights: dict[str, torch.Tensor] = {}

    def take(self, step: int) -> Metrics:
        """Predict the test inputs; what is returned is logged."""
        setting = self.job.setting
        answers = setting.predict(self.model, self.test_items)
        if self.job.validation is None:
            self.predictions.append((step, answers))
            return {}
        labels = self.job.validation.labels
        validation_answers = setting.predict(self.model, self.validation_items)
        if self.job.early_stopping:
            distance = setting.distance(validation_answers, labels)
            if distance < self.best_distance:
                self.best_distance = distance
                self.best_step = step
                self.best_answers = answers
                self.best_weights = self.model.trainable_state_dict()
            elif self.best_answers is not None:
                answers = self.best_answers
        self.predictions.append((step, answers))
        return {"agreement": float(setting.agree(validation_answers, labels).mean())}

    def state_dict(self) -> dict[str, Any]:
        """What a training that goes on later must find again."""
        best = None if self.best_answers is None else self.best_answers.tolist()
        return {
            "predictions": [[step, answers.tolist()] for step, answers in self.predictions],
            "best": [self.best_distance, self.best_step, best, self.best_weights],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        as_answers = self.job.setting.as_answers
        self.predictions = [(step, as_answers(answers)) for step, answers in state["predictions"]]
        self.best_distance, self.best_step, best, self.best_weights = state["best"]
        self.best_answers = None if best is None else as_answers(best)

    def end(self) -> None:
        """With early stopping, make the model what it was at the best snapshot."""
        if self.job.early_stopping:
            self.model.load_state_dict(self.best_weights, strict=False)


def finetuning_updates(
    model: Head, setting: Setting, examples: Examples, loss: LossFunction, rng_key: tuple[object, ...]
) -> Iterator[Update]:
    """Endless updates, epoch after epoch, in an order that `rng_key` draws."""
    items, targets = setting.training_targets(examples)
    lengths = [setting.length(item) for item in items]
    for batch in epochs(lengths, setting.hparams.batch_size, *rng_key):
        batch_items = [items[index] for index in batch]
        yield partial(_update, model, setting, batch_items, targets[batch], loss)


def _update(
    model: Head, setting: Setting, items: list[Item], targets: torch.Tensor, loss: LossFunction, progress: float
) -> Metrics:
    """Add the gradient of one batch.

    The loss sees the whole batch, however it is divided among processes and micro-batches: it may depend on the balance
    of all its labels. So its slope in every output is taken first, and then carried back micro-batch by micro-batch
    (Gao et al., 2021). When memory runs out, either half is done again in smaller micro-batches.
    """
    lengths = [setting.length(item) for item in items]
    order = longest_first(lengths)
    # In a batch of fewer examples than processes, some read one that is not theirs and carry nothing back.
    own = collective.dealt(order) or order[:1]
    affordable = partial(model.budget.retry_on_oom, reset=model.zero_grad)

    def outputs_of(indices: list[int]) -> torch.Tensor:
        with setting.autocast():
            return setting.outputs(model, [items[index] for index in indices])

    def read() -> list[torch.Tensor]:
        passes = model.budget.passes(lengths, own)
        # What memory holds in one micro-batch keeps its graphs, and need not be read twice. Asked last: where memory
        # runs out, the budget is halved by what is held together, not by the passes that it was read in.
        keep = len(model.budget.micro_batches(lengths, own)) == 1
        with torch.set_grad_enabled(keep):
            return [outputs_of(indices) for indices in passes]

    def carry_back() -> None:
        parts = [*graphs] or map(outputs_of, model.budget.micro_batches(lengths, own))
        # Used up, even if memory runs out now.
        graphs.clear()
        rest = slopes
        for part in parts:
            part.backward(rest[: len(part)])
            rest = rest[len(part) :]

    parts_read = affordable(read)
    graphs = [part for part in parts_read if part.requires_grad]
    own_outputs = torch.cat(parts_read).detach()
    outputs = collective.collected(own_outputs, len(items)).requires_grad_()
    labels = targets[order].to(hardware.device())
    value = loss(outputs, labels, progress)
    (all_slopes,) = torch.autograd.grad(value, outputs)
    slopes = collective.dealt(all_slopes) if collective.dealt(order) else torch.zeros_like(all_slopes[:1])
    del parts_read
    affordable(carry_back)
    collective.add_up(parameter.grad for parameter in model.parameters() if parameter.grad is not None)
    return {"loss": value.item(), "accuracy": setting.is_correct(outputs, labels).float().mean().item()}
