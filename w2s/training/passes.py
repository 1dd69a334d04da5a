"""How many examples a training passes through which model: what its cost follows from. Imports no torch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from w2s.core.hparams import hparams_for
from w2s.core.params import Finetune, Method, Params

# Hyperparameters that decide how much is done, or what comes of it, and not how fast that goes.
SAME_SPEED = {
    "keep": "none",
    "epochs": 1,
    "snapshots": 1,
    "learning_rate": 1e-4,
    "warmup": 0.1,
    "weight_decay": 0.01,
    "clip": 1.0,
    "processes": 1,  # measured is one; they share the work
}


@dataclass(frozen=True)
class Pass:
    """Examples that a stage passes through one model."""

    model: str
    hparams: Finetune
    starts: int = 0  # trainings, or loads for prediction alone
    learned: int = 0  # examples learned from, in all epochs
    updates: int = 0
    read: int = 0  # examples predicted, without learning
    encoded: int = 0  # examples tokenised
    text_updates: int = 0  # updates on texts without labels

    @property
    def speed_hparams(self) -> Finetune:
        """The hyperparameters that decide how fast that goes: a measure of it serves whatever the rest is."""
        return self.hparams.model_copy(update=SAME_SPEED)


@dataclass(frozen=True)
class Plan:
    """One training in numbers, as `w2s.training.job.Job` is it in data; a method's parts change and pass it on."""

    params: Params
    task: str
    weak: str  # the supervisor; empty for a ceiling
    model: str  # the model that is trained
    method: Method
    parts: dict[str, int]  # examples of each part of the task; `texts`: those without labels
    watched: int  # examples predicted at every snapshot
    text_updates: int = 0
    is_intermediate: bool = False  # the model only labels for the next one

    @property
    def hparams(self) -> Finetune:
        return hparams_for(self.params, self.task, self.model, self.method)


def training(plan: Plan) -> Iterator[Pass]:
    """A training on the student half by itself, without any parts of a method."""
    yield replace(
        finetuning(plan.model, plan.hparams, plan.parts["student"], plan.watched), text_updates=plan.text_updates
    )


def finetuning(model: str, hparams: Finetune, learned: int, watched: int) -> Pass:
    """Finetuning on `learned` examples, with `watched` ones predicted at every snapshot."""
    updates = hparams.epochs * -(-learned // hparams.batch_size)
    # Where the head alone learns, every text is read once, before the first update.
    read = learned + watched if hparams.tune == "head" else min(hparams.snapshots, updates) * watched
    return Pass(
        model=model,
        hparams=hparams,
        starts=1,
        learned=hparams.epochs * learned,
        updates=updates,
        read=read,
        encoded=learned + watched,
    )


def relabelling(passes: Iterator[Pass], plan: Plan) -> Iterator[Pass]:
    """These passes, whose last model then labels the student half and the validation part for the next one."""
    *before, last = passes
    labelled = plan.parts["student"] + plan.parts["validation"]
    # A head alone has read them already.
    read = last.read + (0 if last.hparams.tune == "head" else labelled)
    yield from before
    yield replace(last, read=read, encoded=last.encoded + labelled)
