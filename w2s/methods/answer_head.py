"""Answer head: finetuning starts from the language model's own head on the task's answer words, not from a new one."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from w2s.methods.part import Part, Passes, Phase, Train, Use
from w2s.training.passes import Pass, Plan

if TYPE_CHECKING:
    from w2s.training.job import Job


class AnswerHead(Part):
    """z = (u_yes − u_no)·h, where u are the rows of the language modelling head for the first word of either answer.

    P(true) is then at first what the base model gives to `yes` against `no` as the next token, and the student learns
    by cross-entropy on that token.
    """

    phase: ClassVar[Phase] = Phase.HEAD
    on_truth: ClassVar[bool] = True
    needs_language_model: ClassVar[bool] = True

    def check(self, use: Use) -> None:
        if not use.setting.PROBABILITIES:
            raise ValueError("not in generation, whose models answer by their language modelling head anyway")

    def describe(self) -> str:
        return "starts from the language model’s own head on the answer words instead of a new head"

    def apply(self, job: "Job", train: Train) -> Any:
        from w2s.core.determinism import generator
        from w2s.models.answers import require_distinct
        from w2s.models.heads import LanguageHead
        from w2s.models.zero_shot import first_tokens

        setting: Any = job.setting
        # Once more after stage `base`: words may change without the model.
        require_distinct(setting.tokenizer, setting.answer_words, f"params.yaml: tasks.{setting.task_name}.answers")
        hparams = setting.with_hparams(tune="head", precision="fp32").hparams
        model = LanguageHead.load_base(job.start or setting.base, hparams, generator(), setting.base)
        unembedding = model.body.get_output_embeddings()
        yes, no = first_tokens(setting.tokenizer, [setting.answer_word(True), setting.answer_word(False)])
        weight = unembedding.weight
        bias = weight.new_zeros(len(weight)) if unembedding.bias is None else unembedding.bias
        head = {name: rows[[yes]] - rows[[no]] for name, rows in (("weight", weight), ("bias", bias))}
        del model
        return train(replace(job, head={name: row.detach().cpu() for name, row in head.items()}))

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        yield Pass(plan.model, plan.hparams, starts=1)
        yield from train(plan)
