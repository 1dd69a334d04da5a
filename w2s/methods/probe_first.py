"""Probe first: the head is trained alone on frozen features before the whole model is (Kumar et al., 2022)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from w2s.core.params import Count, Positive
from w2s.methods.part import Part, Passes, Phase, Train, Use
from w2s.training.passes import Pass, Plan, finetuning

if TYPE_CHECKING:
    from w2s.training.job import Job


class ProbeFirst(Part):
    """Train a linear probe, then start finetuning from its head."""

    epochs: Count = Field(description="passes of the probe over the training half")
    learning_rate: Positive = Field(description="the probe's peak rate")
    phase: ClassVar[Phase] = Phase.HEAD
    on_truth: ClassVar[bool] = True

    def check(self, use: Use) -> None:
        if not use.setting.PROBABILITIES:
            raise ValueError("not in generation: models that answer in words have no new head to train first")
        if use.hparams.tune != "full":
            raise ValueError(f"goes with tune: full, not with {use.hparams.tune}")

    def describe(self) -> str:
        return "trains the head alone on frozen features before the whole model"

    def apply(self, job: "Job", train: Train) -> Any:
        from w2s.training.finetune import finetune

        probe_job = replace(
            job,
            setting=job.setting.with_hparams(tune="head", **self.model_dump()),
            validation=None,
            early_stopping=False,
            rng_key=("probe", *job.rng_key),
            out=job.out / "probe",
            weights=None,
            is_intermediate=True,
            name=f"{job.name}: probe",
        )
        head = finetune(probe_job).head.state_dict()
        return train(replace(job, head=head))

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        hparams = plan.hparams.model_copy(update={"tune": "head", **self.model_dump()})
        test = plan.parts["test"]
        yield replace(finetuning(plan.model, hparams, plan.parts["student"], test), encoded=test)
        yield from train(plan)
