"""Early stopping by weak labels: training ends with the snapshot that is nearest to held-out weak labels."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from w2s.methods.part import Part, Phase, Train, Use

if TYPE_CHECKING:
    from w2s.training.job import Job


class EarlyStopping(Part):
    """Keep the weights of the best snapshot, judged by the supervisor's labels of the validation inputs.

    Truth is never seen. The paper stops early, too, but judges by ground truth where it says so (appendix A.1).
    """

    phase: ClassVar[Phase] = Phase.END
    on_truth: ClassVar[bool] = False

    def check(self, use: Use) -> None:
        if use.hparams.snapshots < 2:
            raise ValueError("needs finetune.snapshots of 2 or more to choose from (found 1)")

    def describe(self) -> str:
        return "stays with the snapshot that comes nearest to held-out weak labels (early stopping)"

    def apply(self, job: "Job", train: Train) -> Any:
        return train(replace(job, early_stopping=True))
