"""Confident labels only: a student learns the examples of which its supervisor is surest."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from w2s.methods.part import Part, Passes, Phase, Train, Use
from w2s.training.passes import Pass, Plan

if TYPE_CHECKING:
    from w2s.training.job import Job


class Confident(Part):
    """Keep a share of the examples: those whose weak labels P(true) are farthest from ½."""

    share: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of the examples that are kept")
    phase: ClassVar[Phase] = Phase.LABELS
    on_truth: ClassVar[bool] = False

    def check(self, use: Use) -> None:
        if not use.setting.PROBABILITIES:
            raise ValueError("not in generation: answers in words do not tell how sure a supervisor is")
        if use.weak not in use.params.models:
            raise ValueError(f"'{use.weak}' is a simulated supervisor, whose labels do not tell how sure it is")

    def describe(self) -> str:
        return f"learns the {self.share:.0%} of the examples of which the supervisor is surest"

    def apply(self, job: "Job", train: Train) -> Any:
        kept = surest(job.examples.labels, self.share)
        examples = replace(job.examples, inputs=job.examples.inputs.take(kept), labels=job.examples.labels[kept])
        return train(replace(job, examples=examples))

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        yield from train(replace(plan, parts=plan.parts | {"student": _count(plan.parts["student"], self.share)}))


def surest(labels: np.ndarray, share: float) -> np.ndarray:
    """The indices, in their order, of a share of the labels P(true) [N]: the farthest from ½; of equals, the first."""
    order = np.argsort(-np.abs(labels - 0.5), kind="stable")
    return np.sort(order[: _count(len(labels), share)])


def _count(examples: int, share: float) -> int:
    """How many are kept: at least one."""
    return max(1, round(share * examples))
