"""Hard labels: weak labels are rounded to 0 or 1 before a student learns them."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from w2s.methods.part import Part, Phase, Train, Use

if TYPE_CHECKING:
    from w2s.training.job import Job


class Harden(Part):
    """Round the weak labels P(true) at ½."""

    phase: ClassVar[Phase] = Phase.LABELS
    on_truth: ClassVar[bool] = False

    def check(self, use: Use) -> None:
        if not use.setting.PROBABILITIES:
            raise ValueError("not in generation: answers in words are hard labels already")

    def describe(self) -> str:
        return "rounds the weak labels"

    def apply(self, job: "Job", train: Train) -> Any:
        rounded = replace(job.examples, labels=np.round(job.examples.labels))
        return train(replace(job, examples=rounded))
