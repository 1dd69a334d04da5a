"""Few-shot prompting: a base model answers after a few labelled examples; nothing is trained (paper, section 5.2.1)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.params import Count
from w2s.methods.part import Part, Passes, Phase, Train, Use
from w2s.training.passes import Pass, Plan

if TYPE_CHECKING:
    from w2s.training.job import Job


class FewShot(Part):
    """Put labelled examples of the student half before each question.

    All test inputs see the same ones; where labels are probabilities, as many are labelled true as false.
    """

    shots: Count = Field(description="labelled examples in the prompt")
    phase: ClassVar[Phase] = Phase.START
    on_truth: ClassVar[bool] = True
    trains: ClassVar[bool] = False

    def check(self, use: Use) -> None:
        others = sorted(use.parts - {self.name}) + ["finetune"] * bool(use.params.methods[use.method].finetune)
        if others:
            raise ValueError(f"few-shot prompting trains nothing; it does not go with {others[0]}")

    def describe(self) -> str:
        return f"trains nothing: {self.shots} labelled examples stand in the prompt (paper, section 5.2.1)"

    def apply(self, job: "Job", train: Train) -> None:
        """Write the answers to the test inputs, and the record of a run, as finetuning does.

        A prompt too long for the context is cut at the front; `UserError` where the examples alone are.
        """
        import torch

        from w2s.core.determinism import generator
        from w2s.models.checkpoints import size

        setting = job.setting
        examples = job.examples
        rng = generator("shots", *job.rng_key)
        order = torch.randperm(len(examples.labels), generator=rng).numpy()
        chosen = setting.balanced_order(order, examples.labels)[: self.shots]
        # Shuffled, since they come by turns labelled true and false.
        chosen = chosen[torch.randperm(len(chosen), generator=rng).numpy()]
        shots = setting.format_shots(examples.inputs.take(chosen), examples.labels[chosen])
        lead = "".join(f"{shot}\n\n" for shot in shots)
        tokens = len(setting.tokenizer(lead)["input_ids"])
        if tokens >= setting.max_context:
            raise UserError(
                f"params.yaml: methods.{setting.method}.few_shot.shots: {self.shots} examples take {tokens} tokens, "
                f"but {setting.model} reads {setting.max_context}; show fewer"
            )
        answers = setting.zero_shot(job.test, lead)
        files.write_predictions(job.out, setting.LABELS, job.test["id"], [(0, answers)])
        record = {"parameters": size(setting.base)["parameters"], "trainable": 0, "examples": len(chosen), "steps": 0}
        files.write_json(job.out / "run.json", record)

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        prompts = (1 + self.shots) * plan.parts["test"]
        yield Pass(plan.model, plan.hparams, starts=1, read=prompts, encoded=prompts)
