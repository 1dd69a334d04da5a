"""One model to train: what finetuning needs, in one place, and what the parts of a method change and pass on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pyarrow as pa
from accelerate.utils.memory import clear_device_cache
from torch import Tensor

from w2s.core.determinism import generator
from w2s.models.heads import Head
from w2s.settings.base import Examples, LossFunction, Setting
from w2s.training.state import Checkpoints


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training of `setting`'s base model on `examples`, whose predictions of `test` are written to `out`."""

    setting: Setting
    examples: Examples
    test: pa.Table  # inputs to predict at every snapshot, and whose features are kept
    rng_key: tuple[object, ...]  # names the stream that orders the examples
    out: Path  # the folder of predictions, features, curves and the record of the run
    name: str  # on the progress bar
    weights: Path | None = None  # the folder of the weights as `finetune.keep` says; nowhere
    validation: Examples | None = None  # held-out inputs with weak labels, whose agreement is watched
    start: Path | None = None  # a checkpoint to start from; the base
    head: Mapping[str, Tensor] | None = None  # weights of the head to start from; zero
    loss: LossFunction | None = None  # the setting's own
    checkpoints: Checkpoints | None = None  # of the stage: where its trainings go on after a kill
    early_stopping: bool = False  # end with the snapshot that is nearest to the labels of `validation`
    # What the parts of a method need beside:
    weak: str = ""  # the supervisor; none for a ceiling
    texts: Path | None = None  # the file of the task's unlabelled texts
    other_bases: Path = Path()  # the folder of the base models that labels are passed on through
    steps: int = 0  # models that labels were passed on through so far
    is_intermediate: bool = False  # the stage goes on from it: say the model labels for the next one

    def load(self, **hparams: object) -> Head:
        """The model as training starts, on this machine's device; `hparams` override those of the setting."""
        # One model at a time: what went before this one is let go.
        clear_device_cache(garbage_collection=True)
        setting = self.setting.with_hparams(**hparams)
        rng = generator("adapters", *self.rng_key[1:])
        model = setting.HEAD.load_base(self.start or setting.base, setting.hparams, rng, setting.base)
        if self.head is not None:
            model.head.load_state_dict(self.head)
        return model

    def intermediate(self, folder: str) -> Self:
        """The job of a model that only labels for the next one."""
        return replace(self, out=self.out / "via" / folder, weights=None, is_intermediate=True)

    def relabelled(self, model: Head, step: Self) -> Self:
        """This job with the labels that a model gives, which the job `step` trained; they are kept beside its run."""
        given = {}
        for part, examples in (("student", self.examples), ("validation", self.validation)):
            assert examples is not None
            answers = step.setting.label(model, examples.inputs, step.out / f"{part}.parquet")
            given[part] = Examples(examples.inputs, answers, weak=True)
        return replace(self, examples=given["student"], validation=given["validation"], steps=self.steps + 1)
