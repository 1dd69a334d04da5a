"""Trivial imitation: every prompt tells what the supervisor thinks (paper, section E.3)."""

from dataclasses import replace
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import AfterValidator, Field

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.params import Word
from w2s.methods.part import Part, Phase, Train, Use

if TYPE_CHECKING:
    from w2s.settings.base import Examples
    from w2s.training.job import Job


def _with_both_fields(template: str) -> str:
    try:
        fields = sorted(name for _, name, _, _ in Formatter().parse(template) if name is not None)
    except ValueError as error:
        raise ValueError(f"must be a template ({error})") from None
    if fields != ["label", "text"]:
        raise ValueError("must have {text} and {label}, each once")
    return template


class Imitate(Part):
    """Write the supervisor's label into each text, of validation and test inputs too.

    A label is the task's first word for yes or no; in preference the better text gets the one, the worse the other.
    Truth is never seen.
    """

    template: Annotated[Word, AfterValidator(_with_both_fields)] = Field(
        description="a prompt with {text} and {label} in it, each once"
    )
    phase: ClassVar[Phase] = Phase.LABELS
    on_truth: ClassVar[bool] = False

    def check(self, use: Use) -> None:
        if use.weak not in use.params.models:
            raise ValueError(f"'{use.weak}' is a simulated supervisor, whose labels of test inputs are made from truth")
        if others := {"bootstrap", "clean", "rounds"} & use.parts:
            raise ValueError(f"does not go with {min(others)}, in which others than the supervisor label")

    def describe(self) -> str:
        return (
            "is told the supervisor’s label in every prompt, also of tests: imitation is trivial (paper, section E.3)"
        )

    def apply(self, job: "Job", train: Train) -> Any:
        from w2s.settings.base import Examples

        tokenizer = job.setting.tokenizer
        words = [word for word in self.template.split() if "{" not in word]
        encoded = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
        if unknown := [word for word, ids in zip(words, encoded, strict=True) if tokenizer.unk_token_id in ids]:
            raise UserError(
                f"params.yaml: methods.{job.setting.method}.imitate.template: '{unknown[0]}' is unknown to the "
                f"tokenizer of {job.setting.model}; choose another word"
            )
        # A student's task and seed, as its stage names them.
        _, task, seed, *_ = job.rng_key
        path = files.weak_labels(str(task), job.weak, int(str(seed))) / "test.parquet"
        of_test = files.aligned(files.read_labels(path), job.test["id"], path)
        told = replace(
            job,
            examples=self._told(job.setting, job.examples),
            validation=self._told(job.setting, job.validation) if job.validation else None,
            test=self._told(job.setting, Examples(job.test, of_test)).inputs,
        )
        return train(told)

    def _told(self, setting: Any, examples: "Examples") -> "Examples":
        """The examples with their labels in their texts."""
        inputs, labels = examples.inputs, examples.labels
        for index, column in enumerate(inputs.column_names):
            if column in ("text", "first", "second"):
                texts = [
                    self.template.format(text=text, label=word)
                    for text, word in zip(inputs[column].to_pylist(), _words(setting, column, labels), strict=True)
                ]
                inputs = inputs.set_column(index, inputs.field(index), pa.array(texts))
        return replace(examples, inputs=inputs)


def _words(setting: Any, column: str, labels: np.ndarray) -> list[str]:
    """The label of each text in words: of a pair's second text the opposite."""
    if not setting.PROBABILITIES:
        return list(labels)
    return [setting.answer_word((p > 0.5) == (column != "second")) for p in labels]
