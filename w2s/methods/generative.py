"""Generative finetuning: first learn the task's unlabelled texts as a language model (paper, section 5.2.2)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from w2s.core.params import Count, Positive
from w2s.methods.part import Part, Passes, Phase, Train, Use
from w2s.training.passes import Pass, Plan

if TYPE_CHECKING:
    from w2s.training.job import Job


class Generative(Part):
    """Next-token finetuning on the task's texts; hyperparameters that are not set here are those of `finetune`."""

    epochs: Count = Field(description="passes over the texts")
    learning_rate: Positive = Field(description="peak rate on the texts")
    phase: ClassVar[Phase] = Phase.START
    on_truth: ClassVar[bool] = True
    needs_language_model: ClassVar[bool] = True

    def check(self, use: Use) -> None:
        if use.hparams.tune != "full":
            raise ValueError(f"goes with tune: full, not with {use.hparams.tune}")
        if use.method not in use.block.ceilings:
            raise ValueError("its ceiling must learn the texts, too: add the method to the block's ceilings")
        if others := {"bootstrap", "rounds"} & use.parts:
            raise ValueError(f"does not go with {min(others)}; make them two methods")

    def describe(self) -> str:
        return (
            "first finetunes as a language model on the task’s unlabelled texts (paper, section 5.2.2), as does the "
            "ceiling that its students are held against"
        )

    def apply(self, job: "Job", train: Train) -> Any:
        from w2s.training.texts import learn_texts

        assert job.texts is not None
        setting = job.setting.with_hparams(**self.model_dump())
        model = learn_texts(
            setting, job.texts, ("texts", *job.rng_key), job.out / "texts", f"{job.name}: texts", job.checkpoints
        )
        with TemporaryDirectory(dir=job.out) as folder:
            start = Path(folder)
            model.save(start, whole=True)
            del model
            return train(replace(job, start=start))

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        updates = self.epochs * -(-plan.parts["texts"] // plan.hparams.batch_size)
        yield from train(replace(plan, text_updates=updates))
