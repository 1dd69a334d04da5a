"""Bootstrapping: labels are passed on through models of rising size (paper, section 4.3.1)."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from w2s.core.params import Embedded, Model, Name, NonEmptyList, Params
from w2s.core.validation import either
from w2s.methods.part import Part, Passes, Phase, Train, Use
from w2s.training.passes import Pass, Plan, relabelling

if TYPE_CHECKING:
    from w2s.training.job import Job


class Bootstrap(Part):
    """The supervisor's labels teach the first model, which labels anew for the second, and so on up to the student."""

    via: Annotated[
        Literal["between"] | NonEmptyList[Name], either("between or a list of models, none of them twice")
    ] = Field(description="the models on the path, or every one of grid.ladder between supervisor and student")
    phase: ClassVar[Phase] = Phase.CHAIN
    on_truth: ClassVar[bool] = False

    def check(self, use: Use) -> None:
        path = [use.weak, *self.base_models(use.params, use.weak, use.strong), use.strong]
        ladder = use.params.grid.ladder
        if use.weak not in ladder:
            raise ValueError(f"starts from a supervisor of the ladder, which '{use.weak}' is not")
        places = [ladder.index(model) for model in path if model in ladder]
        if len(places) < len(path) or places != sorted(set(places)):
            raise ValueError(f"the path {' → '.join(path)} must rise in grid.ladder, which is {', '.join(ladder)}")
        for one, other in pairwise(path):
            if _size(use.params.models[one]) >= _size(use.params.models[other]):
                raise ValueError(f"the path {' → '.join(path)} must rise in size, but {other} is no larger than {one}")

    def base_models(self, params: Params, weak: str, strong: str) -> list[str]:
        if self.via != "between":
            return self.via
        ladder = params.grid.ladder
        if weak not in ladder:
            return []
        return ladder[ladder.index(weak) + 1 : ladder.index(strong)]

    def describe(self) -> str:
        models = "the models between supervisor and student" if self.via == "between" else ", ".join(self.via)
        return f"passes the labels on through {models}, each learning them and labelling anew (paper, section 4.3.1)"

    def apply(self, job: "Job", train: Train) -> Any:
        models = self.base_models(job.setting.params, job.weak, job.setting.model)
        for step, model in enumerate(models):
            step_job = replace(
                job.intermediate(f"{job.steps}-{model}"),
                setting=job.setting.for_model(model, job.other_bases),
                rng_key=(*job.rng_key, *models[step:]),
                name=f"{job.name} {model}",
            )
            job = job.relabelled(train(step_job), step_job)
        return train(job)

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        for model in self.base_models(plan.params, plan.weak, plan.model):
            yield from relabelling(train(replace(plan, model=model, is_intermediate=True)), plan)
        yield from train(plan)


def _size(model: Model) -> int:
    """Weights, to be compared; of an embedded model, those of its blocks."""
    return 8 * model.layers * model.hidden**2 if isinstance(model, Embedded) else model.parameters
