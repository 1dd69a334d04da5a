"""Rounds: the student is trained several times from its base, each time on the labels that the last one gave."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from w2s.methods.part import Part, Passes, Phase, Train
from w2s.training.passes import Pass, Plan, relabelling

if TYPE_CHECKING:
    from w2s.training.job import Job


class Rounds(Part):
    """Self-training from scratch, `count` times; with bootstrapping, only of the student at the end of the path."""

    count: Annotated[int, Field(ge=2)] = Field(description="times that the student is trained")
    phase: ClassVar[Phase] = Phase.CHAIN
    on_truth: ClassVar[bool] = False

    def describe(self) -> str:
        return f"trains the student {self.count} times from its base, each time on the labels of the last"

    def apply(self, job: "Job", train: Train) -> Any:
        if job.is_intermediate:
            return train(job)
        first = job
        for left in range(self.count - 1, 0, -1):
            step_job = replace(
                job.intermediate(f"{job.steps}-{job.setting.model}"),
                rng_key=(*first.rng_key, *[job.setting.model] * left),
                name=f"{job.name} {job.setting.model}",
            )
            job = job.relabelled(train(step_job), step_job)
        return train(job)

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        for _ in range(0 if plan.is_intermediate else self.count - 1):
            yield from relabelling(train(plan), plan)
        yield from train(plan)
